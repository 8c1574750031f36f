// `keygate` on its own: its commands at a stand-in for Cloudflare's API, and in wrangler's local KV.

import assert from "node:assert/strict";
import { mkdir, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { Operator, keyIn } from "./support/cli.js";
import { Cloudflare } from "./support/cloudflare.js";
import { PEPPER, importedIdOf, pepperId, randomBase62 } from "./support/keys.js";

const inDays = (time) => Math.round((time - Date.now() / 1000) / 86400);

describe("what the commands do", () => {
  let folder;
  let gate;
  let api;
  before(async () => {
    [folder, api] = [await Operator.make(), await Cloudflare.start()];
    gate = folder.deployed(api);
  });
  after(async () => {
    await api.stop();
    await folder.remove();
  });

  test("an issued key is shown, listed and verified with the fields that were asked for", async () => {
    const { key, id } = await gate.issue(
      ...["--subject", "shown", "--name", "Büro \"1\"", "--scope", "reports:read", "--ip", "203.0.113.0/24"],
      ...["--expires", "90d", "--plan", "free", "--meta", "team=billing"],
    );
    const { record, state, good_now } = await gate.json(["show", id]);
    assert.deepEqual({ state, good_now }, { state: "active", good_now: true });
    const { digest, created, not_after, ...rest } = record;
    assert.match(digest, /^hs256\.[0-9a-f]{8}\.[0-9A-Za-z_-]{43}$/);
    assert.equal(not_after - created, 90 * 86400);
    assert.deepEqual(rest, {
      ...{ v: 1, id, subject: "shown", name: "Büro \"1\"", state: "active", not_before: null, scopes: ["reports:read"] },
      ...{ ips: ["203.0.113.0/24"], plan: "free", replaces: null, replaced_by: null, meta: { team: "billing" } },
    });
    assert.deepEqual(await gate.json(["list", "--subject", "shown"]), {
      ...{ id, subject: "shown", name: "Büro \"1\"", state: "active", created, not_after, scopes: ["reports:read"] },
      ...{ pepper: digest.split(".")[1], replaced_by: null, rev: 1, by: null },
    });
    assert.equal(await gate.verify(key, "--path", "/reports/7"), "ip_not_allowed");
    const unknown = await gate.keygate(["verify", "--path", "/reports/7"], { input: `${key}\n`, status: 1 });
    assert.match(unknown.stderr, /no client address was given: add `--ip ADDRESS`/);
    assert.equal(await gate.verify(key, "--path", "/reports/7", "--ip", "203.0.113.7"), "permitted");
    const changed = key.slice(0, -1) + (key.endsWith("0") ? "1" : "0");
    assert.equal(await gate.verify(changed, "--ip", "203.0.113.7"), "key_invalid");
  });

  test("a quota is issued, shown, inherited by a rotation, charged in name, changed and taken away", async () => {
    const old = await gate.issue("--subject", "counted", "--quota", "1000/day", "--scope", "reports:read");
    const { id, key } = keyIn((await gate.keygate(["rotate", old.id])).stdout);
    const quota = async () => (await gate.json(["show", id])).record.quota;
    assert.deepEqual(await quota(), { limit: 1000, period: "day" });
    assert.match((await gate.keygate(["show", id])).stdout, /^quota +1000\/day$/m);
    assert.match((await gate.keygate(["verify", "--path", "/reports/7"], { input: `${key}\n` })).stdout, /^if the quota has it: 1 of 1000\/day$/m);
    assert.match((await gate.keygate(["update", id, "--quota", "5/total"])).stderr, /^warning: .*durable_objects\.bindings has no class bound as QUOTA/m);
    assert.deepEqual(await quota(), { limit: 5, period: "total" });
    assert.doesNotMatch((await gate.keygate(["update", id, "--clear", "quota"])).stderr, /^warning:/m);
    assert.equal(await quota(), undefined);
    assert.match((await gate.keygate(["update", id, "--quota", "5/week"], { status: 2 })).stderr, /`hour`, `day`, `month` or `total`/);
  });

  test("the new key of a rotation inherits every field, and the old one expires after the grace and cannot be rotated again", async () => {
    const old = await gate.issue("--subject", "rotated", "--name", "R", "--scope", "reports:read", "--expires", "90d");
    const fresh = keyIn((await gate.keygate(["rotate", old.id, "--grace", "7d"])).stdout);
    const [before, now] = [await gate.json(["show", old.id]), await gate.json(["show", fresh.id])];
    assert.deepEqual([before.record.replaced_by, now.record.replaces], [fresh.id, old.id]);
    assert.deepEqual([inDays(before.record.not_after), inDays(now.record.not_after)], [7, 90]);
    assert.deepEqual([now.record.subject, now.record.name, now.record.scopes], ["rotated", "R", ["reports:read"]]);
    assert.equal(await gate.verify(old.key), "permitted");
    assert.equal(await gate.verify(fresh.key), "permitted");
    const { stderr } = await gate.keygate(["rotate", old.id], { status: 1 });
    assert.match(stderr, new RegExp(`replaced by ${fresh.id}`));
    const last = await gate.json(["rotate", fresh.id, "--grace", "0", "--expires", "never"]);
    assert.equal(await gate.verify(fresh.key), "key_revoked");
    assert.equal(await gate.verify(last.key), "permitted");
    assert.deepEqual([last.replaces.id, last.replaces.state], [fresh.id, "revoked"]);
  });

  test("a disabled key can be enabled again, and a revoked one cannot", async () => {
    const { key, id } = await gate.issue("--subject", "changed");
    await gate.keygate(["disable", id]);
    assert.equal(await gate.verify(key), "key_disabled");
    await gate.keygate(["rotate", id], { status: 1 });
    await gate.keygate(["enable", id]);
    await gate.keygate(["update", id, "--scope", "reports:read", "--name", "N", "--expires", "1h"]);
    assert.equal(await gate.verify(key, "--path", "/reports"), "permitted");
    const { staleness_seconds } = await gate.json(["revoke", id]);
    assert.equal(staleness_seconds, 90);
    assert.equal(await gate.verify(key), "key_revoked");
    for (const command of ["enable", "disable", "revoke", "rotate"]) await gate.keygate([command, id], { status: 1 });
    await gate.keygate(["update", id, "--name", "M"], { status: 1 });
    assert.deepEqual((await gate.json(["list", "--state", "revoked", "--subject", "changed"])).id, id);
  });

  test("a key of another system is stored as a digest, found again, and refused when it is known already or weak", async () => {
    const foreign = randomBase62(40);
    const { stdout, stderr } = await gate.keygate(["issue", "--subject", "old", "--import-stdin"], { input: `${foreign}\n` });
    assert.equal(stdout, `${importedIdOf(foreign)}\n`);
    assert.ok(!stderr.includes(foreign));
    assert.equal(await gate.verify(foreign), "permitted");
    await gate.keygate(["issue", "--subject", "old", "--import-stdin"], { input: foreign, status: 1 });
    const weak = await gate.keygate(["issue", "--subject", "old", "--import-stdin"], { input: "12345678901234567890", status: 1 });
    assert.match(weak.stderr, /too easy to guess/);
  });

  test("a key that cannot be printed is reported as lost, and the old one stays valid", { skip: process.platform !== "linux" && "needs /dev/full" }, async () => {
    const old = await gate.issue("--subject", "lost");
    const full = await open("/dev/full", "w");
    const { stderr } = await gate.keygate(["rotate", old.id], { status: 1, stdout: full.fd });
    await full.close();
    assert.match(stderr, /could not be handed over and is lost\n help: `keygate revoke [0-9A-Za-z]{12}( --remote)?`/);
    const { record } = await gate.json(["show", old.id]);
    assert.deepEqual([record.not_after, record.replaced_by], [null, null]);
  });

  test("a dry run writes nothing, and what it prints can be written", async () => {
    const out = path.join(gate.folder, "dry");
    const { stdout } = await gate.keygate(["issue", "--subject", "dry", "--dry-run", "--key-out", out]);
    assert.equal((await stat(out)).mode & 0o777, 0o600);
    const { key, id } = keyIn(await readFile(out, "utf8"));
    await gate.keygate(["show", id], { status: 1 });
    const bulk = path.join(gate.folder, "bulk.json");
    await writeFile(bulk, stdout);
    await folder.keygate(["check", bulk]);
    for (const entry of JSON.parse(stdout)) api.entries.set(entry.key, entry);
    assert.equal(await gate.verify(key), "permitted");
    const [revoked] = JSON.parse((await gate.keygate(["revoke", id, "--dry-run"])).stdout);
    assert.equal(JSON.parse(revoked.value).state, "revoked");
    assert.equal(await gate.verify(key), "permitted");
  });

  test("doctor warns of a key that was issued for a day and expires soon, unless it is a local one", async () => {
    for (const [name, where, isSaid] of [["local", folder, false], ["deployed", gate, true]]) {
      const { id } = await where.issue("--subject", "demo", "--expires", "1d");
      const { findings } = JSON.parse((await where.keygate(["doctor", "--json"], { status: null })).stdout);
      const ofKey = findings.filter(({ field }) => field === `key/${id}`).map(({ problem }) => problem);
      assert.equal(ofKey.some((problem) => problem.startsWith("expires soon")), isSaid, name);
      assert.equal(ofKey.length, isSaid ? 1 : 0, name);
    }
  });

  test("a dry run of a rotation without --key-out says what would be done, and prints no entries of a key that nobody has", async () => {
    const { key, id } = await gate.issue("--subject", "planned");
    const { stdout, stderr } = await gate.keygate(["rotate", id, "--dry-run", "--grace", "24h"]);
    assert.equal(stdout, "");
    assert.match(stderr, new RegExp(`add .--key-out FILE.[^]*would make a key for planned: valid at once[^]*old key ${id} would stop working at .*, in [^]*nothing was written`));
    assert.equal((await gate.json(["show", id])).record.not_after, null);
    assert.equal(await gate.verify(key), "permitted");
    const out = path.join(gate.folder, "planned");
    const entries = JSON.parse((await gate.keygate(["rotate", id, "--dry-run", "--key-out", out])).stdout);
    assert.deepEqual(entries.map((entry) => entry.key), [`key/${keyIn(await readFile(out, "utf8")).id}`, `key/${id}`]);
  });

  test("an invalid entry is listed, and its fault is named", async () => {
    const { key, id } = await gate.issue("--subject", "spoilt");
    const value = JSON.stringify({ ...api.record(id), ip: ["203.0.113.0/24"] });
    api.entries.clear();
    api.entries.set(`key/${id}`, { key: `key/${id}`, value });
    const listed = await gate.json(["list"]);
    assert.deepEqual([listed.id, listed.subject, listed.state], [id, null, null]);
    const shown = await gate.keygate(["show", id], { status: 1 });
    assert.match(shown.stderr, /not a valid record: `ip`/);
    assert.equal(await gate.verify(key), "key_record_invalid");
  });
});

describe("the local KV", () => {
  let gate;
  before(async () => (gate = await Operator.make()));
  after(() => gate.remove());

  test("a key is issued, changed, rotated and revoked as in a deployed namespace", async () => {
    const { key, id } = await gate.issue("--subject", "local", "--name", "L", "--scope", "reports:read");
    await gate.keygate(["update", id, "--name", "M", "--expires", "1h"]);
    const { created, not_after, pepper, ...listed } = await gate.json(["list", "--subject", "local"]);
    assert.equal(pepper, pepperId(PEPPER));
    assert.ok(not_after - created >= 3600);
    assert.deepEqual(listed, { id, subject: "local", name: "M", state: "active", scopes: ["reports:read"], replaced_by: null, rev: null, by: null });
    const fresh = keyIn((await gate.keygate(["rotate", id])).stdout);
    const { staleness_seconds } = await gate.json(["revoke", id]);
    assert.equal(staleness_seconds, 30);
    assert.deepEqual([await gate.verify(key), await gate.verify(fresh.key)], ["key_revoked", "permitted"]);
  });

  test("a pepper is printed alone and can be used at once", async () => {
    const { stdout } = await gate.keygate(["pepper"]);
    assert.match(stdout, /^[0-9A-Za-z_-]{43}\n$/);
    const file = path.join(gate.folder, "pepper");
    await writeFile(file, stdout);
    const { stdout: issued, stderr } = await gate.keygate(["issue", "--subject", "acme", "--pepper-file", file]);
    assert.match(stderr, /warning: PEPPER in \.dev\.vars is another one/);
    assert.equal(await gate.verify(keyIn(issued).key), "key_invalid");
    assert.equal(await gate.verify(keyIn(issued).key, "--pepper-file", file), "permitted");
  });

  test("environments are separate", async () => {
    const { stdout } = await gate.keygate(["issue", "--subject", "acme", "--env", "test"]);
    const { key, id } = keyIn(stdout);
    assert.match(key, /^acme_test_/);
    await gate.keygate(["show", id], { status: 1 });
    await gate.keygate(["show", id, "--env", "test"]);
    assert.equal(await gate.verify(key), "key_invalid");
    assert.equal(await gate.verify(key, "--env", "test"), "permitted");
  });

  describe("each mistake has a message that says what to do", () => {
    let ill;
    before(async () => {
      ill = await Operator.make();
      await mkdir(path.join(ill.folder, "node_modules", ".bin"), { recursive: true });
    });
    after(() => ill.remove());

    /** A Node.js that does what the script says, in place of the one that opens the store. */
    const withNode = (script) => writeFile(path.join(ill.folder, "node_modules", ".bin", "node"), `#!/bin/sh\n${script}\n`, { mode: 0o700 });
    const store = "cannot use the local KV of `wrangler dev`: ";
    for (const [name, script, args, said] of [
      ["a store that may not be read", `read line; echo '{"error":"EACCES: permission denied"}'`, ["list"], `${store}EACCES: permission denied\n help: check the folder of the local store`],
      ["an old Node.js", `read line; echo '{"error":"Node.js 22 or later is needed, and this is 20.0.0"}'`, ["list"], `${store}Node.js 22.*\n help: wrangler needs Node.js 22 or later; install it, or run \`npm install\``],
      ["a wrangler without Miniflare", `read line; echo '{"error":"Cannot find module miniflare"}'`, ["list"], `${store}Cannot find module.*\n help: use the version of wrangler that package.json names`],
      ["a Miniflare that says something else", "read line; echo canary", ["list"], `${store}Miniflare answered something else.*\n help: use the version of wrangler that package.json names`],
      ["a Miniflare that says something else of values", `read line; echo '{"answer":{"canary":1}}'`, ["show", "000000000000"], `${store}Miniflare answered something else.*\n help: use the version of wrangler`],
      ["a process that ends", "echo 'out of memory' >&2; exit 1", ["list"], `${store}out of memory\n help: check the folder`],
      ["a key that is not there", `read line; echo '{"answer":[null]}'`, ["show", "000000000000"], "there is no key 000000000000 in the local KV.*\n help: see `keygate list`; keys of the deployed gate need `--remote`"],
    ]) {
      test(name, async () => {
        await withNode(script);
        const { stdout, stderr } = await ill.keygate(args, { status: 1 });
        assert.match(stderr, new RegExp(said));
        assert.ok(stdout === "" && !stderr.includes("canary"), stderr);
      });
    }

    test("a write that failed may have been made: the key is named", async () => {
      await withNode("exit 1");
      const { stdout, stderr } = await ill.keygate(["issue", "--subject", "acme"], { status: 1 });
      assert.equal(stdout, "");
      assert.match(stderr, /it gave no reason; the record of key (\w{12}) may have been written.*\n help: look with `keygate show \1`/);
    });
  });

  test("without wrangler, and without a pepper, the error says what to do", async () => {
    const { stderr } = await gate.keygate(["list"], { status: 1, env: { PATH: gate.folder } });
    assert.match(stderr, /wrangler was found neither .*\n help: install/);
    const bare = await Operator.make();
    try {
      await rm(path.join(bare.folder, ".dev.vars"));
      const { stderr } = await bare.keygate(["issue", "--subject", "acme"], { status: 1 });
      assert.match(stderr, /there is no PEPPER in \.dev\.vars/);
    } finally {
      await bare.remove();
    }
  });
});
