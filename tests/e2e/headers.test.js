// Identity and forwarding headers that reach the origin are the gate's own, whatever the client sent.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { valuesOf } from "./support/origin.js";

const harness = await startGates();
const { gate } = harness.gates;
const scoped = await harness.issue({ scopes: ["reports:read", "reports:write"] });
const bare = await harness.issue({ name: "No scopes" });
const fenced = await harness.issue({ ips: ["203.0.113.0/24"] });

const SPOOFED = [
  "X-Keygate-Key-Id", "x-keygate-key-id", "X-KEYGATE-KEY-ID", "X_Keygate_Key_Id", "x-keygate_key-id",
  "X-Keygate-Subject", "x_keygate_subject", "X-Keygate_Subject",
  "X-Keygate-Scopes", "X_KEYGATE_SCOPES",
  "X-Keygate-Signature", "X-Keygate-Anything",
  "x.keygate.subject", "X~Keygate~Subject", "x!keygate!key!id", "X-Keygate-", "X-KEYGATE_",
];

const looksLikeOurs = ([name]) => /^x[^a-z]keygate[^a-z]/.test(name);

describe("cases 34, 35: identity headers that the client sends are removed:", () => {
  for (const name of SPOOFED) {
    test(name, async () => {
      for (const [issued, target] of [[scoped, "/v1/things"], [bare, "/v1/things"], [undefined, "/public/page"]]) {
        const headers = [[name, "root"], [name, "admin"]];
        const { seen } = await assertAccepted(gate, { target, key: issued?.key, headers }, issued);
        for (const [header, value] of seen.headers.filter(looksLikeOurs)) {
          assert.ok(!/root|admin/.test(value), `the origin saw ${header}: ${value}`);
        }
        if (issued === undefined) assert.deepEqual(seen.headers.filter(looksLikeOurs), []);
      }
    });
  }
});

test("case 36: Connection cannot remove an identity header", async () => {
  const headers = { Connection: "close, x-keygate-key-id, x-keygate-subject, x-forwarded-for", "CF-Connecting-IP": "203.0.113.9" };
  const { seen } = await assertAccepted(gate, { target: "/v1/things", key: scoped.key, headers }, scoped);
  assert.deepEqual(valuesOf(seen, "x-forwarded-for"), ["203.0.113.9"]);
});

test("case 37: hop-by-hop headers are not forwarded", async () => {
  const headers = {
    Connection: "close, X-Hop", "X-Hop": "1", "Keep-Alive": "timeout=5", TE: "trailers", "Proxy-Authorization": "Basic dTpw",
    "Proxy-Connection": "keep-alive", Upgrade: "h2c",
  };
  const { seen } = await assertAccepted(gate, { target: "/v1/things", key: scoped.key, headers }, scoped);
  const hopByHop = ["keep-alive", "te", "proxy-authorization", "proxy-connection", "upgrade", "x-hop"];
  assert.deepEqual(hopByHop.filter((name) => valuesOf(seen, name).length > 0), []);
});

test("case 33: the gate replaces the client's X-Forwarded headers", async () => {
  const headers = {
    "CF-Connecting-IP": "203.0.113.9", "X-Forwarded-For": "10.0.0.1, 10.0.0.2", "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
  };
  const { seen } = await assertAccepted(gate, { target: "/v1/things", key: scoped.key, headers }, scoped);
  assert.deepEqual(valuesOf(seen, "x-forwarded-for"), ["203.0.113.9"]);
  assert.deepEqual(valuesOf(seen, "x-forwarded-host"), [new URL(gate.url).host]);
  assert.deepEqual(valuesOf(seen, "x-forwarded-proto"), ["http"]);
});

test("case 33: the client's X-Forwarded-For is removed when its address is not known", async () => {
  const headers = { "X-Forwarded-For": "10.0.0.1" };
  const { seen } = await assertAccepted(gate, { target: "/v1/things", key: scoped.key, headers }, scoped);
  assert.ok(!valuesOf(seen, "x-forwarded-for").includes("10.0.0.1"));
});

describe("case 33: headers that tell an origin of another path or method are not forwarded:", () => {
  for (const name of [
    "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-Method",
    "X-Forwarded-Prefix", "X-Forwarded-Path", "X-Forwarded-Port", "X-Forwarded-Ssl", "X_Original_URL", "X-HTTP_Method-Override",
  ]) {
    test(name, async () => {
      for (const [issued, target] of [[scoped, "/v1/things"], [undefined, "/public/page"]]) {
        const value = /method/i.test(name) ? "GET" : "/admin";
        const { seen } = await assertAccepted(gate, { target, key: issued?.key, headers: { [name]: value } }, issued);
        assert.deepEqual(valuesOf(seen, name.toLowerCase()), []);
      }
    });
  }
});

