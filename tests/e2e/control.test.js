// The control Worker: what operators are told, and what happens to counts when its instance ends.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { BREAKABLE_QUOTA, CONTROL_ENDING } from "./support/entry_modules.js";
import { startGates } from "./support/harness.js";
import { issue, PEPPER } from "./support/keys.js";

const WITHIN_MS = 120_000;

const admin = (fields, options) => issue(fields, { prefix: "acme_admin", ...options });
const reader = admin({ subject: "ops", scopes: ["admin:read"] });
const others = {
  "another scope": [admin({ subject: "ops", scopes: ["admin:write"] }), 403, "scope_missing"],
  "an expired key": [admin({ scopes: ["admin:read"], not_after: 1_700_000_000, created: 1_600_000_000 }), 401, "key_expired"],
  "a revoked key": [admin({ scopes: ["admin:read"], state: "revoked" }), 401, "key_revoked"],
};
const stranger = admin({ scopes: ["admin:read"] });
const ADMIN_KEYS = JSON.stringify([reader, ...Object.values(others).map(([key]) => key)].map(({ record }) => record));

const harness = await startGates(() => ({
  asked: { keyUsage: "control", controlSecrets: { PEPPER, ADMIN_KEYS }, controlEntry: BREAKABLE_QUOTA },
  unready: { keyUsage: "control", controlSecrets: { PEPPER } },
  ending: { keyUsage: "control", controlSecrets: { PEPPER, ADMIN_KEYS }, controlEntry: CONTROL_ENDING },
}));
for (const { key } of [reader, stranger]) harness.watch(key);
const { gates } = harness;
const acme = await harness.issue({ subject: "acme" });

const ask = (target, options, gate = "asked") => harness.control(gate, target, options);
const json = (answer) => JSON.parse(answer.text);

/** Waits until the control Worker of a gate has this many accepted requests of a key, and returns its report. */
async function reportOf(gate, id, accepted) {
  const end = Date.now() + WITHIN_MS;
  for (;;) {
    const report = json(await ask(`/v1/usage?keys=${id}&by=hour`, { key: reader.key }, gate));
    if (report.keys?.[0]?.accepted === accepted) return report;
    if (Date.now() > end) assert.deepEqual(report, `${accepted} accepted`);
    await sleep(200);
  }
}

describe("what operators are told", () => {
  const cases = [
    ["no key", "/v1/usage", undefined, 401, "credential_missing"],
    ["a key of nobody", "/v1/usage", stranger.key, 401, "key_invalid"],
    ["a key of the gate", "/v1/usage", acme.key, 401, "key_invalid"],
    ...Object.entries(others).map(([name, [{ key }, status, code]]) => [name, "/v1/usage", key, status, code]),
    ["another path", "/v2", reader.key, 403, "route_denied"],
    ["a path of nothing", "/v1/nothing", reader.key, 404, "not_found"],
    ["an unknown parameter", "/v1/usage?key=1", reader.key, 400, "query_invalid"],
    ["a key that is none", "/v1/usage?keys=1", reader.key, 400, "query_invalid"],
    ["a step that is none", "/v1/usage?by=week", reader.key, 400, "query_invalid"],
    ["times in the wrong order", "/v1/usage?from=2&to=1", reader.key, 400, "query_invalid"],
    ["too many keys", "/v1/usage?keys_max=1001", reader.key, 400, "query_invalid"],
  ];
  for (const [name, target, key, status, code] of cases) {
    test(`${name}: ${status} ${code}`, async () => {
      const answer = await ask(target, { key });
      assert.deepEqual([answer.status, json(answer).code], [status, code]);
      // The form of the gate's own refusals.
      const { type, title, status: told, detail, request_id: request } = json(answer);
      assert.deepEqual([type, told, answer.header("content-type"), answer.header("cache-control")], [`urn:problem-type:keygate:${code}`, status, "application/problem+json", "no-store"]);
      for (const text of [title, detail, request]) assert.match(text, /\S/);
    });
  }

  test("what was asked stands in the detail as it was written", async () => {
    const answer = await ask(`/v1/usage?${encodeURIComponent('a"\\b')}=1`, { key: reader.key });
    assert.equal(json(answer).detail, 'there is no parameter `a"\\b`: keys, from, to, by, keys_max');
  });

  test("without ADMIN_KEYS nobody is told anything", async () => {
    const answer = await ask("/v1/usage", { key: reader.key }, "unready");
    assert.deepEqual([answer.status, json(answer).code], [503, "gate_misconfigured"]);
  });

  test("requests of each key by hour, its last use and its networks", async () => {
    const start = Math.floor(Date.now() / 1000);
    for (let count = 0; count < 3; count += 1) {
      await gates.asked.send({ key: acme.key, headers: { "CF-Connecting-IP": "203.0.113.9" } });
    }
    const { keys, series, without_key } = await reportOf("asked", acme.id, 3);
    const [{ last_accepted, last_refused, networks, refused }] = keys;
    assert.ok(last_accepted >= start && last_accepted <= Date.now() / 1000);
    assert.deepEqual([last_refused, refused, without_key], [null, {}, undefined]);
    assert.deepEqual(networks.map(({ network }) => network), ["203.0.113.0/24"]);
    assert.equal(series.reduce((sum, { accepted }) => sum + accepted, 0), 3);
    const all = json(await ask("/v1/usage", { key: reader.key }));
    assert.deepEqual([all.keys.map(({ id }) => id), all.by], [[acme.id], "day"]);
    const last = json(await ask("/v1/last-uses", { key: reader.key }));
    assert.deepEqual(last.keys, { [acme.id]: { accepted: last_accepted, refused: null } });
  });
});

