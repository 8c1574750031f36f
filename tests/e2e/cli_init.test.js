// `keygate init`: its folder runs with wrangler and the built Workers alone, as its README says.

import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { after, before, test } from "node:test";

import { KEYGATE } from "./support/cli.js";
import { initFolders, readmeCommands } from "./support/init_folder.js";
import { startDev } from "./support/npm_run_dev.js";
import { run } from "./support/program.js";
import { runAtTerminal } from "./support/terminal.js";

const require = createRequire(import.meta.url);
const { experimental_patchConfig } = require("wrangler");

const ID = "0123456789abcdef0123456789abcdef";
const FILES = [".dev.vars", ".gitignore", "README.md", "control/wrangler.jsonc", "package.json", "wrangler.jsonc"];

const { root, env, keygate, make } = await initFolders();

/** Runs a line as a reader's shell would; wrangler's server has another port. */
const shell = (folder, line) => run("bash", ["-c", line.replaceAll("8787", String(dev.port))], { cwd: folder, env });

async function listening(server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server.address().port;
}

const seen = [];
const origin = createServer((request, response) => {
  seen.push(request.headers);
  response.end("hello");
});
let folder;
let dev;

before(async () => {
  const originPort = await listening(origin);
  // With a route of its own, which must not keep it from listening on this machine.
  folder = await make("my-gate", "--origin", `http://127.0.0.1:${originPort}`, "--domain", "api.example.com");
  dev = await startDev(folder, env);
}, { timeout: 300_000 });

after(async () => {
  await dev?.stop();
  origin.close();
  origin.closeAllConnections();
});

test("the folder holds what is promised, and its pepper is for its owner alone", async () => {
  const made = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const names = made.map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name))).filter((name) => !/(^|\/)(node_modules|\.wrangler)\//.test(name));
  assert.deepEqual(names.sort(), FILES);
  assert.equal((await stat(path.join(folder, ".dev.vars"))).mode & 0o777, 0o600);
  const { stdout, stderr, status } = await keygate(["init", "again", "--origin", "https://api.example.com", "--yes", "--json"]);
  assert.equal(status, 0, stderr);
  const { files, ...rest } = JSON.parse(stdout);
  assert.deepEqual(rest, { folder: "again", name: "again", prefix: "again", origin: "https://api.example.com" });
  assert.deepEqual(files.sort(), FILES);
  const [, pepper] = /^PEPPER="?([\w-]{43})"?$/m.exec(await readFile(path.join(root, "again", ".dev.vars"), "utf8"));
  assert.ok(!(stdout + stderr).includes(pepper), "the pepper was printed");
  assert.ok(!(await readFile(path.join(folder, ".dev.vars"), "utf8")).includes(pepper), "two gates have one pepper");
});

test("the README's commands: 401 without a key, 200 with one, 401 with a wrong one", async () => {
  const [[start, issue, ...curls]] = await readmeCommands(folder);
  assert.equal(start, "npm run dev");
  const issued = await shell(folder, issue);
  assert.equal(issued.status, 0, issued.stderr);
  const key = (await readFile(path.join(folder, "key.txt"), "utf8")).trim();
  assert.match(key, /^my_gate_[0-9A-Za-z]{50}$/);
  const statuses = [];
  for (const curl of curls) statuses.push((await shell(folder, `${curl} -s`)).stdout.split(" ")[1]);
  assert.deepEqual(statuses, ["401", "200", "401"]);
  assert.equal(seen.length, 1);
  assert.equal(seen[0]["x-keygate-subject"], "me");
  assert.ok(!JSON.stringify(seen).includes(key), "the origin saw the key");
});

test("a revoked key is refused", async () => {
  const { stdout: key } = await keygate(["issue", "--subject", "gone"], { cwd: folder });
  const revoked = await keygate(["revoke", key.slice("my_gate_".length, "my_gate_".length + 12)], { cwd: folder });
  assert.equal(revoked.status, 0, revoked.stderr);
  const answer = await fetch(`${dev.url}/`, { headers: { "X-Api-Key": key.trim() } });
  assert.deepEqual([answer.status, (await answer.json()).code], [401, "key_revoked"]);
});

test("a quota is exact", async () => {
  const { stdout: key } = await keygate(["issue", "--subject", "limited", "--quota", "1/day"], { cwd: folder });
  const codes = [];
  for (const _ of [1, 2]) codes.push((await fetch(`${dev.url}/`, { headers: { "X-Api-Key": key.trim() } })).status);
  assert.deepEqual(codes, [200, 429]);
});

test("before anything was counted, usage names the command that runs both Workers", async () => {
  const idle = await make("idle", "--origin", "https://api.example.com");
  const { status, stderr } = await keygate(["usage"], { cwd: idle });
  assert.equal(status, 1);
  assert.match(stderr, /\n help: run both Workers \(`npm run dev`\) and send a request, which is counted some seconds later/);
});

