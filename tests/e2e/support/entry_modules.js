// Entry modules of the tests' own: each wraps the gate's entry module and does what no client can do from outside, such as setting
// the clock or ending the wasm instance half-way. The gate's own modules are the built ones, byte for byte: nothing of this is in
// the bundle that is deployed.

/** Lets a test set the clock: see `Gate.setClock`. Seconds are whole, so a test knows the gate's second. */
export const SETTABLE_CLOCK = {
  module: `
import gate from "./entry.js";
const real = Date.now;
let frozen;
Date.now = () => frozen ?? real();
export default {
  fetch(request, env, ctx) {
    const time = request.headers.get("x-test-clock");
    if (time === null) return gate.fetch(request, env, ctx);
    frozen = Number(time) * 1000;
    return new Response();
  },
};`,
};

/** `(module (func (export "trap") unreachable))` */
const TRAP = Buffer.from("0061736d01000000" + "010401600000" + "03020100" + "0708010474726170" + "0000" + "0a05010300000b", "hex");

/**
 * Lets the header `X-Test-End` of a request end the wasm instance: `trap <function>`, `overflow <function>` or `panic`. The function
 * is one of the runtime's that the gate calls next, for this request or another: `log`, `now`, `time`, `id` or `fetch`. What
 * is thrown there passes through frames of the gate's own wasm. The panic is a genuine one, with the gate's own hook: the gate has
 * borrowed its cache while it asks for the time, and from there it is entered again.
 */
export const INSTANCE_ENDING = {
  wasm: TRAP,
  module: `
import wasm from "./test.wasm";
import gate from "./entry.js";
const { trap } = new WebAssembly.Instance(wasm).exports;
const overflow = () => 1 + overflow();
let armed;
const endable = (name, real) => function (...of) {
  if (armed?.name === name) {
    const { end } = armed;
    armed = undefined;
    end();
  }
  return real.apply(this, of);
};
console.log = endable("log", console.log);
Date.now = endable("now", Date.now);
Date.prototype.toISOString = endable("time", Date.prototype.toISOString);
crypto.randomUUID = endable("id", crypto.randomUUID);
globalThis.fetch = endable("fetch", globalThis.fetch);
export default {
  fetch(request, env, ctx) {
    const [how, name = "now"] = (request.headers.get("x-test-end") ?? "").split(" ");
    if (how === "trap") armed = { name, end: trap };
    if (how === "overflow") armed = { name, end: overflow };
    if (how === "panic") armed = { name, end: () => void gate.fetch(request, env, ctx).then(() => {}) };
    return gate.fetch(request, env, ctx);
  },
};`,
};

/** The same for the control Worker: a request with `X-Test-End` traps in the next call of the clock, whoever makes it. */
export const CONTROL_ENDING = {
  wasm: TRAP,
  module: `
import wasm from "./test.wasm";
import control from "./entry.js";
export * from "./entry.js";
const { trap } = new WebAssembly.Instance(wasm).exports;
const real = Date.now;
let isArmed = false;
Date.now = () => {
  if (!isArmed) return real();
  isArmed = false;
  trap();
};
export default {
  ...control,
  fetch(request, env, ctx) {
    if (request.headers.get("x-test-end") === null) return control.fetch(request, env, ctx);
    isArmed = true;
    return new Response();
  },
};`,
};

/**
 * Around the control Worker's quotas: what the object was sent and what its account has spent are told by GET; by PUT it is told to
 * `work`, to `fail` or `hang` before it has lent, or to `lose` the answer after.
 */
export const SCRIPTED_QUOTA = {
  module: `
import control, { Quota as Real } from "./entry.js";
export { Usage, Warnings } from "./entry.js";
export class Quota extends Real {
  messages = [];
  how = "work";
  async fetch(request) {
    if (request.method === "GET") return Response.json({ spent: this.spent(), messages: this.messages });
    if (request.method === "PUT") return new Response((this.how = await request.text()));
    this.messages.push({ path: new URL(request.url).pathname, ...(await request.clone().json()) });
    if (this.how === "hang") await new Promise(() => setTimeout(() => {}, 3_600_000));
    if (this.how === "fail") return new Response(null, { status: 503 });
    const answer = await super.fetch(request);
    return this.how === "lose" ? new Response(null, { status: 503 }) : answer;
  }
  spent() {
    const { sql } = this.ctx.storage;
    const isStored = sql.exec("SELECT name FROM sqlite_master WHERE name = 'account'").toArray().length > 0;
    const [account] = isStored ? sql.exec("SELECT json FROM account").toArray() : [];
    const { counts } = account ? JSON.parse(account.json) : { counts: {} };
    return Object.fromEntries(Object.entries(counts).map(([period, { spent }]) => [period, spent]));
  }
}
export default control;
`,
};

/**
 * Counts the rows that the control Worker's usage has written since the last GET, which before sets the clock to the Unix seconds of `at`, and
 * moves what was taken into rows if it has `move`.
 */
export const COUNTED_ROWS = {
  module: `
import control, { Usage as Real } from "./entry.js";
export { Quota, Warnings } from "./entry.js";
const real = Date.now;
let frozen;
Date.now = () => frozen ?? real();
let cursors = [];
export class Usage extends Real {
  constructor(ctx, env) {
    super(ctx, env);
    const prototype = Object.getPrototypeOf(ctx.storage.sql);
    const { exec } = prototype;
    prototype.exec = function (...query) {
      const cursor = exec.apply(this, query);
      cursors.push(cursor);
      return cursor;
    };
  }
  async fetch(request) {
    if (!request.url.includes("/rows-written")) return super.fetch(request);
    const { searchParams } = new URL(request.url);
    if (searchParams.has("at")) frozen = Number(searchParams.get("at")) * 1000;
    if (searchParams.has("move")) await super.alarm();
    const written = cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0);
    cursors = [];
    return Response.json(written);
  }
}
export default control;
`,
};

/** The clock of the control Worker, as SETTABLE_CLOCK does it for the gate. */
export const CONTROL_CLOCK = {
  module: `
import control from "./entry.js";
export * from "./entry.js";
const real = Date.now;
let frozen;
Date.now = () => frozen ?? real();
export default {
  ...control,
  fetch(request, env, ctx) {
    const time = request.headers.get("x-test-clock");
    if (time === null) return control.fetch(request, env, ctx);
    frozen = Number(time) * 1000;
    return new Response();
  },
};`,
};

/** `GET /break` of a quota that was never used stores an account that cannot be read. */
export const BREAKABLE_QUOTA = {
  module: `
import control, { Quota as Real } from "./entry.js";
export { Usage, Warnings } from "./entry.js";
export class Quota extends Real {
  async fetch(request) {
    if (!request.url.endsWith("/break")) return super.fetch(request);
    this.ctx.storage.sql.exec("CREATE TABLE account (only INTEGER PRIMARY KEY, json TEXT NOT NULL); INSERT INTO account VALUES (0, '{')");
    return new Response();
  }
}
export default control;
`,
};
