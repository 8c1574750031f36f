// STATIC_KEYS: records that serve while KV does not. KV's record wins where it is stricter.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { SETTABLE_CLOCK } from "./support/entry_modules.js";
import { startGates } from "./support/harness.js";
import { issue, now } from "./support/keys.js";

const listed = issue({ subject: "operations", scopes: ["admin"] });
const STATIC_KEYS = JSON.stringify([listed.record]);

const scripted = { kv: "scripted", secrets: { STATIC_KEYS }, vars: { KV_TIMEOUT_MS: 2000 } };
const harness = await startGates(() => ({
  uncached: scripted,
  cached: { ...scripted, vars: { ...scripted.vars, CACHE_SECONDS: 3600 } },
  turned: { ...scripted, vars: { ...scripted.vars, CACHE_SECONDS: 3600 }, entry: SETTABLE_CLOCK },
}));
const { gates } = harness;
harness.watch(listed.key);
afterEach(() => {
  harness.store.clear();
  harness.store.entries.clear();
});

const use = (target = "/admin/users") => ({ target, key: listed.key });

test("a static key works where KV has no entry of its id", async () => {
  await assertAccepted(gates.uncached, use(), listed);
});

for (const mode of ["fail", "hang"]) {
  test(`a static key works while KV ${mode}s, although KV has revoked it`, async () => {
    harness.store.put({ ...listed.record, state: "revoked" });
    harness.store.mode = mode;
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
      harness.store.put({ ...listed.record, ...fields });
      await assertRefused(gates.uncached, use(), code);
    });
  }

  test("an invalid record", async () => {
    harness.store.entries.set(`key/${listed.id}`, "{}");
    await assertRefused(gates.uncached, use(), "key_record_invalid");
  });
});

test("a revocation takes effect soon after KV answers again, however long records are cached", async () => {
  harness.store.put({ ...listed.record, state: "revoked" });
  harness.store.mode = "fail";
  await assertAccepted(gates.turned, use(), listed);
  harness.store.clear();
  const at = now();
  await gates.turned.setClock(at);
  await gates.turned.setClock(at + 6);
  await assertRefused(gates.turned, use(), "key_revoked");
});

test("a store that hangs is waited for once, and then the cached record is used", async () => {
  harness.store.mode = "hang";
  for (let n = 0; n < 3; n++) await assertAccepted(gates.cached, use(), listed);
  assert.equal(harness.store.reads.length, 1);
});
