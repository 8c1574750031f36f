// STATIC_KEYS: records that serve while KV does not. What KV says of a key holds for them too.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { CLOCK, turnClock } from "./support/around.js";
import { assertAccepted, assertRefused } from "./support/contract.js";
import { issue, now } from "./support/keys.js";
import { boot } from "./support/world.js";

const listed = issue({ subject: "operations", scopes: ["admin"] });
const STATIC_KEYS = JSON.stringify([listed.record]);

let world;
let gates;
before(async () => {
  const scripted = { kv: "scripted", secrets: { STATIC_KEYS }, vars: { KV_TIMEOUT_MS: 1000 } };
  world = await boot(() => ({
    uncached: scripted,
    cached: { ...scripted, vars: { ...scripted.vars, CACHE_SECONDS: 3600 } },
    turned: { ...scripted, vars: { ...scripted.vars, CACHE_SECONDS: 3600 }, wrapped: { entry: CLOCK } },
  }));
  ({ gates } = world);
  world.watch(listed.key);
});
afterEach(() => {
  world.store.clear();
  world.store.entries.clear();
});
after(() => world?.stop());

const use = (target = "/admin/users") => ({ target, key: listed.key });

test("it serves where KV has no entry of its id", async () => {
  await assertAccepted(gates.uncached, use(), listed);
});

for (const mode of ["fail", "hang"]) {
  test(`it serves while KV ${mode}s, also when KV has revoked it`, async () => {
    world.store.put({ ...listed.record, state: "revoked" });
    world.store.mode = mode;
    await assertAccepted(gates.uncached, use(), listed);
  });
}

describe("KV's record wins where it is stricter:", () => {
  for (const [name, fields, code] of [
    ["revoked", { state: "revoked" }, "key_revoked"],
    ["disabled", { state: "disabled" }, "key_disabled"],
    ["expired", { not_after: now() - 1 }, "key_expired"],
    ["without the scope", { scopes: [] }, "scope_missing"],
    ["for another network", { ips: ["203.0.113.0/24"] }, "ip_not_allowed"],
  ]) {
    test(name, async () => {
      world.store.put({ ...listed.record, ...fields });
      await assertRefused(gates.uncached, use(), code);
    });
  }

  test("an entry that is no record", async () => {
    world.store.entries.set(`key/${listed.id}`, "{}");
    await assertRefused(gates.uncached, use(), "key_record_invalid");
  });
});

test("a revocation is seen soon after KV answers again, however long records are cached", async () => {
  world.store.put({ ...listed.record, state: "revoked" });
  world.store.mode = "fail";
  await assertAccepted(gates.turned, use(), listed);
  world.store.clear();
  const at = now();
  await turnClock(gates.turned, at);
  await turnClock(gates.turned, at + 6);
  await assertRefused(gates.turned, use(), "key_revoked");
});

test("no read is added for a request whose record is cached, and a store that hangs is waited for once", async () => {
  world.store.mode = "hang";
  for (let n = 0; n < 3; n++) await assertAccepted(gates.cached, use(), listed);
  assert.equal(world.store.reads.length, 1);
});
