// `keygate --remote` beside a real `wrangler deploy`: the namespace that wrangler made, and the version of the gate that runs.

import assert from "node:assert/strict";
import { cp, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { before, beforeEach, describe, test } from "node:test";

import { ACCOUNT, LIVE, PATH, TOKEN, cleanEnv, keyIn } from "./support/cli.js";
import { refuse } from "./support/cloudflare.js";
import { PEPPER } from "./support/keys.js";
import { operator } from "./support/operator.js";
import { run } from "./support/program.js";
import { ROOT } from "./support/project.js";

const { gate, api } = await operator();
const file = (...names) => path.join(gate.folder, ...names);
const CONFIG = {
  name: "gate",
  main: "gate/entry.js",
  account_id: ACCOUNT,
  compatibility_date: "2026-11-17",
  workers_dev: false,
  preview_urls: false,
  // As `keygate init` writes it: wrangler finds the namespace, or makes it.
  kv_namespaces: [{ binding: "KEYS" }],
  vars: { ORIGIN: "https://origin.example.com", KEY_PREFIX: "acme_live" },
  env: { test: { kv_namespaces: [{ binding: "KEYS" }], vars: { ORIGIN: "https://origin.example.com", KEY_PREFIX: "acme_test" } } },
};

const remote = (args, { env, ...options } = {}) =>
  gate.keygate([...args, "--remote", "--config", file("wrangler.jsonc")], { ...options, env: { ...api.env, KEYGATE_PEPPER: PEPPER, ...env } });
const wrangler = (...args) =>
  run("wrangler", [...args, "--config", file("wrangler.jsonc")], {
    cwd: gate.folder,
    env: { ...cleanEnv(), PATH, HOME: gate.folder, WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true", ...api.env },
  });
const settingsAsked = () => api.log.filter((call) => call.endsWith("/settings")).length;

async function deploy(environment) {
  const { status, stdout, stderr } = await wrangler("deploy", `--env=${environment}`);
  assert.equal(status, 0, stdout + stderr);
}

before(async () => {
  await cp(path.join(ROOT, "build", "gate"), file("gate"), { recursive: true });
  await writeFile(file("wrangler.jsonc"), JSON.stringify(CONFIG));
});
beforeEach(() => (api.log.length = 0));

describe("a binding without id", () => {
  test("before the first deploy, the error says to deploy", async () => {
    for (const args of [["list"], ["issue", "--subject", "acme"]]) {
      const { stdout, stderr } = await remote(args, { status: 1 });
      assert.match(stderr, /cannot tell which KV namespace the deployed gate has: there is no such Worker .*\n help: deploy the gate: `wrangler deploy`, or `npm run deploy`/);
      assert.equal(stdout, "");
    }
  });

  test("after it, commands work on the namespace that wrangler made, and ask for it once", async () => {
    await deploy("");
    api.workers.bind("gate", { name: "PEPPER", type: "secret_text" });
    assert.deepEqual(api.workers.namespaces, ["gate-keys"]);
    assert.deepEqual(JSON.parse(await readFile(file("wrangler.jsonc"), "utf8")), CONFIG);
    const { id, key } = keyIn((await remote(["issue", "--subject", "acme"])).stdout);
    assert.equal(api.record(id).subject, "acme");
    await writeFile(file("held"), `${key}\n`, { mode: 0o600 });
    for (const [args, options] of [
      [["list"]],
      [["show", id]],
      [["export"]],
      [["update", id, "--name", "named"]],
      [["verify"], { input: `${key}\n` }],
      [["import", "--format", "keys", "--subject", "acme"], { input: "Zk3vQ9xLr2K7hVbT1mWcZk3vQ9xLr2K7hVbT1mWc\n" }],
      [["doctor"]],
      [["pepper", "status"]],
      [["rotate", id, "--to", `file:${file("held")}`, "--dry-run"]],
      [["rotate", id]],
      [["revoke", id]],
    ]) {
      api.log.length = 0;
      await remote(args, options);
      assert.equal(settingsAsked(), 1, args.join(" "));
    }
    assert.equal(api.record(id).state, "revoked");
  });

  test("wrangler finds the same entries", async () => {
    const { id } = keyIn((await remote(["issue", "--subject", "wrangled"])).stdout);
    const names = file("names.json");
    await writeFile(names, JSON.stringify([`key/${id}`]));
    const { status, stdout, stderr } = await wrangler("kv", "bulk", "get", names, "--binding=KEYS", "--remote", "--preview=false");
    assert.equal(status, 0, stderr);
    assert.equal(JSON.parse(JSON.parse(stdout)[`key/${id}`]).subject, "wrangled");
  });

  test("an environment has its own Worker", async () => {
    assert.match((await remote(["list", "--env", "test"], { status: 1 })).stderr, /no such Worker/);
    await deploy("test");
    await remote(["list", "--env", "test"]);
    assert.ok(api.log.includes(`GET /accounts/${ACCOUNT}/workers/scripts/gate-test/settings`));
  });

  test("--namespace and an id in the configuration ask for nothing", async () => {
    await remote(["list", "--namespace", LIVE]);
    await writeFile(file("named.jsonc"), JSON.stringify({ ...CONFIG, kv_namespaces: [{ binding: "KEYS", id: LIVE }] }));
    api.log.length = 0;
    await gate.keygate(["list", "--remote", "--config", file("named.jsonc")], { env: api.env });
    assert.equal(settingsAsked(), 0);
  });

  test("a token that may not look is told of both ways", async () => {
    const fail = (call) => (call.includes("/workers/") ? refuse(403) : undefined);
    const { stderr } = await api.failing(fail, () => remote(["list"], { status: 1 }));
    assert.match(stderr, /cannot tell which KV namespace .*\n help: give the token the permission Account · Workers Scripts: Read, .*; or put the namespace's `id` into the configuration/);
    assert.ok(!stderr.includes(TOKEN));
    const doctor = await api.failing(fail, () => remote(["doctor", "--json"]));
    const settings = JSON.parse(doctor.stdout).findings.find(({ field }) => field === "settings");
    assert.match(`${settings.level}: ${settings.problem}: ${settings.remedy}`, /^warning: not looked at: .* or put the namespace's `id`/);
    assert.match(doctor.stderr, /^not looked at: the keys, because it is not known in which KV namespace they are$/m);
  });

  test("a Worker without the binding is named", async () => {
    const fail = (call) => (call.endsWith("/settings") ? { result: { bindings: [] } } : undefined);
    const { stderr } = await api.failing(fail, () => remote(["list"], { status: 1 }));
    assert.match(stderr, /the deployed Worker has no KV namespace bound as `KEYS`\n help: deploy the gate/);
  });

  test("a rotation that is interrupted is resumed from its journal, which names the namespace", async () => {
    const old = keyIn((await remote(["issue", "--subject", "acme"])).stdout);
    await writeFile(file("store"), `${old.key}\n`, { mode: 0o600 });
    const journal = ["--journal", file("journal")];
    const rotate = ["rotate", old.id, "--to", `file:${file("store")}`, ...journal];
    let writes = 0;
    const fail = (call) => (call === "PUT /bulk" && ++writes === 2 ? refuse(403) : undefined);
    await api.failing(fail, () => remote(rotate, { status: 1 }));
    api.log.length = 0;
    const resume = ["rotate", "--resume", "--config", file("wrangler.jsonc"), ...journal];
    await gate.keygate(resume, { env: { ...api.env, KEYGATE_PEPPER: PEPPER } });
    assert.equal(settingsAsked(), 0);
    const { replaced_by: successor, not_after: end } = api.record(old.id);
    assert.ok(end);
    assert.match(await readFile(file("store"), "utf8"), new RegExp(`^acme_live_${successor}`));
  });
});

describe("the version of the deployed gate", () => {
  const NAME = "keygate-version";
  let own;
  before(async () => {
    own = await gate.version();
  });

  /** What doctor finds out where the custom section of the wasm has this name and this content, in place of those `before`. */
  async function found(before, name, content) {
    await api.workers.change("gate", ".wasm", (wasm) => {
      const at = wasm.indexOf(before);
      assert.ok(at > 0, "the gate's wasm has a version");
      const section = Buffer.from(`${String.fromCharCode(name.length)}${name}${content}`);
      // Before the name stand its length and the section's, one byte each.
      return Buffer.concat([wasm.subarray(0, at - 2), Buffer.from([section.length]), section, wasm.subarray(at + before.length)]);
    });
    const { deployed_version: version, findings } = JSON.parse((await remote(["doctor", "--json"])).stdout);
    return { version, finding: findings.find(({ field }) => field === "version") };
  }

  let section;
  for (const [title, name, versionOf, level, said] of [
    ["the same is said with --json, and is no finding", NAME, () => own],
    ["an older one is a warning with both", NAME, () => "0.0.1", "warning", /is 0\.0\.1, and this program is .*: it may write records that this gate refuses .*`npx keygate@latest upgrade`, then `npm run deploy`/],
    ["a newer one is a warning with both", NAME, () => "99.10.0-rc.1", "warning", /is 99\.10\.0-rc\.1, and this program is .*: it may not know what .*: `npx keygate@latest upgrade`/],
    ["none is a note", "something-else", () => undefined, "note", /is not known: .*deploy a gate of this program's version/],
  ]) {
    test(title, async () => {
      const content = `${versionOf() ?? ""}\n`;
      const { version, finding } = await found(section ?? `${NAME}${own}\n`, name, content);
      section = `${name}${content}`;
      assert.equal(version, versionOf());
      assert.equal(finding?.level, level);
      if (said) assert.match(`${finding.problem} ${finding.remedy}`, said);
    });
  }

  test("what may not be read is said", async () => {
    const fail = (call) => (call.endsWith("/content/v2") ? refuse(403) : undefined);
    const { stdout } = await api.failing(fail, () => remote(["doctor", "--json"], { status: null }));
    const { findings } = JSON.parse(stdout);
    assert.match(findings.find(({ field }) => field === "version").remedy, /Workers Scripts: Read/);
  });
});
