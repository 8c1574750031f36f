// Applications behind the gate: those of the folder `servers` and the example's, each on a server that people run in production
// (and Flask's own), on loopback.

import path from "node:path";
import { after } from "node:test";

import { serve } from "./program.js";
import { ROOT } from "./project.js";
import { FLASK_EXAMPLE, pythonWithPackages } from "./python.js";

const APPLICATIONS = path.join(ROOT, "tests", "e2e", "servers");

/** Before the address that each program prints when it listens. */
export const READY = /(?:Listening at: |bound to TCP address |Serving on |[Rr]unning on |listening on )(?:http:\/\/)?(127\.0\.0\.1:\d+)/;

// Its control socket has one path for all servers of a person's.
const gunicorn = (app, ...options) => ["gunicorn", ["--bind=127.0.0.1:0", "--no-control-socket", ...options, app]];
const uwsgi = (module) => ["uwsgi", ["--http-socket=127.0.0.1:0", "--need-app", `--module=${module}`]];
const waitress = (app) => ["waitress-serve", ["--listen=127.0.0.1:0", app]];

/**
 * Name → `[program, arguments, environment]`. Those whose name ends with `trusting` believe what proxies state in headers; in its
 * defaults, gunicorn believes `SCRIPT_NAME` of whoever connects from loopback.
 */
const HOSTILE_INPUT = {
  "gunicorn": gunicorn("wsgi_app"),
  "uWSGI": uwsgi("wsgi_app"),
  "waitress": waitress("wsgi_app:application"),
  "Flask": ["python", ["flask_app.py"]],
  "Flask, trusting": gunicorn("proxied_app:app", "--forwarded-allow-ips=*", "--header-map=dangerous"),
  "Django": gunicorn("django_app"),
  "Django, trusting": [...gunicorn("django_app"), { TRUSTING: "1" }],
  "Express 4": ["node", ["express_app.js", "express4"]],
  "Express 5": ["node", ["express_app.js", "express"]],
  "Express 5, trusting": ["node", ["express_app.js", "express", "trusting"]],
};

/** The servers on which requests that are made to be misread are tried. */
export const SERVERS = Object.keys(HOSTILE_INPUT);

const COMMANDS = {
  ...HOSTILE_INPUT,
  "example": ["python", [path.join(FLASK_EXAMPLE, "app.py")]],
  "signature check": ["python", [path.join(FLASK_EXAMPLE, "gate_signature.py")]],
  "signature check, gunicorn": gunicorn("signed_app:app"),
  "signature check, uWSGI": uwsgi("signed_app:app"),
  "signature check, waitress": waitress("signed_app:app"),
  "httpbin": waitress("httpbin:app"),
};

/** Starts a server until the tests of the file are over; resolves to its URL. */
export async function startServer(name, env) {
  const [program, args, own] = COMMANDS[name];
  const python = await pythonWithPackages();
  const file = { node: process.execPath, python }[program] ?? path.join(path.dirname(python), program);
  const { found, stop } = await serve(file, args, READY, {
    cwd: APPLICATIONS,
    env: {
      ...process.env,
      ...{ PORT: "0", PYTHONPATH: [APPLICATIONS, FLASK_EXAMPLE].join(path.delimiter) },
      ...{ PYTHONDONTWRITEBYTECODE: "1", PYTHONUNBUFFERED: "1" },
      ...own,
      ...env,
    },
  });
  after(stop);
  return `http://${found[1]}`;
}

/** Starts the servers of these names at the same time; resolves to their URLs by name. */
export async function startServers(names) {
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await startServer(name)])));
}
