// Every code of the contract, and the ways that lead to it. Each row is held against the whole contract:
// status, headers, body, no call of the origin, exactly one log record.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { assertRefused, CONTRACT } from "./support/contract.js";
import { digestOf, makeKey, now, PEPPER, randomBase62, tagOf } from "./support/keys.js";
import { eventually } from "./support/logs.js";
import { closedPort } from "./support/origin.js";
import { boot } from "./support/world.js";

const ADDRESS = "203.0.113.7";
const DENIED = randomBase62(12);
const HOUR = 3600;

let world;
let gates;
/** The keys that the rows speak of; all belong to the subject `acme`. */
const keys = {};
before(async () => {
  const closed = await closedPort();
  world = await boot(() => ({
    gate: { secrets: { DENIED_IDS: ` ${DENIED}, ${randomBase62(12)}\n` } },
    scripted: { kv: "scripted", vars: { KV_TIMEOUT_MS: 10_000 } },
    hasty: { kv: "scripted", vars: { KV_TIMEOUT_MS: 100 } },
    limited: {
      vars: { PLANS: { free: { limiter: "FREE_LIMIT", period: 60 } } },
      limiters: { FREE_LIMIT: { limit: 2, period: 60 } },
    },
    httpsOnly: { vars: { ALLOW_HTTP: undefined } },
    orphan: { vars: { ORIGIN: closed } },
    impatient: { vars: { ORIGIN_TIMEOUT_SECONDS: 1 } },
    misconfigured: { vars: { KEY_PREFIX: "Not A Prefix" } },
  }));
  ({ gates } = world);
  const issued = {
    good: {},
    other: {},
    stranger: { subject: "stranger" },
    expired: { not_after: now() - 1 },
    early: { not_before: now() + HOUR },
    disabled: { state: "disabled" },
    revoked: { state: "revoked" },
    revokedAndExpired: { state: "revoked", not_after: now() - HOUR },
    homeOnly: { ips: ["203.0.113.0/29", "2001:db8::/32"] },
    elsewhere: { ips: ["198.51.100.0/24"] },
    free: { plan: "free" },
    oddPlan: { plan: "unheard-of" },
  };
  for (const [name, fields] of Object.entries(issued)) keys[name] = await world.issue(fields);
  const denied = makeKey({ id: DENIED });
  keys.denied = { ...denied, record: { ...keys.good.record, id: DENIED, digest: digestOf(PEPPER, denied.key) } };
  world.watch(denied.key);
  await world.put(keys.denied.record);
});
after(() => world?.stop());

/** Rows of `[what is sent, request, more]`; a request is a function, because keys are issued before the tests run. */
function refuses(code, rows, { gate = "gate" } = {}) {
  describe(`${code}:`, () => {
    for (const [name, request, { log, ...more } = {}] of rows) {
      test(name, async () => {
        const sent = { target: "/v1/things?secret=query", ...request() };
        const headers = Array.isArray(sent.headers) ? sent.headers : Object.entries(sent.headers ?? {});
        sent.headers = [["CF-Connecting-IP", ADDRESS], ["User-Agent", "e2e/1"], ...headers];
        const expected = { client_ip: ADDRESS, user_agent: "e2e/1", ...log?.() };
        await assertRefused(gates[more.gate ?? gate], sent, code, { ...more, log: expected });
      });
    }
  });
}

const bearer = (text) => () => ({ headers: { Authorization: text() } });
const withKey = (name, request = {}) => () => ({ key: keys[name].key, ...request });
/** Once the digest has matched, the log names the holder. */
const holder = (name, subject = "acme") => ({ log: () => ({ key_id: keys[name].id, subject }) });
const flipCase = (c) => (c === c.toUpperCase() ? c.toLowerCase() : c.toUpperCase());
const splice = (text, at, remove, insert = "") => text.slice(0, at) + insert + text.slice(at + remove);

refuses("credential_missing", [
  ["no credential", () => ({})],
  ["an empty Authorization", bearer(() => "")],
  ["Bearer without a token", bearer(() => "Bearer")],
  ["Bearer and blanks", bearer(() => "Bearer   ")],
  ["an empty X-API-Key", () => ({ headers: { "X-API-Key": "" } })],
  ["a blank X-API-Key", () => ({ headers: { "X-API-Key": "   " } })],
  ["Basic, which is not configured", bearer(() => "Basic dXNlcjpwYXNz")],
  ["a key by query, which is not configured", () => ({ target: `/v1/things?api_key=${makeKey().key}` })],
  ["a key in X_API_Key, which is another header", () => ({ headers: { X_API_Key: makeKey().key } })],
  ["a path that no route names", () => ({ target: "/nobody/knows" })],
]);

