// The wasm instance ends in the middle of a request, with others in flight: none of them is forwarded unchecked, each gets an
// answer, and the next one runs on a fresh instance that knows nothing of the old one.
//
// The gate under test is the built one. An entry module of the tests' own ends the instance from within: the trap, the panic and
// the overflow all pass through frames of the gate's own wasm.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { INSTANCE_ENDING } from "./support/entry_modules.js";
import { startGates } from "./support/harness.js";
import { issue, makeKey } from "./support/keys.js";
import { eventually } from "./support/logs.js";
import { valuesOf } from "./support/origin.js";

const APP = "https://app.example.com";
const breakGlass = issue({ subject: "operations" });

const harness = await startGates(() => ({
  gate: {
    kv: "scripted",
    vars: { CACHE_SECONDS: 3600, CORS_ORIGINS: [APP] },
    secrets: { STATIC_KEYS: JSON.stringify([breakGlass.record]) },
    entry: INSTANCE_ENDING,
  },
}));
const { gate } = harness.gates;
harness.watch(breakGlass.key);
afterEach(() => harness.store.clear());

const many = (count, make) => Promise.all(Array.from({ length: count }, (_, at) => make(at)));
const things = (who, key, headers = {}) => ({ target: `/v1/${who}`, key, headers });

/** The last resort's answer: of the request it has only an id, which is that of a line in the log. */
function assertGateFailed(answer) {
  assert.equal(answer.status, 503, answer.text);
  assert.equal(answer.json.code, "gate_failed");
  assert.equal(answer.json.status, 503);
  assert.match(answer.json.request_id, /^[0-9a-f-]{36}$/);
  assert.equal(answer.header("content-type"), "application/problem+json");
  assert.equal(answer.header("cache-control"), "no-store");
  assert.match(answer.header("retry-after"), /^[1-9]\d*$/);
  assert.equal(answer.header("x-origin"), undefined);
  assert.doesNotMatch(answer.text, /unreachable|RuntimeError|RangeError|stack|wasm|\.rs/);
}

/**
 * Ways to end the instance: `[what happens, whether the request has come back from the store by then, the request, how often it
 * has reached the origin by then]`. An accepted request is logged with the origin's answer.
 */
const ENDS = [
  ["a trap while a refusal is timed", false, () => things("none", undefined, { "X-Test-End": "trap time" })],
  ["a trap while a refusal is logged", false, () => things("none", undefined, { "X-Test-End": "trap log" })],
  ["a trap while a refusal is answered", false, () => things("none", undefined, { "X-Test-End": "trap id" })],
  ["a trap after the origin has answered, while it is logged", false, (known) => things("known", known.key, { "X-Test-End": "trap log" }), 1],
  ["a trap after the permit and before the origin is asked", false, (known) => things("known", known.key, { "X-Test-End": "trap fetch" })],
  ["a trap before the store is asked", false, (_, fresh) => things("fresh", fresh.key, { "X-Test-End": "trap now" })],
  ["a trap once the store has answered, after the permit", true, (_, fresh) => things("fresh", fresh.key, { "X-Test-End": "trap fetch" })],
  ["a trap once the store has not known a key", true, () => things("unknown", makeKey().key, { "X-Test-End": "trap time" })],
  ["a stack overflow while a refusal is logged", false, () => things("none", undefined, { "X-Test-End": "overflow log" })],
  ["a stack overflow once the store has answered", true, (_, fresh) => things("fresh", fresh.key, { "X-Test-End": "overflow fetch" })],
  ["a panic of the gate's own", false, (_, fresh) => things("fresh", fresh.key, { "X-Test-End": "panic" })],
];

