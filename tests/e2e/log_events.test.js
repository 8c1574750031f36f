// The log's published schema: every test's lines are checked against it (see Harness.stop). Here each kind of event is provoked
// once, so that the schema describes no event that the gate does not write.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { describe, test } from "node:test";

import { assertAccepted } from "./support/contract.js";
import { BREAKABLE_QUOTA, INSTANCE_ENDING, SETTABLE_CLOCK } from "./support/entry_modules.js";
import { startGates } from "./support/harness.js";
import { makeKey, now } from "./support/keys.js";
import { isDocumented, LOG_SCHEMA } from "./support/logs.js";
import { closedPort, valuesOf } from "./support/origin.js";
import { ROOT } from "./support/project.js";

const HOUR = 3600;
/** The kinds of events: `{ event, codes }`, from the schema. */
const KINDS = LOG_SCHEMA.oneOf.map(({ $ref }) => {
  const { event, code = {} } = LOG_SCHEMA.$defs[$ref.split("/").at(-1)].properties;
  return { event: event.const, codes: code.enum ?? [code.const].filter(Boolean) };
});
const EVENTS = new Set(KINDS.map(({ event }) => event));
const FIELDS = new Set(Object.values(LOG_SCHEMA.$defs).flatMap(({ properties = {} }) => Object.keys(properties)));
const CODES = new Set(KINDS.flatMap(({ codes }) => codes));

const closed = await closedPort();
const webhookTo = (WEBHOOK_URL) => ({ WEBHOOK_URL, WEBHOOK_SECRET: `whsec_${"k".repeat(44)}` });
const harness = await startGates(({ origin }) => ({
  gate: { vars: { PLANS: { free: { rate: { limiter: "FREE", period: 60 } }, counted: { quota: { limit: 1, period: "total" } } } }, limiters: { FREE: { limit: 1, period: 60 } }, quota: true },
  scripted: { kv: "scripted" },
  httpsOnly: { vars: { ALLOW_HTTP: undefined } },
  orphan: { vars: { ORIGIN: closed } },
  dav: { vars: { METHODS: ["GET", "HEAD", "MOVE"] } },
  impatient: { vars: { ORIGIN_TIMEOUT_SECONDS: 1 } },
  misconfigured: { vars: { ORIGIN: "" } },
  capped: { vars: { REJECTION_LOGS_PER_MINUTE: 5 }, entry: SETTABLE_CLOCK },
  panics: { entry: INSTANCE_ENDING },
  warned: { keyUsage: "control", controlEntry: BREAKABLE_QUOTA, controlSecrets: webhookTo(origin.url) },
  unheard: { keyUsage: "control", controlSecrets: webhookTo(closed) },
}));
const { gates } = harness;

describe("a line is refused by the schema when it", () => {
  const sound = {
    time: "2026-11-17T08:00:00.000Z", level: "warn", event: "authn_login_fail", code: "key_expired", reason: "the key expired at 1", status: 401,
    request_id: "8f1c", key_id: "4fTz0Qw9Lr2K", subject: "acme", method: "GET", path: "/v1", client_ip: "203.0.113.7", user_agent: "curl/8",
  };
  const line = (changes) => JSON.stringify({ ...sound, ...changes });
  const rows = [
    ["has an additional field", line({ key: "x" })],
    ["has no time", line({ time: undefined })],
    ["has a local time", line({ time: "2026-11-17T08:00:00.000+01:00" })],
    ["has a query", line({ path: "/v1?x=1" })],
    ["has another event's code", line({ code: "scope_missing" })],
    ["has another event's status", line({ status: 403 })],
    ["has another event's level", line({ level: "error" })],
    ["has an unknown event", line({ event: "authn_fail" })],
    ["has a key instead of its id", line({ key_id: makeKey().key })],
    ["has a line break", `${line({})}\n`],
    ["has more than ASCII", line({ user_agent: "é" })],
    ["has a reason that is too long", line({ reason: "x".repeat(5000) })],
    ["is not JSON", "hello"],
    ["is not an object", "1"],
  ];
  test("the unchanged line is accepted", () => assert.ok(isDocumented(line({}))));
  for (const [name, message] of rows) test(name, () => assert.ok(!isDocumented(message)));
});

/** Resets the connection in the middle of an upload. */
async function hangUp(gate, key) {
  const arrived = new Promise((resolve) => harness.origin.clear((incoming) => resolve(incoming.on("error", () => {}))));
  const socket = net.connect({ host: "127.0.0.1", port: Number(new URL(gate.url).port) });
  socket.write(`POST /v1/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\nContent-Length: 9\r\n\r\nhalf`);
  await arrived;
  socket.resetAndDestroy();
  await harness.logs.untilEvent(({ code }) => code === "client_disconnected");
}

