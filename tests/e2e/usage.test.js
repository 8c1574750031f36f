// Requests are counted in the isolate's memory, and the counts go to the Durable Object that is bound as KEY_USAGE.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { startGates } from "./support/harness.js";

const WITHIN_MS = 120_000;

const harness = await startGates(() => ({
  counting: { keyUsage: "control" },
  sending: { keyUsage: "scripted" },
  failing: { keyUsage: "scripted" },
  hanging: { keyUsage: "scripted" },
  busy: { keyUsage: "control" },
  importing: { keyUsage: "control", vars: { IMPORTED_KEYS: true } },
  originless: { keyUsage: "control", vars: { ORIGIN: "http://127.0.0.1:1" } },
  alone: {},
}));
const { gates } = harness;
const acme = await harness.issue({ subject: "acme" });
const revoked = await harness.issue({ state: "revoked" });

/** What the scripted object of a gate has: batches as they came, with repeated ones. */
async function batchesOf(gate) {
  return (await (await harness.usage(gate)).fetch("https://usage/")).json();
}

/** The totals that the control Worker has of a gate. */
async function stored(gate) {
  const object = await harness.usage(gate);
  const now = Math.floor(Date.now() / 3_600_000);
  const query = { keys: null, hours: { start: now - 2, end: now + 1 }, by: "hour", keys_max: 1000 };
  const report = await (await object.fetch("https://usage/reports", { method: "POST", body: JSON.stringify(query) })).json();
  assert.equal(report.lost, 0);
  const all = {};
  for (const { id, accepted, refused } of [...report.keys, report.without_key]) {
    const prefix = id === undefined ? "" : `${id} `;
    if (accepted) all[`${prefix}accepted`] = accepted;
    for (const [code, count] of Object.entries(refused)) all[prefix + code] = count;
  }
  return all;
}

/** The totals of all batches, each taken once. */
function totals(batches) {
  const all = {};
  const add = (name, count) => (all[name] = (all[name] ?? 0) + count);
  for (const { usage } of new Map(batches.map((batch) => [batch.id, batch])).values()) {
    for (const [id, { hours }] of Object.entries(usage.keys ?? {})) {
      for (const { accepted = 0, refused = {} } of Object.values(hours)) {
        if (accepted) add(`${id} accepted`, accepted);
        for (const [code, count] of Object.entries(refused)) add(`${id} ${code}`, count);
      }
    }
    for (const { accepted = 0, refused = {} } of Object.values(usage.without_key ?? {})) {
      if (accepted) add("accepted", accepted);
      for (const [code, count] of Object.entries(refused)) add(code, count);
    }
  }
  return all;
}

async function until(gate, expected, read = stored) {
  const end = Date.now() + WITHIN_MS;
  for (;;) {
    const found = await read(gate);
    try {
      return assert.deepEqual(found, expected);
    } catch (error) {
      if (Date.now() > end) throw error;
      await sleep(200);
    }
  }
}

const sent = async (gate) => totals(await batchesOf(gate));

async function tell(gate, how) {
  await (await harness.usage(gate)).fetch("https://usage/", { method: "PUT", body: how });
}

async function sendAll(gate) {
  for (const request of [{ key: acme.key }, { key: acme.key }, { key: revoked.key }, {}, { target: "/public/x" }]) {
    await gates[gate].send({ ...request, headers: { "CF-Connecting-IP": "203.0.113.7" } });
  }
  return { [`${acme.id} accepted`]: 2, [`${revoked.id} key_revoked`]: 1, credential_missing: 1, accepted: 1 };
}

describe("every request is counted once:", () => {
  test("accepted and refused ones, by key and code", async () => {
    await until("counting", await sendAll("counting"));
  });

  test("in batches that say when, and from which network", async () => {
    await until("sending", await sendAll("sending"), sent);
    const [{ usage, made }] = await batchesOf("sending");
    const { last, hours } = usage.keys[acme.id];
    assert.ok(made - last.accepted < 120);
    assert.deepEqual(Object.keys(hours).map(Number), [Math.floor(last.accepted / 3600)]);
    assert.deepEqual(Object.keys(last.networks).map(Number), [0xcb_00_71]);
    // Nothing of a key, and no whole address.
    assert.ok(!JSON.stringify(usage).includes("203.0.113.7"));
  });

  test("3,000 requests with 600 keys, many at once", async () => {
    const keys = await Promise.all(Array.from({ length: 600 }, () => harness.issue()));
    const sent = Array.from({ length: 3000 }, (_, at) => keys[(at * 7) % keys.length]);
    const queue = sent.values();
    const send = async () => {
      for (const { key } of queue) assert.equal((await gates.busy.send({ key })).status, 200);
    };
    await Promise.all(Array.from({ length: 16 }, send));
    await until("busy", Object.fromEntries(keys.map(({ id }) => [`${id} accepted`, 5])));
  });

  test("one with an imported key that nobody knows has no key: anyone can make such a key", async () => {
    for (const letter of "abc") await gates.importing.send({ key: letter.repeat(40) });
    await until("importing", { key_invalid: 3 });
  });

  test("a request whose origin failed was accepted", async () => {
    assert.equal((await gates.originless.send({ key: acme.key })).status, 502);
    await until("originless", { [`${acme.id} accepted`]: 1 });
  });

  test("also where the object fails first: the same batch is sent again", async () => {
    await tell("failing", "fail");
    const expected = await sendAll("failing");
    const end = Date.now() + WITHIN_MS;
    while ((await batchesOf("failing")).length === 0 && Date.now() < end) await sleep(200);
    await tell("failing", "work");
    // A later request makes the gate try again.
    await gates.failing.send({ key: acme.key });
    await until("failing", { ...expected, [`${acme.id} accepted`]: 3 }, sent);
    const ids = (await batchesOf("failing")).map(({ id }) => id);
    assert.ok(ids.length > new Set(ids).size, "no batch was sent twice");
  });
});

test("an object that hangs delays no request", async () => {
  await tell("hanging", "hang");
  for (let count = 0; count < 20; count += 1) {
    const answer = await gates.hanging.send({ key: acme.key });
    assert.equal(answer.status, 200);
  }
});

test("without the binding nothing is counted", async () => {
  assert.equal((await gates.alone.send({ key: acme.key })).status, 200);
});
