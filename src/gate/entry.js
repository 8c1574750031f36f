// The Worker's entry module. It starts one wasm instance per isolate, hands it every request, and replaces it when
// it dies. It decides nothing: whatever goes wrong here is a 503, never a forwarded request.
//
// An instance dies of a trap: the gate is built with panic=abort, so a panic or a stack overflow stops it half-way
// and leaves its memory in an unknown state. No request may run on that memory again: not the next one, and not
// those in flight.
//
// Not worker-build's shim: it makes two Proxies for every request, about 10 µs of CPU.

import wasm from "./keygate_bg.wasm";
import { __wbg_reset_state, fetch as gate, initSync } from "./keygate.js";

initSync({ module: wasm });
let alive = true;

// One function per request in flight: it gives the request up when the instance it waits for is gone.
// A request whose client went away never settles and would stay for ever, hence the bound; the oldest go first.
const waiting = new Set();
const MAX_WAITING = 1024;

// Written as `denial.rs` writes its answers; constant, as a dead instance cannot be asked for a better answer.
const FAILED_BODY = JSON.stringify({
  type: "urn:problem-type:keygate:gate_failed",
  title: "Gate failed",
  status: 503,
  detail: "The gate in front of this API failed while it handled the request. Try again.",
  code: "gate_failed",
});
const FAILED_HEADERS = {
  "Content-Type": "application/problem+json",
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
  "Retry-After": "1",
};

export default {
  fetch(request, env, ctx) {
    try {
      if (!alive) revive();
      const answer = gate(request, env, ctx);
      if (!(answer instanceof Promise)) return answer;
      // A promise of the runtime's own needs no instance but to say what went wrong.
      return answer.mortal ? outlive(answer) : answer.catch(lost);
    } catch (error) {
      // Whatever the exception is: it passed through wasm frames, and they did not clean up behind them.
      bury(error);
      return failed(error);
    }
  },
};

// A trap in a Rust future reaches no caller: the future is polled from a microtask, and its promise never settles.
addEventListener("error", ({ error }) => isTrap(error) && bury(error));
addEventListener("unhandledrejection", ({ reason }) => isTrap(reason) && bury(reason));

// The answer, or a 503 should the instance die before it has one. `catch` comes last because it runs in the context of
// the request it belongs to: a Response that another request made cannot be returned.
function outlive(answer) {
  return new Promise((resolve, reject) => {
    if (waiting.size >= MAX_WAITING) waiting.delete(waiting.values().next().value);
    waiting.add(reject);
    answer.then(
      (response) => {
        waiting.delete(reject);
        resolve(response);
      },
      (error) => {
        waiting.delete(reject);
        if (isTrap(error)) bury(error);
        reject(error);
      },
    );
  }).catch(failed);
}

function lost(error) {
  if (isTrap(error)) bury(error);
  return failed(error);
}

// V8 reports a stack overflow inside wasm as a RangeError. Other errors are not the instance's death: one of them is
// wasm-bindgen's own, thrown when a promise of a former instance comes back.
function isTrap(error) {
  return error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
}

// At once, not at the next request: until then the promises in flight would come back into the dead memory.
// From here on they are refused, because every closure of the glue knows the instance it was made for.
function bury(error) {
  alive = false;
  const abandoned = [...waiting];
  waiting.clear();
  for (const giveUp of abandoned) giveUp(error);
  try {
    revive();
  } catch {
    // No memory for a new instance now; the next request tries again.
  }
}

function revive() {
  __wbg_reset_state();
  alive = true;
}

// Logs with the fields of the gate's own events, and answers. The panic's place is logged by the gate's panic hook. Of
// an error that is no trap only the name is logged: its text may quote a URL, and with it a key.
function failed(error) {
  const reason = isTrap(error) ? String(error) : error?.name;
  const event = { time: new Date(), level: "error", event: "sys_gate_fail", code: "gate_failed", reason, status: 503 };
  console.error(JSON.stringify(event));
  return new Response(FAILED_BODY, { status: 503, headers: FAILED_HEADERS });
}
