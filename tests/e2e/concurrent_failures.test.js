// Failures with fifty requests in flight, of every kind of caller: each gets its documented answer, none is accepted because something
// failed, and the next request succeeds.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { gzipSync } from "node:zlib";

import { assertAccepted, assertRefusal } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { issue, makeKey } from "./support/keys.js";
import { eventually } from "./support/logs.js";
import { closedPort, valuesOf } from "./support/origin.js";

const breakGlass = issue({ subject: "operations" });
const OTHER_PEPPER = "another-pepper-0123456789-abcdefghijklmnopqrstuv";

/** Holders whose records no gate has read. */
let fresh;

const request = (who, holder, target = "/v1/x") => ({ target: `${target}?${who}`, key: holder?.key });

const closed = await closedPort();
const common = { kv: "scripted", secrets: { STATIC_KEYS: JSON.stringify([breakGlass.record]) } };
const withVars = (vars) => ({ ...common, vars: { CACHE_SECONDS: 3600, ...vars } });
const harness = await startGates(() => ({
  store: withVars({}),
  hasty: withVars({ KV_TIMEOUT_MS: 2000 }),
  origin: withVars({}),
  impatient: withVars({ ORIGIN_TIMEOUT_SECONDS: 1 }),
  orphan: withVars({ ORIGIN: closed }),
  unkeyed: { ...withVars({}), kv: "none" },
  unpeppered: { ...withVars({}), secrets: { ...common.secrets, PEPPER: undefined } },
  unrouted: withVars({ ORIGIN: undefined }),
}));
const { gates } = harness;
harness.watch(breakGlass.key);
/** A holder whose record the gates keep. */
const kept = await harness.issue({ subject: "kept" });
for (const name of ["store", "hasty", "origin", "impatient"]) await assertAccepted(gates[name], request("kept", kept), kept);
afterEach(() => {
  harness.store.clear();
  harness.origin.clear();
});

/** Fifty requests: each `[who, request, holder who may come through]`. */
async function crowd() {
  harness.origin.clear();
  harness.store.put(kept.record);
  fresh = await Promise.all(Array.from({ length: 15 }, (_, at) => harness.issue({ subject: `fresh-${at}` })));
  const rows = [
    ...fresh.map((holder) => ["fresh", request("fresh", holder), holder]),
    ...Array.from({ length: 10 }, () => ["unknown", request("unknown", makeKey())]),
    ...Array.from({ length: 5 }, () => ["forged", request("forged", makeKey({ pepper: OTHER_PEPPER }))]),
    ...Array.from({ length: 5 }, () => ["nobody", request("nobody")]),
    ...Array.from({ length: 5 }, () => ["kept", request("kept", kept), kept]),
    ...Array.from({ length: 5 }, () => ["static", request("static", breakGlass), breakGlass]),
    ...Array.from({ length: 5 }, () => ["public", request("public", undefined, "/public/x")]),
  ];
  assert.equal(rows.length, 50);
  return rows;
}

/** Holds what came back against `expected`, by kind of caller: a code of the contract, or 200. */
function assertAnswers(rows, answers, expected) {
  for (const [at, [who]] of rows.entries()) {
    if (expected[who] === 200) assert.deepEqual([answers[at].status, answers[at].header("x-origin")], [200, "yes"], `${who}: ${answers[at].text.slice(0, 300)}`);
    else assertRefusal(answers[at], expected[who]);
  }
}

/** Whatever reached the origin had a permit: on a public route, or as one of `holders`. */
function assertPermitted(holders) {
  const ids = new Set(holders.map(({ id }) => id));
  for (const seen of harness.origin.requests) {
    if (seen.url.startsWith("/public/")) assert.deepEqual(valuesOf(seen, "x-keygate-key-id"), []);
    else assert.ok(ids.has(valuesOf(seen, "x-keygate-key-id")[0]), `forwarded: ${seen.url} ${JSON.stringify(seen.headers)}`);
  }
}

const NO_STORE_NEEDED = { forged: "key_invalid", nobody: "credential_missing", kept: 200, static: 200, public: 200 };

describe("cases 30, 58: fifty requests in flight while the store", () => {
  const unavailable = { fresh: "key_store_unavailable", unknown: "key_store_unavailable" };
  const unreadable = { fresh: "key_record_invalid", unknown: "key_invalid" };
  const all = (make) => () => {
    for (const { id, record } of fresh) harness.store.entries.set(`key/${id}`, make(record));
  };
  const json = (change) => all((record) => JSON.stringify({ ...record, ...change }));
  const rows = [
    ["errors", "store", () => (harness.store.mode = "fail"), unavailable],
    ["hangs", "hasty", () => (harness.store.mode = "hang"), unavailable],
    ["resets its connections", "store", () => (harness.store.mode = "reset"), unavailable],
    ["holds bytes that are not UTF-8", "store", all(() => Buffer.from([0xff, 0x00, 0x80, 0xfe])), unreadable],
    ["holds compressed records", "store", all((record) => gzipSync(JSON.stringify(record))), unreadable],
    ["holds truncated JSON", "store", all((record) => JSON.stringify(record).slice(0, -3)), unreadable],
    ["holds records of wrong types", "store", json({ state: 1, scopes: {}, not_after: "never" }), unreadable],
    ["holds records of other keys", "store", json({ id: "AAAAAAAAAAAA" }), unreadable],
    ["holds 25 MiB for one of them and nothing for the others", "store", () => {
      for (const { id } of fresh) harness.store.entries.delete(`key/${id}`);
      harness.store.entries.set(`key/${fresh[0].id}`, JSON.stringify(fresh[0].record) + " ".repeat(25 * 1024 * 1024 - 1024));
    }, { fresh: "key_invalid", unknown: "key_invalid" }, ["key_record_invalid"]],
    ["has lost its records", "store", () => harness.store.entries.clear(), { fresh: "key_invalid", unknown: "key_invalid" }],
  ];
  for (const [name, gate, arrange, expected, [first] = []] of rows) {
    test(name, async () => {
      const callers = await crowd();
      arrange();
      const answers = await Promise.all(callers.map(([, sent]) => gates[gate].send(sent)));
      if (first) {
        assertRefusal(answers.shift(), first);
        callers.shift();
      }
      assertAnswers(callers, answers, { ...NO_STORE_NEEDED, ...expected });
      assertPermitted([kept, breakGlass]);
      assert.equal(harness.origin.requests.length, 15);
      // The store is whole again.
      harness.store.clear();
      for (const { record } of fresh) harness.store.put(record);
      for (const holder of fresh) await assertAccepted(gates[gate], request("after", holder), holder);
    });
  }
});

