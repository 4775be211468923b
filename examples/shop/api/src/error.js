import { log } from './log.js';

export class HttpError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function notFound(req, res) {
  res.status(404).json({ error: 'not found' });
}

export function onError(err, req, res, next) {
  if (res.headersSent) {
    next(err);
    return;
  }
  const status = err.status ?? 500;
  if (status >= 500) {
    log.error({ err }, 'request failed');
  }
  res.status(status).json({ error: status >= 500 ? 'internal error' : err.message });
}