refuses("credential_ambiguous", [
  ["two lines of X-API-Key, good and bad", () => ({ headers: [["X-API-Key", keys.good.key], ["X-API-Key", "bad"]] })],
  ["two lines of X-API-Key, bad and good", () => ({ headers: [["X-API-Key", "bad"], ["X-API-Key", keys.good.key]] })],
  ["two lines of X-API-Key, the same key", () => ({ headers: [["X-API-Key", keys.good.key], ["x-api-key", keys.good.key]] })],
  ["two lines of Authorization", () => ({ headers: [["Authorization", `Bearer ${keys.good.key}`], ["Authorization", `Bearer ${keys.other.key}`]] })],
  ["two keys in one line of X-API-Key", () => ({ headers: { "X-API-Key": `${keys.good.key},${keys.other.key}` } })],
  ["two keys in one bearer token", bearer(() => `Bearer ${keys.good.key},bad`)],
  ["different keys by Bearer and X-API-Key", () => ({ key: keys.good.key, headers: { "X-API-Key": keys.other.key } })],
  ["a good key and garbage", () => ({ key: keys.good.key, headers: { "X-API-Key": "garbage" } })],
  ["a quoted key, which is no bearer token of ours but holds one", bearer(() => `Bearer "${keys.good.key}"`)],
  ["a key under an unknown scheme", bearer(() => `Beare ${keys.good.key}`)],
  ["a key inside a foreign Authorization, another by X-API-Key", () => ({ headers: { Authorization: `Custom ${keys.good.key}`, "X-API-Key": keys.other.key } })],
]);

const edits = {
  "one letter's case flipped": (key) => splice(key, 20, 1, flipCase(/[A-Za-z]/.test(key[20]) ? key[20] : "a")),
  "the first character of the id changed": (key) => splice(key, 10, 1, key[10] === "0" ? "1" : "0"),
  "the last character changed": (key) => splice(key, key.length - 1, 1, key.at(-1) === "0" ? "1" : "0"),
  "one character dropped": (key) => splice(key, 30, 1),
  "one character added": (key) => splice(key, 30, 0, "x"),
  "a character of no key": (key) => splice(key, 30, 1, "-"),
  "the prefix in upper case": (key) => key.replace("acme_live", "ACME_LIVE"),
  "the tag cut off": (key) => key.slice(0, -8),
  "a text after the key": (key) => `${key} x`,
};

refuses("key_invalid", [
  ...Object.entries(edits).map(([name, edit]) => [name, bearer(() => `Bearer ${edit(keys.good.key)}`)]),
  ["a prefix of another environment", () => ({ key: makeKey({ prefix: "acme_test" }).key })],
  ["a tag of another pepper", () => ({ key: makeKey({ pepper: `${PEPPER}-other` }).key })],
  ["a well-tagged key that nobody issued", () => ({ key: makeKey().key })],
  ["a well-tagged key with an issued id", () => ({ key: makeKey({ id: keys.good.id }).key })],
  ["a well-tagged key with a revoked id", () => ({ key: makeKey({ id: keys.revoked.id }).key })],
  ["a well-tagged key with a denied id", () => ({ key: makeKey({ id: DENIED }).key })],
  ["the stored digest", () => ({ key: keys.good.record.digest })],
  ["the stored digest by X-API-Key", () => ({ headers: { "X-API-Key": keys.good.record.digest } })],
  ["the id alone", () => ({ key: `acme_live_${keys.good.id}` })],
  ["an imported key, when they are not enabled", () => ({ headers: { "X-API-Key": "5f".repeat(32) } })],
  ["one byte over the cap", () => ({ headers: { "X-API-Key": "k".repeat(513) } })],
  ["16 KiB", () => ({ headers: { "X-API-Key": "k".repeat(16 * 1024) } })],
  ["100 KiB", () => ({ headers: { "X-API-Key": "k".repeat(100 * 1024) } })],
  ["bytes above 0x7f", () => ({ headers: { "X-API-Key": "\x80\xff" } })],
  ["an emoji in UTF-8", () => ({ headers: { "X-API-Key": Buffer.from("🔑").toString("latin1") } })],
  ["a method that could change something", () => ({ method: "POST", body: "x".repeat(1000), key: makeKey().key })],
]);

refuses("key_expired", [["a key past its end", withKey("expired"), holder("expired")]]);
refuses("key_not_yet_valid", [["a key before its beginning", withKey("early"), holder("early")]]);
refuses("key_disabled", [["a disabled key", withKey("disabled"), holder("disabled")]]);
refuses("key_revoked", [
  ["a revoked key", withKey("revoked"), holder("revoked")],
  ["a revoked key that has expired too", withKey("revokedAndExpired"), holder("revokedAndExpired")],
  ["a key on DENIED_IDS, though its record is active", withKey("denied"), { log: () => ({ key_id: DENIED }) }],
]);

