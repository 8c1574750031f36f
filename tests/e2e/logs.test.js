// The log: one line of JSON for each event, whatever the client put into its request.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { makeKey } from "./support/keys.js";
import { boot } from "./support/world.js";

let world;
let gates;
let issued;
before(async () => {
  world = await boot(() => ({
    gate: {},
    capped: { vars: { REJECTION_LOGS_PER_MINUTE: 5 } },
    unsampled: { vars: { ACCESS_LOG_SAMPLE: 0 } },
    counted: { usage: true },
  }));
  ({ gates } = world);
  issued = await world.issue();
});
after(() => world?.stop());

describe("hostile text stays inside its line:", () => {
  const utf8 = (text) => Buffer.from(text).toString("latin1");
  const rows = [
    ["ANSI colours in User-Agent", { headers: { "User-Agent": "\x1b[31mred" } }],
    ["U+2028 in User-Agent", { headers: { "User-Agent": utf8("a\u2028b") } }],
    ["bidi marks in User-Agent", { headers: { "User-Agent": utf8("a\u202eb") } }],
    ["a JSON fragment in User-Agent", { headers: { "User-Agent": '"}\\n{"event":"forged"' } }],
    ["50 KB of User-Agent", { headers: { "User-Agent": "u".repeat(50_000) } }],
    ["line breaks in the path", { target: "/x%0d%0a%7B%22event%22:%22forged%22%7D" }, "path_ambiguous"],
    ["U+2028 in the path", { target: "/x%e2%80%a8y" }],
    ["10 KB of path", { target: `/${"p".repeat(10_000)}` }],
    ["an address that is none", { headers: { "CF-Connecting-IP": "1.2.3.4 forged" } }],
  ];
  for (const [name, request, code = "credential_missing"] of rows) {
    test(name, async () => {
      const { answer } = await assertRefused(gates.gate, { target: "/v1/things", ...request }, code);
      const lines = world.logs.entries.filter(({ message }) => message.includes(answer.json.request_id));
      assert.equal(lines.length, 1);
      const [{ message }] = lines;
      assert.match(message, /^[\x20-\x7e]*$/, "one line of visible ASCII");
      assert.ok(message.length < 4096, `${message.length} characters`);
    });
  }
});

describe("a key that stands where none belongs does not reach the log:", () => {
  const rows = [
    ["in the path", (key) => ({ target: `/v1/${key}` })],
    ["in User-Agent", (key) => ({ headers: { "User-Agent": key } })],
    ["in the query", (key) => ({ target: `/v1/things?key=${key}` })],
    ["in CF-Connecting-IP", (key) => ({ headers: { "CF-Connecting-IP": key } })],
  ];
  for (const [name, request] of rows) {
    test(name, async () => {
      const { key } = makeKey();
      await assertRefused(gates.gate, { target: "/v1/things", ...request(key) }, "credential_missing");
      const secret = key.slice(-38, -8);
      assert.ok(!world.logs.entries.some(({ message }) => message.includes(secret)));
    });
  }
});

test("request ids differ, and what the client claims as one is not used", async () => {
  const ids = new Set();
  for (let n = 0; n < 10; n++) {
    const { record } = await assertRefused(gates.gate, { target: "/v1/things", headers: { "X-Request-Id": "mine" } }, "credential_missing");
    ids.add(record.request_id);
  }
  assert.equal(ids.size, 10);
  assert.ok(!ids.has("mine"));
});

test("a flood of rejections is cut to the limit; every answer is still a 401", async () => {
  for (let n = 0; n < 40; n++) assert.equal((await gates.capped.get(`/flood/${n}`)).status, 401);
  await world.settle();
  const lines = world.logs.events.filter(({ path }) => path?.startsWith("/flood/"));
  // A minute may have turned in between: at most twice the limit.
  assert.ok(lines.length >= 5 && lines.length <= 10, `${lines.length} lines`);
});

test("accepted requests are one line each when no dataset is bound, and none where the sample is 0", async () => {
  for (const [gate, expected] of [["gate", 1], ["unsampled", 0], ["counted", 0]]) {
    const path = `/v1/access-of-${gate}`;
    await assertAccepted(gates[gate], { target: path, key: issued.key }, issued);
    await world.settle();
    assert.equal(world.logs.events.filter((event) => event.path === path).length, expected, gate);
  }
});
