// `keygate usage`, and what other commands say of a key's use: by the control Worker of `wrangler dev` and by the deployed one.

import assert from "node:assert/strict";
import { readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { DAY, HOUR, startCounted } from "./support/counted.js";
import { startGates } from "./support/harness.js";
import { issue, now, PEPPER } from "./support/keys.js";
import { Relay } from "./support/relay.js";

const { harness, operated, api, admin, idle, control: CONTROL, urlOfControl, sources: SOURCES, jsonOf, issued, send, count } = await startCounted({
  bare: { keyUsage: "control" },
});
const UNREADY = await urlOfControl("bare");

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
    await send({ keys });
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
