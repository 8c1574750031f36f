// The path that is checked is the path that is forwarded; one that has two readings is refused.
//
// Every request carries a valid key that lacks the scope `admin`, so a path that evades the rule of `/admin/*` shows.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { valuesOf } from "./support/origin.js";

const harness = await startGates(({ origin }) => ({
  gate: {},
  based: { vars: { ORIGIN: `${origin.url}/base` } },
  slashes: { vars: { ALLOW_ENCODED_SLASH: true } },
  caseless: { vars: { CASE_INSENSITIVE_PATHS: true } },
}));
const { gates } = harness;
const issued = await harness.issue();

/** Rows of `[target, outcome]`: a path that the origin gets, or a code of the contract. */
function judges(title, gate, rows) {
  describe(title, () => {
    for (const [target, outcome] of rows) {
      test(`${JSON.stringify(target)}: ${outcome}`, async () => {
        const request = { target, key: issued.key };
        if (outcome.startsWith("/")) {
          const isPublic = outcome === "/public" || outcome.startsWith("/public/");
          const { seen } = await assertAccepted(gates[gate], request, isPublic ? undefined : issued);
          assert.equal(seen.url, outcome);
          assert.deepEqual(valuesOf(seen, "host"), [harness.origin.host]);
        } else {
          await assertRefused(gates[gate], request, outcome);
        }
      });
    }
  });
}

// The runtime hands the path over as it came: what dot segments mean is for the gate to say, and it says nothing.
judges("cases 40, 41: dot segments are refused wherever they lead:", "gate", [
  ["/public/../admin/x", "path_ambiguous"],
  ["/public/%2e%2e/admin/x", "path_ambiguous"],
  ["/public/.%2E/admin/x", "path_ambiguous"],
  ["/public/../../../admin/x", "path_ambiguous"],
  ["/./admin/x", "path_ambiguous"],
  ["/%2e/admin/x", "path_ambiguous"],
  ["/public/./page", "path_ambiguous"],
  ["/public/x/..", "path_ambiguous"],
  ["/admin/../public/page", "path_ambiguous"],
  ["/public/..;x=1/admin", "path_ambiguous"],
  ["/public/.;/admin", "path_ambiguous"],
  ["/public/%2e%2e;x=1/admin", "path_ambiguous"],
  ["/public/;/../admin", "path_ambiguous"],
  ["/public/x/%2E./admin", "path_ambiguous"],
  ["/public/..%3bx=1/admin", "path_ambiguous"],
  ["/public/..%00/admin", "path_ambiguous"],
  ["/public/%252e%252e/admin", "/public/%252e%252e/admin"],
  ["/..", "path_ambiguous"],
  ["/.", "path_ambiguous"],
  ["/public/..%2fadmin/x", "path_ambiguous"],
  ["/public/%2e%2e%2fadmin/x", "path_ambiguous"],
  ["/public/...", "/public/..."],
  ["/public/.well-known", "/public/.well-known"],
]);

judges("cases 41, 42: only single, unescaped slashes separate segments:", "gate", [
  ["//admin/x", "path_ambiguous"],
  ["/public//admin/x", "path_ambiguous"],
  ["/admin//", "path_ambiguous"],
  ["/admin/", "scope_missing"],
  ["/public%2fadmin", "path_ambiguous"],
  ["/public%2Fadmin", "path_ambiguous"],
  ["/public%5cadmin", "path_ambiguous"],
  ["/public%5C..%5Cadmin", "path_ambiguous"],
  ["/public\\admin", "path_ambiguous"],
  ["/public\\..\\admin\\x", "path_ambiguous"],
  ["/\\admin", "path_ambiguous"],
  ["///admin", "path_ambiguous"],
  ["/public/%2f/admin", "path_ambiguous"],
  // Characters that some decoders turn into a slash or a dot; here they are letters of their segment.
  ["/public/%e2%88%95admin", "/public/%e2%88%95admin"],
  ["/public/%ef%bc%8fadmin", "/public/%ef%bc%8fadmin"],
  ["/public/%ef%bc%8e%ef%bc%8e/admin", "/public/%ef%bc%8e%ef%bc%8e/admin"],
]);

