// Modules of a test's own around those of the gate: what no client can do from outside, such as turning the clock or ending
// the wasm instance half-way. The gate's modules are the built ones, byte for byte.

const GLUE = /(^|\/)glue\.js$/;
const REAL_GLUE = "real_glue.js";

/**
 * The modules of the gate with a test's around them:
 *
 * - `entry`: the text of an entry module; it finds the gate's as `./entry.js`, and what wasm-bindgen wrote as `./keygate.js`
 * - `glue`: the text of a module that stands between wasm and the gate's glue, which it finds as `./real_glue.js`; the modules
 *   import each other in a circle, so what it exports has to be functions, which are there from the start
 * - `wasm`: bytes of wasm, which the entry module finds as `./test.wasm`
 */
export function around(modules, { entry, glue, wasm }) {
  const wrapped = modules.flatMap((module) => {
    if (glue === undefined || !GLUE.test(module.path)) return [module];
    return [
      { ...module, contents: glue },
      { ...module, path: module.path.replace(GLUE, `$1${REAL_GLUE}`) },
    ];
  });
  if (glue !== undefined && wrapped.length === modules.length) throw new Error("the gate has no module glue.js");
  if (wasm !== undefined) wrapped.push({ type: "CompiledWasm", path: "test.wasm", contents: wasm });
  // The runtime takes the first module for the entry.
  return entry === undefined ? wrapped : [{ type: "ESModule", path: "test_entry.js", contents: entry }, ...wrapped];
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

/**
 * A glue that lets the instance panic when `globalThis.panicOn` holds a request and its bindings: Rust
 * has borrowed its cache while it asks for the holder of a record from the store, and from there it is entered again. It
 * is a panic of the gate's own, with its own hook.
 */
export const PANIC_GLUE = `
import * as real from "./real_glue.js";
export * from "./real_glue.js";
export function holder(...of) {
  const again = globalThis.panicOn;
  globalThis.panicOn = undefined;
  if (again) real.answerTo(...again);
  return real.holder(...of);
}`;
