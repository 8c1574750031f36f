// CREDENTIALS: what a client is told about the configured sources, and what each source reads.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { boot } from "./support/world.js";

let world;
let gates;
before(async () => {
  world = await boot(() => ({
    gate: {},
    header: { vars: { CREDENTIALS: ["header:api-key"] } },
    basic: { vars: { CREDENTIALS: ["basic", "header:x-api-key"] } },
    query: { vars: { CREDENTIALS: ["query:key"] } },
  }));
  ({ gates } = world);
});
after(() => world?.stop());

describe("a refusal names the configured sources:", () => {
  const rows = [
    ["gate", "`Authorization: Bearer <key>` or `X-Api-Key: <key>`", 'Bearer realm="api"'],
    ["header", "`Api-Key: <key>`", 'ApiKey realm="api", header="api-key"'],
    ["basic", "`X-Api-Key: <key>` or `Authorization: Basic base64(<key>:)`", 'Basic realm="api"'],
    ["query", "`?key=<key>`", 'ApiKey realm="api", query="key"'],
  ];
  for (const [name, sources, challenge] of rows) {
    test(name, async () => {
      const { key } = await world.issue();
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