judges("case 43: escapes are decoded once:", "gate", [
  ["/%61dmin/x", "scope_missing"],
  ["/adm%69n", "scope_missing"],
  ["/v1/%74hings", "/v1/things"],
  ["/v1/%7Euser", "/v1/~user"],
  ["/v1/a%2Bb%40c%3a", "/v1/a%2Bb%40c%3a"],
  ["/v1/caf%c3%a9", "/v1/caf%c3%a9"],
  // Characters that a client should have escaped are escaped on the way out.
  ['/v1/a"b', "/v1/a%22b"],
  ["/v1/a{b}", "/v1/a%7Bb%7D"],
  ["/v1/a^b", "/v1/a%5Eb"],
  ["/v1/a|b", "/v1/a|b"],
  ["/v1/[a]", "/v1/[a]"],
  ["/public/%252e%252e/admin/x", "/public/%252e%252e/admin/x"],
  ["/%2561dmin/x", "/%2561dmin/x"],
  ["/v1/%252f", "/v1/%252f"],
]);

judges("case 44: a path that is not valid UTF-8 text is refused:", "gate", [
  ["/public/%00", "path_ambiguous"],
  ["/public/%0d%0aX-Admin:%201", "path_ambiguous"],
  ["/public/%09x", "path_ambiguous"],
  ["/public/%7f", "path_ambiguous"],
  ["/public/%c0%af", "path_ambiguous"],
  ["/public/%e0%80%af", "path_ambiguous"],
  ["/public/%ff", "path_ambiguous"],
  ["/public/%ed%a0%80", "path_ambiguous"],
  ["/public/%", "path_ambiguous"],
  ["/public/%zz", "path_ambiguous"],
  ["/public/%2", "path_ambiguous"],
  ["/public/%u002e%u002e/admin", "path_ambiguous"],
  ["/public/%c0%ae%c0%ae/admin", "path_ambiguous"],
  ["/public/%c1%9c..%c1%9cadmin", "path_ambiguous"],
  ["/public/%f0%80%80%af", "path_ambiguous"],
  ["/public/%f4%90%80%80", "path_ambiguous"],
  ["/public/%80", "path_ambiguous"],
  ["/public/%c3", "path_ambiguous"],
  ["/public/%c2%85", "path_ambiguous"],
  ["/public/%0a", "path_ambiguous"],
  ["/public/%1b", "path_ambiguous"],
]);

judges("case 41: different spellings are different segments:", "gate", [
  ["/ADMIN/x", "/ADMIN/x"],
  ["/admin.", "/admin."],
  ["/admin%20", "/admin%20"],
  ["/admin%2e", "/admin."],
  ["/admin~1", "/admin~1"],
  ["/admin::$DATA", "/admin::$DATA"],
  ["/adm%c4%b1n", "/adm%c4%b1n"],
  ["/%ef%bd%81dmin", "/%ef%bd%81dmin"],
  ["/admin%ef%bb%bf", "/admin%ef%bb%bf"],
  ["/administrators", "/administrators"],
  ["/publicity", "/publicity"],
  ["/public/admin/x", "/public/admin/x"],
]);

judges("case 45: a query or an escaped # does not change where the path ends:", "gate", [
  ["/admin/x%23/public", "scope_missing"],
  ["/admin/x?x=/public/", "scope_missing"],
  ["/admin/x%3f/public/y", "scope_missing"],
  ["/admin?/../public/x", "scope_missing"],
  ["/admin??", "scope_missing"],
  ["/public%3f/../admin", "path_ambiguous"],
  ["/public%3fx", "/public%3fx"],
  ["/admin&/public", "/admin&/public"],
  ["/public/x?y=/../admin", "/public/x?y=/../admin"],
  ["/v1/things?", "/v1/things?"],
  ["/v1/things?a=%2f%2e%2e//&b", "/v1/things?a=%2f%2e%2e//&b"],
]);

