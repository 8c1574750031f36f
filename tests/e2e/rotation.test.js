// Rotation, revocation and the clock, as the store's records change under a running gate.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { now } from "./support/keys.js";
import { eventually } from "./support/logs.js";
import { boot } from "./support/world.js";

let world;
let gate;
before(async () => {
  world = await boot(() => ({ gate: {}, cached: { kv: "scripted", vars: { CACHE_SECONDS: 3600 } } }));
  ({ gate } = world.gates);
});
after(() => world?.stop());

const use = ({ key }) => ({ target: "/v1/things", key });

test("in the grace both keys work, and they are the same subject", async () => {
  const old = await world.issue();
  const fresh = await world.issue({ replaces: old.id });
  await world.put({ ...old.record, not_after: now() + 3600, replaced_by: fresh.id });
  await assertAccepted(gate, use(old), old);
  await assertAccepted(gate, use(fresh), fresh);
  assert.equal(old.record.subject, fresh.record.subject);
});

test("after the grace the old key is refused and the new one works", async () => {
  const old = await world.issue();
  await assertAccepted(gate, use(old), old);
  const fresh = await world.issue({ replaces: old.id });
  await world.put({ ...old.record, not_after: now(), replaced_by: fresh.id });
  await assertRefused(gate, use(old), "key_expired", { log: { key_id: old.id, subject: "acme" } });
  await assertAccepted(gate, use(fresh), fresh);
});

test("the deadline is the gate's own clock: a cached record expires without another read", async () => {
  const { cached } = world.gates;
  const issued = await world.issue({ not_after: now() + 4 });
  await assertAccepted(cached, use(issued), issued);
  const reads = world.store.reads.length;
  await eventually(async () => (await cached.send(use(issued))).status === 401, "the end of the key");
  await assertRefused(cached, use(issued), "key_expired");
  assert.equal(world.store.reads.length, reads);
});

test("a key that becomes valid is let in without another read", async () => {
  const { cached } = world.gates;
  const issued = await world.issue({ not_before: now() + 4 });
  await assertRefused(cached, use(issued), "key_not_yet_valid");
  const reads = world.store.reads.length;
  await eventually(async () => (await cached.send(use(issued))).status === 200, "the beginning of the key");
  assert.equal(world.store.reads.length, reads);
});

test("a new key works although its name was asked for before it was issued", async () => {
  const issued = await world.issue();
  const kv = await world.kv();
  await kv.delete(`key/${issued.id}`);
  await assertRefused(gate, use(issued), "key_invalid");
  await world.put(issued.record);
  await assertAccepted(gate, use(issued), issued);
});

test("a revoked key is refused from the next read on, and stays refused", async () => {
  const issued = await world.issue();
  await assertAccepted(gate, use(issued), issued);
  await world.put({ ...issued.record, state: "revoked" });
  await assertRefused(gate, use(issued), "key_revoked", { log: { key_id: issued.id, subject: "acme" } });
});

test("a disabled key comes back when it is enabled", async () => {
  const issued = await world.issue();
  await world.put({ ...issued.record, state: "disabled" });
  await assertRefused(gate, use(issued), "key_disabled");
  await world.put(issued.record);
  await assertAccepted(gate, use(issued), issued);
});

test("a pepper can be rotated: keys of the previous one still work, keys of a third do not", async () => {
  const previous = "previous-pepper-9876543210-zyxwvutsrqponmlkjihgfedcba";
  const both = await boot(() => ({ gate: { secrets: { PEPPER_PREVIOUS: previous } } }));
  try {
    const old = await both.issue({}, { pepper: previous });
    const fresh = await both.issue();
    const foreign = await both.issue({}, { pepper: `${previous}-third` });
    await assertAccepted(both.gates.gate, use(old), old);
    await assertAccepted(both.gates.gate, use(fresh), fresh);
    await assertRefused(both.gates.gate, use(foreign), "key_invalid");
  } finally {
    await both.stop();
  }
});
