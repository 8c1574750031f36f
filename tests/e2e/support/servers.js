// The applications of the folder `servers`, each on a server that people run in production (and Flask's own), on loopback.

import path from "node:path";

import { serve } from "./program.js";
import { ROOT } from "./project.js";
import { pythonWithFlask } from "./python.js";

const APPLICATIONS = path.join(ROOT, "tests", "e2e", "servers");

/** Before the address that each program prints when it listens. */
const READY = /(?:Listening at: |bound to TCP address |Serving on |Running on |listening on )(?:http:\/\/)?(127\.0\.0\.1:\d+)/;

// Its control socket has one place for all servers of a person's.
const gunicorn = (app, ...options) => ["gunicorn", ["--bind=127.0.0.1:0", "--no-control-socket", ...options, app]];

/**
 * Name → `[program, arguments, environment]`. Those whose name ends with `trusting` believe what proxies state in headers; in its
 * defaults, gunicorn believes `SCRIPT_NAME` of whoever connects from loopback.
 */
const COMMANDS = {
  "gunicorn": gunicorn("wsgi_app"),
  "uWSGI": ["uwsgi", ["--http-socket=127.0.0.1:0", "--need-app", "--module=wsgi_app"]],
  "waitress": ["waitress-serve", ["--listen=127.0.0.1:0", "wsgi_app:application"]],
  "Flask": ["python", ["flask_app.py"]],
  "Flask, trusting": gunicorn("proxied_app:app", "--forwarded-allow-ips=*", "--header-map=dangerous"),
  "Django": gunicorn("django_app"),
  "Django, trusting": [...gunicorn("django_app"), { TRUSTING: "1" }],
  "Express 4": ["node", ["express_app.js", "express4"]],
  "Express 5": ["node", ["express_app.js", "express"]],
  "Express 5, trusting": ["node", ["express_app.js", "express", "trusting"]],
};

export const SERVERS = Object.keys(COMMANDS);

/** Starts the servers of these names at the same time: `{ urls, stop }`, with `urls` by name. */
export async function startServers(names) {
  const started = await Promise.allSettled(names.map((name) => start(...COMMANDS[name])));
  const stop = () => Promise.all(started.map(({ value }) => value?.stop()));
  const failed = started.find(({ status }) => status === "rejected");
  if (failed) {
    await stop();
    throw failed.reason;
  }
  return { urls: Object.fromEntries(names.map((name, at) => [name, urlOf(started[at].value)])), stop };
}

const SIGNED = {
  gunicorn: gunicorn("signed_app:app"),
  uWSGI: ["uwsgi", ["--http-socket=127.0.0.1:0", "--need-app", "--module=signed_app:app"]],
  waitress: ["waitress-serve", ["--listen=127.0.0.1:0", "signed_app:app"]],
};

/** The example application behind its check, on one of these servers: `{ url, stop }`. With `mount` it stands below that path. */
export async function startSigned(server, keys, mount = "") {
  const [program, args] = SIGNED[server];
  const { found, stop } = await start(program, args, {
    PYTHONPATH: [APPLICATIONS, path.join(ROOT, "examples", "flask")].join(path.delimiter),
    KEYGATE_SIGNING_KEY: keys,
    ...(mount && { MOUNT: mount, SCRIPT_NAME: mount }),
  });
  return { url: urlOf({ found }), stop };
}

async function start(program, args, env) {
  const python = await pythonWithFlask();
  const file = { node: process.execPath, python }[program] ?? path.join(path.dirname(python), program);
  return serve(file, args, READY, {
    cwd: APPLICATIONS,
    env: { ...process.env, PYTHONPATH: APPLICATIONS, PYTHONDONTWRITEBYTECODE: "1", PYTHONUNBUFFERED: "1", ...env },
  });
}

const urlOf = (server) => `http://${server.found[1]}`;
