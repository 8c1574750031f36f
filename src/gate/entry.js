// The Worker's entry module, for what Rust cannot do after its wasm instance has trapped. A panic, a stack overflow or an exception
// that passes through wasm frames ends the instance: its memory is in an unknown state, and no request may run on it. A fresh
// instance answers the failed request, and every other one in flight on it, with 503.

import wasm from "./keygate_bg.wasm";
import { __wbg_reset_state, fetch as handle, gateFailed, initSync } from "./keygate.js";

initSync({ module: wasm });
let generation = 0;
const inFlight = new Set();

// Replaces the instance of this generation, unless that was done already.
function replace(failed, error) {
  if (failed !== generation) return;
  generation += 1;
  __wbg_reset_state();
  for (const end of inFlight) end(error);
  inFlight.clear();
}

// A trap in a microtask is not thrown into `fetch`.
addEventListener("error", ({ error }) => replace(generation, error));

export default {
  async fetch(request, env, ctx) {
    const started = generation;
    let end;
    try {
      const answer = handle(request, env, ctx);
      if (!(answer instanceof Promise)) return answer;
      const settled = Promise.race([answer, new Promise((_, reject) => inFlight.add((end = reject)))]);
      // An accepted request is logged when the origin has answered, also if the client has gone away before.
      ctx.waitUntil(settled.catch(() => {}));
      return await settled;
    } catch (error) {
      replace(started, error);
      return gateFailed(request, error);
    } finally {
      inFlight.delete(end);
    }
  },
};
