// A gate with an incomplete or invalid configuration answers every request with 503, and a log line names what is wrong.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { issue, PEPPER } from "./support/keys.js";

const vars = (changes) => ({ vars: changes });
const secrets = (changes) => ({ secrets: changes });
const route = (fields) => vars({ ROUTES: [{ path: "/x", ...fields }] });
const breakGlass = issue();

/** `[what is wrong, overrides, what the log line names]`; in each the gate is otherwise in order. */
const FAULTS = [
  ["PEPPER is missing (case 59)", secrets({ PEPPER: undefined }), "PEPPER"],
  ["PEPPER is empty (cases 59, 60)", secrets({ PEPPER: "" }), "PEPPER"],
  ["PEPPER is too short", secrets({ PEPPER: "hunter2" }), "PEPPER"],
  ["PEPPER is not random", secrets({ PEPPER: "a".repeat(64) }), "PEPPER"],
  ["PEPPER is blank (case 60)", secrets({ PEPPER: " \n\t " }), "PEPPER"],
  ["PEPPER is a number (case 59)", secrets({ PEPPER: 12345 }), "PEPPER"],
  ["PEPPER is a boolean (case 59)", secrets({ PEPPER: true }), "PEPPER"],
  ["PEPPER_PREVIOUS is a number (case 59)", secrets({ PEPPER_PREVIOUS: 12345 }), "PEPPER_PREVIOUS"],
  ["PEPPER is an array of [vars] (case 59)", secrets({ PEPPER: [PEPPER] }), "PEPPER"],
  ["PEPPER is an object of [vars] (case 59)", secrets({ PEPPER: { secret: PEPPER } }), "PEPPER"],
  ["PEPPER_PREVIOUS is too short", secrets({ PEPPER_PREVIOUS: "hunter2" }), "PEPPER_PREVIOUS"],
  ["KEYS is not bound (case 59)", { kv: "none" }, "KEYS"],
  ["KEYS is a string", { kv: "none", vars: { KEYS: "a text" } }, "KEYS"],
  ["KEYS is an object whose get is not a function (case 59)", { kv: "none", vars: { KEYS: { get: "x" } } }, "KEYS"],
  ["USAGE is an object of [vars] (case 59)", vars({ USAGE: {} }), "USAGE is not an Analytics Engine dataset"],
  ["ROUTES is bound to a service (case 59)", { services: { ROUTES: "export default { fetch() {} };" } }, "ROUTES is a binding, not a variable"],
  ["STATIC_KEYS is an array of [vars] (case 59)", secrets({ STATIC_KEYS: [breakGlass.record] }), "STATIC_KEYS"],
  ["ORIGIN_AUTHORIZATION is empty (case 60)", secrets({ ORIGIN_AUTHORIZATION: "" }), "ORIGIN_AUTHORIZATION"],
  ["ORIGIN_AUTHORIZATION has a line break", secrets({ ORIGIN_AUTHORIZATION: "Bearer a\r\nX-Admin: 1" }), "ORIGIN_AUTHORIZATION"],
  ["ORIGIN is a number (case 59)", vars({ ORIGIN: 1 }), "ORIGIN"],
  ["ORIGIN is an array (case 59)", vars({ ORIGIN: ["https://api.example.com"] }), "ORIGIN"],
  ["ORIGIN has a password", vars({ ORIGIN: "https://user:hunter2@api.example.com" }), "ORIGIN"],
  ["ORIGIN is missing (case 59)", vars({ ORIGIN: undefined }), "ORIGIN"],
  ["ORIGIN is empty (case 59)", vars({ ORIGIN: "" }), "ORIGIN"],
  ["ORIGIN is plain HTTP to a public host", vars({ ORIGIN: "http://api.example.com", ALLOW_HTTP: undefined }), "ORIGIN"],
  ["ORIGIN is not a URL", vars({ ORIGIN: "api.example.com" }), "ORIGIN"],
  ["ORIGIN has a query", vars({ ORIGIN: "https://api.example.com/?x=1" }), "ORIGIN"],
  ["ORIGIN is a service that is not bound", vars({ ORIGIN: "service:NOWHERE" }), "NOWHERE"],
  ["KEY_PREFIX is missing", vars({ KEY_PREFIX: undefined }), "KEY_PREFIX"],
  ["KEY_PREFIX has a capital", vars({ KEY_PREFIX: "Acme" }), "KEY_PREFIX"],
  ["a variable is unknown", vars({ KEY_PREFFIX: "acme_live" }), "KEY_PREFFIX: is not a variable; do you mean KEY_PREFIX?"],
  ["a variable is in lower case", vars({ cache_seconds: 1 }), "do you mean CACHE_SECONDS?"],
  ["two letters of a variable's name are swapped", vars({ ROTUES: [] }), "do you mean ROUTES?"],
  ["a secret's name is mistyped", secrets({ DENIED_ID: "hunter2" }), "do you mean DENIED_IDS?"],
  ["CREDENTIALS is empty", vars({ CREDENTIALS: [] }), "CREDENTIALS"],
  ["CREDENTIALS has an unknown source", vars({ CREDENTIALS: ["cookie:key"] }), "cookie:key"],
  ["METHODS has TRACE", vars({ METHODS: ["GET", "TRACE"] }), "TRACE"],
  ["a route has no path", vars({ ROUTES: [{ access: "public" }] }), "path"],
  ["a route has an unknown field", route({ scope: ["admin"] }), "scope"],
  ["a route has an unknown access", route({ access: "open" }), "open"],
  ["a public route has scopes", route({ access: "public", scopes: ["admin"] }), "scopes"],
  ["a pattern has a dot segment", vars({ ROUTES: [{ path: "/a/../b" }] }), "/a/../b"],
  ["a pattern has a stray *", vars({ ROUTES: [{ path: "/a*/b" }] }), "/a*/b"],
  ["a pattern has a named parameter", vars({ ROUTES: [{ path: "/admin/:id" }] }), "write `%3A`"],
  ["a pattern has a parameter in braces", vars({ ROUTES: [{ path: "/users/{id}" }] }), "`*` is any one segment"],
  ["a pattern is a regular expression", vars({ ROUTES: [{ path: "/v[0-9]/x" }] }), "contains `[`"],
  ["a pattern has two stars", vars({ ROUTES: [{ path: "/a/**" }] }), "`*` is any one segment"],
  ["KEYS is bound to a Worker", { kv: "none", services: { KEYS: "export default { fetch() {} };" } }, "KEYS is not bound to a KV namespace"],
  ["USAGE is bound to a Worker", { services: { USAGE: "export default { fetch() {} };" } }, "USAGE is not an Analytics Engine dataset"],
  ["ROUTES is a string", vars({ ROUTES: "none" }), "ROUTES"],
  ["CACHE_SECONDS is negative", vars({ CACHE_SECONDS: -1 }), "CACHE_SECONDS"],
  ["KV_CACHE_TTL_SECONDS is below the platform's minimum", vars({ KV_CACHE_TTL_SECONDS: 10 }), "KV_CACHE_TTL_SECONDS"],
  ["a boolean is neither true nor false", vars({ IMPORTED_KEYS: "yes" }), "IMPORTED_KEYS"],
  ["CORS_ORIGINS has a path", vars({ CORS_ORIGINS: ["https://app.example.com/"] }), "CORS_ORIGINS"],
  ["a plan's limiter is not bound", vars({ PLANS: { free: { rate: { limiter: "NOWHERE", period: 60 } } } }), "NOWHERE"],
  ["STATIC_KEYS is not JSON", secrets({ STATIC_KEYS: "{" }), "STATIC_KEYS"],
  ["STATIC_KEYS is not an array", secrets({ STATIC_KEYS: JSON.stringify(breakGlass.record) }), "STATIC_KEYS"],
  ["STATIC_KEYS has an unknown field", secrets({ STATIC_KEYS: JSON.stringify([{ ...breakGlass.record, role: "root" }]) }), "role"],
  ["STATIC_KEYS has one id twice", secrets({ STATIC_KEYS: JSON.stringify([breakGlass.record, breakGlass.record]) }), "STATIC_KEYS"],
  ["DENIED_IDS has an invalid id", secrets({ DENIED_IDS: "not an id" }), "DENIED_IDS"],
];

