// Second readings of a request that are not in its first line: a method in the query or a header, an extension that the origin
// ignores, and WebDAV's Destination. Where another rule holds for the second reading, the request is refused.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { valuesOf } from "./support/origin.js";

const ROUTES = [
  { path: "/public/*", access: "public" },
  { path: "/closed/*", access: "deny" },
  { path: "/admin/*", scopes: ["admin"] },
  { path: "/things/*", methods: ["DELETE"], scopes: ["admin"] },
  { path: "/things/*" },
];
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

const harness = await startGates(({ origin }) => ({
  gate: { vars: { ROUTES } },
  formats: { vars: { ROUTES, FORMAT_EXTENSIONS: true } },
  based: { vars: { ORIGIN: `${origin.url}/tenant1`, METHODS: [...METHODS, "MOVE"] } },
  dav: { vars: { ROUTES, METHODS: [...METHODS, "MOVE", "COPY"] } },
  lenient: { vars: { ROUTES, FORWARD_HEADERS: ["x-http-method-override", "x-real-ip", "x_custom"] } },
}));
const { gates } = harness;
const issued = await harness.issue();

describe("a method in the query:", () => {
  for (const [query, isRefused] of [
    ["_method=DELETE", true],
    ["_method=delete", true],
    ["a=1&%5Fmethod=%44ELETE", true],
    ["_METHOD=DELETE", true],
    ["X-HTTP-Method-Override=DELETE", true],
    ["x-tunneled-method=DELETE", true],
    ["_method=TRACE", true],
    ["_method=PUT", false],
    ["_method=POST", false],
    ["_method=card", false],
    ["a=1;_method=DELETE", true],
    [".method=DELETE", true],
    ["+_method=DELETE", true],
    ["_method=SUBSCRIBE", true],
    ["_method=lin%E2%84%AA", true],
  ]) {
    test(`${query} is ${isRefused ? "refused" : "forwarded"}`, async () => {
      const request = { method: "POST", target: `/things/1?${query}`, key: issued.key };
      if (isRefused) await assertRefused(gates.gate, request, "method_ambiguous");
      else assert.equal((await assertAccepted(gates.gate, request, issued)).seen.url, `/things/1?${query}`);
    });
  }

  test("is refused on a public route too, where METHODS does not allow it", async () => {
    await assertRefused(gates.gate, { method: "POST", target: "/public/x?_method=PROPFIND" }, "method_ambiguous");
    await assertAccepted(gates.gate, { method: "POST", target: "/public/x?_method=DELETE" });
  });
});

describe("a method in a header:", () => {
  for (const name of [
    "X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override", "X-Original-Method", "X-Override-Method", "X-Requested-Method",
  ]) {
    test(`${name} is refused where it selects another rule, and removed where it selects the same`, async () => {
      const request = { method: "POST", target: "/things/1", key: issued.key };
      await assertRefused(gates.gate, { ...request, headers: { [name]: "DELETE" } }, "method_ambiguous");
      const { seen } = await assertAccepted(gates.gate, { ...request, headers: { [name]: "PUT" } }, issued);
      assert.deepEqual(valuesOf(seen, name.toLowerCase()), []);
    });
  }

  test("FORWARD_HEADERS forwards it where it selects the same rule, and not where it selects another", async () => {
    const request = { method: "POST", target: "/things/1", key: issued.key };
    const send = (value) => ({ ...request, headers: { "X-HTTP-Method-Override": value } });
    await assertRefused(gates.lenient, send("DELETE"), "method_ambiguous");
    const { seen } = await assertAccepted(gates.lenient, send("PUT"), issued);
    assert.deepEqual(valuesOf(seen, "x-http-method-override"), ["PUT"]);
  });
});

test("FORWARD_HEADERS forwards only the exact names", async () => {
  const headers = { "X-Real-IP": "10.0.0.1", X_Custom: "1", "X_Real-IP": "10.0.0.2", X_Other: "1", "True-Client-IP": "10.0.0.3" };
  const { seen } = await assertAccepted(gates.lenient, { target: "/public/x", headers });
  const reached = Object.keys(headers).filter((name) => valuesOf(seen, name.toLowerCase()).length > 0);
  assert.deepEqual(reached, ["X-Real-IP", "X_Custom"]);
});

describe("a format extension that the origin ignores:", () => {
  for (const target of ["/admin.json", "/admin.json/", "/closed.xml", "/admin.tar.gz", "/public.json", "/admin%2ejson", "/admin.json;v=1"]) {
    test(`${target} is refused with FORMAT_EXTENSIONS, and a separate path without`, async () => {
      await assertRefused(gates.formats, { target, key: issued.key }, "path_ambiguous");
      await assertAccepted(gates.gate, { target, key: issued.key }, issued);
    });
  }
  for (const target of ["/things/1.json", "/report.pdf", "/v1.2/report"]) {
    test(`${target} is forwarded with FORMAT_EXTENSIONS: the same rule holds without it`, async () => {
      await assertAccepted(gates.formats, { target, key: issued.key }, issued);
    });
  }
});

test("a Destination is removed from requests of other methods, which an override could turn into MOVE", async () => {
  const headers = { Destination: "/admin/b" };
  const { seen } = await assertAccepted(gates.dav, { method: "POST", target: "/files/a?_method=MOVE", key: issued.key, headers }, issued);
  assert.deepEqual(valuesOf(seen, "destination"), []);
});

test("a Destination is refused where ORIGIN has a base path", async () => {
  for (const Destination of ["/tenant2/b", "/b"]) {
    await assertRefused(gates.based, { method: "MOVE", target: "/a", key: issued.key, headers: { Destination } }, "destination_not_allowed");
  }
});

test("a long path with many method parameters is handled like a short one", async () => {
  const target = `/things/${"a;".repeat(3000)}?${"_method=PUT&".repeat(600)}`;
  await assertAccepted(gates.formats, { method: "POST", target, key: issued.key }, issued);
});

describe("the Destination of a MOVE or COPY:", () => {
  const host = () => new URL(gates.dav.url).host;
  for (const [destination, isRefused] of [
    [() => `http://${host()}/files/b`, false],
    [() => "/files/b", false],
    [() => `http://${host()}/admin/b`, true],
    [() => "/admin/b", true],
    [() => "/public/b", true],
    [() => "/files/%2e%2e/admin/b", true],
    [() => "http://other.example/files/b", true],
    [() => `https://${host()}/files/b`, true],
    [() => "//other.example/files/b", true],
  ]) {
    test(`${String(destination).slice(6)} is ${isRefused ? "refused" : "forwarded"}`, async () => {
      for (const method of ["MOVE", "COPY"]) {
        const request = { method, target: "/files/a", key: issued.key, headers: { Destination: destination() } };
        if (isRefused) await assertRefused(gates.dav, request, "destination_not_allowed");
        else await assertAccepted(gates.dav, request, issued);
      }
    });
  }
});
