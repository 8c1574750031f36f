// The control Worker's cron: one signed webhook a day about keys that expire soon, are not used, or are used unusually.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { after, describe, test } from "node:test";

import { CONTROL_CLOCK, CONTROL_ENDING } from "./support/entry_modules.js";
import { startGates } from "./support/harness.js";
import { issue, now } from "./support/keys.js";
import { eventually } from "./support/logs.js";
import { closedPort } from "./support/origin.js";
import { run } from "./support/program.js";
import { ROOT } from "./support/project.js";
import { pythonWithPackages } from "./support/python.js";

const DAY = 86_400;
const SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/** Keeps each webhook by its path, and answers with the statuses that are left for it, then with 204. */
class Receiver {
  webhooks = [];
  answers = {};
  #server = http.createServer(async (request, response) => {
    const chunks = await request.toArray();
    const name = request.url.slice(1);
    this.webhooks.push({ name, method: request.method, headers: request.headers, text: Buffer.concat(chunks).toString() });
    const status = this.answers[name]?.shift() ?? 204;
    response.writeHead(status, status === 302 ? { location: "/elsewhere" } : {}).end();
  });

  async start() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    after(() => this.#server.close() && this.#server.closeAllConnections());
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
  }

  of(name) {
    return this.webhooks.filter((webhook) => webhook.name === name);
  }
}

const receiver = new Receiver();
await receiver.start();
const to = (name, more) => ({
  keyUsage: "control",
  controlSecrets: { WEBHOOK_URL: `${receiver.url}/${name}`, WEBHOOK_SECRET: SECRET, ...more },
});
const closed = await closedPort();

const harness = await startGates(() => ({
  telling: to("telling", { EXPIRY_WARNING_DAYS: 20, UNUSED_WARNING_DAYS: 30, GATE_NAME: "production" }),
  unread: to("unread", { EXPIRY_WARNING_DAYS: 0 }),
  quiet: to("quiet", { EXPIRY_WARNING_DAYS: 0 }),
  failing: to("failing"),
  limiting: to("limiting"),
  refusing: to("refusing"),
  redirecting: to("redirecting"),
  daily: { ...to("daily"), controlEntry: CONTROL_CLOCK },
  ending: { ...to("ending"), controlEntry: CONTROL_ENDING },
  off: to("off", { WEBHOOK_URL: "" }),
  unsigned: to("unsigned", { WEBHOOK_SECRET: "" }),
  plain: to("plain", { ALLOW_HTTP: "false" }),
  wrong: to("wrong", { EXPIRY_WARNING_DAYS: "two weeks" }),
  unreachable: { ...to("unreachable"), controlSecrets: { WEBHOOK_URL: `${closed}/secret-path`, WEBHOOK_SECRET: SECRET } },
}));

/** Stores a key's record, with the metadata that `keygate` writes. */
async function store(fields) {
  const { id, record } = issue(fields);
  const { subject, name, state, created, not_after = null } = record;
  const metadata = { subject, name, state, created, not_after, scopes: [], rev: 1 };
  await (await harness.kv()).put(`key/${id}`, JSON.stringify(record), { metadata });
  return record;
}

const old = now() - 100 * DAY;
const soon = await store({ subject: "globex", name: "Globex ✓", not_after: now() + 5 * DAY });
// Without metadata, as other programs write it.
const { record: bare } = await harness.issue({ not_after: now() + 6 * DAY });
const later = await store({ not_after: now() + 25 * DAY });
const idle = await store({ subject: "initech", created: old });
const never = await store({ created: old });
const busy = await store({ created: old });
const untold = {
  later,
  fresh: await store({}),
  expired: await store({ not_after: now() - DAY, created: old }),
  revoked: await store({ not_after: now() + 5 * DAY, state: "revoked", created: old }),
  disabled: await store({ not_after: now() + 5 * DAY, state: "disabled", created: old }),
};
const INVALID = "key/0000000000ZZ";
await (await harness.kv()).put(INVALID, "no record");

/** The gate's log lines about webhooks since the last call. */
let read = 0;
async function lines() {
  await harness.settle();
  const events = harness.logs.events.filter(({ event }) => event.startsWith("sys_webhook"));
  return events.slice(read, (read = events.length));
}

