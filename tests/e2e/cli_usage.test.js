// `keygate usage`, and what other commands say of a key's use: by the control Worker of `wrangler dev` and by the deployed one.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { randomUUID } from "node:crypto";

import { LIVE } from "./support/cli.js";
import { startGates } from "./support/harness.js";
import { valid } from "./support/json_schema.js";
import { issue, now, PEPPER } from "./support/keys.js";
import { operator } from "./support/operator.js";
import { readProject, ROOT } from "./support/project.js";

const HOUR = 3600;
const DAY = 24 * HOUR;
const schema = JSON.parse(await readFile(path.join(ROOT, "docs", "cli-output.schema.json"), "utf8"));

const admin = issue({ subject: "ops", scopes: ["admin:read"] }, { prefix: "acme_admin" });
const idle = issue({ subject: "ops" }, { prefix: "acme_admin" });
const controlSecrets = { PEPPER, ADMIN_KEYS: JSON.stringify([admin.record, idle.record]) };
const harness = await startGates(() => ({
  gate: { keyUsage: "control", controlSecrets },
  bare: { keyUsage: "control" },
}));
const { gate: operated, api } = await operator();
const toml = path.join(operated.folder, "wrangler.toml");
const project = await readProject();
await writeFile(
  toml,
  `${(await readFile(toml, "utf8")).replace(`id = "${LIVE}"`, `id = "${LIVE}"\npreview_id = "${project.kvNamespaces.KEYS.id ?? project.kvNamespaces.KEYS}"`)}
[[durable_objects.bindings]]
name = "KEY_USAGE"
class_name = "Usage"
script_name = "gate-usage"
`,
);
const urlOf = async (name) => (await harness.runtime.unsafeGetDirectURL(`${name}-usage`)).origin;
const CONTROL = { KEYGATE_CONTROL_URL: await urlOf("gate"), KEYGATE_ADMIN_KEY: admin.key };
harness.watch(admin.key);

/** The two places that usage is read from. */
const SOURCES = {
  local: (args, options) => operated.keygate([...args, "--persist-to", harness.folder], options),
  remote: (args, { env, ...options } = {}) =>
    operated.keygate([...args, "--remote"], { ...options, env: { ...api.env, KEYGATE_PEPPER: PEPPER, ...CONTROL, ...env } }),
};

async function jsonOf(source, form, args, options) {
  const { stdout } = await SOURCES[source]([...args, "--json"], options);
  const lines = stdout.trimEnd().split("\n").filter(Boolean).map((line) => JSON.parse(line));
  for (const line of lines) assert.ok(valid(line, schema.$defs[form], schema), JSON.stringify(line));
  return lines;
}

/** Puts a record into both stores. */
async function put(record) {
  const { id, subject, name, state, not_after = null, created, replaced_by } = record;
  const metadata = { subject, name, state, created, not_after, ...(replaced_by ? { replaced_by } : {}) };
  const value = JSON.stringify(record);
  await (await harness.kv()).put(`key/${id}`, value, { metadata });
  api.entries.set(`key/${id}`, { key: `key/${id}`, value, metadata });
}

async function issued(fields) {
  const made = issue({ created: now() - 300 * DAY, ...fields });
  harness.watch(made.key);
  await put(made.record);
  return made;
}

/** Sends counts as a gate does: `uses` are [key, seconds ago, accepted, refused by code]. */
async function count(uses, more = {}) {
  const keys = {};
  for (const [{ id }, ago, accepted = 1, refused = {}] of uses) {
    const at = now() - ago;
    keys[id] ??= { last: {}, hours: {} };
    const { last, hours } = keys[id];
    hours[Math.floor(at / HOUR)] = { accepted, refused };
    if (accepted) last.accepted = Math.max(at, last.accepted ?? 0);
    if (Object.keys(refused).length > 0) last.refused = Math.max(at, last.refused ?? 0);
  }
  const body = JSON.stringify({ id: randomUUID(), made: now(), usage: { keys, ...more } });
  const { status } = await (await harness.usage("gate")).fetch("https://usage/batches", { method: "POST", body });
  assert.equal(status, 204);
}

const busy = await issued({ subject: "acme", name: "Busy" });
const second = await issued({ subject: "acme", name: "Second" });
const other = await issued({ subject: "other", name: "Old" });
const never = await issued({ subject: "other", name: "Never" });
const fresh = await issued({ subject: "other", name: "Fresh", created: now() - DAY });
await count([
  [busy, 60, 7, { rate_limited: 2 }],
  [busy, 3 * DAY, 40, { rate_limited: 1, key_expired: 3 }],
  [busy, 20 * DAY, 100],
  [second, 2 * HOUR, 5],
  [other, 60 * DAY, 9],
]);
await operated.keygate(["list", "--persist-to", harness.folder]);

