'use strict';
// Loaded before the app. It does two things and must never break the app:
// it refuses connections that leave this machine, and it reports how long the
// event loop was held up. Both go as JSON lines to descriptor 3.
const fs = require('node:fs');
const net = require('node:net');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const { isMainThread } = require('node:worker_threads');

function say(o) {
  try { fs.writeSync(3, JSON.stringify(o) + '\n'); } catch { /* nobody listens */ }
}

function local(host) {
  return host === undefined || host === '' || host === 'localhost' || host === '::1' ||
    host === '0.0.0.0' || host === '::' || /^127\./.test(host) || /^::ffff:127\./i.test(host);
}

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  let o = args[0];
  if (Array.isArray(o)) o = o[0]; // net.connect passes normalised arguments
  if (o !== null && typeof o !== 'object') {
    const path = typeof o === 'string' && Number.isNaN(Number(o));
    o = path ? { path: o } : { port: o, host: typeof args[1] === 'string' ? args[1] : undefined };
  }
  if (!o || o.path || local(o.host)) return connect.apply(this, args);
  const at = `${o.host}:${o.port}`;
  say({ refused: at });
  const err = Object.assign(new Error(`connect ECONNREFUSED ${at}`),
    { code: 'ECONNREFUSED', errno: -111, syscall: 'connect', address: String(o.host), port: Number(o.port) });
  this.connecting = true;
  process.nextTick(() => this.destroy(err));
  return this;
};

if (isMainThread) {
  const h = monitorEventLoopDelay({ resolution: 5 });
  h.enable();
  setInterval(() => {
    // The histogram measures the timer's whole period; what exceeds the resolution is delay.
    say({ lag: Math.max(0, h.percentile(99) / 1e9 - 0.005), heap: process.memoryUsage.rss() });
    h.reset();
  }, 500).unref();
}
