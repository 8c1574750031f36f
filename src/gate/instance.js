// The life of the wasm instance: one for the isolate, replaced when it dies.
//
// An instance dies of a trap: the gate is built with panic=abort, so a panic or a stack overflow stops it half-way
// and leaves its memory in an unknown state. No request may run on that memory again. Requests in flight do not wait
// inside of it, so they go on with the next one.
//
// Not worker-build's shim: it makes two Proxies for every request, about 10 µs of CPU.

import wasm from "./keygate_bg.wasm";
import { __wbg_reset_state, initSync } from "./keygate.js";

initSync({ module: wasm });
let isAlive = true;

// Calls into wasm; should the instance die of it, or anything else go wrong, the answer is a 503.
export function guarded(call, value) {
  try {
    recover();
    return call(value);
  } catch (error) {
    return lost(error);
  }
}

// Sees to it that there is an instance: a fresh one if the last one died.
export function recover() {
  if (isAlive) return;
  __wbg_reset_state();
  isAlive = true;
}

// Whatever the exception is: it passed through wasm frames, and they did not clean up behind them.
export function lost(error) {
  isAlive = false;
  return failed(error);
}

// Written as `denial.rs` writes its answers; constant but for an id that leads to its line in the log, as a dead instance
// cannot be asked for a better answer.
const FAILED = {
  type: "urn:problem-type:keygate:gate_failed",
  title: "Gate failed",
  status: 503,
  detail: "The gate in front of this API failed while it handled the request. Try again.",
  code: "gate_failed",
};
const FAILED_HEADERS = {
  "Content-Type": "application/problem+json",
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
  "Retry-After": "1",
};

// Logs with the fields of the gate's own events, and answers. The panic's place is logged by the gate's panic hook. Of
// an error that is no trap only the name is logged: its text may quote a URL, and with it a key.
function failed(error) {
  // V8 reports a stack overflow inside wasm as a RangeError.
  const isTrap = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
  const reason = isTrap ? String(error) : error?.name;
  const { code, status } = FAILED;
  const request_id = crypto.randomUUID();
  console.error(JSON.stringify({ time: new Date(), level: "error", event: "sys_gate_fail", code, reason, status, request_id }));
  return new Response(JSON.stringify({ ...FAILED, request_id }), { status, headers: FAILED_HEADERS });
}
