// A failing key store never causes a wrong answer, and keys that need no store keep working.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { SETTABLE_CLOCK } from "./support/entry_modules.js";
import { startGates } from "./support/harness.js";
import { issue, makeKey, now } from "./support/keys.js";

const breakGlass = issue({ subject: "operations", scopes: ["admin"] });
const endedBreakGlass = issue({ subject: "operations", not_after: now() - 1 });
const STATIC_KEYS = JSON.stringify([breakGlass.record, endedBreakGlass.record]);
const denied = issue();
const imported = "0123456789abcdef".repeat(4);

const scripted = { kv: "scripted", secrets: { STATIC_KEYS }, vars: { KV_TIMEOUT_MS: 2000 } };
const withVars = (vars) => ({ ...scripted, vars: { ...scripted.vars, ...vars } });
const harness = await startGates(() => ({
  uncached: scripted,
  cached: withVars({ CACHE_SECONDS: 3600 }),
  stale: { ...withVars({ CACHE_SECONDS: 30, STALE_SECONDS: 3600 }), entry: SETTABLE_CLOCK },
  noStale: { ...withVars({ CACHE_SECONDS: 30, STALE_SECONDS: 0 }), entry: SETTABLE_CLOCK },
  importing: withVars({ IMPORTED_KEYS: true }),
  patientEdge: withVars({ KV_CACHE_TTL_SECONDS: 600 }),
  denying: { kv: "scripted", secrets: { DENIED_IDS: denied.id, STATIC_KEYS: JSON.stringify([denied.record]) } },
}));
const { gates } = harness;
for (const { key } of [breakGlass, denied]) harness.watch(key);
afterEach(() => harness.store.clear());

const use = ({ key }, target = "/v1/things") => ({ target, key });

for (const mode of ["fail", "hang"]) {
  describe(`case 58: while the store ${mode}s`, () => {
    test("a key that KV holds gets 503, not 401", async () => {
      const issued = await harness.issue();
      harness.store.mode = mode;
      await assertRefused(gates.uncached, use(issued), "key_store_unavailable");
    });

    test("a well-tagged key that nobody issued gets the same 503", async () => {
      harness.store.mode = mode;
      await assertRefused(gates.uncached, use(makeKey()), "key_store_unavailable");
    });

    test("a forged key still gets 401", async () => {
      harness.store.mode = mode;
      await assertRefused(gates.uncached, use(makeKey({ pepper: "another-pepper-0123456789-abcdefghijklmnopqrstuv" })), "key_invalid");
    });

    test("a static key works", async () => {
      harness.store.mode = mode;
      await assertAccepted(gates.uncached, use(breakGlass, "/admin/users"), breakGlass);
    });

    test("a static key's own expiry is enforced", async () => {
      harness.store.mode = mode;
      await assertRefused(gates.uncached, use(endedBreakGlass), "key_expired");
    });

    test("a public route works", async () => {
      harness.store.mode = mode;
      await assertAccepted(gates.uncached, { target: "/public/page" });
    });

    test("a key that is in the cache works", async () => {
      const issued = await harness.issue();
      await assertAccepted(gates.cached, use(issued), issued);
      harness.store.mode = mode;
      await assertAccepted(gates.cached, use(issued), issued);
    });

    test("a key whose cached record is no longer fresh works for STALE_SECONDS", async () => {
      const issued = await harness.issue();
      const start = now();
      await gates.stale.setClock(start);
      await assertAccepted(gates.stale, use(issued), issued);
      harness.store.mode = mode;
      await gates.stale.setClock(start + 30);
      const reads = harness.store.reads.length;
      await assertAccepted(gates.stale, use(issued), issued);
      assert.ok(harness.store.reads.length > reads, "the store was not read");
    });

    test("a key whose cached record is no longer fresh gets 503 without STALE_SECONDS", async () => {
      const issued = await harness.issue();
      const start = now();
      await gates.noStale.setClock(start);
      await assertAccepted(gates.noStale, use(issued), issued);
      harness.store.mode = mode;
      await gates.noStale.setClock(start + 30);
      await assertRefused(gates.noStale, use(issued), "key_store_unavailable");
    });

    test("the next request after the failure succeeds", async () => {
      const issued = await harness.issue();
      harness.store.mode = mode;
      await assertRefused(gates.uncached, use(issued), "key_store_unavailable");
      harness.store.mode = "serve";
      await assertAccepted(gates.uncached, use(issued), issued);
    });
  });
}

describe("cases 12, 14, 22: the number of reads of the store:", () => {
  const rows = [
    ["a forged key", "uncached", 0, () => makeKey({ pepper: "another-pepper-0123456789-abcdefghijklmnopqrstuv" })],
    ["a malformed key", "uncached", 0, () => ({ key: "acme_live_nonsense" })],
    ["one byte over the cap", "uncached", 0, () => ({ key: `${makeKey().key}${"k".repeat(453)}` })],
    ["a key of another environment", "uncached", 0, () => makeKey({ prefix: "acme_test" })],
    ["an unknown text while imported keys are off", "uncached", 0, () => ({ key: imported })],
    ["512 bytes, while imported keys are on", "importing", 1, () => ({ key: "k".repeat(512) })],
    ["16 KB, while imported keys are on", "importing", 0, () => ({ key: "k".repeat(16_000) })],
    ["100 KB, while imported keys are on", "importing", 0, () => ({ key: "k".repeat(100_000) })],
    ["a key with a name of another entry in it", "importing", 0, () => ({ key: "../key/AAAAAAAAAAAA\\0" })],
    ["512 bytes and one more, while imported keys are on", "importing", 0, () => ({ key: "k".repeat(513) })],
    ["a static key", "uncached", 1, () => breakGlass],
    ["an unknown well-tagged key", "uncached", 1, () => makeKey()],
    ["a known key", "uncached", 1, () => harness.issue()],
    ["an unknown text while imported keys are on", "importing", 1, () => ({ key: imported })],
  ];
  for (const [name, gate, reads, make] of rows) {
    test(`${name}: ${reads}`, async () => {
      const sent = await make();
      await gates[gate].send(use(sent));
      assert.equal(harness.store.reads.length, reads);
    });
  }

  test("a key that is in the cache: 0", async () => {
    const issued = await harness.issue();
    await gates.cached.send(use(issued));
    harness.store.clear();
    for (let n = 0; n < 5; n++) await assertAccepted(gates.cached, use(issued), issued);
    assert.equal(harness.store.reads.length, 0);
  });

  test("an unknown key with a cached record's id: 0, and the same 401", async () => {
    const issued = await harness.issue();
    await gates.cached.send(use(issued));
    harness.store.clear();
    await assertRefused(gates.cached, use(makeKey({ id: issued.id })), "key_invalid");
    assert.equal(harness.store.reads.length, 0);
  });
});

test("reads ask the platform's edge cache to keep the entry for KV_CACHE_TTL_SECONDS", async () => {
  const issued = await harness.issue();
  await gates.uncached.send(use(issued));
  await gates.patientEdge.send(use(issued));
  assert.deepEqual(harness.store.reads, [
    { name: `key/${issued.id}`, cacheTtl: 30 },
    { name: `key/${issued.id}`, cacheTtl: 600 },
  ]);
});

test("a key on DENIED_IDS is refused although the store fails", async () => {
  harness.store.mode = "fail";
  await assertRefused(gates.denying, use(denied), "key_revoked");
});