describe("case 62: with 50 requests in flight, none is forwarded unchecked, each gets 503, and the next one succeeds, after", () => {
  for (const [name, isBack, end, reached = 0] of ENDS) {
    test(name, async () => {
      const [known, fresh, revoked] = [await harness.issue(), await harness.issue(), await harness.issue()];
      const waiting = await many(20, (at) => harness.issue({ subject: `waiting-${at}` }));
      // The old instance knows these three; of the second one it does not know what the store says by now.
      for (const issued of [known, revoked, breakGlass]) await assertAccepted(gate, things("warm", issued.key), issued);
      await harness.put({ ...revoked.record, state: "revoked" });
      await assertAccepted(gate, things("warm", revoked.key), revoked);

      // 10 have their permit and wait for the origin; 20 wait for the store, and so do 10 with keys that nobody issued.
      let answer;
      const released = new Promise((resolve) => (answer = resolve));
      harness.origin.clear(async (request, response) => {
        if (request.headers["x-test-end"] === undefined) await released;
        response.writeHead(200, { "x-origin": "yes" });
        response.end(request.headers["x-keygate-subject"]);
      });
      harness.store.mode = "hold";
      const holders = [...Array(5).fill(known), ...Array(5).fill(breakGlass)];
      const atOrigin = holders.map(({ key }) => gate.send(things("origin", key)));
      await eventually(() => harness.origin.requests.length === 10, "ten requests at the origin");
      const atStore = waiting.map(({ key }) => gate.send(things("store", key)));
      const unknown = Array.from({ length: 10 }, () => gate.send(things("store", makeKey().key)));
      await eventually(() => harness.store.held === 30, "thirty reads of the store");
      const last = gate.send(end(known, fresh));
      if (isBack) {
        // This one has to come back from the store before it can end the instance: the others stay there.
        await eventually(() => harness.store.held === 31, "its own read of the store");
        harness.store.releaseLast();
      }
      await last;
      assert.equal(harness.origin.requests.length, 10 + reached, "what ended before its permit has not reached the origin");
      // Neither the store nor the origin has answered: the entry module ends what waits for them, and not a time limit.
      const failed = await Promise.all([last, ...atOrigin, ...atStore, ...unknown]);
      for (const answered of failed) assertGateFailed(answered);
      await harness.settle();
      const logged = harness.logs.events.filter(({ code }) => code === "gate_failed").map(({ request_id }) => request_id);
      for (const { json } of failed) assert.equal(logged.filter((id) => id === json.request_id).length, 1, "each has its line");
      // 10 come without a key, on the fresh instance.
      for (const answered of await many(10, () => gate.get("/v1/none"))) assert.equal(answered.json.code, "credential_missing");

      harness.store.release();
      harness.store.mode = "serve";
      answer();
      const permitted = new Map([known, breakGlass, ...waiting].map(({ id, record }) => [id, record.subject]));
      for (const seen of harness.origin.requests) {
        const [id] = valuesOf(seen, "x-keygate-key-id");
        assert.ok(permitted.has(id), `forwarded: ${seen.url} ${JSON.stringify(seen.headers)}`);
        assert.deepEqual(valuesOf(seen, "x-keygate-subject"), [permitted.get(id)]);
      }
      assert.equal(harness.origin.requests.length, 10 + reached, "nothing more has reached the origin");

      // The next request is normal, and runs on an instance that has to ask the store.
      await assertRefused(gate, things("next"), "credential_missing");
      const reads = harness.store.reads.length;
      await assertAccepted(gate, things("next", known.key), known);
      assert.equal(harness.store.reads.length, reads + 1, "the record is read again");
      await assertRefused(gate, things("next", revoked.key), "key_revoked", { log: { key_id: revoked.id } });
      await assertAccepted(gate, things("next", breakGlass.key), breakGlass);
      await many(20, async (at) => {
        const answered = await gate.send(things("next", waiting[at].key));
        assert.deepEqual([answered.status, answered.header("x-origin")], [200, "yes"], answered.text);
      });
    });
  }
});

test("case 62: the log line of a panic has its source location and nothing of a request", async () => {
  const fresh = await harness.issue();
  const answer = await gate.send(things("panic-in-the-log", fresh.key, { "X-Test-End": "panic" }));
  assertGateFailed(answer);
  await harness.settle();
  const crash = harness.logs.events.findLast(({ event }) => event === "sys_crash");
  assert.match(crash.reason, /\.rs:\d+:\d+$/);
  assert.ok(!JSON.stringify(crash).includes("panic-in-the-log"));
  const failed = harness.logs.events.findLast(({ event }) => event === "sys_gate_fail");
  assert.equal(failed.code, "gate_failed");
  assert.equal(failed.request_id, answer.json.request_id);
});
