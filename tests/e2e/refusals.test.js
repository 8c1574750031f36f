// Every code of the contract, and the ways that lead to it. Each row is checked against the whole contract:
// status, headers, body, no call of the origin, exactly one log record.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { assertAccepted, assertRefused, CONTRACT } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { digestOf, makeKey, now, PEPPER, randomBase62, tagOf } from "./support/keys.js";
import { eventually } from "./support/logs.js";
import { closedPort, valuesOf } from "./support/origin.js";

const utf8 = (text) => Buffer.from(text).toString("latin1");
const HIGH_BYTES = Array.from({ length: 128 }, (_, byte) => String.fromCharCode(0x80 + byte)).join("");
const ADDRESS = "203.0.113.7";
const DENIED = randomBase62(12);
const HOUR = 3600;

/** The keys that the rows speak of; all belong to the subject `acme`. */
const keys = {};

const closed = await closedPort();
const harness = await startGates(() => ({
  gate: { secrets: { DENIED_IDS: ` ${DENIED}, ${randomBase62(12)}\n` } },
  hasty: { kv: "scripted", vars: { KV_TIMEOUT_MS: 100 } },
  limited: {
    vars: { PLANS: { free: { rate: { limiter: "FREE_LIMIT", period: 60 } }, once: { quota: { limit: 1, period: "total" } } } },
    limiters: { FREE_LIMIT: { limit: 2, period: 60 } },
    quota: true,
  },
  httpsOnly: { vars: { ALLOW_HTTP: undefined } },
  orphan: { vars: { ORIGIN: closed } },
  impatient: { vars: { ORIGIN_TIMEOUT_SECONDS: 1 } },
  dav: { vars: { METHODS: ["GET", "HEAD", "MOVE"] } },
  misconfigured: { vars: { KEY_PREFIX: "Not A Prefix" } },
}));
const { gates } = harness;
await gates.gate.get("/public/page");
/** What `gate` marks its forwarded requests with. */
const [mark] = valuesOf(harness.origin.only, "keygate-via");
harness.origin.clear();
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
  once: { plan: "once" },
  ownQuota: { quota: { limit: 1, period: "day" } },
};
for (const [name, fields] of Object.entries(issued)) keys[name] = await harness.issue(fields);
const denied = makeKey({ id: DENIED });
keys.denied = { ...denied, record: { ...keys.good.record, id: DENIED, digest: digestOf(PEPPER, denied.key) } };
harness.watch(denied.key);
await harness.put(keys.denied.record);

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
  ["no credential (case 1)", () => ({})],
  ["an empty Authorization (case 3)", bearer(() => "")],
  ["Bearer without a token (case 5)", bearer(() => "Bearer")],
  ["Bearer and blanks", bearer(() => "Bearer   ")],
  ["an empty X-API-Key (case 3)", () => ({ headers: { "X-API-Key": "" } })],
  ["a blank X-API-Key (case 3)", () => ({ headers: { "X-API-Key": "   " } })],
  ["an X-API-Key of tabs (case 3)", () => ({ headers: { "X-API-Key": "\t \t" } })],
  ["an unknown scheme that holds no key (case 5)", bearer(() => "Beare k")],
  ["a scheme glued to its token (case 5)", bearer(() => "Bearerk")],
  ["a comma instead of a scheme (case 5)", bearer(() => ",")],
  ["Basic, which is not configured (case 6)", bearer(() => "Basic dXNlcjpwYXNz")],
  ["Digest (case 6)", bearer(() => 'Digest username="acme"')],
  ["Negotiate (case 6)", bearer(() => "Negotiate YII=")],
  ["a key by query, which is not configured (case 16)", () => ({ target: `/v1/things?api_key=${makeKey().key}` })],
  ["a key in X_API_Key, which is another header (case 10)", () => ({ headers: { X_API_Key: makeKey().key } })],
  ["a valid key in other spellings of X-API-Key (case 10)", () => ({ headers: Object.fromEntries(["X_Api_Key", "X-Api_Key", "XAPIKey", "X-API-Key-", "X.API.Key", "ApiKey"].map((name) => [name, keys.good.key])) })],
  ["a valid key in a cookie", () => ({ headers: { Cookie: `x-api-key=${keys.good.key}; Authorization=Bearer ${keys.good.key}` } })],
  ["a valid key in Proxy-Authorization", () => ({ headers: { "Proxy-Authorization": `Bearer ${keys.good.key}` } })],
  ["a valid key in a body", () => ({ method: "POST", body: `api_key=${keys.good.key}`, headers: { "Content-Type": "application/x-www-form-urlencoded" } })],
  ["a valid key in a WebSocket's protocol", () => ({ headers: { "Sec-WebSocket-Protocol": keys.good.key } })],
  ["a valid key in X-API-Key that Connection names", () => ({ headers: { Connection: "close, x-api-key", "X-API-Key": "" } })],
  ["a path that no route names", () => ({ target: "/nobody/knows" })],
]);

