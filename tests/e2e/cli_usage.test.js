// `keygate usage`, and what other commands say of a key's use: by the control Worker of `wrangler dev` and by the deployed one.

import assert from "node:assert/strict";
import { readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { randomUUID } from "node:crypto";

import { LIVE } from "./support/cli.js";
import { refuse } from "./support/cloudflare.js";
import { startGates } from "./support/harness.js";
import { valid } from "./support/json_schema.js";
import { issue, now, PEPPER } from "./support/keys.js";
import { operator } from "./support/operator.js";
import { readProject, ROOT } from "./support/project.js";
import { Relay } from "./support/relay.js";

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
const UNREADY = await urlOf("bare");
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
      assert.deepEqual(usage.in_7_days, { accepted: 47, refused: { key_expired: 3, rate_limited: 3 } });
      assert.equal(usage.in_30_days.accepted, 147);
      const { stdout } = await SOURCES[source](["show", never.id]);
      assert.match(stdout, /^last used +never$/m);
      assert.match(stdout, /^30 days +0 accepted, 0 refused$/m);
    });
  });
}

describe("many keys", () => {
  const HIDDEN = 5;
  /** As many as a report shows without --all, and some more, of nobody that KV knows. */
  const crowd = Array.from({ length: 20 + HIDDEN }, () => issue());
  const since = ["--last", "90d"];

  for (const source of Object.keys(SOURCES)) {
    test(`${source}: --all shows what a report leaves out`, async () => {
      await count(crowd.map((key) => [key, 80 * DAY]));
      const [short] = await jsonOf(source, "usage", ["usage", ...since]);
      const [all] = await jsonOf(source, "usage", ["usage", ...since, "--all"]);
      assert.equal(short.keys.length, 20);
      assert.equal(all.keys.length, all.keys_total);
      assert.equal(short.keys_total, all.keys_total);
      const ids = new Set(all.keys.map(({ id }) => id));
      for (const { id } of crowd) assert.ok(ids.has(id));
    });
  }

  test("a holder of 1,100 keys: their usage is one report, however long the list of their ids is", async () => {
    const many = Array.from({ length: 1100 }, () => issue({ subject: "many" }).record);
    for (const record of many) {
      const { id, subject, name, state, created } = record;
      const metadata = { subject, name, state, created, not_after: null };
      api.entries.set(`key/${id}`, { key: `key/${id}`, value: JSON.stringify(record), metadata });
    }
    const page = api.page;
    api.page = 1000;
    const relay = await Relay.start(CONTROL.KEYGATE_CONTROL_URL);
    const asked = [];
    const through = { env: { KEYGATE_CONTROL_URL: relay.url } };
    relay.fail = (call) => void asked.push(call);
    try {
      await count([[many[0], 60, 3], [many[0], 2 * DAY, 4], [many[1099], 120, 5, { rate_limited: 1 }]]);
      const [report] = await jsonOf("remote", "usage", ["usage", "--subject", "many"], through);
      // nginx takes 8 KB.
      assert.ok(asked.length > 1 && asked.every((call) => call.length < 8000), `${asked.map(({ length }) => length)}`);
      assert.equal(report.keys_total, 1100);
      assert.deepEqual(report.keys.slice(0, 2).map(({ id, accepted }) => [id, accepted]), [[many[0].id, 7], [many[1099].id, 5]]);
      assert.equal(report.keys.length, 20);
      assert.deepEqual(report.series.map(({ accepted }) => accepted), [4, 8]);
      const [all] = await jsonOf("remote", "usage", ["usage", "--subject", "many", "--all"]);
      assert.equal(new Set(all.keys.map(({ id }) => id)).size, 1100);
    } finally {
      await relay.stop();
      api.page = page;
      for (const { id } of many) api.entries.delete(`key/${id}`);
    }
  });
});

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

const recordOf = async (source, id) => (source === "remote" ? api.record(id) : JSON.parse(await (await harness.kv()).get(`key/${id}`)));