refuses("ip_not_allowed", [
  ["an address outside the key's networks", withKey("elsewhere"), holder("elsewhere")],
  ["an address that only X-Forwarded-For claims", withKey("elsewhere", { headers: { "X-Forwarded-For": "198.51.100.1", "X-Real-IP": "198.51.100.1", Forwarded: "for=198.51.100.1" } }), holder("elsewhere")],
]);
refuses("scope_missing", [
  ["a key without the scope", withKey("good", { target: "/admin/users" }), holder("good")],
  ["at the route's own path", withKey("good", { target: "/admin" }), holder("good")],
]);
refuses("subject_not_allowed", [
  ["a holder that the route does not name", withKey("stranger", { target: "/acme-only/x" }), holder("stranger", "stranger")],
]);
refuses("route_denied", [
  ["a closed route, with a key", withKey("good", { target: "/closed/x" })],
  ["a closed route, without a key", () => ({ target: "/closed" })],
]);
refuses("https_required", [
  ["plain HTTP, with a key", withKey("good"), { gate: "httpsOnly" }],
  ["plain HTTP, without a key", () => ({}), { gate: "httpsOnly" }],
  ["plain HTTP on a public route", () => ({ target: "/public/x" }), { gate: "httpsOnly" }],
  ["plain HTTP that claims to be HTTPS", () => ({ headers: { "X-Forwarded-Proto": "https" } }), { gate: "httpsOnly" }],
  ["plain HTTP to a public name, though loopback is allowed", withKey("good", { headers: { Host: "api.example.com" } })],
]);
refuses("path_ambiguous", [
  ["an encoded slash", withKey("good", { target: "/public%2fadmin/x" })],
  ["an encoded slash, without a key", () => ({ target: "/v1%2Fthings" })],
]);

const ALL_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
refuses("method_not_allowed", [
  ["PROPFIND", withKey("good", { method: "PROPFIND" }), { allow: ALL_METHODS }],
  ["TRACE", withKey("good", { method: "TRACE" }), { allow: ALL_METHODS }],
  ["TRACE, without a key", () => ({ method: "TRACE" }), { allow: ALL_METHODS }],
  ["a method that the route does not list", withKey("good", { method: "POST", target: "/read-only/x" }), { allow: "GET, HEAD" }],
]);

describe("rate_limited:", () => {
  test("the request past the plan's limit is refused, and the holder is named", async () => {
    const request = () => gates.limited.get("/v1/things", { key: keys.free.key });
    assert.equal((await request()).status, 200);
    // Not a fixed number: the limiter's window may have turned in between.
    await eventually(async () => (await request()).status === 429, "the limit");
    const log = { key_id: keys.free.id, subject: "acme" };
    await assertRefused(gates.limited, { target: "/v1/things", key: keys.free.key }, "rate_limited", { log });
    const unlimited = await gates.limited.get("/v1/things", { key: keys.good.key });
    assert.equal(unlimited.status, 200, "a key without a plan is not limited");
  });
});

describe("key_store_unavailable:", () => {
  for (const mode of ["fail", "hang"]) {
    test(`a store that ${mode}s`, async () => {
      world.store.mode = mode;
      try {
        await assertRefused(gates.hasty, { target: "/v1/things", key: keys.good.key }, "key_store_unavailable");
      } finally {
        world.store.clear();
      }
    });
  }
});

describe("key_record_invalid:", () => {
  const broken = (change) => (record) => JSON.stringify({ ...record, ...change });
  const rows = {
    "no JSON": () => "{not json",
    "an empty value": () => "",
    "JSON null": () => "null",
    "an unknown field": broken({ allowed_hours: "9-17" }),
    "an unknown version": broken({ v: 2 }),
    "the version as text": broken({ v: "1" }),
    "another key's id": broken({ id: randomBase62(12) }),
    "an unknown state": broken({ state: "paused" }),
    "no subject": broken({ subject: undefined }),
    "a subject with a line break": broken({ subject: "acme\r\nX-Admin: 1" }),
    "a digest that is none": broken({ digest: "acme" }),
    "a digest of an unknown pepper": broken({ digest: `hs256.00000000.${"A".repeat(43)}` }),
    "a time as text": broken({ not_after: "1771776000" }),
    "a time as a fraction": broken({ not_after: 1771776000.5 }),
    "a negative time": broken({ not_after: -1 }),
    "a time in milliseconds": broken({ not_after: 1771776000000 }),
    "a time of 2^64": (record) => JSON.stringify(record).replace(/}$/, ',"not_after":18446744073709551616}'),
    "a field twice": (record) => JSON.stringify(record).replace(/}$/, ',"state":"active"}'),
    "text after the record": (record) => `${JSON.stringify(record)} {}`,
    "a scope with a space": broken({ scopes: ["a b"] }),
    "a network that is none": broken({ ips: ["203.0.113.0/33"] }),
    "25 MiB": (record) => JSON.stringify(record) + " ".repeat(25 * 1024 * 1024 - 1024),
  };
  for (const [name, value] of Object.entries(rows)) {
    test(name, async () => {
      const issued = await world.issue();
      world.store.entries.set(`key/${issued.id}`, value(issued.record));
      await assertRefused(gates.scripted, { target: "/v1/things", key: issued.key }, "key_record_invalid", {
        log: { key_id: issued.id },
      });
    });
  }

  test("a plan that PLANS does not name", async () => {
    await assertRefused(gates.limited, { target: "/v1/things", key: keys.oddPlan.key }, "key_record_invalid");
  });
});