refuses("credential_ambiguous", [
  ["two lines of X-API-Key, valid and invalid (case 7)", () => ({ headers: [["X-API-Key", keys.good.key], ["X-API-Key", "bad"]] })],
  ["two lines of X-API-Key, invalid and valid (case 7)", () => ({ headers: [["X-API-Key", "bad"], ["X-API-Key", keys.good.key]] })],
  ["two lines of X-API-Key, the same key", () => ({ headers: [["X-API-Key", keys.good.key], ["x-api-key", keys.good.key]] })],
  ["two lines of Authorization", () => ({ headers: [["Authorization", `Bearer ${keys.good.key}`], ["Authorization", `Bearer ${keys.other.key}`]] })],
  ["valid,invalid in one line of X-API-Key (case 8)", () => ({ headers: { "X-API-Key": `${keys.good.key},bad` } })],
  ["two keys in one line of X-API-Key (case 8)", () => ({ headers: { "X-API-Key": `${keys.good.key},${keys.other.key}` } })],
  ["two keys in one bearer token (case 8)", bearer(() => `Bearer ${keys.good.key},bad`)],
  ["different keys by Bearer and X-API-Key (case 9)", () => ({ key: keys.good.key, headers: { "X-API-Key": keys.other.key } })],
  ["a valid key and a value that contains another", () => ({ key: keys.good.key, headers: { "X-API-Key": `x-${keys.other.key}` } })],
  ["a quoted key beside another key", () => ({ headers: { Authorization: `Bearer "${keys.good.key}"`, "X-API-Key": keys.other.key } })],
  ["a key inside another scheme's Authorization, and another by X-API-Key", () => ({ headers: { Authorization: `Custom ${keys.good.key}`, "X-API-Key": keys.other.key } })],
]);

const base64 = (text) => Buffer.from(text).toString("base64");
/** Each with a key that is valid and with one that nobody has: the answer does not tell them apart. */
const wrappers = [
  ["a scheme twice", "Authorization", (key) => `Bearer Bearer ${key}`, "after a scheme that is not accepted there"],
  ["a quoted key by Bearer", "Authorization", (key) => `Bearer "${key}"`, "in quotes"],
  ["a key without scheme", "Authorization", (key) => key, "without a scheme"],
  ["a key under an unknown scheme (case 5)", "Authorization", (key) => `Beare ${key}`, "after a scheme that is not accepted there"],
  ["a key under Token", "Authorization", (key) => `Token ${key}`, "after a scheme that is not accepted there"],
  ["a colon after Bearer", "Authorization", (key) => `Bearer: ${key}`, "after a scheme that is not accepted there"],
  ["a comma after the key by Bearer", "Authorization", (key) => `Bearer ${key},`, "that is followed by punctuation"],
  ["Basic, which is not configured, with a key", "Authorization", (key) => `Basic ${base64(`${key}:`)}`, "in a Basic credential that is not accepted"],
  ["Basic without padding", "Authorization", (key) => `Basic ${base64(`:${key}`).replace(/=+$/, "")}`, "in a Basic credential that is not accepted"],
  ["Bearer in X-API-Key", "X-API-Key", (key) => `Bearer ${key}`, "after a scheme that is not accepted there"],
  ["a quoted key by X-API-Key", "X-API-Key", (key) => `"${key}"`, "in quotes"],
  ["nothing after the comma (case 8)", "X-API-Key", (key) => `${key},`, "that is followed by punctuation"],
];
refuses(
  "credential_malformed",
  wrappers.flatMap(([name, header, wrap, how]) =>
    [["valid", () => keys.good.key], ["unknown", () => makeKey().key]].map(([which, key]) => [
      `${name}, ${which}`,
      () => ({ headers: { [header]: wrap(key()) } }),
      { log: () => ({ reason: `${header === "Authorization" ? header : "a credential header"} contains a key ${how}` }) },
    ]),
  ),
);

