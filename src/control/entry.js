// The Worker's entry module, for what Rust cannot do after its wasm instance has trapped: see src/gate/entry.js. All objects of an
// isolate share the instance, so each is built anew, from what it has stored, when it is next called.

import { DurableObject } from "cloudflare:workers";

import wasm from "./keygate_control_bg.wasm";
import {
  __wbg_reset_state, fetch as handle, initSync, instanceEnded, QuotaObject, scheduled, UsageObject, WarningsObject,
} from "./keygate_control.js";

initSync({ module: wasm });
let generation = 0;
const inFlight = new Set();

function replace(failed, error) {
  if (failed !== generation) return;
  generation += 1;
  __wbg_reset_state();
  instanceEnded(error?.name ?? "an exception");
  for (const end of inFlight) end(error);
  inFlight.clear();
}

// A trap in a microtask is thrown to nobody.
addEventListener("error", ({ error }) => replace(generation, error));

// What `call` returns, or the error that ended the instance meanwhile. Rust answers its own errors, so what is thrown has ended the instance.
async function guarded(call) {
  const started = generation;
  let end;
  try {
    return await Promise.race([call(), new Promise((_, reject) => inFlight.add((end = reject)))]);
  } catch (error) {
    replace(started, error);
    throw error;
  } finally {
    inFlight.delete(end);
  }
}

const answered = (call) => guarded(call).catch(() => new Response(null, { status: 503 }));

// A Durable Object whose work a class of the instance does.
const backedBy = (Backend) =>
  class extends DurableObject {
    #backend;
    #generation;

    #current() {
      if (this.#generation !== generation) {
        this.#backend = new Backend(this.ctx, this.env);
        this.#generation = generation;
      }
      return this.#backend;
    }

    fetch(request) {
      return answered(() => this.#current().fetch(request));
    }

    // The runtime calls it again if it fails.
    async alarm() {
      const { ok } = await guarded(() => this.#current().alarm());
      if (!ok) throw new Error("the alarm failed, and the log says why");
    }
  };

export const Usage = backedBy(UsageObject);
export const Quota = backedBy(QuotaObject);
export const Warnings = backedBy(WarningsObject);

export default {
  fetch: (request, env) => answered(() => handle(request, env)),
  scheduled: (_, env) => guarded(() => scheduled(env)),
};
