// Rotation, revocation and expiry while the gate runs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { SETTABLE_CLOCK } from "./support/entry_modules.js";
import { startGates } from "./support/harness.js";
import { now } from "./support/keys.js";

const PREVIOUS = "previous-pepper-9876543210-zyxwvutsrqponmlkjihgfedcba";
const harness = await startGates(() => ({
  gate: {},
  turned: { entry: SETTABLE_CLOCK },
  cached: { kv: "scripted", vars: { CACHE_SECONDS: 3600 }, entry: SETTABLE_CLOCK },
  twoPeppers: { secrets: { PEPPER_PREVIOUS: PREVIOUS } },
}));
const { gate, twoPeppers } = harness.gates;

const use = ({ key }) => ({ target: "/v1/things", key });

test("case 28: in the grace both keys work, with the same subject", async () => {
  const old = await harness.issue();
  const fresh = await harness.issue({ replaces: old.id });
  await harness.put({ ...old.record, not_after: now() + 3600, replaced_by: fresh.id });
  await assertAccepted(gate, use(old), old);
  await assertAccepted(gate, use(fresh), fresh);
  assert.equal(old.record.subject, fresh.record.subject);
});

test("cases 24, 28: after the grace the old key is refused and the new one works", async () => {
  const old = await harness.issue();
  await assertAccepted(gate, use(old), old);
  const fresh = await harness.issue({ replaces: old.id });
  await harness.put({ ...old.record, not_after: now(), replaced_by: fresh.id });
  await assertRefused(gate, use(old), "key_expired", { log: { key_id: old.id, subject: "acme" } });
  await assertAccepted(gate, use(fresh), fresh);
});

for (const [name, seconds, code] of [
  ["case 24: a key is accepted one second before its expiry", -1, undefined],
  ["case 24: a key is refused at its expiry", 0, "key_expired"],
  ["case 24: a key is refused long after its expiry", 10 ** 9, "key_expired"],
]) {
  test(name, async () => {
    const end = now() + 1000;
    const issued = await harness.issue({ not_after: end });
    await harness.gates.turned.setClock(end + seconds);
    if (code === undefined) await assertAccepted(harness.gates.turned, use(issued), issued);
    else await assertRefused(harness.gates.turned, use(issued), code, { log: { key_id: issued.id, subject: "acme" } });
  });
}

for (const [name, seconds, code] of [
  ["case 25: a key is refused one second before its not_before", -1, "key_not_yet_valid"],
  ["case 25: a key is accepted at its not_before", 0, undefined],
]) {
  test(name, async () => {
    const beginning = now() + 1000;
    const issued = await harness.issue({ not_before: beginning });
    await harness.gates.turned.setClock(beginning + seconds);
    if (code === undefined) await assertAccepted(harness.gates.turned, use(issued), issued);
    else await assertRefused(harness.gates.turned, use(issued), code, { log: { key_id: issued.id, subject: "acme" } });
  });
}

test("a cached record expires by the gate's own clock, without another read", async () => {
  const { cached } = harness.gates;
  const expiry = now() + 1000;
  const issued = await harness.issue({ not_after: expiry });
  await cached.setClock(expiry - 1);
  await assertAccepted(cached, use(issued), issued);
  const reads = harness.store.reads.length;
  await cached.setClock(expiry);
  await assertRefused(cached, use(issued), "key_expired");
  assert.equal(harness.store.reads.length, reads);
});

test("a cached record becomes valid without another read", async () => {
  const { cached } = harness.gates;
  const start = now() + 1000;
  const issued = await harness.issue({ not_before: start });
  await cached.setClock(start - 1);
  await assertRefused(cached, use(issued), "key_not_yet_valid");
  const reads = harness.store.reads.length;
  await cached.setClock(start);
  await assertAccepted(cached, use(issued), issued);
  assert.equal(harness.store.reads.length, reads);
});

test("a new key works although its id was looked up before it was issued", async () => {
  const issued = await harness.issue();
  const kv = await harness.kv();
  await kv.delete(`key/${issued.id}`);
  await assertRefused(gate, use(issued), "key_invalid");
  await harness.put(issued.record);
  await assertAccepted(gate, use(issued), issued);
});

test("case 26: a revoked key is refused from the next read on, and stays refused", async () => {
  const issued = await harness.issue();
  await assertAccepted(gate, use(issued), issued);
  await harness.put({ ...issued.record, state: "revoked" });
  await assertRefused(gate, use(issued), "key_revoked", { log: { key_id: issued.id, subject: "acme" } });
});

test("case 26: a disabled key works again when it is enabled", async () => {
  const issued = await harness.issue();
  await harness.put({ ...issued.record, state: "disabled" });
  await assertRefused(gate, use(issued), "key_disabled");
  await harness.put(issued.record);
  await assertAccepted(gate, use(issued), issued);
});

test("a pepper can be rotated: keys of the previous one still work, keys of a third do not", async () => {
  const old = await harness.issue({}, { pepper: PREVIOUS });
  const fresh = await harness.issue();
  const foreign = await harness.issue({}, { pepper: `${PREVIOUS}-third` });
  await assertAccepted(twoPeppers, use(old), old);
  await assertAccepted(twoPeppers, use(fresh), fresh);
  await assertRefused(twoPeppers, use(foreign), "key_invalid");
});