const edits = {
  "one letter's case flipped (case 13)": (key) => splice(key, 20, 1, flipCase(/[A-Za-z]/.test(key[20]) ? key[20] : "a")),
  "the first character of the id changed": (key) => splice(key, 10, 1, key[10] === "0" ? "1" : "0"),
  "the last character changed": (key) => splice(key, key.length - 1, 1, key.at(-1) === "0" ? "1" : "0"),
  "one character dropped (case 13)": (key) => splice(key, 30, 1),
  "one character added (case 13)": (key) => splice(key, 30, 0, "x"),
  "a character of no key": (key) => splice(key, 30, 1, "-"),
  "the prefix in upper case": (key) => key.replace("acme_live", "ACME_LIVE"),
  "the tag cut off (case 14)": (key) => key.slice(0, -8),
  "a text after the key (case 5)": (key) => `${key} x`,
};

refuses("key_invalid", [
  ...Object.entries(edits).map(([name, edit]) => [name, bearer(() => `Bearer ${edit(keys.good.key)}`)]),
  ["a prefix of another environment (case 14)", () => ({ key: makeKey({ prefix: "acme_test" }).key })],
  ["a tag of another pepper (case 14)", () => ({ key: makeKey({ pepper: `${PEPPER}-other` }).key })],
  ["a well-tagged key that nobody issued", () => ({ key: makeKey().key })],
  ["a well-tagged key with an issued id", () => ({ key: makeKey({ id: keys.good.id }).key })],
  ["a well-tagged key with a revoked id", () => ({ key: makeKey({ id: keys.revoked.id }).key })],
  ["a well-tagged key with a denied id", () => ({ key: makeKey({ id: DENIED }).key })],
  ["the stored digest (case 15)", () => ({ key: keys.good.record.digest })],
  ["the digest without its label (case 15)", () => ({ key: keys.good.record.digest.split(".").at(-1) })],
  ["the stored record (case 15)", () => ({ headers: { "X-API-Key": JSON.stringify(keys.good.record).replaceAll(",", ";") } })],
  ["the stored digest by X-API-Key (case 15)", () => ({ headers: { "X-API-Key": keys.good.record.digest } })],
  ["the id alone", () => ({ key: `acme_live_${keys.good.id}` })],
  ["an imported key, when they are not enabled (case 20)", () => ({ headers: { "X-API-Key": "5f".repeat(32) } })],
  ["one byte over the cap (case 12)", () => ({ headers: { "X-API-Key": "k".repeat(513) } })],
  ["16 KiB (case 12)", () => ({ headers: { "X-API-Key": "k".repeat(16 * 1024) } })],
  ["100 KiB (case 12)", () => ({ headers: { "X-API-Key": "k".repeat(100 * 1024) } })],
  ["100 KiB by Bearer (case 12)", bearer(() => `Bearer ${"k".repeat(100 * 1024)}`)],
  ["a valid key and 100 KiB more (case 12)", bearer(() => `Bearer ${keys.good.key}${"k".repeat(100 * 1024)}`)],
  ["a valid key, a comma and 100 KiB more (case 12)", () => ({ headers: { "X-API-Key": `${keys.good.key},${"k".repeat(100 * 1024)}` } })],
  ["bytes above 0x7f (case 11)", () => ({ headers: { "X-API-Key": "\x80\xff" } })],
  ["every byte above 0x7f (case 11)", () => ({ headers: { "X-API-Key": HIGH_BYTES } })],
  ["every byte above 0x7f by Bearer (case 11)", bearer(() => `Bearer ${HIGH_BYTES}`)],
  ["a valid key with a byte above 0x7f in it (case 11)", bearer(() => `Bearer ${splice(keys.good.key, 30, 1, "\xe9")}`)],
  ["a valid key in full-width letters (case 11)", bearer(() => `Bearer ${utf8([...keys.good.key].map((c) => (c === "_" ? c : String.fromCodePoint(c.charCodeAt() + 0xfee0))).join(""))}`)],
  ["a valid key with a Cyrillic e in its prefix (case 11)", bearer(() => `Bearer ${utf8(keys.good.key.replace("acme", "acm\u0435"))}`)],
  ["a valid key with an invisible character (case 11)", bearer(() => `Bearer ${utf8(splice(keys.good.key, 30, 0, "\u200b"))}`)],
  ["a valid key with a control character (case 11)", bearer(() => `Bearer ${splice(keys.good.key, 30, 0, "\x01")}`)],
  ["an emoji in UTF-8 (case 11)", () => ({ headers: { "X-API-Key": Buffer.from("🔑").toString("latin1") } })],
  ["a method that could change something", () => ({ method: "POST", body: "x".repeat(1000), key: makeKey().key })],
]);

