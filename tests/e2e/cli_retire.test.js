// `keygate retire`, and rotations whose old key ends when nobody uses it: by the control Worker of `wrangler dev` and by the deployed one.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { before, describe, test } from "node:test";

import { refuse } from "./support/cloudflare.js";
import { DAY, HOUR, startCounted } from "./support/counted.js";
import { valid } from "./support/json_schema.js";
import { issue, now, PEPPER } from "./support/keys.js";

const { operated, api, control: CONTROL, sources: SOURCES, schema, jsonOf, issued, recordOf, count } = await startCounted();

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

/** What became of a key whose row it is. */
async function fateIn({ fate, reason, id }, source, isDryRun = false) {
  const { state } = await recordOf(source, id);
  assert.equal(state, fate === "retired" && !isDryRun ? "revoked" : "active");
  return reason ?? fate;
}

/** The same of one key, for which the command is run. */
async function fate(source, { id }, ...args) {
  const [row] = await jsonOf(source, "retire", ["retire", id, ...args]);
  return fateIn(row, source, args.includes("--dry-run"));
}

describe("of all keys that were replaced", () => {
  const cases = [
    ["one that was not used within the time ends", [[3 * DAY]], [[HOUR]], /^retired$/],
    ["one that was used within the time stays", [[3 * DAY], [20 * HOUR]], [[HOUR]], /^still used, \d+ hours ago$/],
    ["one that was used a moment ago stays", [[0]], [[HOUR]], /^still used, (now|\d+ (second|minute)s? ago)$/],
    ["one that was refused within the time stays", [[3 * DAY], [HOUR, 0, { rate_limited: 1 }]], [[HOUR]], /^still presented and refused, \d+ hours? ago$/],
    ["one that was never counted stays", [], [[HOUR]], /^no use of it was ever counted/],
    ["one whose successor was never used stays", [[3 * DAY]], [], /^no key in its place was used in the last 1 d$/],
    ["one whose successor was not used within the time stays", [[3 * DAY]], [[2 * DAY]], /^no key in its place was used in the last 1 d$/],
    ["one whose successor is revoked stays", [[3 * DAY]], [[HOUR]], /^no key in its place was used in the last 1 d$/, { state: "revoked" }],
  ];
  const ids = [];
  const rows = {};
  before(async () => {
    for (const [, old, successor, , fields] of cases) ids.push((await pair(old, successor, fields)).id);
    for (const source of Object.keys(SOURCES)) rows[source] = await jsonOf(source, "retire", ["retire", "--unused", "24h", "--allow-gaps"]);
  });

  for (const source of Object.keys(SOURCES)) {
    test(`${source}: each is looked at, and no other key`, () => {
      assert.deepEqual(rows[source].map(({ id }) => id).sort(), ids.toSorted());
    });

    for (const [at, [title, , , expected]] of cases.entries()) {
      test(`${source}: ${title}`, async () => {
        assert.match(await fateIn(rows[source].find(({ id }) => id === ids[at]), source), expected);
      });
    }
  }
});

for (const source of Object.keys(SOURCES)) {
  describe(source, () => {
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
      const { id } = await issued({ subject: "alone" });
      const { stderr } = await SOURCES[source](["retire", id], { status: 1 });
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
