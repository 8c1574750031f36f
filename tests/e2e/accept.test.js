// A valid key is accepted from every credential source, and the origin gets the caller's identity instead of the key.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { valuesOf } from "./support/origin.js";

const basic = (user, password) => `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

const harness = await startGates(() => ({
  gate: {},
  everywhere: { vars: { CREDENTIALS: ["bearer", "basic", "header:x-api-key", "header:x-token", "query:api_key"] } },
  provider: { secrets: { ORIGIN_AUTHORIZATION: "Bearer provider-token" } },
}));
const { gates } = harness;
const issued = await harness.issue({ scopes: ["reports:read", "reports:write"] });

describe("cases 2, 4, 5, 9: a valid key is accepted by", () => {
  const rows = [
    ["Bearer", "gate", (key) => ({ headers: { Authorization: `Bearer ${key}` } })],
    ["bearer in lower case", "gate", (key) => ({ headers: { authorization: `bearer ${key}` } })],
    ["BEARER in upper case", "gate", (key) => ({ headers: { AUTHORIZATION: `BEARER ${key}` } })],
    ["Bearer and two spaces (case 5)", "gate", (key) => ({ headers: { Authorization: `Bearer  ${key}` } })],
    ["X-API-Key", "gate", (key) => ({ headers: { "X-API-Key": key } })],
    ["X-API-Key with blanks around it", "gate", (key) => ({ headers: { "X-API-Key": ` \t${key}\t ` } })],
    ["bEaReR and a tab", "gate", (key) => ({ headers: { Authorization: `bEaReR\t${key}` } })],
    ["X-API-Key and Bearer, the same key (case 9)", "gate", (key) => ({ key, headers: { "X-API-Key": key } })],
    ["X-API-Key and an empty Authorization", "gate", (key) => ({ headers: { Authorization: "", "X-API-Key": key } })],
    ["a header of the configuration's own", "everywhere", (key) => ({ headers: { "X-Token": key } })],
    ["Basic, as the password", "everywhere", (key) => ({ headers: { Authorization: basic("anyone", key) } })],
    ["Basic, as the user of an empty password", "everywhere", (key) => ({ headers: { Authorization: basic(key, "") } })],
    ["the query", "everywhere", (key) => ({ target: `/v1/things?api_key=${key}` })],
    ["the query, under a percent-encoded name (case 17)", "everywhere", (key) => ({ target: `/v1/things?%61pi%5Fkey=${key}` })],
    ["every credential source at once, the same key", "everywhere", (key) => ({ key, target: `/v1/things?api_key=${key}`, headers: { "X-Token": key } })],
  ];
  for (const [name, gate, request] of rows) {
    test(name, async () => {
      const { seen } = await assertAccepted(gates[gate], { target: "/v1/things", ...request(issued.key) }, issued);
      assert.equal(seen.url, "/v1/things");
      for (const place of ["authorization", "x-api-key", "x-token"]) assert.deepEqual(valuesOf(seen, place), [], place);
    });
  }
});

describe("case 17: the query's other bytes are forwarded as they came", () => {
  const rows = [
    ["?api_key=KEY&a=%2f&b=+&c=%31", "?a=%2f&b=+&c=%31"],
    ["?a=%2f&b=+&c=%31&api_key=KEY", "?a=%2f&b=+&c=%31"],
    ["?a=%2f&api_key=KEY&b=+", "?a=%2f&b=+"],
    ["?%61pi_key=KEY&API_KEY=x&api_key2=y", "?API_KEY=x&api_key2=y"],
    ["?api%5Fkey=KEY&a=%zz&b=%", "?a=%zz&b=%"],
    ["?api_key=KEY&a;b=1;c", "?a;b=1;c"],
    ["?a=%2f&b=+&api_key=KEY", "?a=%2f&b=+"],
    ["?a&&=&api_key=KEY&a=1&a=2", "?a&&=&a=1&a=2"],
  ];
  for (const [sent, forwarded] of rows) {
    test(sent, async () => {
      const target = `/v1/things${sent.replace("KEY", issued.key)}`;
      const { seen } = await assertAccepted(gates.everywhere, { target }, issued);
      assert.equal(seen.url, `/v1/things${forwarded}`);
    });
  }
});

describe("case 17: a key that occurs twice in the query is refused:", () => {
  for (const second of ["api_key=KEY", "api_key=wrong", "%61pi_key=KEY", "api%5fkey=", "api_key"]) {
    test(second, async () => {
      const target = `/v1/things?api_key=KEY&${second}`.replaceAll("KEY", issued.key);
      await assertRefused(gates.everywhere, { target }, "credential_ambiguous");
    });
  }
});

describe("cases 16, 17: only the exact parameter holds the key:", () => {
  for (const [target, code] of [
    ["/v1/things?API_KEY=KEY", "credential_missing"],
    ["/v1/things?api_key%00=KEY", "credential_missing"],
    ["/v1/things?api-key=KEY", "credential_missing"],
    ["/v1/things?x=1;api_key=KEY", "credential_missing"],
    ["/v1/things?api_key=", "credential_missing"],
    ["/v1/things?api_key=+%20%09", "credential_missing"],
    ["/v1/things?api_key=%ff%fe", "key_invalid"],
    ["/v1/things?api_key=KEY%00", "key_invalid"],
    ["/v1/things?api_key=KEY#", undefined],
  ]) {
    test(target, async () => {
      const request = { target: target.replace("KEY", issued.key) };
      if (code === undefined) await assertAccepted(gates.everywhere, request, issued);
      else await assertRefused(gates.everywhere, request, code);
    });
  }
});

test("case 18: a wrong key in a header is refused although the query holds a valid one", async () => {
  const other = await harness.issue();
  for (const wrong of [other.key, "garbage", issued.key.slice(0, -1), `${issued.key} `.repeat(2)]) {
    for (const headers of [{ "X-Token": wrong }, { Authorization: `Bearer ${wrong}` }, { Authorization: basic("x", wrong) }]) {
      const request = { target: `/v1/things?api_key=${issued.key}`, headers };
      // What does not contain our prefix is not a key: in Authorization it belongs to the origin, in another source it is stripped.
      if (wrong === "garbage") await assertAccepted(gates.everywhere, request, issued);
      else await assertRefused(gates.everywhere, request, "credential_ambiguous");
    }
  }
});

describe("method, path, query and body reach the origin unchanged:", () => {
  const rows = [
    ["GET", "/"],
    ["GET", "/v1/search", '{"query":"a body that GET may have"}'],
    ["GET", "/v1/things?a=1&a=2&empty=&flag&enc=%2F%20%C3%A9&plus=+"],
    ["POST", "/v1/things", '{"name":"é"}'],
    ["PUT", "/v1/things/1", "x".repeat(70_000)],
    ["PATCH", "/v1/things/1", Buffer.from([0, 1, 2, 255])],
    ["DELETE", "/v1/things/1"],
    ["OPTIONS", "/v1/things"],
  ];
  for (const [method, target, body] of rows) {
    test(`${method} ${target}`, async () => {
      const { seen } = await assertAccepted(gates.gate, { method, target, body, key: issued.key }, issued);
      assert.equal(seen.url, target);
      assert.deepEqual(seen.body, Buffer.from(body ?? ""));
    });
  }
});

test("case 48: HEAD is forwarded as HEAD and has no body", async () => {
  const { answer } = await assertAccepted(gates.gate, { method: "HEAD", target: "/v1/things", key: issued.key }, issued);
  assert.equal(answer.text, "");
});

test("case 34: a public route needs no key, and the origin gets no identity headers", async () => {
  await assertAccepted(gates.gate, { target: "/public/page" });
  await assertAccepted(gates.gate, { target: "/public" });
});

test("a key with the required scope is accepted", async () => {
  const admin = await harness.issue({ scopes: ["admin"] });
  await assertAccepted(gates.gate, { target: "/admin/users", key: admin.key }, admin);
});

test("case 66: an accepted request is one log line with subject, method and path", async () => {
  await assertAccepted(gates.gate, { target: "/v1/logged-access?secret=1", key: issued.key }, issued);
  const mine = ({ path }) => path === "/v1/logged-access";
  await harness.settle();
  const records = harness.logs.events.filter(mine);
  assert.equal(records.length, 1);
  const [record] = records;
  assert.equal(record.level, "info");
  assert.equal(record.status, 200);
  assert.ok(Number.isInteger(record.origin_ms));
  assert.equal(record.key_id, issued.id);
  assert.equal(record.subject, "acme");
  assert.equal(record.method, "GET");
  assert.ok(record.request_id);
});

describe("ORIGIN_AUTHORIZATION replaces what the client sent", () => {
  const rows = [
    ["a key by Bearer", (key) => ({ key })],
    ["a key by X-API-Key", (key) => ({ headers: { "X-API-Key": key } })],
    ["another scheme's Authorization, and the key", (key) => ({ headers: { Authorization: "Basic dTpw", "X-API-Key": key } })],
  ];
  for (const [name, request] of rows) {
    test(name, async () => {
      const { seen } = await assertAccepted(gates.provider, { target: "/v1/things", ...request(issued.key) }, issued);
      assert.deepEqual(valuesOf(seen, "authorization"), ["Bearer provider-token"]);
    });
  }
});

test("case 19: an Authorization that holds no key is forwarded when the key is in another header", async () => {
  for (const foreign of ["Basic dXNlcjpwYXNz", "Bearer eyJhbGciOi.token", "Digest username=\"a\""]) {
    const headers = { Authorization: foreign, "X-API-Key": issued.key };
    const { seen } = await assertAccepted(gates.gate, { target: "/v1/things", headers }, issued);
    assert.deepEqual(valuesOf(seen, "authorization"), [foreign]);
  }
});