judges("a fragment is not part of the path:", "gate", [
  ["/admin#/public", "scope_missing"],
  ["/public/x#/../admin", "/public/x"],
]);

judges("case 40: path parameters do not change the outcome:", "gate", [
  ["/admin;x=1/users", "path_ambiguous"],
  ["/public;x=1/page", "path_ambiguous"],
  ["/;/admin/x", "path_ambiguous"],
  ["/;x=1/admin/x", "path_ambiguous"],
  ["/admin;/x", "path_ambiguous"],
  ["/admin%3bx=1/users", "path_ambiguous"],
  ["/public/x;/../admin", "path_ambiguous"],
  ["/v1/things;version=2", "/v1/things;version=2"],
  ["/public/page;jsessionid=1", "/public/page;jsessionid=1"],
]);

judges("with ALLOW_ENCODED_SLASH an encoded slash is part of its segment:", "slashes", [
  ["/v1/a%2fb", "/v1/a%2fb"],
  ["/public%2fadmin", "/public%2fadmin"],
  ["/admin/a%2Fb", "scope_missing"],
  ["/public/..%2fadmin", "path_ambiguous"],
  ["/public/x%2f..%2f..%2fadmin", "path_ambiguous"],
  ["/public%5cadmin", "path_ambiguous"],
]);

judges("case 41: with CASE_INSENSITIVE_PATHS rules ignore case, and the origin gets the path as sent:", "caseless", [
  ["/ADMIN/x", "scope_missing"],
  ["/Admin", "scope_missing"],
  ["/%41dmin/x", "scope_missing"],
  ["/adm%c4%b1n/x", "scope_missing"],
  ["/ADM%C4%B0N/x", "scope_missing"],
  ["/V1/Things", "/V1/Things"],
]);

judges("case 47: no path escapes the base path of ORIGIN:", "based", [
  ["/v1/things?x=1", "/base/v1/things?x=1"],
  ["/", "/base/"],
  ["/../secret", "path_ambiguous"],
  ["/%2e%2e/secret", "path_ambiguous"],
  ["/..;/secret", "path_ambiguous"],
  ["/..%2fsecret", "path_ambiguous"],
  ["/..%5csecret", "path_ambiguous"],
  ["/..\\secret", "path_ambiguous"],
  ["//secret", "path_ambiguous"],
  ["/@evil.example/", "/base/@evil.example/"],
  ["/?x=/../../secret", "/base/?x=/../../secret"],
]);

describe("cases 42, 46: the runtime itself refuses an invalid request target:", () => {
  for (const target of ["v1/things", "?x=1", "\\admin\\x", "@evil.example/x", ".evil.example/x", ":1/x", "http:/x", "http:///x", "/v1/a\tb", "/v1/a\x7fb", "/v1/caf\xe9", "/v1 /x", `/${"x".repeat(100_000)}`]) {
    test(JSON.stringify(target), async () => {
      harness.origin.clear();
      const answer = await gates.gate.send({ target, key: issued.key });
      assert.ok([400, 414].includes(answer.status), `${answer.status} ${answer.text.slice(0, 200)}`);
      assert.equal(harness.origin.requests.length, 0);
    });
  }
});