describe("a rotation by use", () => {
  // Something is counted in every hour: the gate was never silent.
  const steady = issue();
  const hourly = Array.from({ length: 60 }, (_, hours) => [steady, hours * HOUR]);

  /** An old key, the one that took its place, and what was counted of both. */
  async function pair(old, successor, fields = {}) {
    const fresh = await issued({ subject: "pair", created: now() - 40 * DAY, ...fields });
    const gone = await issued({ subject: "pair", replaced_by: fresh.id });
    await count([...old.map((use) => [gone, ...use]), ...successor.map((use) => [fresh, ...use])]);
    return gone;
  }

  /** What becomes of a key: its row, after which the record is looked at. */
  async function fate(source, { id }, ...args) {
    const [row] = await jsonOf(source, "retire", ["retire", id, ...args]);
    const { state } = await recordOf(source, id);
    assert.equal(state, row.fate === "retired" && !args.includes("--dry-run") ? "revoked" : "active");
    return row.reason ?? row.fate;
  }

  for (const source of Object.keys(SOURCES)) {
    describe(source, () => {
      for (const [title, old, successor, expected, fields] of [
        ["one that was used within the time stays", [[3 * DAY], [20 * HOUR]], [[HOUR]], /^still used, \d+ hours ago$/],
        ["one that was used a moment ago stays", [[0]], [[HOUR]], /^still used, (now|\d+ seconds? ago)$/],
        ["one that was refused within the time stays", [[3 * DAY], [HOUR, 0, { rate_limited: 1 }]], [[HOUR]], /^still presented and refused, \d+ hours? ago$/],
        ["one that was never counted stays", [], [[HOUR]], /^no use of it was ever counted/],
        ["one whose successor was never used stays", [[3 * DAY]], [], /^no key in its place was used in the last 1 d$/],
        ["one whose successor was not used within the time stays", [[3 * DAY]], [[2 * DAY]], /^no key in its place was used in the last 1 d$/],
        ["one whose successor is revoked stays", [[3 * DAY]], [[HOUR]], /^no key in its place was used in the last 1 d$/, { state: "revoked" }],
      ]) {
        test(title, async () => {
          assert.match(await fate(source, await pair(old, successor, fields), "--unused", "24h", "--allow-gaps"), expected);
        });
      }

      test("one that was not used within the time ends, unless this is a dry run", async () => {
        await count(hourly);
        const old = await pair([[3 * DAY]], [[HOUR]]);
        assert.equal(await fate(source, old, "--dry-run"), "retired");
        assert.equal(await fate(source, old), "retired");
        const { stderr } = await SOURCES[source](["retire", old.id], { status: 1 });
        assert.match(stderr, /is revoked; only a key that is in use is retired/);
      });

      test("hours in which nothing was counted keep a key, unless they are allowed", async () => {
        const old = await pair([[30 * DAY]], [[HOUR]]);
        assert.match(await fate(source, old, "--unused", "20d"), /^nothing was counted in \d+ hours of the last 20 d; /);
        assert.equal(await fate(source, old, "--unused", "20d", "--allow-gaps"), "retired");
      });

      test("requests that were not counted keep a key", async () => {
        const old = await pair([[75 * DAY]], [[HOUR]]);
        await count([], { lost: { [Math.floor((now() - 65 * DAY) / DAY)]: 3 } });
        assert.match(await fate(source, old, "--unused", "70d", "--allow-gaps"), /^[36] requests of that time were not counted$/);
      });

      test("all keys that were replaced are looked at, and no other", async () => {
        const [ends, stays] = [await pair([[3 * DAY]], [[HOUR]]), await pair([[2 * HOUR]], [[HOUR]])];
        const rows = await jsonOf(source, "retire", ["retire", "--allow-gaps"]);
        const fates = Object.fromEntries(rows.map(({ id, fate }) => [id, fate]));
        assert.equal(fates[ends.id], "retired");
        assert.equal(fates[stays.id], "kept");
        assert.ok(!(busy.id in fates));
        assert.equal((await recordOf(source, stays.id)).state, "active");
      });

      test("rotate keeps the old key, and says that it is still used", async () => {
        const old = await issued({ subject: "turn" });
        await count([[old, 180]]);
        const { stdout, stderr } = await SOURCES[source](["rotate", old.id, "--when-unused", "24h"]);
        const [, id] = /^acme_live_([0-9A-Za-z]{12})/.exec(stdout);
        const { state, not_after: end = null, replaced_by: by } = await recordOf(source, old.id);
        assert.deepEqual([state, end, by], ["active", null, id]);
        const option = source === "remote" ? " --remote" : "";
        assert.ok(stderr.includes(`old key ${old.id} works until \`keygate retire ${old.id} --unused 1d${option}\` finds that nobody used it for 1 d`), stderr);
        assert.match(stderr, /^old key \w+: still used, \d minutes ago$/m);
        assert.match((await SOURCES[source](["list"])).stdout, new RegExp(`^${old.id} .* still used, \\d minutes ago `, "m"));
        assert.match((await SOURCES[source](["show", old.id])).stdout, /^last used +\S+, still used, \d minutes ago$/m);
        assert.match(await fate(source, old), /^still used/);
      });

      test("a rotation by the clock says it too", async () => {
        const old = await issued({ subject: "turn" });
        await count([[old, 180]]);
        const [{ replaces }] = await jsonOf(source, "rotate", ["rotate", old.id]);
        assert.ok(Math.abs(replaces.last_used - (now() - 180)) < 120);
      });

      test("a key that was not replaced is not retired", async () => {
        const { stderr } = await SOURCES[source](["retire", other.id], { status: 1 });
        assert.match(stderr, /has not been replaced, so its holder has no other\n help: make another one first: `keygate rotate/);
      });
    });
  }

  /** A key that is delivered to a file. */
  async function delivered(subject) {
    const old = await issued({ subject });
    await count([[old, 180]]);
    const file = path.join(operated.folder, subject);
    await writeFile(file, `${old.key}\n`, { mode: 0o600 });
    return { old, to: ["--to", `file:${path.join(operated.folder, "{subject}")}`], journal: ["--journal", path.join(operated.folder, "journal")] };
  }

  for (const [title, subject, command] of [
    ["with delivery", "delivered", (id) => [id]],
    ["of many", "aged", () => ["--all-older-than", "200d", "--subject", "aged"]],
  ]) {
    test(`${title} the old key stays as well`, async () => {
      const { old, to, journal } = await delivered(subject);
      const args = ["rotate", ...command(old.id), "--when-unused", "7d", ...to, ...journal];
      const { stdout, stderr } = await SOURCES.remote([...args, "--json"]);
      const row = JSON.parse(stdout);
      assert.ok(valid(row, schema.$defs.rotate, schema), stdout);
      const { state, not_after: end } = row.replaces ?? { not_after: null, ...row };
      assert.deepEqual([state, end], ["active", null]);
      assert.match(stderr, /`keygate retire( [0-9A-Za-z]{12})? --unused 7d --remote`/);
      assert.deepEqual([api.record(old.id).state, api.record(old.id).not_after ?? null], ["active", null]);
      assert.match(await fate("remote", old), /^still used/);
    });
  }

  test("one that was interrupted and is resumed leaves the old key valid too", async () => {
    const { old, to, journal } = await delivered("resumed");
    let writes = 0;
    const fail = (call) => (call === "PUT /bulk" && ++writes === 2 ? refuse(403) : undefined);
    await api.failing(fail, () => SOURCES.remote(["rotate", old.id, "--when-unused", "7d", ...to, ...journal], { status: 1 }));
    assert.equal(api.record(old.id).replaced_by ?? null, null);
    const resume = ["rotate", "--resume", old.id, ...journal];
    const { stderr } = await operated.keygate(resume, { env: { ...api.env, KEYGATE_PEPPER: PEPPER, ...CONTROL } });
    assert.match(stderr, new RegExp(`old key ${old.id} works until \`keygate retire ${old.id} --unused `));
    const { state, not_after: end = null, replaced_by: successor } = api.record(old.id);
    assert.deepEqual([state, end], ["active", null]);
    assert.match(await readFile(path.join(operated.folder, "resumed"), "utf8"), new RegExp(`^acme_live_${successor}`));
    assert.match(await fate("remote", old), /^still used/);
  });

  test("a time that is shorter than counts may be late is refused", async () => {
    assert.match((await SOURCES.remote(["retire", "--unused", "59m"], { status: 2 })).stderr, /--unused 59m is too short/);
  });
});

describe("what is said where usage cannot be read", () => {
  const NEEDING = [["usage"], ["list", "--unused", "30d"], ["list", "--sort", "last-used"], ["retire"], ["rotate", busy.id, "--when-unused", "24h"]];
  for (const args of NEEDING) {
    test(`${args.join(" ").replace(busy.id, "ID")}: nothing is bound`, async () => {
      const local = await operated.keygate([...args, "--env", "test"], { status: 1, env: { KEYGATE_PEPPER: PEPPER } });
      assert.match(local.stderr, /wrangler\.toml has no `KEY_USAGE` in `env\.test\.durable_objects\.bindings`, so it is not known when keys were used\n help: deploy the control Worker/);
      const remote = await SOURCES.remote(args, { status: 1, env: { KEYGATE_CONTROL_URL: "" } });
      assert.match(remote.stderr, /KEYGATE_CONTROL_URL is not set, so it is not known when keys were used\n help: deploy the control Worker/);
    });

    for (const [title, env, said] of [
      ["no admin key", { KEYGATE_ADMIN_KEY: "" }, /KEYGATE_ADMIN_KEY is not set\n help: make an admin key/],
      ["an admin key with a blank", { KEYGATE_ADMIN_KEY: "a b" }, /the admin key from KEYGATE_ADMIN_KEY holds a blank/],
      ["a key of the gate", { KEYGATE_ADMIN_KEY: busy.key }, /refused the question \(401 key_invalid\).*\n help: make an admin key/],
      ["an admin key without the scope", { KEYGATE_ADMIN_KEY: idle.key }, /refused the question \(403 scope_missing\).*\n help: make an admin key/],
      ["a control Worker without secrets", { KEYGATE_CONTROL_URL: UNREADY }, /refused the question \(503 gate_misconfigured\).*\n help: give the control Worker the secrets/],
      ["the gate's address", { KEYGATE_CONTROL_URL: harness.gates.gate.url }, /refused the question \(401 /],
      ["nobody there", { KEYGATE_CONTROL_URL: "http://127.0.0.1:1" }, /cannot read usage: http:\/\/127\.0\.0\.1:1\/ cannot be reached/],
      ["an address in the clear", { KEYGATE_CONTROL_URL: "http://control.example" }, /the address of the control Worker is not an https:\/\/ URL/],
    ]) {
      test(`${args.join(" ").replace(busy.id, "ID")}: ${title}`, async () => {
        const before = JSON.stringify([...api.entries]);
        const { status, stderr } = await SOURCES.remote(args, { status: null, env });
        assert.notEqual(status, 0);
        assert.match(stderr, said);
        assert.ok(!stderr.includes(busy.key) && !stderr.includes(idle.key), "a key on standard error");
        assert.equal(JSON.stringify([...api.entries]), before);
      });
    }
  }

  test("list and show leave it out where nothing is bound, and say so where it fails", async () => {
    const silent = await SOURCES.remote(["list"], { env: { KEYGATE_CONTROL_URL: "" } });
    assert.doesNotMatch(silent.stdout + silent.stderr, /LAST USED|not looked at/);
    const failing = { env: { KEYGATE_CONTROL_URL: "http://127.0.0.1:1" } };
    assert.match((await SOURCES.remote(["show", busy.id], failing)).stderr, /^not looked at: when keys were used: cannot read usage: /m);
    assert.doesNotMatch((await SOURCES.remote(["list"], failing)).stdout, /LAST USED/);
  });

  test("a folder in which nothing was counted", async () => {
    const elsewhere = await operated.keygate(["usage", "--persist-to", path.join(operated.folder, "empty")], { status: 1 });
    assert.match(elsewhere.stderr, /nothing has been counted yet by the control Worker gate-usage of `wrangler dev` in /);
  });

  test("the admin key is taken from a secret store", async () => {
    const file = path.join(operated.folder, "admin-key");
    await writeFile(file, `${admin.key}\n`, { mode: 0o600 });
    const [report] = await jsonOf("remote", "usage", ["usage", second.id], { env: { KEYGATE_ADMIN_KEY: "", KEYGATE_ADMIN_KEY_FROM: `file:${file}` } });
    assert.equal(report.keys[0].accepted, 5);
  });
});

describe("keys for secrets", () => {
  const file = (name) => path.join(operated.folder, name);
  const control = path.join(operated.folder, "control.toml");

  test("a key whose record goes into a file for ADMIN_KEYS may ask the control Worker", async () => {
    await writeFile(control, `name = "keygate-control"\n[vars]\nKEY_PREFIX = "acme_admin"\n`);
    const issueOne = (...args) => operated.keygate(["issue", "--subject", "ops", "--static", file("admin-keys.json"), "--config", control, ...args]);
    const first = await issueOne("--scope", "admin:read");
    assert.match(first.stdout, /^acme_admin_[0-9A-Za-z]{50}\n$/);
    assert.match(first.stderr, /`wrangler secret put ADMIN_KEYS -c src\/control\/wrangler\.toml < FILE`/);
    await issueOne("--key-out", file("second"));
    const text = await readFile(file("admin-keys.json"), "utf8");
    assert.deepEqual(JSON.parse(text).map(({ subject, scopes }) => [subject, scopes ?? []]), [["ops", ["admin:read"]], ["ops", []]]);
    assert.equal((await stat(file("admin-keys.json"))).mode & 0o777, 0o600);
    const { gates, runtime } = await startGates(() => ({ later: { keyUsage: "control", controlSecrets: { PEPPER, ADMIN_KEYS: text } } }));
    assert.ok(gates.later);
    const KEYGATE_CONTROL_URL = (await runtime.unsafeGetDirectURL("later-usage")).origin;
    const ask = (key, status) => SOURCES.remote(["usage"], { status, env: { KEYGATE_CONTROL_URL, KEYGATE_ADMIN_KEY: key.trim() } });
    assert.match((await ask(first.stdout, 0)).stdout, /no key was used/);
    assert.match((await ask(await readFile(file("second"), "utf8"), 1)).stderr, /403 scope_missing/);
  });

  for (const [title, text, said] of [
    ["no array", "{}", /cannot read the records of .*: does not begin with `\[`/],
    ["a record that is none", `[{"v":1}]`, /cannot read the records of /],
  ]) {
    test(`a file with ${title} stays as it is`, async () => {
      await writeFile(file("bad.json"), text);
      const { stdout, stderr } = await operated.keygate(["issue", "--subject", "ops", "--static", file("bad.json")], { status: 1 });
      assert.match(stderr, said);
      assert.equal(stdout, "");
      assert.equal(await readFile(file("bad.json"), "utf8"), text);
    });
  }
});

describe("what is unusual about the last 24 hours", () => {
  const hijacked = issue();
  const days = Array.from({ length: 10 }, (_, at) => [hijacked, (at + 2) * DAY, 20]);

  before(async () => {
    await count([...days, [hijacked, 60, 5000, { ip_not_allowed: 400 }]]);
    // 203.0.113.0/24 for a long time, and 198.51.100.0/24 since a minute ago.
    const networks = { [0xcb_00_71]: now() - 50 * DAY, [0xc6_33_64]: now() - 60 };
    const keys = { [hijacked.id]: { last: { accepted: now() - 60, networks } } };
    const body = JSON.stringify({ id: randomUUID(), made: now(), usage: { keys } });
    assert.equal((await (await harness.usage("gate")).fetch("https://usage/batches", { method: "POST", body })).status, 204);
  });

  for (const source of Object.keys(SOURCES)) {
    test(`${source}: a new network, refusals and volume, with their numbers`, async () => {
      const { stdout } = await SOURCES[source](["usage", "--anomalies"]);
      const said = stdout.split("\n").filter((line) => line.startsWith(hijacked.id)).map((line) => line.slice(14).replace(/since .*; /, "since then; "));
      assert.deepEqual(said, [
        "used from 198.51.100.0/24 since then; from one before",
        "400 of 5400 requests refused, mostly ip_not_allowed; at most 0 on each of 10 days before",
        "5400 requests; at most 20 on each of 10 days before",
      ]);
      const [{ signals }] = await jsonOf(source, "usage", ["usage", "--anomalies"]);
      assert.deepEqual(signals.filter(({ id }) => id === hijacked.id).map(({ kind }) => kind), ["new_network", "refusals", "volume"]);
    });
  }

  test("of one key nothing is said apart", async () => {
    const { status, stderr } = await SOURCES.local(["usage", hijacked.id, "--anomalies"], { status: 2 });
    assert.equal(status, 2);
    assert.match(stderr, /cannot be used with/);
  });
});