refuses("key_expired", [["a key past its end (case 24)", withKey("expired"), holder("expired")]]);
refuses("key_not_yet_valid", [["a key before its beginning (case 25)", withKey("early"), holder("early")]]);
refuses("key_disabled", [["a disabled key (case 26)", withKey("disabled"), holder("disabled")]]);
refuses("key_revoked", [
  ["a revoked key (case 26)", withKey("revoked"), holder("revoked")],
  ["a revoked key that has expired too (case 27)", withKey("revokedAndExpired"), holder("revokedAndExpired")],
  ["a key on DENIED_IDS, though its record is active (case 26)", withKey("denied"), { log: () => ({ key_id: DENIED }) }],
]);

refuses("ip_not_allowed", [
  ["an address outside the key's networks", withKey("elsewhere"), holder("elsewhere")],
  ["an address that only X-Forwarded-For claims (case 33)", withKey("elsewhere", { headers: { "X-Forwarded-For": "198.51.100.1", "X-Real-IP": "198.51.100.1", Forwarded: "for=198.51.100.1" } }), holder("elsewhere")],
]);
refuses("scope_missing", [
  ["a key without the scope (case 31)", withKey("good", { target: "/admin/users" }), holder("good")],
  ["at the route's own path", withKey("good", { target: "/admin" }), holder("good")],
]);
refuses("subject_not_allowed", [
  ["a subject that the route does not name", withKey("stranger", { target: "/acme-only/x" }), holder("stranger", "stranger")],
]);
refuses("route_denied", [
  ["a closed route, with a key", withKey("good", { target: "/closed/x" })],
  ["a closed route, without a key", () => ({ target: "/closed" })],
]);
refuses("loop_detected", [
  ["a request that this gate has forwarded", () => ({ headers: { "Keygate-Via": `fedcba9876543210, ${mark}` } })],
  ["on a public route", () => ({ target: "/public/page", headers: { "Keygate-Via": mark } })],
  ["with a key", () => ({ key: keys.good.key, headers: { "Keygate-Via": mark } })],
]);
refuses("too_many_hops", [
  ["the marks of 16 other gates", () => ({ headers: { "Keygate-Via": Array(16).fill("fedcba9876543210").join() } })],
  ["on a public route, with a key", () => ({ target: "/public/page", key: keys.good.key, headers: { "Keygate-Via": Array(16).fill("fedcba9876543210").join() } })],
]);
refuses("https_required", [
  ["plain HTTP, with a key", withKey("good"), { gate: "httpsOnly" }],
  ["plain HTTP, without a key", () => ({}), { gate: "httpsOnly" }],
  ["plain HTTP on a public route", () => ({ target: "/public/x" }), { gate: "httpsOnly" }],
  ["plain HTTP that claims to be HTTPS (case 33)", () => ({ headers: { "X-Forwarded-Proto": "https" } }), { gate: "httpsOnly" }],
  ["plain HTTP to a public name, though loopback is allowed", withKey("good", { headers: { Host: "api.example.com" } })],
]);
refuses("path_ambiguous", [
  ["an encoded slash", withKey("good", { target: "/public%2fadmin/x" })],
  ["an encoded slash, without a key", () => ({ target: "/v1%2Fthings" })],
]);

refuses("method_ambiguous", [
  ["a method in the query that METHODS does not allow", withKey("good", { method: "POST", target: "/v1/things?_method=PROPFIND" })],
  ["a method in a header, without a key", () => ({ method: "POST", headers: { "X-HTTP-Method-Override": "PROPFIND" } })],
]);
refuses(
  "destination_not_allowed",
  [["a MOVE to where another rule holds", withKey("good", { method: "MOVE", headers: { Destination: "/admin/x" } })]],
  { gate: "dav" },
);