test("usage counts what the gate answered", async () => {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const { stdout, stderr } = await keygate(["usage", "--json"], { cwd: folder });
    const accepted = stdout === "" ? 0 : JSON.parse(stdout).keys.reduce((sum, { accepted }) => sum + accepted, 0);
    if (accepted === 2) break;
    assert.ok(Date.now() < deadline, `${stdout}\n${stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
});

for (const [command, said] of [
  ["list", /\bme\b/],
  ["show", /\bme\b/],
  ["verify", /^permitted$/m],
  ["pepper status", /^no rotation of the pepper is under way$/m],
  ["doctor", /\b0 errors/],
  ["rotate", /^my_gate_[0-9A-Za-z]{50}$/m],
]) {
  test(`keygate ${command} works there without options`, async () => {
    const key = await readFile(path.join(folder, "key.txt"), "utf8");
    const id = ["show", "rotate"].includes(command) ? [key.slice("my_gate_".length, "my_gate_".length + 12)] : [];
    const { status, stdout, stderr } = await keygate([...command.split(" "), ...id], { cwd: folder, input: key });
    assert.equal(status, 0, stderr);
    assert.match(stdout + stderr, said);
  });
}

for (const [name, ...options] of [
  ["plain"],
  ["own-host", "--domain", "api.example.com"],
  ["other", "--prefix", "acme_live", "--credential", "query:token", "--credential", "basic", "--name", "acme-gate"],
]) {
  test(`a folder with ${options.join(" ") || "defaults"} has no finding, and keeps its form when wrangler writes an id into it`, async () => {
    const made = await make(name, "--origin", "https://origin.example.net", ...options);
    const checked = await shell(made, "npm run check");
    assert.equal(checked.status, 0, checked.stderr);
    assert.match(checked.stderr, /^0 errors, 0 warnings$/m);
    const file = path.join(made, "wrangler.jsonc");
    const text = await readFile(file, "utf8");
    experimental_patchConfig(file, { kv_namespaces: [{ id: ID }] }, false);
    assert.equal(`${await readFile(file, "utf8")}\n`, text.replace('"binding": "KEYS"', `"binding": "KEYS",\n\t\t\t"id": "${ID}"`));
  });
}

for (const [script, ...bindings] of [
  ["deploy", "KEYS", "KEY_USAGE", "QUOTA", "ORIGIN"],
  ["deploy:control", "KEY_USAGE", "WARNINGS", "KEY_PREFIX"],
]) {
  test(`npm run ${script} -- --dry-run deploys nothing, and wrangler has no warning`, async () => {
    const { status, stdout, stderr } = await shell(folder, `npm run ${script} -- --dry-run`);
    assert.equal(status, 0, stderr);
    for (const name of bindings) assert.match(stdout, new RegExp(`env\\.${name} `));
    assert.equal(stdout.split("wrangler deploy -c").length - 1, 1, "one Worker is deployed");
    assert.match(stdout, /^--dry-run: exiting now\.$/m);
    assert.doesNotMatch(stdout + stderr, /\[WARNING\]/);
  });
}

test("npm run dev keeps no URL of a request", async () => {
  await fetch(`${dev.url}/?token=secret`);
  const state = await readdir(path.join(folder, ".wrangler", "state", "v3"));
  assert.ok(state.includes("kv") && !state.includes("observability"), state.join());
});

test("git takes none of the secrets that the documents make", async () => {
  const secrets = ["key.txt", "key2.txt", "deployed-key.txt", "admin-key", "admin-keys.json", "control-pepper", "pepper.txt", ".dev.vars", ".env"];
  await shell(folder, "git init -q");
  const { stdout } = await shell(folder, `git check-ignore ${secrets.join(" ")}`);
  assert.deepEqual(stdout.trim().split("\n"), secrets);
  const { stdout: taken } = await shell(folder, "git status --porcelain --untracked-files=all");
  assert.deepEqual(taken.trim().split("\n").map((line) => line.slice(3)).sort(), FILES.filter((name) => name !== ".dev.vars"));
});

for (const [name, said] of [
  ["-gate", "\n  cd ./-gate\n"],
  ["x$(touch pwned)", "\n  cd 'x$(touch pwned)'\n"],
]) {
  test(`the command that enters the folder ${name} can be pasted`, async () => {
    const { status, stderr } = await keygate(["init", "--origin", "https://api.example.com", "--yes", "--", name]);
    assert.equal(status, 0, stderr);
    assert.ok(stderr.includes(said), stderr);
  });
}

test("a wrangler.json further up is warned of, and is not what npm run check reads", async () => {
  const outer = path.join(root, "outer");
  await mkdir(outer);
  await writeFile(path.join(outer, "wrangler.json"), "{}");
  const { status, stderr } = await keygate(["init", "outer/gate", "--origin", "https://api.example.com", "--yes"]);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /^warning: \S+\/outer\/wrangler\.json lies above the folder, .* `--config wrangler\.jsonc`/m);
  const made = await make("outer/checked", "--origin", "https://api.example.com");
  const checked = await shell(made, "npm run check");
  assert.match(checked.stderr, /^0 errors, 0 warnings$/m);
  await rm(path.join(made, "node_modules", "keygate-workers"), { recursive: true });
  const missing = await shell(made, "npm run check");
  assert.equal(missing.status, 1);
  assert.match(missing.stderr + missing.stdout, /node_modules\/keygate-workers\/gate\/entry\.js is not there.*`npm install --workspaces=false`/s);
});

test("npm run check reads the control Worker's file too, and names what is wrong there", async () => {
  const made = await make("controlled", "--origin", "https://api.example.com");
  const file = path.join(made, "control", "wrangler.jsonc");
  const text = await readFile(file, "utf8");
  const vars = (more) => text.replace('"KEY_PREFIX"', `${more}, "KEY_PREFIX"`);
  for (const [changed, said, status] of [
    [text.replace("controlled-control", "other"), /^error: wrangler\.jsonc: durable_objects\.bindings\[1\]\.script_name: is `controlled-control`, and the Worker of control\/wrangler\.jsonc is `other`\n help: /m, 1],
    [text.replace('"vars": {', '"vars": '), /^error: control\/wrangler\.jsonc: \.: .* is not JSON with comments: line \d+/m, 1],
    [text.replace("keygate_admin", "No"), /^error: control\/wrangler\.jsonc: vars\.KEY_PREFIX: `No` is not a key prefix/m, 1],
    [vars('"WEBHOOK_URL": "http://hooks.example.com"'), /^error: control\/wrangler\.jsonc: vars: variable WEBHOOK_URL is not `https:/m, 1],
    [vars('"WEBHOOK_URL": "https://hooks.example.com", "UNUSED_WARNING_DAYS": 366'), /^error: control\/wrangler\.jsonc: vars: variable UNUSED_WARNING_DAYS is not /m, 1],
    [vars('"WEBHOOK_ADDRESS": "https://hooks.example.com"'), /^warning: control\/wrangler\.jsonc: vars\.WEBHOOK_ADDRESS: is not a variable of the control Worker/m, 0],
    [vars('"WEBHOOK_URL": "https://hooks.example.com", "UNUSED_WARNING_DAYS": 90'), /^0 errors, 0 warnings$/m, 0],
  ]) {
    await writeFile(file, changed);
    const checked = await shell(made, "npm run check");
    assert.match(checked.stdout + checked.stderr, said);
    assert.equal(checked.status, status, checked.stderr);
  }
});