async function cron(name) {
  assert.equal(await harness.cron(name), "ok");
  return lines();
}

/** Runs the Python of docs/warnings.md on a webhook. */
async function verified({ text, headers }) {
  const document = await readFile(path.join(ROOT, "docs", "warnings.md"), "utf8");
  const [, snippet] = /```python\n([\s\S]*?)```/.exec(document);
  const program = `${snippet}
import json, sys
headers, body = json.load(sys.stdin)
print(json.dumps(read_warnings(body, headers)))
`;
  const env = { ...process.env, WEBHOOK_SECRET: SECRET };
  const { status, stdout, stderr } = await run(await pythonWithPackages(), ["-c", program], { env, input: JSON.stringify([headers, text]) });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

describe("what is told", () => {
  test("keys that expire soon or were not used, and what is unusual", async () => {
    const hour = Math.floor(now() / 3600);
    const used = (days) => ({ last: { accepted: (hour - days * 24) * 3600 }, hours: { [hour - days * 24]: { accepted: 5 } } });
    const usage = { keys: { [idle.id]: used(40), [busy.id]: used(50) } };
    usage.keys[busy.id].hours[hour - 10 * 24] = { accepted: 200 };
    usage.keys[busy.id].hours[hour] = { accepted: 900 };
    usage.keys[busy.id].last.accepted = hour * 3600;
    const batch = JSON.stringify({ id: randomUUID(), made: now(), usage });
    const stored = await (await harness.usage("telling")).fetch("https://usage/batches", { method: "POST", body: batch });
    assert.equal(stored.status, 204);

    const [line] = await cron("telling");
    assert.deepEqual([line.event, line.reason], ["sys_webhook", "attempt 1: the receiver answered 204"]);
    const [webhook, ...others] = receiver.of("telling");
    assert.deepEqual(others, []);
    assert.deepEqual([webhook.method, webhook.headers["content-type"]], ["POST", "application/json"]);
    const told = JSON.parse(webhook.text);
    const expires = ({ id, subject, name, not_after }) => ({ id, subject, name, expires: not_after });
    const unused = ({ id, subject, name }, last_used) => ({ id, subject, name, last_used });
    const [{ days, ...anomaly }] = told.anomalies;
    assert.ok(days >= 9, `${days} days`);
    assert.deepEqual({ ...told, anomalies: [anomaly] }, {
      type: "keygate.warnings",
      day: new Date().toISOString().slice(0, 10),
      gate: "production",
      expiring: [expires(soon), expires(bare)],
      unused: [unused(never, null), unused(idle, (hour - 40 * 24) * 3600)],
      anomalies: [{ id: busy.id, kind: "volume", requests: 900, most_before: 200 }],
      more: { expiring: 0, unused: 0, anomalies: 0, unread: 1 },
    });
    for (const { id } of Object.values(untold)) assert.ok(!webhook.text.includes(id));
    assert.deepEqual(await verified(webhook), told);
    const changed = { ...webhook, text: webhook.text.replace("production", "staging") };
    await assert.rejects(verified(changed), /WebhookVerificationError/);
  });

  test("keys that cannot be read, also if there is nothing else", async () => {
    const [line] = await cron("unread");
    assert.deepEqual([line.event, line.reason], ["sys_webhook", "attempt 1: the receiver answered 204"]);
    const [{ text }] = receiver.of("unread");
    const { expiring, unused, anomalies, more } = JSON.parse(text);
    assert.deepEqual([expiring, unused, anomalies, more.unread], [[], [], [], 1]);
  });

  test("nothing, if there is nothing to tell, and once a day", async () => {
    await (await harness.kv()).delete(INVALID);
    const [line] = await cron("quiet");
    assert.deepEqual([line.event, line.reason], ["sys_webhook", "attempt 1: there is nothing to tell"]);
    assert.deepEqual(await cron("quiet"), []);
    assert.deepEqual(receiver.of("quiet"), []);
  });
});

describe("a webhook is sent until it is taken:", () => {
  /** All webhooks of a gate have one id and one body, and each has a signature that is right. */
  async function assertSame(webhooks, count) {
    assert.equal(webhooks.length, count);
    const one = ({ text, headers }) => [text, headers["webhook-id"]];
    for (const webhook of webhooks) {
      assert.deepEqual(one(webhook), one(webhooks[0]));
      await verified(webhook);
    }
    return webhooks[0].headers["webhook-id"];
  }

  test("after a 500 it comes again by itself, and not after that", async () => {
    receiver.answers.failing = [500];
    const [line] = await cron("failing");
    assert.deepEqual([line.event, line.status], ["sys_webhook_fail", 500]);
    assert.match(line.reason, /^attempt 1: the receiver answered 500; the next one is at \d{4}-.*Z$/);
    await eventually(() => receiver.of("failing").length === 2, "the second attempt");
    await eventually(async () => (await lines()).some(({ event }) => event === "sys_webhook"), "its line");
    assert.deepEqual(await cron("failing"), []);
    await assertSame(receiver.of("failing"), 2);
  });

  test("after 429 and 408 the next cron sends it at once", async () => {
    receiver.answers.limiting = [429, 408];
    const statuses = [];
    for (let count = 0; count < 4; count += 1) statuses.push((await cron("limiting")).map(({ event, status }) => status ?? event));
    assert.deepEqual(statuses, [[429], [408], ["sys_webhook"], []]);
    await assertSame(receiver.of("limiting"), 3);
  });

  for (const [name, status] of [["refusing", 410], ["redirecting", 302]]) {
    test(`a ${status} ends it for this day, and is not followed`, async () => {
      receiver.answers[name] = [status];
      const [line] = await cron(name);
      assert.deepEqual([line.event, line.status], ["sys_webhook_fail", status]);
      assert.match(line.reason, /there is no other one on this day$/);
      assert.deepEqual(await cron(name), []);
      await assertSame(receiver.of(name), 1);
      assert.deepEqual(receiver.of("elsewhere"), []);
    });
  }

  test("each day has a webhook of its own", async () => {
    const midnight = Math.ceil(now() / DAY) * DAY;
    const days = [];
    for (const seconds of [midnight - 100, midnight + 100, midnight + 1000]) {
      await harness.control("daily", "/", { headers: { "X-Test-Clock": String(seconds) } });
      await cron("daily");
      days.push(...receiver.of("daily").slice(days.length));
    }
    assert.equal(days.length, 2);
    const [first, second] = days.map(({ text, headers }) => [JSON.parse(text).day, headers["webhook-id"]]);
    assert.equal(first[0], new Date((midnight - 1) * 1000).toISOString().slice(0, 10));
    assert.equal(second[0], new Date(midnight * 1000).toISOString().slice(0, 10));
    assert.notEqual(first[1], second[1]);
  });

  test("the instance ends in the cron: the next one sends it", async () => {
    await harness.control("ending", "/", { headers: { "X-Test-End": "now" } });
    assert.equal(await harness.cron("ending"), "exception");
    await harness.settle();
    assert.ok(harness.logs.events.some(({ event }) => event === "sys_crash"), "the instance has not ended");
    assert.deepEqual(receiver.of("ending"), []);
    await cron("ending");
    await assertSame(receiver.of("ending"), 1);
  });
});

describe("a configuration that is invalid is a line in the log:", () => {
  for (const [name, reason] of [
    ["unsigned", /^secret WEBHOOK_SECRET is missing; /],
    ["plain", /^variable WEBHOOK_URL is not `https:/],
    ["wrong", /^variable EXPIRY_WARNING_DAYS is not a number of days from 0 to 365$/],
    ["unreachable", /^attempt 1: the receiver did not answer: (?!.*secret-path).*; the next one is at /],
  ]) {
    test(name, async () => {
      const [line, ...others] = await cron(name);
      assert.deepEqual([line.event, others], ["sys_webhook_fail", []]);
      assert.match(line.reason, reason);
      assert.deepEqual(receiver.of(name), []);
    });
  }

  test("without WEBHOOK_URL nothing is sent, and nothing is logged", async () => {
    assert.deepEqual(await cron("off"), []);
    assert.deepEqual(receiver.of("off"), []);
  });
});
