// `keygate init`: its folder runs with wrangler and the built Workers alone, as its README says.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { cleanEnv, KEYGATE } from "./support/cli.js";
import { run } from "./support/program.js";
import { ROOT } from "./support/project.js";
import { runAtTerminal } from "./support/terminal.js";

const require = createRequire(import.meta.url);
const { experimental_patchConfig } = require("wrangler");

const ID = "0123456789abcdef0123456789abcdef";
const FILES = [".dev.vars", ".gitignore", "README.md", "control/wrangler.jsonc", "package.json", "wrangler.jsonc"];

const root = await mkdtemp(path.join(tmpdir(), "keygate-init-"));
after(() => rm(root, { recursive: true, force: true, maxRetries: 10 }));

const env = () => ({ ...cleanEnv(), XDG_CONFIG_HOME: path.join(root, "config"), WRANGLER_REGISTRY_PATH: path.join(root, "registry"), CI: "true", NODE_TEST_CONTEXT: undefined });
const keygate = (args, options) => run(KEYGATE, args, { cwd: root, env: env(), ...options });

/** A folder that `keygate init` made, with what `npm install` would bring. */
async function project(name, ...options) {
  const { status, stderr } = await keygate(["init", name, ...options, "--yes"]);
  assert.equal(status, 0, stderr);
  const modules = path.join(root, name, "node_modules");
  await mkdir(path.join(modules, ".bin"), { recursive: true });
  for (const worker of ["gate", "control"]) await cp(path.join(ROOT, "build", worker), path.join(modules, "keygate-workers", worker), { recursive: true });
  const linked = { wrangler: "wrangler", ".bin/wrangler": ".bin/wrangler", ".bin/node": ".bin/node" };
  for (const [link, target] of Object.entries(linked)) await symlink(path.join(ROOT, "node_modules", target), path.join(modules, link));
  await symlink(KEYGATE, path.join(modules, ".bin", "keygate"));
  return path.join(root, name);
}

/** Runs a line of the folder's README as its reader's shell would; wrangler's server has another port. */
const shell = (folder, line) => run("bash", ["-c", line.replaceAll("8787", String(port))], { cwd: folder, env: env() });

/** The commands of a Markdown text. */
const commands = (text) => [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block]) => block.trim().split("\n"));

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
let port;
let dev;

before(async () => {
  const originPort = await listening(origin);
  const free = createServer();
  port = await listening(free);
  await new Promise((resolve) => free.close(resolve));
  folder = await project("my-gate", "--origin", `http://127.0.0.1:${originPort}`);
  dev = spawn("npm", ["run", "dev", "--", "--port", String(port), "--inspector-port", "0"], { cwd: folder, env: env(), detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  await new Promise((resolve, reject) => {
    for (const stream of [dev.stdout, dev.stderr]) {
      stream.on("data", (text) => {
        printed += text;
        if (printed.includes(`Ready on http://127.0.0.1:${port}`)) resolve();
      });
    }
    dev.once("exit", (code) => reject(new Error(`npm run dev ended with ${code}:\n${printed}`)));
  });
}, { timeout: 300_000 });

after(async () => {
  if (dev?.exitCode === null) {
    const exited = new Promise((resolve) => dev.once("exit", resolve));
    process.kill(-dev.pid, "SIGKILL");
    await exited;
  }
  origin.close();
  origin.closeAllConnections();
});

test("the folder holds what is promised, and its pepper is for its owner alone", async () => {
  const made = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const names = made.map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name))).filter((name) => !/^(node_modules|\.wrangler)\//.test(name));
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
  const lines = commands(await readFile(path.join(folder, "README.md"), "utf8"));
  assert.equal(lines[0], "npm run dev");
  const issued = await shell(folder, lines[1]);
  assert.equal(issued.status, 0, issued.stderr);
  const key = (await readFile(path.join(folder, "key.txt"), "utf8")).trim();
  assert.match(key, /^my_gate_[0-9A-Za-z]{50}$/);
  const statuses = [];
  for (const line of lines.slice(2, 5)) statuses.push((await shell(folder, `${line} -s`)).stdout.split(" ")[1]);
  assert.deepEqual(statuses, ["401", "200", "401"]);
  assert.equal(seen.length, 1);
  assert.equal(seen[0]["x-keygate-subject"], "me");
  assert.ok(!JSON.stringify(seen).includes(key), "the origin saw the key");
});

