// Eight gates, each a process of its own, spend one quota, and are killed while they do.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { BASE_VARS } from "./support/harness.js";
import { send } from "./support/http.js";
import { issue, PEPPER } from "./support/keys.js";
import { Origin } from "./support/origin.js";
import { startProcesses } from "./support/processes.js";
import { CONTROL_TOML, WRANGLER_TOML } from "./support/project.js";

const GATES = 8;
const LIMIT = 10_000;
const WITHIN_MS = 900_000;

const origin = await Origin.start();
after(() => origin.stop());
const holders = Object.fromEntries(["steady", "disturbed"].map((subject) => [subject, issue({ subject, plan: "metered" })]));
const processes = await startProcesses();
const startControl = () => processes.start({ name: "keygate-control", config: CONTROL_TOML, store: "control" });
const startGate = (number) =>
  processes.start({
    name: `gate-${number}`,
    config: WRANGLER_TOML,
    store: `gate-${number}`,
    bindings: {
      ...BASE_VARS,
      ORIGIN: origin.url,
      PEPPER,
      PLANS: { metered: { quota: { limit: LIMIT, period: "total" } } },
      STATIC_KEYS: JSON.stringify(Object.values(holders).map(({ record }) => record)),
    },
  });
let control = await startControl();
const gates = await Promise.all(Array.from({ length: GATES }, (_, number) => startGate(number)));

/** Lets the gates spend a quota until it is spent, and returns how many requests they let through. */
async function spend({ key }, disturb = async () => {}) {
  origin.clear();
  let isOver = false;
  let exceeded = 0;
  const statuses = {};
  const use = async (number) => {
    while (!isOver) {
      let status;
      try {
        ({ status } = await send(gates[number].url, { headers: [["Authorization", `Bearer ${key}`]] }));
      } catch {
        // It was killed.
        await sleep(100);
        continue;
      }
      statuses[status] = (statuses[status] ?? 0) + 1;
      exceeded = status === 429 ? exceeded + 1 : 0;
      // Units that others hold come back within seconds.
      if (status !== 200) await sleep(200);
    }
  };
  const users = [...gates.keys()].flatMap((number) => [use(number), use(number)]);
  await disturb();
  const end = Date.now() + WITHIN_MS;
  // For some ten seconds, nobody got anything.
  while (exceeded < 800 && Date.now() < end) await sleep(200);
  isOver = true;
  await Promise.all(users);
  const unexpected = Object.keys(statuses).filter((status) => !["200", "429", "503"].includes(status));
  assert.deepEqual(unexpected, []);
  return { passed: origin.requests.length, statuses };
}

test("a quota of 10,000 is spent by eight gates to at least 98 %, and never exceeded", async () => {
  const { passed, statuses } = await spend(holders.steady);
  assert.ok(passed <= LIMIT && passed >= 0.98 * LIMIT, `${passed} passed: ${JSON.stringify(statuses)}`);
});

test("it is not exceeded either when gates and the control Worker are killed", async () => {
  const { passed, statuses } = await spend(holders.disturbed, async () => {
    for (const number of [1, 4, 6]) {
      await sleep(1_500);
      await gates[number].kill();
      gates[number] = await startGate(number);
    }
    await control.kill();
    await sleep(1_000);
    control = await startControl();
  });
  assert.ok(passed <= LIMIT && passed > LIMIT / 2, `${passed} passed: ${JSON.stringify(statuses)}`);
});