const ALL_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
refuses("method_not_allowed", [
  ["PROPFIND (case 51)", withKey("good", { method: "PROPFIND" }), { allow: ALL_METHODS }],
  ["TRACE (case 51)", withKey("good", { method: "TRACE" }), { allow: ALL_METHODS }],
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

test("quota_exceeded: the request past the limit of the plan's quota is refused, and the holder is named", async () => {
  await assertAccepted(gates.limited, { target: "/v1/things", key: keys.once.key }, keys.once);
  const log = { key_id: keys.once.id, subject: "acme" };
  await assertRefused(gates.limited, { target: "/v1/things", key: keys.once.key }, "quota_exceeded", { log });
});

test("quota_unavailable: a record has a quota, and nothing is bound that counts it", async () => {
  await assertRefused(gates.gate, { target: "/v1/things", key: keys.ownQuota.key }, "quota_unavailable");
});

describe("case 58: key_store_unavailable:", () => {
  for (const mode of ["fail", "hang"]) {
    test(`a store that ${mode}s`, async () => {
      harness.store.mode = mode;
      try {
        await assertRefused(gates.hasty, { target: "/v1/things", key: keys.good.key }, "key_store_unavailable");
      } finally {
        harness.store.clear();
      }
    });
  }
});

test("key_record_invalid: a plan that PLANS does not name", async () => {
  await assertRefused(gates.limited, { target: "/v1/things", key: keys.oddPlan.key }, "key_record_invalid");
});

test("case 13: a key with one letter in the other case, or two neighbours swapped, is refused", async () => {
  const { key } = keys.good;
  const wrong = new Set();
  for (let at = 0; at < key.length; at++) {
    wrong.add(splice(key, at, 1, flipCase(key[at])));
    wrong.add(key.slice(0, at) + key.slice(at, at + 2).split("").reverse().join("") + key.slice(at + 2));
  }
  wrong.delete(key);
  harness.origin.clear();
  const answers = await Promise.all([...wrong].map((text) => gates.gate.get("/v1/things", { key: text })));
  assert.ok(wrong.size > 80, `${wrong.size} keys`);
  assert.deepEqual(new Set(answers.map(({ status, json }) => `${status} ${json.code}`)), new Set(["401 key_invalid"]));
  assert.equal(harness.origin.requests.length, 0);
});

describe("case 11: each byte above 0x7f, alone as a credential, is refused without a panic:", () => {
  for (const place of ["Authorization", "X-API-Key"]) {
    test(place, async () => {
      harness.origin.clear();
      const answers = await Promise.all([...HIGH_BYTES].map((byte) => gates.gate.get("/v1/things", { headers: { [place]: place === "Authorization" ? `Bearer ${byte}` : byte } })));
      assert.deepEqual(new Set(answers.map(({ status, json }) => `${status} ${json.code}`)), new Set(["401 key_invalid"]));
      assert.equal(harness.origin.requests.length, 0);
    });
  }
});

describe("case 11: the runtime itself refuses a header with a forbidden byte:", () => {
  for (const [name, value] of [["NUL", "a\0b"], ["a lone line feed", "a\nb"], ["a lone carriage return", "a\rb"]]) {
    test(name, async () => {
      harness.origin.clear();
      for (const headers of [{ "X-API-Key": value }, { Authorization: `Bearer ${value}` }, { "X-API-Key": `${keys.good.key}${value}` }]) {
        const answer = await gates.gate.get("/v1/things", { headers });
        assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${answer.text.slice(0, 200)}`);
      }
      assert.equal(harness.origin.requests.length, 0);
    });
  }
});

describe("case 51: a method that METHODS does not allow never reaches the origin:", () => {
  for (const method of ["FOO", "get", "Get", "GETX", "TRACK", "PURGE", "LINK", "M-SEARCH", "GET/", "\xc7ET"]) {
    test(JSON.stringify(method), async () => {
      harness.origin.clear();
      const answer = await gates.gate.send({ method, target: "/v1/things", key: keys.good.key });
      // The runtime refuses names that it does not know with an answer of its own.
      assert.ok([400, 405, 501].includes(answer.status), `${answer.status} ${answer.text.slice(0, 200)}`);
      assert.equal(harness.origin.requests.length, 0);
    });
  }
});

test("case 48: HEAD is checked as GET is, and its refusal has no body", async () => {
  for (const [request, status] of [
    [{ target: "/v1/things" }, 401],
    [{ target: "/admin/x", key: keys.good.key }, 403],
    [{ target: "/closed/x", key: keys.good.key }, 403],
    [{ target: "/read-only/x", key: keys.good.key }, 200],
    [{ target: "/v1%2fx", key: keys.good.key }, 400],
  ]) {
    harness.origin.clear();
    const answer = await gates.gate.send({ method: "HEAD", ...request });
    assert.equal(answer.status, status);
    assert.equal(harness.origin.requests.length, status === 200 ? 1 : 0);
  }
});

refuses("gate_misconfigured", [
  ["a valid key", withKey("good"), { gate: "misconfigured" }],
  ["no key", () => ({}), { gate: "misconfigured" }],
  ["a public route", () => ({ target: "/public/x" }), { gate: "misconfigured" }],
]);

test("case 61: origin_unreachable: an origin at which nobody listens; the answer has no internal detail", async () => {
  const log = { key_id: keys.good.id, subject: "acme" };
  const request = { target: "/v1/things", key: keys.good.key };
  const { answer } = await assertRefused(gates.orphan, request, "origin_unreachable", { log });
  assert.doesNotMatch(answer.text, /127\.0\.0\.1|refused|connect/i);
});

test("case 61: origin_unreachable: an origin that resets the connection", async () => {
  await assertRefused(gates.gate, { target: "/v1/things", key: keys.good.key }, "origin_unreachable", {
    originAnswer: (request) => request.socket.resetAndDestroy(),
    log: { key_id: keys.good.id, subject: "acme" },
  });
});

test("case 61: origin_timeout: an origin that does not answer in time", async () => {
  await assertRefused(gates.impatient, { target: "/v1/things", key: keys.good.key }, "origin_timeout", {
    originAnswer: () => new Promise(() => {}),
    log: { key_id: keys.good.id, subject: "acme" },
  });
});

test("case 32: an address list accepts the addresses of its networks, and refuses an unknown address", async () => {
  const status = async (address) => {
    const headers = address === undefined ? {} : { "CF-Connecting-IP": address };
    return (await gates.gate.get("/v1/things", { key: keys.homeOnly.key, headers })).status;
  };
  const rows = [
    ["203.0.113.0", 200],
    ["203.0.113.7, 198.51.100.1", 403],
    ["198.51.100.1, 203.0.113.7", 403],
    [" 203.0.113.7 ", 200],
    ["203.0.113.7:443", 403],
    ["0203.0.113.7", 403],
    ["203.0.113.07", 403],
    ["0xcb.0.113.7", 403],
    ["3405803783", 403],
    ["203.0.113", 403],
    ["203.0.113.7%eth0", 403],
    ["::203.0.113.7", 403],
    ["::ffff:0:203.0.113.7", 403],
    ["64:ff9b::203.0.113.7", 403],
    ["0:0:0:0:0:ffff:cb00:7107", 200],
    ["[2001:db8::1]", 403],
    ["2001:db8::", 200],
    ["2001:DB8::1", 200],
    ["2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", 403],
    ["2001:db8::1%1", 403],
    ["", 403],
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

test("a key is valid one second before its expiry, and from not_before on", async () => {
  const soon = await harness.issue({ not_after: now() + 60, not_before: now() - 1 });
  assert.equal((await gates.gate.get("/v1/things", { key: soon.key })).status, 200);
});

test("case 21: until the digest has matched, all answers are the same, byte for byte", async () => {
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
    "wrong digest, expired": makeKey({ id: keys.expired.id }).key,
    "wrong digest, not yet valid": makeKey({ id: keys.early.id }).key,
    "wrong digest, from elsewhere": makeKey({ id: keys.elsewhere.id }).key,
    "wrong digest, of an unknown plan": makeKey({ id: keys.oddPlan.id }).key,
  };
  const answers = new Map();
  for (const [name, key] of Object.entries(sent)) answers.set(name, plain(await gates.gate.get("/v1/things", { key })));
  for (const [name, answer] of answers) assert.equal(answer, answers.get("malformed"), name);
});

test("cases 57, 63: this file provokes every code of the contract", async () => {
  await harness.settle();
  const seen = new Set(harness.logs.events.map((event) => event.code));
  for (const code of Object.keys(CONTRACT)) assert.ok(seen.has(code), code);
});
