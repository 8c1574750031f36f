// The control Worker's process is killed and started again while gates send it what they counted.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { send } from "./support/http.js";
import { BASE_VARS } from "./support/harness.js";
import { issue, PEPPER } from "./support/keys.js";
import { Origin } from "./support/origin.js";
import { startProcesses } from "./support/processes.js";
import { CONTROL_TOML, WRANGLER_TOML } from "./support/project.js";

const WITHIN_MS = 600_000;

test("a kill and a restart: no request of the gates fails, and the totals are exact", async (t) => {
  const origin = await Origin.start();
  t.after(() => origin.stop());
  const processes = await startProcesses();
  const keys = Array.from({ length: 5 }, () => issue());
  const reader = issue({ scopes: ["admin:read"] }, { prefix: "acme_admin" });
  const control = () =>
    processes.start({
      name: "keygate-control",
      config: CONTROL_TOML,
      store: "control",
      bindings: { PEPPER, ALLOW_HTTP: "true", ADMIN_KEYS: JSON.stringify([reader.record]) },
    });
  const gate = (number) =>
    processes.start({
      name: `gate-${number}`,
      config: WRANGLER_TOML,
      store: `gate-${number}`,
      bindings: { ...BASE_VARS, ORIGIN: origin.url, PEPPER, STATIC_KEYS: JSON.stringify(keys.map(({ record }) => record)) },
    });
  let running = await control();
  const gates = [await gate(1), await gate(2)];
  const sent = Object.fromEntries(keys.map(({ id }) => [id, 0]));
  let isOver = false;
  const use = async ({ url }, first) => {
    for (let at = first; !isOver; at += 1) {
      const { key, id } = keys[at % keys.length];
      const answer = await send(url, { headers: [["Authorization", `Bearer ${key}`]] });
      assert.equal(answer.status, 200, answer.text);
      sent[id] += 1;
      await sleep(20);
    }
  };
  const users = gates.map(use);
  for (let round = 0; round < 2; round += 1) {
    await sleep(8_000);
    await running.kill();
    await sleep(3_000);
    running = await control();
  }
  await sleep(2_000);
  isOver = true;
  await Promise.all(users);
  const totals = async () => {
    const target = `/v1/usage?keys=${keys.map(({ id }) => id).join()}`;
    const answer = await send(running.url, { target, headers: [["Authorization", `Bearer ${reader.key}`]] });
    return Object.fromEntries(JSON.parse(answer.text).keys.map(({ id, accepted }) => [id, accepted]));
  };
  const end = Date.now() + WITHIN_MS;
  for (;;) {
    // A later request makes a gate send again what did not arrive.
    for (const { url } of gates) {
      await send(url, { headers: [["Authorization", `Bearer ${keys[0].key}`]] });
      sent[keys[0].id] += 1;
    }
    await sleep(8_000);
    const found = await totals();
    try {
      assert.deepEqual(found, sent);
      break;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
});
