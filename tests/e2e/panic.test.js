// The wasm instance ends half-way through a request, with others in flight: none of them is forwarded unchecked, each gets an
// answer, and the next one runs on a fresh instance that knows nothing of the old one.
//
// The gate under test is the built one. A test's modules around it end the instance from within: the trap, the panic and
// the overflow all pass through frames of the gate's own wasm.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { PANIC } from "./support/around.js";
import { assertAccepted, assertRefused, identityOf } from "./support/contract.js";
import { issue, makeKey } from "./support/keys.js";
import { eventually } from "./support/logs.js";
import { valuesOf } from "./support/origin.js";
import { boot } from "./support/world.js";

/** `(module (func (export "trap") unreachable))` */
const TRAP = Buffer.from("0061736d01000000" + "010401600000" + "03020100" + "0708010474726170" + "0000" + "0a05010300000b", "hex");

/**
 * `X-Test-End` names a way to end and where: `trap <glue function>`, `overflow <glue function>`, `panic` or `deep`.
 *
 * `deep` calls the gate with ever more of the stack in use, until there is none left, and then with ever less.
 */
const ENTRY = `
import wasm from "./test.wasm";
import gate from "./entry.js";
${PANIC}
const { trap } = new WebAssembly.Instance(wasm).exports;
const overflow = () => 1 + overflow();
globalThis.endIn = (place, request) => {
  const end = request instanceof Request ? request.headers.get("x-test-end") : null;
  if (end === "trap " + place) trap();
  if (end === "overflow " + place) overflow();
};
function deep(request, env, ctx) {
  try {
    return deep(request, env, ctx);
  } catch {
    return gate.fetch(request, env, ctx);
  }
}
export default {
  fetch(request, env, ctx) {
    const end = request.headers.get("x-test-end");
    if (end === "deep") return deep(request, env, ctx);
    if (end === "panic") panicOn(request, env, ctx);
    return gate.fetch(request, env, ctx);
  },
};`;

const GLUE = `
import * as real from "./real_glue.js";
export * from "./real_glue.js";
const at = (name) => (...args) => (globalThis.endIn(name, args[0]), real[name](...args));
export const read = at("read");
export const describe = at("describe");
export const forward = at("forward");`;

const breakGlass = issue({ subject: "operations" });

let world;
let gate;
before(async () => {
  world = await boot(() => ({
    gate: {
      kv: "scripted",
      vars: { CACHE_SECONDS: 3600, KV_TIMEOUT_MS: 10_000 },
      secrets: { STATIC_KEYS: JSON.stringify([breakGlass.record]) },
      wrapped: { entry: ENTRY, glue: GLUE, wasm: TRAP },
    },
  }));
  ({ gate } = world.gates);
  world.watch(breakGlass.key);
});
afterEach(() => world.store.clear());
after(() => world?.stop());

const many = (count, make) => Promise.all(Array.from({ length: count }, (_, at) => make(at)));
const things = (who, key, headers = {}) => ({ target: `/v1/${who}`, key, headers });

/** The last resort's answer: it names no request, because nobody is left who could. */
function assertGateFailed(answer) {
  assert.equal(answer.status, 503, answer.text);
  assert.equal(answer.json.code, "gate_failed");
  assert.equal(answer.json.status, 503);
  assert.equal(answer.header("content-type"), "application/problem+json");
  assert.equal(answer.header("cache-control"), "no-store");
  assert.match(answer.header("retry-after"), /^[1-9]\d*$/);
  assert.equal(answer.header("x-origin"), undefined);
  assert.doesNotMatch(answer.text, /unreachable|RuntimeError|RangeError|stack|wasm|\.rs/);
}

/** Ways to end the instance: `[what happens, request that makes it happen]`. */
const ENDS = [
  ["a trap while a request without a key is read", () => things("none", undefined, { "X-Test-End": "trap read" })],
  ["a trap while a refusal is described", () => things("none", undefined, { "X-Test-End": "trap describe" })],
  ["a trap while a good key's request is read", (known) => things("known", known.key, { "X-Test-End": "trap read" })],
  ["a trap after the permit and before the origin is asked", (known) => things("known", known.key, { "X-Test-End": "trap forward" })],
  ["a trap in the future that waited for the store", (_, fresh) => things("fresh", fresh.key, { "X-Test-End": "trap forward" })],
  ["a trap in the future of an unknown key", () => things("unknown", makeKey().key, { "X-Test-End": "trap describe" })],
  ["a stack overflow while a request is read", () => things("none", undefined, { "X-Test-End": "overflow read" })],
  ["a stack overflow in the future that waited for the store", (_, fresh) => things("fresh", fresh.key, { "X-Test-End": "overflow forward" })],
  ["a panic of the gate's own", (known) => things("known", known.key, { "X-Test-End": "panic" })],
];

