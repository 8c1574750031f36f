// Keys of another system have no tag, so each unknown one costs a read; they work only with IMPORTED_KEYS.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { bareImportedDigestOf, importKey, now, randomBase62 } from "./support/keys.js";
import { valuesOf } from "./support/origin.js";

const HEX = () => randomBytes(32).toString("hex");

const harness = await startGates(() => ({
  off: {},
  on: { vars: { IMPORTED_KEYS: true } },
  basic: { vars: { IMPORTED_KEYS: true, CREDENTIALS: ["bearer", "basic", "header:x-api-key"] } },
}));
const { gates } = harness;

describe("case 20: an imported key is accepted where IMPORTED_KEYS is on:", () => {
  const rows = [
    ["64 hex digits by X-API-Key", HEX, (key) => ({ headers: { "X-API-Key": key } })],
    ["64 hex digits by Bearer", HEX, (key) => ({ key })],
    ["a key with the other system's prefix", () => `sk-${randomBase62(40)}`, (key) => ({ headers: { "X-API-Key": key } })],
  ];
  for (const [name, make, request] of rows) {
    test(name, async () => {
      const issued = await harness.import(make(), { scopes: ["admin"] });
      await assertAccepted(gates.on, { target: "/admin/users", ...request(issued.key) }, issued);
    });
  }
});

test("case 20: an imported key is refused where IMPORTED_KEYS is off", async () => {
  const issued = await harness.import(HEX());
  await assertRefused(gates.off, { target: "/v1/things", headers: { "X-API-Key": issued.key } }, "key_invalid");
});

test("an unknown imported key is refused", async () => {
  await assertRefused(gates.on, { target: "/v1/things", headers: { "X-API-Key": HEX() } }, "key_invalid");
});

test("an imported key's state, expiry and scopes are enforced", async () => {
  const use = ({ key }, target = "/v1/things") => ({ target, headers: { "X-API-Key": key } });
  await assertRefused(gates.on, use(await harness.import(HEX(), { state: "revoked" })), "key_revoked");
  await assertRefused(gates.on, use(await harness.import(HEX(), { not_after: now() - 1 })), "key_expired");
  await assertRefused(gates.on, use(await harness.import(HEX()), "/admin/users"), "scope_missing");
});

test("case 9: a second credential that could be an imported key is refused, and never reaches the origin", async () => {
  const [first, second] = [await harness.import(HEX()), await harness.import(HEX())];
  const own = await harness.issue();
  for (const key of [first.key, own.key]) {
    const headers = { "X-API-Key": key, Authorization: `Bearer ${second.key}` };
    await assertRefused(gates.on, { target: "/v1/things", headers }, "credential_ambiguous");
    const { seen } = await assertAccepted(gates.on, { target: "/public/page", headers });
    assert.deepEqual(valuesOf(seen, "authorization"), []);
  }
  // Too short, or in no source of CREDENTIALS: it is the origin's.
  for (const Authorization of ["Bearer short", "Digest abc", `Token ${HEX()}`]) {
    const { seen } = await assertAccepted(gates.on, { target: "/v1/things", headers: { "X-API-Key": first.key, Authorization } }, first);
    assert.deepEqual(valuesOf(seen, "authorization"), [Authorization]);
  }
});

test("case 9: a second imported key is refused in whatever form the Authorization has", async () => {
  const [first, second] = [await harness.import(HEX()), await harness.import(HEX())];
  const base64 = (text) => Buffer.from(text, "latin1").toString("base64");
  const forms = [
    `Basic ${base64(`${second.key}:x`)}`,
    `Basic ${base64(`user:${second.key}`).replace(/=+$/, "")}`,
    `Basic ${base64(`jos\xe9:${second.key}`)}`,
    `Bearer "${second.key}"`,
    `Bearer ${second.key};`,
  ];
  for (const Authorization of forms) {
    const headers = { "X-API-Key": first.key, Authorization };
    await assertRefused(gates.basic, { target: "/v1/things", headers }, "credential_ambiguous");
    for (const sent of [headers, { Authorization }]) {
      const { seen } = await assertAccepted(gates.basic, { target: "/public/page", headers: sent });
      assert.deepEqual(valuesOf(seen, "authorization"), [], Authorization);
    }
  }
});

test("a digest without a pepper, as earlier versions stored it, is read", async () => {
  const issued = await harness.import(HEX());
  await harness.put({ ...issued.record, digest: bareImportedDigestOf(issued.key) });
  await assertAccepted(gates.on, { target: "/v1/things", headers: { "X-API-Key": issued.key } }, issued);
});

test("a digest of another pepper is refused with 503", async () => {
  const key = HEX();
  const { record } = importKey(key, {}, { pepper: "another-pepper-0123456789-abcdefghijklmnopqrstuv" });
  await harness.put(record);
  await assertRefused(gates.on, { target: "/v1/things", headers: { "X-API-Key": key } }, "key_record_invalid");
});

test("a record under an issued key's id accepts no text without a tag", async () => {
  const key = HEX();
  const { record } = importKey(key);
  const id = randomBase62(12);
  await (await harness.kv()).put(`key/${id}`, JSON.stringify({ ...record, id }));
  await assertRefused(gates.on, { target: "/v1/things", headers: { "X-API-Key": key } }, "key_invalid");
});

test("issued keys work beside imported ones", async () => {
  const issued = await harness.issue();
  await assertAccepted(gates.on, { target: "/v1/things", key: issued.key }, issued);
});