test("what is unusual about a key's last 24 hours, with its numbers", async () => {
  const { id } = issue();
  const hour = Math.floor(Date.now() / 3_600_000);
  const usage = {
    keys: {
      [id]: {
        hours: { [hour - 10 * 24]: { accepted: 200, refused: { key_expired: 1 } }, [hour]: { accepted: 900, refused: { scope_missing: 80 } } },
        // Of 203.0.113.0/24 and 198.51.100.0/24.
        last: { accepted: hour * 3600, networks: { [0xcb0071]: (hour - 60 * 24) * 3600, [0xc63364]: hour * 3600 } },
      },
    },
  };
  const batch = { id: randomUUID(), made: Math.floor(Date.now() / 1000), usage };
  const object = await harness.usage("asked");
  assert.equal((await object.fetch("https://usage/batches", { method: "POST", body: JSON.stringify(batch) })).status, 204);
  assert.deepEqual(json(await ask("/v1/anomalies", { key: reader.key })), {
    signals: [
      { id, kind: "new_network", network: "198.51.100.0/24", first_seen: hour * 3600, known_networks: 1 },
      { id, kind: "refusals", refused: 80, code: "scope_missing", requests: 980, most_before: 1, days: 9 + Number(hour % 24 >= 23) },
      { id, kind: "volume", requests: 980, most_before: 201, days: 9 + Number(hour % 24 >= 23) },
    ],
    more: 0,
  });
});

describe("while a question is answered, the object takes batches and answers others", () => {
  const hour = Math.floor(Date.now() / 3_600_000);
  const query = { keys: null, hours: { start: hour - 400 * 24, end: hour }, by: "day", keys_max: 1000 };
  const questions = { reports: { method: "POST", body: JSON.stringify(query) }, "last-uses": {}, anomalies: { method: "POST" } };
  for (const [name, init] of Object.entries(questions)) {
    test(name, async () => {
      const object = await harness.usage("asked");
      let status;
      const asked = object.fetch(`https://usage/${name}`, init).then((answer) => (status = answer.status));
      let others = 0;
      for (; status === undefined; others += 1) await object.fetch("https://usage/nothing");
      await asked;
      // Of an object that does nothing else meanwhile, at most the first and the one that comes after the question are answered.
      assert.ok(status === 200 && others > 2, `${status}, ${others} others`);
    });
  }
});

test("the instance ends while batches wait: no request of the gate fails, and the totals are exact", async () => {
  let sent = 0;
  for (let round = 0; round < 4; round += 1) {
    await ask("/", { headers: { "X-Test-End": "now" } }, "ending");
    const end = Date.now() + 3_000;
    while (Date.now() < end) {
      assert.equal((await gates.ending.send({ key: acme.key })).status, 200);
      sent += 1;
      await sleep(50);
    }
  }
  const failed = () => harness.logs.entries.filter(({ message }) => message.includes("sys_crash")).length;
  assert.ok(failed() > 0, "the instance never ended");
  // Whatever was on its way is sent again with a later request.
  await sleep(6_000);
  await gates.ending.send({ key: acme.key });
  await reportOf("ending", acme.id, sent + 1);
});

test("an account that cannot be read fails its own subject, and nobody waits anew for it", async () => {
  const namespace = await harness.runtime.getDurableObjectNamespace("QUOTA", "asked-usage");
  const broken = namespace.get(namespace.idFromName("broken"));
  const lease = (id) => ({
    method: "POST",
    body: JSON.stringify({ quota: { limit: 10, period: "total" }, request: { id, needed: 1, wanted: 1, unused: [] } }),
  });
  await broken.fetch("https://quota/break");
  const before = harness.logs.entries.length;
  const batch = (await harness.usage("asked")).fetch("https://usage/batches", {
    method: "POST",
    body: JSON.stringify({ id: randomUUID(), made: Math.floor(Date.now() / 1000), usage: {} }),
  });
  for (let count = 0; count < 5; count += 1) {
    assert.equal((await broken.fetch("https://quota/leases", lease(`b${count}`))).status, 503);
    await sleep(100);
  }
  assert.equal((await batch).status, 204);
  await harness.settle();
  const events = harness.logs.entries.slice(before).map(({ message }) => message).filter((message) => message.startsWith("{"));
  const failures = events.map((message) => JSON.parse(message).event).filter((event) => event.startsWith("sys_"));
  assert.deepEqual([...new Set(failures)], ["sys_control_fail"]);
});