describe("case 62: with 50 requests in flight, none is forwarded unchecked, each is answered, and the next is normal, after", () => {
  for (const [name, end] of ENDS) {
    test(name, async () => {
      const [known, fresh, revoked, waiting] = [await world.issue(), await world.issue(), await world.issue(), await many(20, (at) => world.issue({ subject: `waiting-${at}` }))];
      // The old instance knows these two; of the second one it does not know what the store says by now.
      for (const issued of [known, revoked]) await assertAccepted(gate, things("warm", issued.key), issued);
      await world.put({ ...revoked.record, state: "revoked" });
      await assertAccepted(gate, things("warm", revoked.key), revoked);

      // 10 have their permit and wait for the origin, 20 wait for the store, and so do 10 with keys that nobody issued.
      let answer;
      const released = new Promise((resolve) => (answer = resolve));
      world.origin.clear(async (request, response) => {
        await released;
        response.writeHead(200, { "x-origin": "yes" });
        response.end(request.headers["x-keygate-subject"]);
      });
      world.store.mode = "hold";
      const atOrigin = [...Array(5).fill(known), ...Array(5).fill(breakGlass)].map((holder) => [holder, gate.send(things("origin", holder.key))]);
      await eventually(() => world.origin.requests.length === 10, "ten requests at the origin");
      const atStore = [...waiting.map(({ key }) => key), ...Array.from({ length: 10 }, () => makeKey().key)].map((key) => gate.send(things("store", key)));
      const isFuture = end(known, fresh).target === "/v1/fresh" || end(known, fresh).target === "/v1/unknown";
      await eventually(() => world.store.held === 30, "thirty reads of the store");
      const last = gate.send(end(known, fresh));
      if (isFuture) {
        // This one has to come back from the store before it can end the instance: the others stay there.
        await eventually(() => world.store.held === 31, "its own read of the store");
        world.store.releaseLast();
      }
      // 10 come without a key while all this happens.
      const without = await many(10, () => gate.get("/v1/none"));

      assertGateFailed(await last);
      for (const answered of await Promise.all(atStore)) assertGateFailed(answered);
      for (const answered of without) assert.ok([401, 503].includes(answered.status), answered.text);

      // What the store says now comes too late for all of them.
      world.store.release();
      world.store.mode = "serve";
      answer();
      for (const [holder, pending] of atOrigin) {
        const answered = await pending;
        if (answered.status === 200) assert.equal(answered.text, holder.record.subject);
        else assertGateFailed(answered);
      }
      const permitted = new Set([known.id, breakGlass.id]);
      for (const seen of world.origin.requests) {
        assert.ok(permitted.has(valuesOf(seen, "x-keygate-key-id")[0]), `forwarded: ${seen.url} ${JSON.stringify(seen.headers)}`);
      }
      assert.ok(world.origin.requests.length <= 11, `${world.origin.requests.length} requests at the origin`);

      // The next request is normal, and runs on an instance that has to ask the store.
      await assertRefused(gate, things("next"), "credential_missing");
      const reads = world.store.reads.length;
      await assertAccepted(gate, things("next", known.key), known);
      assert.equal(world.store.reads.length, reads + 1, "the record is read again");
      await assertRefused(gate, things("next", revoked.key), "key_revoked", { log: { key_id: revoked.id } });
      await assertAccepted(gate, things("next", breakGlass.key), breakGlass);
      await many(20, async (at) => {
        const answered = await gate.send(things("next", waiting[at].key));
        assert.deepEqual([answered.status, answered.header("x-origin")], [200, "yes"], answered.text);
      });
    });
  }
});

test("case 62: a panic names its place in the log, and nothing of a request", async () => {
  const known = await world.issue();
  await assertAccepted(gate, things("warm", known.key), known);
  assertGateFailed(await gate.send(things("panic-in-the-log", known.key, { "X-Test-End": "panic" })));
  await world.settle();
  const crash = world.logs.events.findLast(({ event }) => event === "sys_crash");
  assert.match(crash.reason, /\.rs:\d+:\d+$/);
  assert.ok(!JSON.stringify(crash).includes("panic-in-the-log"));
  const failed = world.logs.events.findLast(({ event }) => event === "sys_gate_fail");
  assert.equal(failed.code, "gate_failed");
});

describe("case 62: with the stack nearly used up, the gate is entered again and again until it ends well:", () => {
  for (const [name, request, status] of [
    ["a request without a key is refused", () => things("deep", undefined, { "X-Test-End": "deep" }), [401, 503]],
    ["a request with a good key is answered", (known) => things("deep", known.key, { "X-Test-End": "deep" }), [200, 503]],
  ]) {
    test(name, async () => {
      const known = await world.issue();
      await assertAccepted(gate, things("warm", known.key), known);
      world.origin.clear();
      for (let round = 0; round < 5; round++) {
        const answer = await gate.send(request(known));
        assert.ok(status.includes(answer.status), `${answer.status} ${answer.text.slice(0, 300)}`);
      }
      for (const seen of world.origin.requests) assert.deepEqual(valuesOf(seen, "x-keygate-key-id"), identityOf(known)["x-keygate-key-id"]);
      await assertRefused(gate, things("next"), "credential_missing");
      await assertAccepted(gate, things("next", known.key), known);
    });
  }
});