describe("case 46: a request goes to ORIGIN or nowhere, whatever host it names:", () => {
  const rows = [
    ["a path that looks like a host", { target: "//evil.example/x" }, "path_ambiguous"],
    ["a path that looks like user information", { target: "/@evil.example" }, "/@evil.example"],
    ["a path that looks like a URL", { target: "/http:%2f%2fevil.example" }, "path_ambiguous"],
    ["absolute form, which names another host than Host", { target: "http://evil.example/x" }, "/x"],
    // Over plain HTTP every name but loopback is refused.
    ["an odd Host", { target: "/x", headers: { Host: "evil.example" } }, "https_required"],
    ["a Host with user information", { target: "/x", headers: { Host: "127.0.0.1@evil.example" } }, "https_required"],
    ["a Host that begins like loopback", { target: "/x", headers: { Host: "127.0.0.1.evil.example" } }, "https_required"],
    ["a Host with a path", { target: "/x", headers: { Host: "127.0.0.1/admin" } }, "scope_missing"],
    ["absolute form of https", { target: "https://evil.example/x" }, "/x"],
    ["absolute form with user information", { target: "http://127.0.0.1@evil.example/x" }, "/x"],
    ["absolute form with an ambiguous path", { target: "http://evil.example/public/../admin/x" }, "path_ambiguous"],
    ["absolute form of the closed route", { target: "http://evil.example/closed/x" }, "route_denied"],
    ["absolute form with a public path as its host", { target: "http://public/admin/x" }, "scope_missing"],
    ["authority form", { target: "evil.example:443" }, "/"],
    ["asterisk form", { target: "*" }, "https_required"],
    ["another scheme in absolute form", { target: "ftp://evil.example/x" }, "/x"],
    // Such a Host moves the border between host and path; what the origin gets is what was judged.
    ["a Host with a query", { target: "/admin/x", headers: { Host: "127.0.0.1?/public/" } }, "/?/public//admin/x"],
    ["a Host with a fragment", { target: "/admin/x", headers: { Host: "127.0.0.1#" } }, "/"],
    ["two lines of Host", { target: "/x", headers: [["Host", "localhost"], ["Host", "evil.example"]] }, "https_required"],
    ["two lines of Host, the odd one first", { target: "/x", headers: [["Host", "evil.example"], ["Host", "localhost"]] }, "https_required"],
    ["loopback as user information", { target: "/x", headers: { Host: "localhost:1@evil.example:80" } }, "https_required"],
    ["an address with more behind it", { target: "/x", headers: { Host: "[::1]evil.example" } }, "https_required"],
    ["a Host of the platform's", { target: "/x", headers: { Host: "workers.dev" } }, "https_required"],
    ["a Host that is a number for loopback", { target: "/x", headers: { Host: "2130706433" } }, "https_required"],
    ["a Host in capitals", { target: "/x", headers: { Host: "LOCALHOST" } }, "https_required"],
    ["X-Forwarded-Host and an unusual Host", { target: "/x", headers: { Host: "evil.example", "X-Forwarded-Host": "localhost" } }, "https_required"],
    ["a loopback Host with another port", { target: "/x", headers: { Host: "localhost:1" } }, "/x"],
  ];
  for (const [name, request, outcome] of rows) {
    test(name, async () => {
      if (!outcome.startsWith("/")) return void (await assertRefused(gates.gate, { key: issued.key, ...request }, outcome));
      const { seen } = await assertAccepted(gates.gate, { key: issued.key, ...request }, issued);
      assert.equal(seen.url, outcome);
      assert.deepEqual(valuesOf(seen, "host"), [harness.origin.host]);
    });
  }

  test("a public name over HTTPS", async () => {
    harness.origin.clear();
    const answer = await gates.gate.fetchHttps("https://api.example.com/v1/things?x=1", {
      headers: { Authorization: `Bearer ${issued.key}` },
    });
    assert.equal(answer.status, 200);
    const { only } = harness.origin;
    assert.equal(only.url, "/v1/things?x=1");
    assert.deepEqual(valuesOf(only, "host"), [harness.origin.host]);
    assert.deepEqual(valuesOf(only, "x-forwarded-proto"), ["https"]);
    assert.deepEqual(valuesOf(only, "x-forwarded-host"), ["api.example.com"]);
  });
});
