// The folder of the deploy button, `target/deploy-button`, which `cargo xtask pack` makes: it has what Cloudflare asks of a template, and
// runs with wrangler alone, on this machine and without an account. Cloudflare's API is a stand-in.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { access, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { ACCOUNT, cleanEnv, KEYGATE, TOKEN } from "./support/cli.js";
import { Cloudflare } from "./support/cloudflare.js";
import { commandsOf } from "./support/documents.js";
import { startDev } from "./support/npm_run_dev.js";
import { Origin } from "./support/origin.js";
import { run } from "./support/program.js";
import { ROOT, WRANGLER_TOML } from "./support/project.js";

const require = createRequire(import.meta.url);
const { unstable_readConfig } = require("wrangler");

const MADE = path.join(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target"), "deploy-button");
/** A template's folder has its name. */
const NAME = "keygate-template";

const KEYGATE_OF_ITS_VERSION = `keygate@${/^version = "(.*)"$/m.exec(await readFile(path.join(ROOT, "Cargo.toml"), "utf8"))[1]}`;

const root = await mkdtemp(path.join(tmpdir(), "keygate-deploy-button-"));
const folder = path.join(root, NAME);
const read = (file) => readFile(path.join(folder, file), "utf8");
const env = () => ({ ...cleanEnv(), XDG_CONFIG_HOME: path.join(root, "config"), WRANGLER_REGISTRY_PATH: path.join(root, "registry"), CI: "true", WRANGLER_SEND_METRICS: "false", NODE_TEST_CONTEXT: undefined });

let made;

before(async () => {
  await access(MADE).catch(() => assert.fail("target/deploy-button is not there; run `cargo xtask pack` first"));
  await cp(MADE, folder, { recursive: true });
  const manifest = JSON.parse(await read("package.json"));
  const config = unstable_readConfig({ config: path.join(folder, "wrangler.jsonc") });
  const examples = Object.fromEntries([...(await read(".dev.vars.example")).matchAll(/^(\w+)="?([^"\n]*)"?$/gm)].map(([, name, value]) => [name, value]));
  made = { manifest, config, examples, readme: await read("README.md"), files: await readdir(folder, { recursive: true }) };
  // What `npm install` would bring, and `npx keygate`.
  const modules = path.join(folder, "node_modules");
  await mkdir(path.join(modules, ".bin"), { recursive: true });
  for (const link of ["wrangler", ".bin/wrangler", ".bin/node"]) await symlink(path.join(ROOT, "node_modules", link), path.join(modules, link));
  await symlink(KEYGATE, path.join(modules, ".bin/keygate"));
});

after(() => rm(root, { recursive: true, force: true, maxRetries: 10 }));

describe("as Cloudflare asks of a template, and ours:", () => {
  const names = (object) => Object.keys(object).sort();
  const RULES = [
    ["its name ends with -template, and is that of its folder, its Worker and its package", async ({ manifest, config }) => assert.deepEqual([manifest.name, config.name], [NAME, NAME])],
    ["it is private, and has no version", async ({ manifest }) => assert.deepEqual([manifest.private, "version" in manifest], [true, false])],
    ["it has a description", async ({ manifest }) => assert.match(manifest.description, /^[A-Z].{20,}\.$/)],
    ["it has the scripts dev and deploy", async ({ manifest: { scripts } }) => assert.deepEqual(names(scripts), ["deploy", "dev"])],
    ["it has a label, products and known categories", async ({ manifest: { cloudflare } }) => {
      assert.equal(cloudflare.label, "Keygate");
      assert.deepEqual(cloudflare.products, ["Workers", "KV"]);
      assert.deepEqual(cloudflare.categories.filter((category) => !["starter", "storage", "ai"].includes(category)), []);
    }],
    ["its configuration is wrangler.jsonc alone", async ({ files }) => assert.deepEqual(files.filter((file) => /(^|\/)wrangler\./.test(file)), ["wrangler.jsonc"])],
    ["logs are on, without the URLs of requests", async ({ config: { observability } }) => assert.deepEqual([observability.enabled, observability.logs.invocation_logs, observability.traces.enabled], [true, false, false])],
    ["source maps are uploaded", async ({ config }) => assert.equal(config.upload_source_maps, true)],
    ["its compatibility date is the one that the gate is tested with", async ({ config }) => assert.equal(config.compatibility_date, unstable_readConfig({ config: WRANGLER_TOML }).compatibility_date)],
    ["git ignores packages, state and secrets", async () => assert.deepEqual((await read(".gitignore")).split("\n").filter((line) => /node_modules|wrangler|dev\.vars/.test(line)), ["/node_modules/", ".wrangler/", ".dev.vars*", "!.dev.vars.example"])],
    ["the README has the button, then one part for the dashboard", async ({ readme }) => {
      const marks = ["[![Deploy to Cloudflare](https://deploy.workers.cloudflare.com/button)]", "<!-- dash-content-start -->", "<!-- dash-content-end -->"];
      const places = marks.map((mark) => readme.indexOf(mark));
      assert.ok(places[0] > 0 && places[0] < places[1] && places[1] < places[2], String(places));
      for (const mark of marks) assert.equal(readme.split(mark).length, 2, mark);
    }],
    ["its links are to the repository that Cargo.toml names", async ({ readme }) => {
      const [, repository] = /^repository = "(.*)"$/m.exec(await readFile(path.join(ROOT, "Cargo.toml"), "utf8"));
      const documents = readme + (await readFile(path.join(ROOT, "docs/deploy-button.md"), "utf8"));
      const links = new Set([...documents.matchAll(/https:\/\/github\.com\/[\w./-]*\w/g)].map(([link]) => link));
      assert.deepEqual([...links].sort(), [repository, `${repository}-template`]);
    }],
    ["its README names the keygate of the gate's version", async ({ readme }) => {
      const named = commandsOf(readme).filter((line) => line.startsWith("npx ")).map((line) => line.split(" ")[1]);
      assert.deepEqual(named, [KEYGATE_OF_ITS_VERSION, KEYGATE_OF_ITS_VERSION]);
    }],
    ["the lock file is that of its package", async ({ manifest }) => {
      const { packages } = JSON.parse(await read("package-lock.json"));
      assert.deepEqual(packages[""].devDependencies, manifest.devDependencies);
    }],
    ["wrangler is the one that the gate is tested with", async ({ manifest }) => {
      const own = JSON.parse(await readFile(path.join(ROOT, "package.json"), "utf8"));
      assert.deepEqual(manifest.devDependencies, { wrangler: own.devDependencies.wrangler });
    }],
    ["every value that the button asks for is described, and nothing else", async ({ manifest, config, examples }) => {
      const asked = [...names(config.vars), ...names(examples), ...config.kv_namespaces.map(({ binding }) => binding)];
      assert.deepEqual(names(manifest.cloudflare.bindings), asked.sort());
      for (const { description } of Object.values(manifest.cloudflare.bindings)) assert.match(description, /^[A-Z].{20,}\.$/);
    }],
    ["variables are strings, which the button's form has", async ({ config }) => assert.deepEqual(Object.values(config.vars).filter((value) => typeof value !== "string"), [])],
    ["the KV namespace is created by the deploy", async ({ config }) => assert.deepEqual(config.kv_namespaces, [{ binding: "KEYS" }])],
    ["it needs no other Worker", async ({ config }) => assert.deepEqual([config.durable_objects.bindings, config.services ?? []], [[], []])],
    ["it has the built gate and its licences", async ({ files }) => {
      const gate = (await readdir(path.join(ROOT, "build/gate"), { recursive: true })).filter((file) => !/(^|\/)\./.test(file));
      assert.deepEqual(files.filter((file) => file.startsWith("gate/")).sort(), gate.map((file) => `gate/${file}`).sort());
      assert.deepEqual(files.filter((file) => file.startsWith("LICENSE")).sort(), ["LICENSE", "LICENSE-APACHE", "LICENSE-MIT"]);
    }],
  ];
  for (const [rule, check] of RULES) test(rule, () => check(made));
});

test("`keygate check` finds nothing, and `wrangler deploy --dry-run` takes it", async () => {
  for (const [program, args] of [[KEYGATE, ["check"]], ["wrangler", ["deploy", "--dry-run"]]]) {
    const { status, stdout, stderr } = await run(program, args, { cwd: folder, env: env() });
    assert.equal(status, 0, stdout + stderr);
    assert.doesNotMatch(stdout + stderr, /warning:|WARNING/);
  }
});

const shell = async (line, more = {}) => {
  const ran = await run("bash", ["-c", line], { cwd: folder, env: { ...env(), ...more } });
  assert.equal(ran.status, 0, `${line}\n${ran.stdout}${ran.stderr}`);
  return ran.stdout;
};

/** Runs `npm run dev` of the folder while `work` goes on with its port. */
async function withDev(origin, work) {
  const dev = await startDev(folder, env(), "--var", `ORIGIN:${origin.url}`);
  try {
    await work(dev.port);
  } finally {
    await dev.stop();
  }
}

/** The status of each line with `curl`. */
const statuses = async (lines, port) => Promise.all(lines.map(async (line) => (await shell(`${line.replaceAll("8787", String(port))} -s`)).split(" ")[1]));

test("with the example's secret the gate refuses every request", { timeout: 300_000 }, async () => {
  const origin = await Origin.start();
  await cp(path.join(folder, ".dev.vars.example"), path.join(folder, ".dev.vars"));
  try {
    await withDev(origin, async (port) => assert.deepEqual(await statuses(["curl -i http://127.0.0.1:8787/"], port), ["503"]));
    assert.deepEqual(origin.requests, []);
  } finally {
    await rm(path.join(folder, ".dev.vars"));
    await origin.stop();
  }
});

test("the README's commands for this machine: 401 without a key, 200 with one", { timeout: 300_000 }, async () => {
  const lines = commandsOf(made.readme.split("## Run it on this machine")[1]);
  assert.deepEqual(lines.map((line) => line.split(" ")[0]), ["npm", "(umask", "npm", "npx", "curl"]);
  const [, pepper, , issue, curl] = lines;
  const origin = await Origin.start();
  await shell(pepper);
  try {
    await withDev(origin, async (port) => {
      await shell(issue.replace(KEYGATE_OF_ITS_VERSION, "keygate"));
      assert.deepEqual(await statuses(["curl -i http://127.0.0.1:8787/", curl, curl.replace("$(cat", "$(tr a-z b-za < ")], port), ["401", "200", "401"]);
    });
    assert.equal(origin.requests.length, 1);
  } finally {
    await rm(path.join(folder, ".dev.vars"));
    await origin.stop();
  }
});

/** Cloudflare, which makes an account for whoever has none and has solved a small puzzle. */
async function cloudflareWithTemporaryAccounts() {
  const api = await Cloudflare.start();
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  Object.assign(api.results, {
    "POST /provisioning/previews/challenge": { challengeToken: "c", seed: randomBytes(32).toString("base64url"), k: 1, g: 1 },
    "POST /provisioning/previews": {
      account: { id: ACCOUNT, name: "temporary", apiToken: TOKEN, expiresAt },
      claim: { url: "https://dash.example.com/claim-preview?claimToken=t", expiresAt },
    },
  });
  // Who asks for an account has no token yet.
  api.fail = (call) => (call in api.results ? { result: api.results[call] } : undefined);
  return api;
}

test("the commands for a gate without an account deploy it with its pepper, and write the record of a key", { timeout: 300_000 }, async () => {
  const document = await readFile(path.join(ROOT, "docs/deploy-button.md"), "utf8");
  const [install, pepper, deploy, issue, put] = commandsOf(document.split("## Trying it without an account")[1]);
  assert.equal(install, "npm install");
  const api = await cloudflareWithTemporaryAccounts();
  const cloud = { CLOUDFLARE_API_BASE_URL: api.url };
  try {
    await shell(pepper);
    const said = await shell(`${deploy} 2>&1`, cloud);
    assert.match(said, /https:\/\/keygate-template\.acme\.workers\.dev/, said);
    assert.match(said, /claimToken=t/);
    const secret = /"?PEPPER"?="(.*)"/.exec(await read(".dev.vars"))[1];
    assert.deepEqual(api.workers.binding(NAME, "PEPPER"), { name: "PEPPER", type: "secret_text", text: secret });
    await shell(issue);
    await shell(put, cloud);
    const key = (await read("key.txt")).trim();
    const entry = JSON.parse(api.entries.get(`key/${key.slice("acme_live_".length).slice(0, 12)}`).value);
    assert.equal(entry.subject, "me");
  } finally {
    await rm(path.join(folder, ".dev.vars"), { force: true });
    await api.stop();
  }
});