/** Empty secrets that are the same as none. */
const EMPTY = [
  ["STATIC_KEYS is an empty array (case 60)", secrets({ STATIC_KEYS: "[]" })],
  ["DENIED_IDS is empty (case 60)", secrets({ DENIED_IDS: "" })],
  ["STATIC_KEYS is empty (case 60)", secrets({ STATIC_KEYS: "" })],
  ["STATIC_KEYS is blank (case 60)", secrets({ STATIC_KEYS: " \n" })],
  ["PEPPER_PREVIOUS is empty (case 60)", secrets({ PEPPER_PREVIOUS: "" })],
  ["DENIED_IDS is an empty array", secrets({ DENIED_IDS: "[]" })],
];

/** Every variable of these is wrong at once. */
const NUMBERS = ["CACHE_ENTRIES", "CACHE_SECONDS", "STALE_SECONDS", "KV_TIMEOUT_MS", "ORIGIN_TIMEOUT_SECONDS", "MAX_CONNECTION_SECONDS", "REJECTION_LOGS_PER_MINUTE"];
const SWITCHES = ["ALLOW_HTTP", "ALLOW_ENCODED_SLASH", "CASE_INSENSITIVE_PATHS", "FORMAT_EXTENSIONS", "IMPORTED_KEYS"];
const OTHERS = { ORIGIN: "", METHODS: ["TRACE"], CREDENTIALS: ["cookie:key"], PREFLIGHT: "never", REALM: "", ERROR_FORMAT: "xml" };
const wrong = {
  ...Object.fromEntries([...NUMBERS.map((name) => [name, -1]), ...SWITCHES.map((name) => [name, "perhaps"])]),
  ...{ KEY_PREFFIX: "acme_live", cache_ttl: 1, METHOD: "GET" },
  ...OTHERS,
};