test("cases 63, 66: exactly the events, codes and fields of the schema are written", async () => {
  const { gate } = gates;
  const use = async (fields, request, to = gate) => to.send({ target: "/v1/x", ...request, key: (await harness.issue(fields)).key });
  const { seen: forwarded } = await assertAccepted(gate, { target: "/public/x" });
  await gate.get("/public/x", { headers: { "Keygate-Via": valuesOf(forwarded, "keygate-via")[0] } });
  await gate.get("/public/x", { headers: { "Keygate-Via": Array(16).fill("fedcba9876543210").join() } });
  await gate.get("/v1/x", { headers: { "CF-Connecting-IP": "203.0.113.7", "User-Agent": "curl/8" } });
  await gate.get("/v1/x", { headers: { Authorization: `Token ${makeKey().key}` } });
  await gate.get("/v1/x", { key: makeKey().key });
  await gate.get("/v1%2fx");
  await gate.get("/v1/x", { headers: [["X-API-Key", "a"], ["X-API-Key", "b"]] });
  await gate.send({ method: "TRACE" });
  await gate.send({ method: "POST", target: "/v1/x?_method=TRACE" });
  await gates.dav.send({ method: "MOVE", headers: { Destination: "/admin" } });
  await gate.get("/closed");
  await use({ not_after: now() - HOUR });
  await use({ not_before: now() + HOUR });
  await use({ state: "disabled" });
  await use({ state: "revoked" });
  await use({ ips: ["203.0.113.0/24"] });
  await use({}, { target: "/admin" });
  await use({ subject: "other" }, { target: "/acme-only" });
  await gates.httpsOnly.get("/v1/x");
  await gates.misconfigured.get("/v1/x");
  const free = await harness.issue({ plan: "free" });
  // The limiter's window may turn in between.
  for (let n = 0, status; n < 10 && status !== 429; n++) ({ status } = await gate.get("/v1/x", { key: free.key }));
  const counted = await harness.issue({ subject: "counted", plan: "counted" });
  for (let n = 0; n < 2; n++) await gate.get("/v1/x", { key: counted.key });
  await use({ subject: "unbound", quota: { limit: 1, period: "day" } }, {}, gates.scripted);
  const broken = await harness.issue();
  harness.store.entries.set(`key/${broken.id}`, "{");
  await gates.scripted.get("/v1/x", { key: broken.key });
  harness.store.mode = "fail";
  await gates.scripted.get("/v1/x", { key: broken.key });
  harness.store.clear();
  const good = await harness.issue();
  await gates.orphan.get("/v1/x", { key: good.key });
  harness.origin.clear(() => new Promise(() => {}));
  await gates.impatient.get("/v1/x", { key: good.key });
  await hangUp(gate, good.key);
  harness.origin.clear();
  await gates.panics.get("/v1/x", { key: good.key, headers: { "X-Test-End": "panic" } });
  const minute = Math.ceil(now() / 60) * 60;
  for (const second of [minute, minute + 60]) {
    await gates.capped.setClock(second);
    for (let n = 0; n < 10; n++) await gates.capped.get("/v1/x");
  }
  // A key that expires soon is told.
  await harness.issue({ not_after: now() + HOUR });
  for (const name of ["warned", "unheard"]) assert.equal(await harness.cron(name), "ok");
  const quotas = await harness.runtime.getDurableObjectNamespace("QUOTA", "warned-usage");
  const unreadable = quotas.get(quotas.idFromName("broken"));
  await unreadable.fetch("https://quota/break");
  const request = { id: "a", needed: 1, wanted: 1, unused: [] };
  const body = JSON.stringify({ quota: { limit: 1, period: "day" }, request });
  assert.equal((await unreadable.fetch("https://quota/leases", { method: "POST", body })).status, 503);
  await harness.settle();
  const seen = harness.logs.events;
  assert.deepEqual(new Set(seen.map(({ event }) => event)), EVENTS);
  assert.deepEqual(new Set(seen.flatMap(({ code = [] }) => code)), CODES);
  assert.deepEqual(new Set(seen.flatMap((event) => Object.keys(event))), FIELDS);
});

test("the table in docs/log-events.md has the same events, levels and codes", async () => {
  const text = await readFile(path.join(ROOT, "docs", "log-events.md"), "utf8");
  const rows = [...text.matchAll(/^\| `(\w+)` \| (info|warn|error) \| [^|]* \|([^|]*)\| (yes|no) \|$/gm)];
  const table = new Map(rows.map(([, event, level, codes]) => [event, { level, codes: new Set(codes.match(/\w+/g) ?? []) }]));
  const expected = new Map([...EVENTS].map((event) => [event, { level: undefined, codes: new Set() }]));
  for (const { $ref } of LOG_SCHEMA.oneOf) {
    const { event, level, code = {} } = LOG_SCHEMA.$defs[$ref.split("/").at(-1)].properties;
    const row = expected.get(event.const);
    row.level = level.const;
    for (const name of code.enum ?? [code.const].filter(Boolean)) row.codes.add(name);
  }
  assert.deepEqual(table, expected);
});