for (const [said, ...options] of [
  [/^error: --origin is missing\n help: give `--origin`: the URL/],
  [/^error: --origin: `ftp:\/\/x` is not the URL of an API: .*\n help: /, "--origin", "ftp://x"],
  [/^error: vars\.ORIGIN: leads back to the gate, .* by the route `api\.example\.com`.*\n help: give another /, "--origin", "https://api.example.com", "--domain", "api.example.com"],
  [/^error: vars\.ORIGIN: leads back to the gate, .* by the port of .*\n help: give another /, "--origin", "http://127.0.0.1:8787"],
]) {
  test(`${["init", ...options].join(" ")} is refused, and leaves nothing behind`, async () => {
    const before = await readdir(root);
    const { status, stderr } = await keygate(["init", "refused", ...options]);
    assert.equal(status, 2);
    assert.match(stderr, said);
    assert.deepEqual(await readdir(root), before);
  });
}

test("at a terminal, what is missing is asked for until the answer is right", async () => {
  const input = "api.example.com\nhttps://api.example.com\nAcme\nacme_live\n\n";
  const { status, stdout } = await runAtTerminal(KEYGATE, ["init", "asked"], { cwd: root, env, input });
  assert.equal(status, 0, stdout);
  assert.match(stdout, /`api\.example\.com` is not the URL of an API/);
  assert.match(stdout, /`Acme` is not a key prefix/);
  const config = await readFile(path.join(root, "asked", "wrangler.jsonc"), "utf8");
  for (const setting of ['"ORIGIN": "https://api.example.com"', '"KEY_PREFIX": "acme_live"', '"header:x-api-key"']) assert.ok(config.includes(setting), setting);
});

test("a folder that is not empty is left as it is", async () => {
  const full = path.join(root, "full");
  await mkdir(path.join(full, ".git"), { recursive: true });
  await writeFile(path.join(full, "app.py"), "");
  const { status, stderr } = await keygate(["init", "full", "--origin", "https://api.example.com", "--yes"]);
  assert.equal(status, 2);
  assert.match(stderr, /^error: the folder full is not empty: app\.py is there\n help: /);
  assert.deepEqual((await readdir(full)).sort(), [".git", "app.py"]);
});
