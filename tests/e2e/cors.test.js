// Browsers: a preflight carries no key and is answered by the gate; a page that is allowed can read a rejection.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { assertAccepted, assertRefusal, assertRefused } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { valuesOf } from "./support/origin.js";

const APP = "https://app.example.com";
const STRANGER = "https://evil.example";
const ALL_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

const harness = await startGates(() => ({
  none: {},
  listed: { vars: { CORS_ORIGINS: [APP, "http://localhost:3000"] } },
  anyone: { vars: { CORS_ORIGINS: ["*"] } },
  forwarding: { vars: { PREFLIGHT: "forward" } },
}));
const { gates } = harness;
const issued = await harness.issue();

const preflight = (origin, extra = {}) => ({
  method: "OPTIONS",
  target: "/v1/things",
  headers: {
    Origin: origin,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type",
    ...extra,
  },
});

describe("case 49: the gate itself answers a preflight of an allowed origin:", () => {
  for (const [gate, origin, allowed] of [
    ["listed", APP, [APP]],
    ["listed", "http://localhost:3000", ["http://localhost:3000"]],
    ["anyone", STRANGER, ["*", STRANGER]],
  ]) {
    test(`${gate}, ${origin}`, async () => {
      harness.origin.clear();
      const answer = await gates[gate].send(preflight(origin));
      assert.ok([200, 204].includes(answer.status), `${answer.status} ${answer.text}`);
      assert.ok(allowed.includes(answer.header("access-control-allow-origin")));
      assert.match(answer.header("access-control-allow-methods"), /\bPOST\b/);
      assert.match(answer.header("access-control-allow-headers").toLowerCase(), /authorization/);
      assert.match(answer.header("access-control-allow-headers").toLowerCase(), /content-type/);
      assert.equal(answer.header("access-control-allow-credentials"), undefined);
      assert.equal(harness.origin.requests.length, 0);
    });
  }
});

describe("case 49: an origin that is not listed gets no permission:", () => {
  const STRANGERS = [
    STRANGER, `${APP}.evil.example`, `${APP}:8443`, `${APP}:443`, `${APP}/`, `${APP}.`, `${APP}@evil.example`, `${APP}, ${STRANGER}`,
    "http://app.example.com", "https://APP.example.com", "https://app%2eexample.com", "null", "",
  ];
  for (const origin of STRANGERS) {
    test(JSON.stringify(origin), async () => {
      harness.origin.clear();
      const answer = await gates.listed.send(preflight(origin));
      assert.equal(answer.header("access-control-allow-origin"), undefined);
      assert.equal(harness.origin.requests.length, 0);
      const rejected = await gates.listed.get("/v1/things", { headers: { Origin: origin } });
      assertRefusal(rejected, "credential_missing");
      assert.equal(rejected.header("access-control-allow-origin"), undefined);
    });
  }
});

test("case 49: an OPTIONS request that is not a preflight needs a key", async () => {
  for (const headers of [{}, { Origin: APP }, { "Access-Control-Request-Method": "POST" }]) {
    await assertRefused(gates.listed, { method: "OPTIONS", target: "/v1/things", headers }, "credential_missing");
  }
});

test("case 49: without CORS_ORIGINS a preflight is a request like any other", async () => {
  await assertRefused(gates.none, preflight(APP), "credential_missing");
});

test("with PREFLIGHT = forward the origin answers it, and no key is needed", async () => {
  await assertAccepted(gates.forwarding, preflight(APP));
});

test("a forwarded preflight must be one: plain OPTIONS and other methods still need a key", async () => {
  await assertRefused(gates.forwarding, { method: "OPTIONS", target: "/v1/things" }, "credential_missing");
  await assertRefused(gates.forwarding, { ...preflight(APP), method: "POST" }, "credential_missing");
});

test("a forwarded preflight that asks for a WebSocket does not reach the origin as a GET without a key", async () => {
  harness.origin.clear();
  const upgrade = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==" };
  await gates.forwarding.send(preflight(APP, upgrade));
  assert.deepEqual(harness.origin.requests.map(({ method }) => method).filter((method) => method !== "OPTIONS"), []);
});

