// CREDENTIALS: what a client is told about the configured sources, and what each source reads.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { valuesOf } from "./support/origin.js";

const basic = (user, password) => `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

const harness = await startGates(() => ({
  gate: {},
  header: { vars: { CREDENTIALS: ["header:api-key"] } },
  basic: { vars: { CREDENTIALS: ["basic", "header:x-api-key"] } },
  query: { vars: { CREDENTIALS: ["query:key"] } },
  whole: { vars: { CREDENTIALS: ["authorization", "header:x-api-key", "query:key"] } },
  both: { vars: { CREDENTIALS: ["bearer", "authorization"] } },
}));
const { gates } = harness;

describe("a refusal names the configured sources:", () => {
  const rows = [
    ["gate", "`Authorization: Bearer <key>` or `X-Api-Key: <key>`", 'Bearer realm="api"'],
    ["header", "`Api-Key: <key>`", 'ApiKey realm="api", header="api-key"'],
    ["basic", "`X-Api-Key: <key>` or `Authorization: Basic base64(<key>:)`", 'Basic realm="api"'],
    ["whole", "`Authorization: <key>` or `X-Api-Key: <key>` or `?key=<key>`", 'ApiKey realm="api", header="authorization"'],
    ["query", "`?key=<key>`", 'ApiKey realm="api", query="key"'],
  ];
  for (const [name, sources, challenge] of rows) {
    test(name, async () => {
      const { key } = await harness.issue();
      for (const [headers, code, error] of [
        [{}, "credential_missing", ""],
        [{ Authorization: `Token ${key}` }, "credential_malformed", ', error="invalid_token"'],
      ]) {
        const answer = await gates[name].send({ target: "/v1/things", headers });
        assert.deepEqual([answer.status, answer.json.code], [401, code]);
        assert.ok(answer.json.detail.endsWith(` Send the API key as ${sources}.`), answer.json.detail);
        assert.equal(answer.header("www-authenticate"), challenge + error);
        assert.ok(!answer.text.includes(key));
      }
    });
  }
});

describe("a key is read from its source and stripped:", () => {
  const foreign = "of-the-origin";
  const rows = [
    ["authorization, as its whole value", "whole", (key) => ({ headers: { Authorization: key } })],
    ["authorization, with bearer configured too", "both", (key) => ({ headers: { Authorization: key } })],
    ["bearer, with authorization configured too", "both", (key) => ({ headers: { Authorization: `Bearer ${key}` } })],
    ["basic, as user name", "basic", (key) => ({ headers: { Authorization: basic(key, "") } })],
    ["basic, as user name with a password", "basic", (key) => ({ headers: { Authorization: basic(key, "x") } })],
    ["basic, as password", "basic", (key) => ({ headers: { Authorization: basic("api", key) } })],
    ["bearer, next to another value in X-API-Key", "gate", (key) => ({ key, headers: { "X-API-Key": foreign } })],
    ["a header, next to another value in the query", "whole", (key) => ({ target: `/v1/things?key=${foreign}&a=1`, headers: { "X-API-Key": key } })],
    ["a parameter, next to another value in a header", "whole", (key) => ({ target: `/v1/things?a=1&key=${key}`, headers: { "X-API-Key": foreign } })],
  ];
  for (const [name, gate, request] of rows) {
    test(name, async () => {
      const issued = await harness.issue();
      const { seen } = await assertAccepted(gates[gate], { target: "/v1/things?a=1", ...request(issued.key) }, issued);
      assert.equal(seen.url, "/v1/things?a=1");
      for (const header of ["authorization", "x-api-key"]) assert.deepEqual(valuesOf(seen, header), [], header);
    });
  }
});

test("two keys are ambiguous, in any two sources or as user name and password of basic", async () => {
  const [one, two] = [await harness.issue(), await harness.issue()];
  for (const [gate, headers] of [
    ["whole", { Authorization: one.key, "X-API-Key": two.key }],
    ["basic", { Authorization: basic(one.key, two.key) }],
    ["basic", { Authorization: basic(one.key, "x"), "X-API-Key": two.key }],
    ["gate", { Authorization: `Bearer ${one.key}`, "X-API-Key": `for-the-origin:${two.key}` }],
  ]) {
    await assertRefused(gates[gate], { target: "/v1/things", headers }, "credential_ambiguous");
  }
});