refuses("gate_misconfigured", [
  ["a good key", withKey("good"), { gate: "misconfigured" }],
  ["no key", () => ({}), { gate: "misconfigured" }],
  ["a public route", () => ({ target: "/public/x" }), { gate: "misconfigured" }],
]);

test("origin_unreachable: an origin at which nobody listens, and nothing internal in the answer", async () => {
  const log = { key_id: keys.good.id, subject: "acme" };
  const request = { target: "/v1/things", key: keys.good.key };
  const { answer } = await assertRefused(gates.orphan, request, "origin_unreachable", { log });
  assert.doesNotMatch(answer.text, /127\.0\.0\.1|refused|connect/i);
});

test("origin_unreachable: an origin that resets the connection", async () => {
  await assertRefused(gates.gate, { target: "/v1/things", key: keys.good.key }, "origin_unreachable", {
    originAnswer: (request) => request.socket.resetAndDestroy(),
    log: { key_id: keys.good.id, subject: "acme" },
  });
});

test("origin_timeout: an origin that does not answer in time", async () => {
  await assertRefused(gates.impatient, { target: "/v1/things", key: keys.good.key }, "origin_timeout", {
    originAnswer: () => new Promise(() => {}),
    log: { key_id: keys.good.id, subject: "acme" },
  });
});

test("an address rule lets the addresses of its networks in, and refuses when the address is not known", async () => {
  const status = async (address) => {
    const headers = address === undefined ? {} : { "CF-Connecting-IP": address };
    return (await gates.gate.get("/v1/things", { key: keys.homeOnly.key, headers })).status;
  };
  const rows = [
    ["203.0.113.0", 200],
    ["203.0.113.7", 200],
    ["203.0.113.8", 403],
    ["203.0.112.255", 403],
    ["::ffff:203.0.113.7", 200],
    ["::ffff:203.0.113.8", 403],
    ["2001:db8::1", 200],
    ["2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 200],
    ["2001:db9::1", 403],
    ["garbage", 403],
    [undefined, 403],
  ];
  for (const [address, expected] of rows) assert.equal(await status(address), expected, String(address));
});

test("a key is good one second before its end and from its first second on", async () => {
  const soon = await world.issue({ not_after: now() + 60, not_before: now() - 1 });
  assert.equal((await gates.gate.get("/v1/things", { key: soon.key })).status, 200);
});

test("until the digest has matched, all answers are the same, byte for byte", async () => {
  const plain = ({ status, headers, text }) => {
    const requestId = JSON.parse(text).request_id;
    const kept = headers.filter(([name]) => name !== "date");
    return JSON.stringify([status, kept, text]).replaceAll(requestId, "ID");
  };
  const head = `acme_live_${randomBase62(12)}${randomBase62(30)}`;
  const sent = {
    malformed: "acme_live_short",
    "bad tag": head + (tagOf(PEPPER, head).startsWith("0") ? "1" : "0") + tagOf(PEPPER, head).slice(1),
    "unknown id": makeKey().key,
    "wrong digest": makeKey({ id: keys.good.id }).key,
    "wrong digest, revoked": makeKey({ id: keys.revoked.id }).key,
    "wrong digest, denied": makeKey({ id: DENIED }).key,
    "wrong digest, disabled": makeKey({ id: keys.disabled.id }).key,
  };
  const answers = new Map();
  for (const [name, key] of Object.entries(sent)) answers.set(name, plain(await gates.gate.get("/v1/things", { key })));
  for (const [name, answer] of answers) assert.equal(answer, answers.get("malformed"), name);
});

test("the contract's table has no code that this file does not provoke", async () => {
  await world.settle();
  const seen = new Set(world.logs.events.map((event) => event.code));
  for (const code of Object.keys(CONTRACT)) assert.ok(seen.has(code), code);
});
