'use strict';
// Loaded before the app. It does two things and must never break the app: it refuses
// what would leave this machine, and it reports how long the event loop was held up.
// Both go as JSON lines to the pipe that PREMORTEM_RUN names. A descriptor would not
// do: wrappers do not hand it on, and in a forked child it is another channel.
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const dns = require('node:dns');
const dgram = require('node:dgram');
const { syncBuiltinESMExports } = require('node:module');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const { isMainThread } = require('node:worker_threads');

let pipe;
function say(o) {
  try {
    if (pipe === undefined) {
      const { O_WRONLY, O_NONBLOCK } = fs.constants;
      pipe = fs.openSync(process.env.PREMORTEM_RUN, O_WRONLY | O_NONBLOCK);
    }
    fs.writeSync(pipe, JSON.stringify({ pid: process.pid, ...o }) + '\n');
  } catch { /* nobody listens */ }
}

// Only what cannot be anything else: "127.evil.example" is a name, not an address.
function local(host) {
  if (host === undefined || host === null || host === '') return true;
  const h = String(host).toLowerCase();
  if (h === 'localhost' || h === '::1') return true;
  if (net.isIPv4(h)) return h.startsWith('127.');
  return net.isIPv6(h) && /^::ffff:127\.\d+\.\d+\.\d+$/.test(h);
}

function refusal(call, at, host, port) {
  return Object.assign(new Error(`${call} ECONNREFUSED ${at}`),
    { code: 'ECONNREFUSED', errno: -os.constants.errno.ECONNREFUSED, syscall: call, address: String(host), port: Number(port) });
}

// put replaces a function and keeps what hangs on it, such as how to promisify it.
function put(on, name, make) {
  const old = on?.[name];
  if (typeof old !== 'function') return;
  const f = make(old);
  try {
    Object.defineProperties(f, Object.getOwnPropertyDescriptors(old));
    on[name] = f;
  } catch { /* frozen: leave it */ }
}

put(net.Socket.prototype, 'connect', (connect) => function (...args) {
  let o = args[0];
  if (Array.isArray(o)) o = o[0]; // net.connect passes normalised arguments
  if (o !== null && typeof o !== 'object') {
    const path = typeof o === 'string' && Number.isNaN(Number(o));
    o = path ? { path: o } : { port: o, host: typeof args[1] === 'string' ? args[1] : undefined };
  }
  if (!o || o.path || local(o.host)) return connect.apply(this, args);
  const at = `${o.host}:${o.port}`;
  say({ refused: at });
  this.connecting = true;
  process.nextTick(() => this.destroy(refusal('connect', at, o.host, o.port)));
  return this;
});

// A datagram that is refused is one that the network lost: the sender learns nothing.
put(dgram.Socket.prototype, 'send', (send) => function (msg, a, b, c, d, e) {
  const ranged = d || (c && typeof c !== 'function'); // (msg, offset, length, port, address, done)
  const port = ranged ? c : a;
  const address = ranged ? d : b;
  if (typeof address !== 'string' || local(address)) return send.apply(this, arguments);
  say({ refused: `${address}:${port}` });
  const done = [a, b, c, d, e].find((x) => typeof x === 'function');
  const sent = ranged && typeof b === 'number' ? b : [].concat(msg).reduce((n, m) => n + (m?.byteLength ?? Buffer.byteLength(String(m))), 0);
  if (done) process.nextTick(done, null, sent);
});

put(dgram.Socket.prototype, 'connect', (connect) => function (port, address, done) {
  if (typeof address !== 'string' || local(address)) return connect.apply(this, arguments);
  const at = `${address}:${port}`;
  say({ refused: at });
  const err = refusal('connect', at, address, port);
  process.nextTick(() => (typeof done === 'function' ? done(err) : this.emit('error', err)));
});

const ours = os.hostname().toLowerCase();
function known(name) {
  return typeof name !== 'string' || net.isIP(name) !== 0 || local(name) || name.toLowerCase() === ours;
}

function unknown(call, name) {
  say({ refused: name });
  return Object.assign(new Error(`${call} ENOTFOUND ${name}`),
    { code: 'ENOTFOUND', errno: call === 'getaddrinfo' ? -3008 : undefined, syscall: call, hostname: name });
}

function callLater(call) {
  return (old) => function (name, ...rest) {
    const done = rest[rest.length - 1];
    if (known(name) || typeof done !== 'function') return old.call(this, name, ...rest);
    process.nextTick(done, unknown(call, name));
    return call === 'getaddrinfo' ? {} : this;
  };
}

function rejectLater(call) {
  return (old) => function (name, ...rest) {
    if (known(name)) return old.call(this, name, ...rest);
    return Promise.reject(unknown(call, name));
  };
}

const asks = ['resolve', 'resolve4', 'resolve6', 'resolveAny', 'resolveCaa', 'resolveCname', 'resolveMx', 'resolveNaptr',
  'resolveNs', 'resolvePtr', 'resolveSoa', 'resolveSrv', 'resolveTlsa', 'resolveTxt'];
put(dns, 'lookup', callLater('getaddrinfo'));
put(dns.promises, 'lookup', rejectLater('getaddrinfo'));
for (const ask of asks) {
  const call = ask.replace('resolve', 'query');
  put(dns, ask, callLater(call));
  put(dns.Resolver.prototype, ask, callLater(call));
  put(dns.promises, ask, rejectLater(call));
  put(dns.promises.Resolver.prototype, ask, rejectLater(call));
}
syncBuiltinESMExports();

if (isMainThread) {
  say({}); // here I am
  const h = monitorEventLoopDelay({ resolution: 5 });
  h.enable();
  setInterval(() => {
    // The histogram measures the timer's whole period; what exceeds the resolution is delay.
    say({ lag: Math.max(0, h.percentile(99) / 1e9 - 0.005), heap: process.memoryUsage.rss() });
    h.reset();
  }, 500).unref();
}