test("a preflight of a denied route does not reach the origin", async () => {
  harness.origin.clear();
  await gates.forwarding.send({ ...preflight(APP), target: "/closed/x" });
  assert.equal(harness.origin.requests.length, 0);
});

test("case 49: a preflight for a method or path that is not allowed is refused", async () => {
  await assertRefused(gates.listed, preflight(APP, { "Access-Control-Request-Method": "TRACE" }), "method_not_allowed", { allow: ALL_METHODS });
  await assertRefused(gates.listed, preflight(APP, { "Access-Control-Request-Method": "post" }), "method_not_allowed", { allow: ALL_METHODS });
  await assertRefused(gates.listed, { ...preflight(APP), target: "/v1%2fthings" }, "path_ambiguous");
});

test("case 49: Access-Control-Request-Headers is echoed only if it is a list of header names", async () => {
  for (const [asked, echoed] of [
    ["x-custom, authorization", "x-custom, authorization"],
    ["*", "*"],
    ["x-custom; evil", undefined],
    ["x custom", undefined],
    ["x-\xe9", undefined],
    ["x".repeat(2000), undefined],
  ]) {
    const answer = await gates.listed.send(preflight(APP, { "Access-Control-Request-Headers": asked }));
    assert.equal(answer.header("access-control-allow-headers"), echoed, asked.slice(0, 50));
  }
});

test("cases 49, 56: a forwarded preflight carries no identity and no credential", async () => {
  const { seen } = await assertAccepted(gates.forwarding, { ...preflight(APP, { "X-API-Key": issued.key, "X-Keygate-Subject": "root" }), key: issued.key });
  for (const name of ["authorization", "x-api-key"]) assert.deepEqual(valuesOf(seen, name), [], name);
});

test("a forwarded preflight carries neither a body nor cookies", async () => {
  const request = { ...preflight(APP, { Cookie: "session=1", Authorization: "Basic dXNlcjpwYXNzd29yZA==" }), body: "a body" };
  const { seen } = await assertAccepted(gates.forwarding, request);
  for (const name of ["cookie", "authorization"]) assert.deepEqual(valuesOf(seen, name), [], name);
  assert.equal(seen.body.length, 0);
});

test("a forwarded preflight with a method override is refused", async () => {
  for (const [query, headers] of [["?_method=DELETE", {}], ["?_method_override=DELETE", {}], ["", { "X-HTTP-Method-Override": "POST" }]]) {
    await assertRefused(gates.forwarding, { ...preflight(APP, headers), target: `/v1/things${query}` }, "method_ambiguous");
  }
});

test("case 56: every answer that a shared cache may store has Vary: Origin", async () => {
  for (const headers of [{}, { Origin: APP }, { Origin: STRANGER }]) {
    const { answer } = await assertAccepted(gates.listed, { target: "/public/page", headers });
    assert.match(answer.header("vary")?.toLowerCase() ?? "", /\borigin\b/);
    assert.equal(answer.header("access-control-allow-origin"), headers.Origin === APP ? APP : undefined);
  }
  // Nothing to differ by.
  const { answer } = await assertAccepted(gates.none, { target: "/public/page", headers: { Origin: APP } });
  assert.equal(answer.header("vary"), undefined);
});

test("case 56: refusals have Vary: Origin where CORS_ORIGINS is set", async () => {
  for (const headers of [{}, { Origin: APP }, { Origin: STRANGER }]) {
    const { answer } = await assertRefused(gates.listed, { target: "/v1/things", headers }, "credential_missing");
    assert.match(answer.header("vary").toLowerCase(), /\borigin\b/);
  }
});

describe("case 50: a page that is allowed can read a rejection:", () => {
  const rows = [
    ["credential_missing", () => ({})],
    ["key_invalid", () => ({ key: "acme_live_wrong" })],
    ["scope_missing", () => ({ key: issued.key, target: "/admin/x" })],
    ["path_ambiguous", () => ({ key: issued.key, target: "/a%2fb" })],
  ];
  for (const [code, request] of rows) {
    test(code, async () => {
      const sent = { target: "/v1/things", headers: { Origin: APP }, ...request() };
      const { answer } = await assertRefused(gates.listed, sent, code);
      assert.equal(answer.header("access-control-allow-origin"), APP);
      assert.match(answer.header("vary").toLowerCase(), /\borigin\b/);
    });
  }
});
