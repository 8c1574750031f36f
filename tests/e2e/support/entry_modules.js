// Modules of a test's own around those of the gate: what no client can do from outside, such as turning the clock or ending
// the wasm instance half-way. The gate's modules are the built ones, byte for byte.

/**
 * The modules of the gate with a test's around them:
 *
 * - `entry`: the text of an entry module; it finds the gate's as `./entry.js`
 * - `wasm`: bytes of wasm, which the entry module finds as `./test.wasm`
 */
export function around(modules, { entry, wasm }) {
  const all = wasm === undefined ? modules : [...modules, { type: "CompiledWasm", path: "test.wasm", contents: wasm }];
  // The runtime takes the first module for the entry.
  return entry === undefined ? all : [{ type: "ESModule", path: "test_entry.js", contents: entry }, ...all];
}

/** A clock that a test can turn: see `turnClock`. Seconds are whole, so a test knows the gate's second. */
export const CLOCK = `
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
};`;

/** Sets the clock of a gate that is wrapped in `CLOCK` to `seconds` since 1970; it then stands still. */
export function turnClock(gate, seconds) {
  gate.stoodAtMs = seconds * 1000;
  return gate.get("/", { headers: { "X-Test-Clock": String(seconds) } });
}

/** `(module (func (export "trap") unreachable))` */
const TRAP = Buffer.from("0061736d01000000" + "010401600000" + "03020100" + "0708010474726170" + "0000" + "0a05010300000b", "hex");

/**
 * Lets the header `X-Test-End` of a request end the wasm instance: `trap <place>`, `overflow <place>` or `panic`. A place is a
 * function of the runtime's that the gate calls next, by this request or another: `log`, `now`, `time`, `id` or `fetch`. What
 * is thrown there passes through frames of the gate's own wasm. The panic is a genuine one, with the gate's own hook: the gate has
 * borrowed its cache while it asks for the time, and from there it is entered again.
 */
export const ENDING = {
  wasm: TRAP,
  entry: `
import wasm from "./test.wasm";
import gate from "./entry.js";
const { trap } = new WebAssembly.Instance(wasm).exports;
const overflow = () => 1 + overflow();
let armed;
const endable = (place, real) => function (...of) {
  if (armed?.place === place) {
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
    const [how, place = "now"] = (request.headers.get("x-test-end") ?? "").split(" ");
    if (how === "trap") armed = { place, end: trap };
    if (how === "overflow") armed = { place, end: overflow };
    if (how === "panic") armed = { place, end: () => void gate.fetch(request, env, ctx).then(() => {}) };
    return gate.fetch(request, env, ctx);
  },
};`,
};