test("case 10: spellings of the credential's header and of X-Forwarded with underscores are not forwarded", async () => {
  const headers = { X_API_Key: "underscores", X_Forwarded_For: "10.0.0.1", "X-Forwarded_Host": "evil.example" };
  const { seen } = await assertAccepted(gate, { target: "/public/page", headers });
  for (const name of Object.keys(headers)) assert.deepEqual(valuesOf(seen, name.toLowerCase()), [], name);
});

test("case 39: a credential is stripped on a public route too", async () => {
  const { seen } = await assertAccepted(gate, { target: "/public/page", key: scoped.key, headers: { "X-API-Key": scoped.key } });
  assert.deepEqual(valuesOf(seen, "authorization"), []);
  assert.deepEqual(valuesOf(seen, "x-api-key"), []);
});

test("other headers reach the origin unchanged", async () => {
  const headers = { Accept: "application/json", Cookie: "a=1; b=2", "X-Custom": "caf\xe9", "User-Agent": "e2e/1", Origin: "https://app.example.com" };
  const { seen } = await assertAccepted(gate, { target: "/v1/things", key: scoped.key, headers }, scoped);
  for (const [name, value] of Object.entries(headers)) assert.deepEqual(valuesOf(seen, name.toLowerCase()), [value], name);
});

test("the gate adds only the headers that it documents", async () => {
  const sent = { Accept: "*/*", "User-Agent": "e2e/1", "CF-Connecting-IP": "203.0.113.9" };
  const { seen } = await assertAccepted(gate, { target: "/v1/things", key: scoped.key, headers: sent }, scoped);
  const added = [
    "x-keygate-key-id", "x-keygate-subject", "x-keygate-scopes", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
    "keygate-via",
  ];
  // The runtime's own, for a fetch that no cache may answer (unless the client sent them).
  const uncached = ["cache-control", "pragma"];
  const expected = ["host", "accept", "user-agent", "cf-connecting-ip", ...added, ...uncached];
  // `Connection` is that of the runtime's own hop.
  const names = seen.headers.map(([name]) => name).filter((name) => name !== "connection");
  assert.deepEqual(names.sort(), expected.sort());
});

describe("case 33: headers that claim another address, host, path or method change no decision:", () => {
  const CLAIMS = [
    ["X-Original-URL", "/public/page"],
    ["X-Rewrite-URL", "/public/page"],
    ["X-HTTP-Method-Override", "GET"],
    ["X-HTTP-Method", "GET"],
    ["X-Method-Override", "GET"],
    ["X-Forwarded-Prefix", "/public"],
    ["X-Forwarded-Path", "/public/page"],
    ["X-Forwarded-Host", "localhost"],
    ["X-Host", "localhost"],
    ["X-Forwarded-Proto", "https"],
    ["X-Forwarded-For", "203.0.113.1"],
    ["X-Real-IP", "203.0.113.1"],
    ["X-Client-IP", "203.0.113.1"],
    ["True-Client-IP", "203.0.113.1"],
    ["Forwarded", "for=203.0.113.1;proto=https;host=localhost"],
    ["CF-Visitor", '{"scheme":"https"}'],
    ["CF-Worker", "keygate"],
    ["Referer", "/public/page"],
  ];
  for (const [name, value] of CLAIMS) {
    test(name, async () => {
      const headers = { [name]: value };
      await assertRefused(gate, { target: "/admin/users", headers }, "credential_missing");
      await assertRefused(gate, { target: "/admin/users", headers, key: scoped.key }, "scope_missing");
      await assertRefused(gate, { target: "/closed/x", headers, key: scoped.key }, "route_denied");
      await assertRefused(gate, { method: "POST", target: "/read-only/x", headers, key: scoped.key }, "method_not_allowed", { allow: "GET, HEAD" });
      await assertRefused(gate, { target: "/v1/x", headers: { ...headers, "CF-Connecting-IP": "198.51.100.1" }, key: fenced.key }, "ip_not_allowed");
      await assertRefused(gate, { target: "/public/x", headers: { ...headers, Host: "api.example.com" } }, "https_required");
    });
  }
});