for (const source of Object.keys(SOURCES)) {
  describe(`${source} usage`, () => {
    test("all keys, those with the most requests first, with subjects and names", async () => {
      const [report] = await jsonOf(source, "usage", ["usage"]);
      const keys = report.keys.map(({ id, subject, name, accepted, refused }) => ({ id, subject, name, accepted, refused }));
      assert.deepEqual(keys, [
        { id: busy.id, subject: "acme", name: "Busy", accepted: 47, refused: { key_expired: 3, rate_limited: 3 } },
        { id: second.id, subject: "acme", name: "Second", accepted: 5, refused: {} },
      ]);
      assert.equal(report.by, "day");
      assert.equal((report.to - report.from) / DAY, 7);
      const { stdout } = await SOURCES[source](["usage"]);
      assert.match(stdout, /^ID +SUBJECT +NAME +ACCEPTED +REFUSED +LAST USED$/m);
      assert.match(stdout, new RegExp(`^${busy.id} +acme +Busy +47 +6 +\\d+ minutes? ago$`, "m"));
      assert.equal([...stdout.matchAll(/^\d{4}-\d\d-\d\d  .*$/gm)].length, 7, stdout);
      assert.match(stdout, /^\d{4}-\d\d-\d\d +#+ 40, 4 refused$/m);
      assert.match(stdout, /^without a known key: 0 accepted, 0 refused$/m);
    });

    for (const [title, args, expected] of [
      ["one key", [busy.id], { [busy.id]: 47 }],
      ["one key in a longer time", [busy.id, "--last", "30d"], { [busy.id]: 147 }],
      ["one key by the hour", [busy.id, "--last", "3h"], { [busy.id]: 7 }],
      ["a holder's keys", ["--subject", "acme", "--last", "30d"], { [busy.id]: 147, [second.id]: 5 }],
      ["a key without requests", [never.id], { [never.id]: 0 }],
    ]) {
      test(title, async () => {
        const [report] = await jsonOf(source, "usage", ["usage", ...args]);
        assert.deepEqual(Object.fromEntries(report.keys.map(({ id, accepted }) => [id, accepted])), expected);
        assert.equal(report.series.reduce((sum, { accepted }) => sum + accepted, 0), Object.values(expected).reduce((a, b) => a + b));
        assert.equal(report.without_key, undefined);
      });
    }

    test("one key's refusals are named by their codes", async () => {
      const { stdout } = await SOURCES[source](["usage", busy.id]);
      assert.match(stdout, /^6 refused: key_expired 3, rate_limited 3$/m);
    });

    test("list has the last use, finds unused keys and sorts by it", async () => {
      const all = await jsonOf(source, "list", ["list"]);
      const used = Object.fromEntries(all.map(({ id, last_used }) => [id, last_used]));
      assert.equal(used[never.id], null);
      assert.ok(Math.abs(used[second.id] - (now() - 2 * HOUR)) < 600, `${used[second.id]}`);
      const ids = async (...args) => (await jsonOf(source, "list", ["list", ...args])).map(({ id }) => id);
      assert.deepEqual((await ids("--unused", "30d")).sort(), [other.id, never.id].sort());
      assert.deepEqual((await ids("--unused", "90d")).sort(), [never.id]);
      assert.deepEqual((await ids("--sort", "last-used")).slice(0, 3), [busy.id, second.id, other.id]);
      const { stdout, stderr } = await SOURCES[source](["list", "--unused", "30d"]);
      assert.match(stdout, /^ID +STATE +SUBJECT +NOT AFTER +LAST USED +NAME$/m);
      assert.match(stdout, new RegExp(`^${other.id} .* 60 days ago +Old$`, "m"));
      assert.match(stdout, new RegExp(`^${never.id} .* never +Never$`, "m"));
      assert.match(stderr, /^1 more were not accepted since, and are left out: they were issued in the last 30 d$/m);
      assert.doesNotMatch(stdout, new RegExp(fresh.id));
    });

    test("show says when and how often a key was used", async () => {
      const [{ usage }] = await jsonOf(source, "show", ["show", busy.id]);
      assert.deepEqual(usage.last_7_days, { accepted: 47, refused: { key_expired: 3, rate_limited: 3 } });
      assert.equal(usage.last_30_days.accepted, 147);
      const { stdout } = await SOURCES[source](["show", never.id]);
      assert.match(stdout, /^last used +never$/m);
      assert.match(stdout, /^30 days +0 accepted, 0 refused$/m);
    });
  });
}

test("what the gate counts is seen within seconds while it runs", async () => {
  const key = await issued({ subject: "live" });
  await harness.gates.gate.get("/v1/things", { key: key.key, headers: { "CF-Connecting-IP": "203.0.113.5" } });
  for (const source of Object.keys(SOURCES)) {
    const end = Date.now() + 60_000;
    let keys;
    do {
      await sleep(500);
      [{ keys }] = await jsonOf(source, "usage", ["usage", key.id]);
    } while (keys[0].accepted === 0 && Date.now() < end);
    assert.equal(keys[0].accepted, 1);
    assert.match((await SOURCES[source](["usage", key.id])).stdout, /^first used from 203\.0\.113\.0\/24 on /m);
  }
});