const nameOf = (at) => `config-${at}`;

const harness = await startGates(() => ({
  texts: vars({ ALLOW_HTTP: "true", CACHE_SECONDS: "0", IMPORTED_KEYS: "false" }),
  broken: { vars: wrong, secrets: { PEPPER: "" } },
  ...Object.fromEntries([...FAULTS, ...EMPTY].map(([, overrides], at) => [nameOf(at), overrides])),
}));
const issued = await harness.issue();

describe("case 59: every request is refused, and the log names the fault, when", () => {
  for (const [at, [what, , named]] of FAULTS.entries()) {
    test(what, async () => {
      const gate = harness.gates[nameOf(at)];
      const { answer, record } = await assertRefused(gate, { target: "/v1/things", key: issued.key }, "gate_misconfigured");
      assert.ok(record.reason.includes(named), `the reason names ${named}: ${record.reason}`);
      // What is wrong is the operator's business; the caller learns only that something is.
      assert.ok(!answer.json.detail.includes(named));
      for (const secret of [PEPPER, "hunter2"]) assert.ok(!record.reason.includes(secret));
      await assertRefused(gate, { target: "/v1/things" }, "gate_misconfigured");
      await assertRefused(gate, { target: "/public/page" }, "gate_misconfigured");
    });
  }
});

describe("case 60: an empty secret accepts no credential, and valid keys work, when", () => {
  for (const [at, [what]] of EMPTY.entries()) {
    test(what, async () => {
      const gate = harness.gates[nameOf(FAULTS.length + at)];
      await assertRefused(gate, { target: "/v1/things" }, "credential_missing");
      await assertRefused(gate, { target: "/v1/things", headers: { "X-API-Key": "[]" } }, "key_invalid");
      await assertAccepted(gate, { target: "/v1/things", key: issued.key }, issued);
    });
  }
});

test("numbers and booleans may be strings, as the dashboard and --var make them", async () => {
  await assertAccepted(harness.gates.texts, { target: "/v1/things", key: issued.key }, issued);
});

test("one log line names all faults", async () => {
  const { record } = await assertRefused(harness.gates.broken, { target: "/v1/things" }, "gate_misconfigured");
  const names = [...NUMBERS, ...SWITCHES, ...Object.keys(OTHERS), "KEY_PREFFIX", "METHOD:", "TRACE", "secret PEPPER"];
  for (const named of names) assert.ok(record.reason.includes(named), `${named}: ${record.reason}`);
});