describe("case 61: fifty requests in flight while the origin", () => {
  const broken = (code) => ({ fresh: code, unknown: "key_invalid", forged: "key_invalid", nobody: "credential_missing", kept: code, static: code, public: code });
  const rows = [
    ["is down", "orphan", undefined, "origin_unreachable"],
    ["resets before it answers", "origin", (incoming) => incoming.socket.resetAndDestroy(), "origin_unreachable"],
    ["closes before it answers", "origin", (incoming) => incoming.socket.destroy(), "origin_unreachable"],
    ["answers with bytes that are not HTTP", "origin", (incoming) => incoming.socket.end("\x16\x03\x01 hello\r\n\r\n"), "origin_unreachable"],
    ["resets in the middle of its headers", "origin", (incoming) => incoming.socket.write("HTTP/1.1 200 OK\r\nX-Origin: y", () => incoming.socket.resetAndDestroy()), "origin_unreachable"],
    ["stalls", "impatient", () => new Promise(() => {}), "origin_timeout"],
  ];
  for (const [name, gate, answer, code] of rows) {
    test(name, async () => {
      const callers = await crowd();
      if (answer) harness.origin.clear(answer);
      const answers = await Promise.all(callers.map(([, sent]) => gates[gate].send(sent)));
      assertAnswers(callers, answers, broken(code));
      for (const { status, text } of answers) if (status >= 500) assert.doesNotMatch(text, /127\.0\.0\.1|ECONN|refused|reset|disconnect|socket/i);
      assertPermitted([...fresh, kept, breakGlass]);
      if (answer === undefined) return;
      harness.origin.clear();
      for (const holder of fresh) await assertAccepted(gates[gate], request("after", holder), holder);
    });
  }

  for (const [name, end] of [
    ["resets in the middle of its answers", (incoming) => incoming.socket.resetAndDestroy()],
    ["stalls in the middle of its answers, and then closes", (incoming) => setTimeout(() => incoming.socket.destroy(), 1500)],
  ]) {
    test(name, async () => {
      const callers = await crowd();
      harness.origin.clear((incoming, outgoing) => {
        outgoing.writeHead(200, { "content-length": 1000, "x-origin": "yes" });
        outgoing.write("half of it", () => end(incoming));
      });
      // The status has gone out by then: all that can be seen is that the answer is not whole.
      const outcomes = await Promise.allSettled(callers.map(([, sent]) => gates.impatient.send(sent)));
      for (const [at, [who]] of callers.entries()) {
        const { value } = outcomes[at];
        if (["unknown", "forged", "nobody"].includes(who)) assertRefusal(value, who === "nobody" ? "credential_missing" : "key_invalid");
        else assert.ok(value === undefined || value.status >= 500 || value.bytes.length < 1000, `${who} got a whole answer`);
      }
      assertPermitted([...fresh, kept, breakGlass]);
      harness.origin.clear();
      for (const holder of fresh) await assertAccepted(gates.impatient, request("after", holder), holder);
    });
  }

  test("is slow for some, the others are answered", async () => {
    const callers = await crowd();
    let release;
    const released = new Promise((resolve) => (release = resolve));
    harness.origin.clear(async (incoming, outgoing) => {
      if (incoming.url.endsWith("?static")) await released;
      outgoing.writeHead(200, { "x-origin": "yes" });
      outgoing.end();
    });
    const isSlow = ([who]) => who === "static";
    const slow = callers.filter(isSlow).map(([, sent]) => gates.origin.send(sent));
    await eventually(() => harness.origin.requests.length === slow.length, "the slow ones at the origin");
    const quick = callers.filter((row) => !isSlow(row));
    const answers = await Promise.all(quick.map(([, sent]) => gates.origin.send(sent)));
    assertAnswers(quick, answers, { fresh: 200, unknown: "key_invalid", forged: "key_invalid", nobody: "credential_missing", kept: 200, public: 200 });
    release();
    for (const answer of await Promise.all(slow)) assert.equal(answer.status, 200);
  });
});

describe("case 59: fifty requests in flight at a gate without", () => {
  for (const [name, gate] of [["its KV namespace", "unkeyed"], ["its pepper", "unpeppered"], ["its origin", "unrouted"]]) {
    test(name, async () => {
      const callers = await crowd();
      const answers = await Promise.all(callers.map(([, sent]) => gates[gate].send(sent)));
      for (const answer of answers) assertRefusal(answer, "gate_misconfigured");
      assert.equal(harness.origin.requests.length, 0);
    });
  }
});