test("a revoked key is refused", async () => {
  const { stdout: key } = await keygate(["issue", "--subject", "gone"], { cwd: folder });
  const revoked = await keygate(["revoke", key.slice("my_gate_".length, "my_gate_".length + 12)], { cwd: folder });
  assert.equal(revoked.status, 0, revoked.stderr);
  const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { "X-Api-Key": key.trim() } });
  assert.deepEqual([answer.status, (await answer.json()).code], [401, "key_revoked"]);
});

test("usage counts what the gate answered", async () => {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const { stdout, stderr } = await keygate(["usage", "--json"], { cwd: folder });
    const accepted = stdout === "" ? 0 : JSON.parse(stdout).keys.reduce((sum, { accepted }) => sum + accepted, 0);
    if (accepted === 1) break;
    assert.ok(Date.now() < deadline, `${stdout}\n${stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
});

const ID_OF_KEY = async () => (await readFile(path.join(folder, "key.txt"), "utf8")).slice("my_gate_".length, "my_gate_".length + 12);
for (const [command, said] of [
  ["list", /\bme\b/],
  ["show ID", /\bme\b/],
  ["verify < key.txt", /permit|forward|200/i],
  ["pepper status", /./],
  ["doctor", /\b0 errors/],
  ["rotate ID", /^my_gate_[0-9A-Za-z]{50}$/m],
]) {
  test(`keygate ${command} works without options`, async () => {
    const { status, stdout, stderr } = await shell(folder, `npx keygate ${command.replace("ID", await ID_OF_KEY())}`);
    assert.equal(status, 0, stderr);
    assert.match(stdout + stderr, said);
  });
}

for (const [name, ...options] of [
  ["plain"],
  ["own-host", "--domain", "api.example.com"],
  ["other", "--prefix", "acme_live", "--credential", "query:token", "--credential", "basic", "--name", "acme-gate"],
]) {
  test(`a folder with ${options.join(" ") || "defaults"} has no finding, and wrangler takes it`, async () => {
    const made = await project(name, "--origin", "https://origin.example.net", ...options);
    const checked = await shell(made, "npm run check");
    assert.equal(checked.status, 0, checked.stderr);
    assert.match(checked.stderr, /^0 errors, 0 warnings$/m);
    for (const [worker, bound] of [["wrangler.jsonc", /KEYS[\s\S]*KEY_USAGE[\s\S]*QUOTA/], ["control/wrangler.jsonc", /WARNINGS/]]) {
      const { status, stdout, stderr } = await shell(made, `npx wrangler deploy --dry-run -c ${worker}`);
      assert.equal(status, 0, stderr);
      assert.match(stdout, bound);
      assert.doesNotMatch(stdout + stderr, /WARNING/);
    }
    // As wrangler does after a first deploy; it formats the file anew.
    const file = path.join(made, "wrangler.jsonc");
    const text = await readFile(file, "utf8");
    experimental_patchConfig(file, { kv_namespaces: [{ id: ID }] }, false);
    assert.equal(await readFile(file, "utf8"), text.replace('"binding": "KEYS"', `"binding": "KEYS",\n\t\t\t"id": "${ID}"`));
  });
}

test("without a terminal a missing origin is an error that names the option", async () => {
  const { status, stderr } = await keygate(["init", "missing"]);
  assert.equal(status, 2);
  assert.match(stderr, /^error: --origin is missing\n help: \S/);
  assert.ok(!(await readdir(root)).some((name) => /missing|keygate-init/.test(name)), "something was left behind");
});

test("at a terminal, what is missing is asked for until the answer is right", async () => {
  const input = "api.example.com\nhttps://api.example.com\nAcme\nacme_live\n\n";
  const { status, stdout } = await runAtTerminal(KEYGATE, ["init", "asked"], { cwd: root, env: env(), input });
  assert.equal(status, 0, stdout);
  assert.match(stdout, /`api\.example\.com` is not an origin/);
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
