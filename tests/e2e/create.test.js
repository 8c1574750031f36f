// From an empty folder to a guarded API, as a user goes who has Node and npm and nothing else: with the packages as npm packed them, from a
// registry.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";

import { startDev } from "./support/npm_run_dev.js";
import { run } from "./support/program.js";
import { startRegistry, unpack, VERSION } from "./support/registry.js";

const LIMIT_MS = 10 * 60_000;
const KEY = /^acme_live_[0-9A-Za-z]{50}$/;

const root = await mkdtemp(path.join(tmpdir(), "keygate-create-"));
const registry = await startRegistry();
const origin = createServer((request, response) => response.end(JSON.stringify(request.headers)));
await new Promise((resolve) => origin.listen(0, "127.0.0.1", resolve));

after(async () => {
  origin.close();
  origin.closeAllConnections();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

const user = (program, args, { cwd = root, env = {} } = {}) => run(program, args, { cwd, env: { ...registry.env, ...env } });
const create = (args, options) => user("npm", ["create", "--yes", "keygate@latest", "--", ...args], options);

test("npm create, npm run dev, npx keygate issue: 401 without a key, 200 with it, 401 with a changed one", { timeout: LIMIT_MS }, async (t) => {
  assert.deepEqual(await rustOnPath(), [], "the user has Rust");
  const begin = performance.now();
  const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

  const made = await create(["my-gate", "--origin", `http://127.0.0.1:${origin.address().port}`, "--prefix", "acme_live", "--yes"]);
  assert.equal(made.status, 0, `${made.stdout}\n${made.stderr}`);
  assert.match(made.stdout, /\n`npm install` is done: in the folder, go on with `npm run dev`\.\n/);
  t.diagnostic(`npm create: ${seconds(begin)}`);

  const folder = path.join(root, "my-gate");
  const started = performance.now();
  const dev = await startDev(folder, registry.env);
  t.after(dev.stop);
  t.diagnostic(`npm run dev: ${seconds(started)}`);

  const issuing = performance.now();
  const { status, stdout, stderr } = await user("npx", ["keygate", "issue", "--subject", "me"], { cwd: folder });
  assert.equal(status, 0, stderr);
  const key = stdout.trim();
  assert.match(key, KEY);
  t.diagnostic(`npx keygate issue: ${seconds(issuing)}`);

  const changed = `${key.slice(0, -1)}${key.endsWith("A") ? "B" : "A"}`;
  for (const [credential, expected] of [[undefined, 401], [key, 200], [changed, 401]]) {
    const response = await fetch(`${dev.url}/v1/reports`, { headers: credential ? { Authorization: `Bearer ${credential}` } : {} });
    const body = await response.text();
    assert.equal(response.status, expected, body);
    if (expected === 200) assert.equal(JSON.parse(body)["x-keygate-subject"], "me");
  }
  t.diagnostic(`from an empty folder to 401, 200, 401: ${seconds(begin)}, in 3 commands`);
});

test("a folder that is not empty is refused, and nothing is installed", async () => {
  const folder = path.join(root, "mine");
  await mkdir(folder);
  await writeFile(path.join(folder, "app.py"), "");
  const { status, stdout, stderr } = await create(["mine", "--origin", "https://api.example.com", "--yes"]);
  assert.notEqual(status, 0);
  assert.match(stderr, /app\.py/);
  assert.doesNotMatch(stdout, /npm run dev/);
  assert.deepEqual(await readdir(folder), ["app.py"]);
});

for (const { name, args, env, status, stdout = /^/, stderr = /^/ } of [
  { name: "--no-install leaves npm install to the user", args: ["later", "--origin", "https://api.example.com", "--yes", "--no-install"], status: 0, stderr: /npm install\n/ },
  { name: "--help is that of keygate init", args: ["--help"], status: 0, stdout: /Usage: keygate init/ },
  { name: "without a folder it says how to name one", args: [], status: 1, stderr: /^error: the first argument must be the folder\n help: run `npm create keygate@latest my-gate`/m },
  { name: "an option before the folder is refused", args: ["--yes", "x"], status: 1, stderr: /^error: the first argument must be the folder/m },
  { name: "what keygate init refuses is refused", args: ["x", "--yes"], status: 2, stderr: /^error: --origin is missing/m },
  {
    name: "an old Node is told which it must be",
    args: ["old", "--origin", "https://api.example.com", "--yes"],
    env: { NODE_OPTIONS: `--import=${script("Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })")}` },
    status: 1,
    stderr: /^error: Node\.js 20\.20\.2 is too old for wrangler\n help: install Node\.js 22\.13 or later/m,
  },
]) {
  test(`create: ${name}`, async () => {
    // Not by npm, which would read another Node's version as well.
    const packages = await installed();
    const ran = await user("node", [path.join(packages, "create-keygate", "index.js"), ...args], { env });
    assert.equal(ran.status, status, ran.stderr);
    assert.match(ran.stdout, stdout);
    assert.match(ran.stderr, stderr);
  });
}

test("only the run without an error has made a folder", async () => {
  assert.deepEqual((await readdir(root)).sort(), ["later", "mine", "modules", "my-gate"]);
  assert.ok(!(await readdir(path.join(root, "later"))).includes("node_modules"), "npm install ran");
});

/** A program in place of the platform's, and what the caller of `keygate` sees of it. */
for (const { name, program, platform, args = [], status, signal = null, stdout = /^$/, stderr = /^$/ } of [
  { name: "gets the arguments and the standard streams", program: 'read -r line; echo "$# $2 $line"; echo problem >&2', args: ["list", "a b"], status: 0, stdout: /^2 a b input\n$/, stderr: /^problem\n$/ },
  { name: "ends with the program's exit code", program: "exit 7", status: 7 },
  { name: "ends by the signal that ended the program", program: "kill -KILL $$", status: null, signal: "SIGKILL" },
  { name: "passes a signal on to the program", program: "trap 'echo ended; exit 3' TERM; kill -TERM $PPID; for i in 1 2 3 4 5 6 7 8 9; do sleep 1; done", status: 3, stdout: /^ended\n$/ },
  {
    name: "says that the platform's package is missing",
    status: 1,
    stderr: new RegExp(`^error: the package @keygate/${process.platform}-${process.arch}@${VERSION}, which has the program, is not installed\\n help: run \`npm install --include=optional\``),
  },
  {
    name: "names the platforms that there are",
    platform: "sunos",
    status: 1,
    stderr: /^error: there is no keygate for sunos-\w+, only for darwin-arm64, darwin-x64, linux-arm64, linux-x64, win32-x64\n help: build it with Rust: `cargo install --locked --git https:\S+ keygate-cli`\n$/,
  },
]) {
  test(`bin/keygate.js ${name}`, async () => {
    const modules = path.join(await mkdtemp(path.join(tmpdir(), "keygate-bin-")), "node_modules");
    after(() => rm(path.dirname(modules), { recursive: true }));
    await unpack(`keygate-${VERSION}.tgz`, path.join(modules, "keygate"));
    if (program) {
      const bin = path.join(modules, "@keygate", `${process.platform}-${process.arch}`, "bin");
      await mkdir(bin, { recursive: true });
      await writeFile(path.join(bin, "keygate"), `#!/bin/sh\n${program}\n`);
      await chmod(path.join(bin, "keygate"), 0o755);
    }
    const flags = platform ? [`--import=${script(`Object.defineProperty(process, 'platform', { value: '${platform}' })`)}`] : [];
    const child = spawn(process.execPath, [...flags, path.join(modules, "keygate", "bin", "keygate.js"), ...args], { stdio: "pipe" });
    const said = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"]) child[stream].setEncoding("utf8").on("data", (text) => (said[stream] += text));
    child.stdin.on("error", () => {}).end("input\n");
    const ended = await new Promise((resolve) => child.on("close", (...of) => resolve(of)));
    assert.deepEqual(ended, [status, signal], said.stderr);
    assert.match(said.stdout, stdout);
    assert.match(said.stderr, stderr);
  });
}

function script(text) {
  return `data:text/javascript,${encodeURIComponent(text)}`;
}

async function rustOnPath() {
  const programs = await readdir(registry.env.PATH);
  return programs.filter((name) => !["node", "npm", "npx", "sh"].includes(name));
}

let modules;
/** The packages of create-keygate, unpacked as npm installs them. */
async function installed() {
  if (modules) return modules;
  modules = path.join(root, "modules", "node_modules");
  await unpack(`create-keygate-${VERSION}.tgz`, path.join(modules, "create-keygate"));
  await unpack(`keygate-${VERSION}.tgz`, path.join(modules, "keygate"));
  const platform = `${process.platform}-${process.arch}`;
  await unpack(`keygate-${platform}-${VERSION}.tgz`, path.join(modules, "@keygate", platform));
  return modules;
}
