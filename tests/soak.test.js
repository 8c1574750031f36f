// Two gates and the control Worker under a steady load, for SOAK_MINUTES: their memory stays flat, and the totals are exact.
//
// Run by `tests/deep.sh soak`, not by `cargo xtask test`.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { BASE_VARS } from "./e2e/support/harness.js";
import { send } from "./e2e/support/http.js";
import { issue, PEPPER } from "./e2e/support/keys.js";
import { startProcesses } from "./e2e/support/processes.js";
import { CONTROL_TOML, WRANGLER_TOML } from "./e2e/support/project.js";

const MINUTES = Number(process.env.SOAK_MINUTES ?? 60);
const PAUSE_MS = 50;
/** The first minutes fill caches, and warm the runtime's heap. */
const WARM_MINUTES = 10;
/** So many at the beginning and at the end are compared. */
const COMPARED_MINUTES = 10;
const LEAST_MINUTES = WARM_MINUTES + 2 * COMPARED_MINUTES;
if (!(MINUTES >= LEAST_MINUTES)) throw new Error(`SOAK_MINUTES is ${MINUTES}, and must be at least ${LEAST_MINUTES}`);

test(`${MINUTES} minutes of load`, async (t) => {
  const origin = createServer((request, response) => request.resume().on("end", () => response.end("ok")));
  await new Promise((listening) => origin.listen(0, "127.0.0.1", listening));
  t.after(() => origin.close());
  const processes = await startProcesses();
  const keys = Array.from({ length: 200 }, () => issue());
  const reader = issue({ scopes: ["admin:read"] }, { prefix: "acme_admin" });
  const control = await processes.start({
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
      bindings: {
        ...BASE_VARS,
        ORIGIN: `http://127.0.0.1:${origin.address().port}`,
        PEPPER,
        PLANS: { metered: { quota: { limit: 1_000_000_000, period: "day" } } },
        STATIC_KEYS: JSON.stringify(keys.map(({ record }, at) => (at % 2 ? record : { ...record, plan: "metered", subject: `s${at}` }))),
      },
    });
  const workers = { control, gate1: await gate(1), gate2: await gate(2) };
  const end = Date.now() + MINUTES * 60_000;
  let accepted = 0;
  let refused = 0;
  const use = async ({ url }, first) => {
    for (let at = first; Date.now() < end; at += 1) {
      const isForged = at % 10 === 0;
      const { key: own } = keys[at % keys.length];
      const key = isForged ? `${own.slice(0, -1)}${own.endsWith("A") ? "B" : "A"}` : own;
      const answer = await send(url, { headers: [["Authorization", `Bearer ${key}`], ["CF-Connecting-IP", `203.0.${at % 256}.1`]] });
      assert.equal(answer.status, isForged ? 401 : 200, answer.text);
      if (isForged) refused += 1;
      else accepted += 1;
      await sleep(PAUSE_MS);
    }
  };
  const samples = [];
  const watch = async () => {
    while (Date.now() < end) {
      const sample = Object.fromEntries(Object.entries(workers).map(([name, worker]) => [name, worker.memory()]));
      samples.push(sample);
      console.log(JSON.stringify({ minute: samples.length - 1, accepted, refused, ...sample }));
      await sleep(60_000);
    }
  };
  await Promise.all([use(workers.gate1, 0), use(workers.gate2, 1), use(workers.gate1, 2), use(workers.gate2, 3), watch()]);
  await sleep(15_000);
  const answer = await send(control.url, { target: "/v1/usage?keys_max=1000", headers: [["Authorization", `Bearer ${reader.key}`]] });
  const report = JSON.parse(answer.text);
  const total = report.keys.reduce((sum, key) => sum + key.accepted, 0);
  const { key_invalid } = report.without_key.refused;
  assert.deepEqual({ total, key_invalid }, { total: accepted, key_invalid: refused });
  for (const name of Object.keys(workers)) {
    const all = samples.slice(WARM_MINUTES).map((sample) => sample[name]);
    const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
    const [early, late] = [mean(all.slice(0, COMPARED_MINUTES)), mean(all.slice(-COMPARED_MINUTES))];
    console.log(`${name}: ${early.toFixed(1)} MB, at the end ${late.toFixed(1)} MB`);
    assert.ok(!(late > early * 1.15 + 10), `the memory of ${name} grew from ${early} to ${late} MB`);
  }
});
