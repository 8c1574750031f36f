// The commands of the README and of the pages that it leads to, as they stand there, in the order in which a reader meets them.
//
// They run in a copy of what git tracks, because they write keys, a pepper and a namespace's id. It shares the npm packages and what
// cargo compiled for the checkout, and has the checkout's built Workers. Cloudflare's API is a stand-in; wrangler is real, and so is
// everything local.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { access, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { ACCOUNT, KEYGATE, LIVE } from "./support/cli.js";
import { Cloudflare } from "./support/cloudflare.js";
import { commandsOf } from "./support/documents.js";
import { run } from "./support/program.js";
import { ROOT } from "./support/project.js";
import { pythonWithPackages } from "./support/python.js";

const COPY = path.join(ROOT, "target", "readme");
/** A first build of the copy takes minutes on a slow machine. */
const READY_WITHIN_MS = 15 * 60_000;

/** What each command is expected to do. Every command of these documents has a row here, in its document's order. */
const DOCUMENTS = {
  "README.md": [
    ["npm create keygate@latest my-gate", makesTheFolder],
    ["cd my-gate", isThere],
    ["npm run dev", isAScript],
    ["cargo xtask dev", startDev],
    ["cargo xtask test", knowsItsTests],
  ],
  "docs/keys.md": [
    ['keygate issue --subject acme --name "Acme production" --scope reports:read --expires 90d --key-out key.txt', issue],
    [`KEY_ID="$(sed 's/.*_//' key.txt | cut -c 1-12)"`, namesTheKey],
    ["keygate list", listsTheKey],
    ["keygate verify --path /v1/reports < key.txt", permits],
    ['API_KEY="$(cat key.txt)" python3 examples/flask/client.py', clientIsServed],
    ['keygate update "$KEY_ID" --ip 127.0.0.0/8 --ip ::1', succeeds],
    ['keygate rotate "$KEY_ID" --grace 24h', rotate],
    ['keygate revoke "$KEY_ID"', succeeds],
  ],
  "docs/deploying.md": [
    ['export PATH="$PWD/node_modules/.bin:$PATH"', setsThePath],
    ["wrangler kv namespace create KEYS", createsTheNamespace],
    ["keygate check", succeeds],
    ["(umask 077; keygate pepper > pepper.txt)", succeeds],
    ["wrangler secret put PEPPER < pepper.txt", setsThePepper],
    ["wrangler deploy -c src/control/wrangler.toml", deploysControl],
    ["wrangler deploy", deploys],
    ["keygate issue --remote --pepper-file pepper.txt --subject acme --scope reports:read --expires 90d", issuesRemotely],
  ],
};

let api;
let dev;
let home;
const env = {};

before(async () => {
  await copyProject();
  api = await Cloudflare.start();
  // Wrangler writes its state and its log below HOME.
  home = await mkdtemp(path.join(tmpdir(), "keygate-readme-"));
  await mkdir(path.join(home, "bin"));
  await symlink(KEYGATE, path.join(home, "bin", "keygate"));
  const python = await pythonWithPackages();
  Object.assign(env, process.env, {
    // A venv's folder first: `python3` is the one with the example's packages. No venv of the copy is built.
    PATH: [path.join(home, "bin"), path.dirname(python), process.env.PATH].join(path.delimiter),
    XDG_CONFIG_HOME: home,
    // Programs go into the copy's folder, and what is compiled on the way into the checkout's.
    CARGO_TARGET_DIR: path.join(COPY, "target"),
    CARGO_BUILD_BUILD_DIR: process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target"),
    ...api.env,
    CLOUDFLARE_ACCOUNT_ID: ACCOUNT,
    WRANGLER_SEND_METRICS: "false",
    CI: "true",
  });
  delete env.NODE_TEST_CONTEXT;
}, { timeout: READY_WITHIN_MS });

after(async () => {
  await dev?.stop();
  await api?.stop();
  // wrangler may still be writing its log.
  if (home) await rm(home, { recursive: true, maxRetries: 10 });
});

for (const [document, rows] of Object.entries(DOCUMENTS)) {
  test(`every command of ${document} is run by this test, in its order`, async () => {
    const text = await readFile(path.join(ROOT, document), "utf8");
    assert.deepEqual(commandsOf(text), rows.map(([command]) => command));
  });

  for (const [command, check] of rows) test(`${document}: ${command}`, { timeout: READY_WITHIN_MS }, () => check(command));
}

/** What git tracks or would: the working tree, not the last commit. Untouched files keep their times, for cargo. */
async function copyProject() {
  const { stdout } = await run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: ROOT });
  await mkdir(COPY, { recursive: true });
  const leftovers = [".cargo", ".dev.vars", ".wrangler", "key.txt", "node_modules", "pepper.txt"];
  for (const leftover of leftovers) await rm(path.join(COPY, leftover), { recursive: true, force: true });
  await symlink(path.join(ROOT, "node_modules"), path.join(COPY, "node_modules"));
  // With their stamps: `cargo xtask` makes anew what does not fit the sources.
  await cp(path.join(ROOT, "build"), path.join(COPY, "build"), { recursive: true });
  // The checkout's .cargo/config.toml is read in the folders below it. With one more in the copy, the compiler would get each of
  // its flags twice, and no compiled dependency would fit.
  const isCopied = (file) => file !== "" && !file.startsWith(".cargo/");
  for (const file of stdout.split("\0").filter(isCopied)) {
    await cp(path.join(ROOT, file), path.join(COPY, file), { preserveTimestamps: true }).catch((error) => {
      // Tracked, but deleted in the working tree.
      if (error.code !== "ENOENT") throw error;
    });
  }
}

/** Runs a command line as the reader's shell would. */
function shell(command, more = {}) {
  return run("bash", ["-c", command], { cwd: COPY, env: { ...env, ...more }, timeout: READY_WITHIN_MS });
}

async function succeeds(command, more) {
  const result = await shell(command, more);
  assert.equal(result.status, 0, `${result.stdout}\n${result.stderr}`);
  return result;
}

/** With the command line that `create-keygate` starts, and without a terminal, which would be asked. `create.test.js` runs npm itself. */
async function makesTheFolder(command) {
  const [, ...words] = command.split(" ").slice(2);
  const { status, stderr } = await run(KEYGATE, ["init", ...words, "--origin", "https://api.example.com", "--yes"], { cwd: home, env });
  assert.equal(status, 0, stderr);
}

function isThere(command) {
  return access(path.join(home, command.split(" ")[1]));
}

async function isAScript(command) {
  const { scripts } = JSON.parse(await readFile(path.join(home, "my-gate", "package.json"), "utf8"));
  assert.ok(scripts[command.split(" ")[2]]);
}

async function startDev(command) {
  const child = spawn("bash", ["-c", `exec ${command}`], { cwd: COPY, env, stdio: ["ignore", "pipe", "pipe"] });
  const exited = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
  dev = {
    async stop() {
      // Ctrl-C.
      if (child.exitCode === null) child.kill("SIGINT");
      await exited;
    },
  };
  let printed = "";
  const curls = await new Promise((resolve, reject) => {
    const read = (chunk) => {
      printed += chunk;
      const lines = printed.split("\n").filter((line) => line.startsWith("curl "));
      if (lines.length === 3) resolve(lines);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", (chunk) => (printed += chunk));
    exited.then((code) => reject(new Error(`ended with ${code}:\n${printed}`)));
  });
  const statuses = [];
  for (const curl of curls) {
    const { stdout } = await shell(`${curl} -s`);
    statuses.push(stdout.split(" ")[1]);
  }
  assert.deepEqual(statuses, ["401", "200", "401"]);
}

/** Not all of it, as this test is part of it: the command knows its tests. */
async function knowsItsTests(command) {
  const { status, stderr } = await shell(`${command} --only absent`);
  assert.equal(status, 1);
  assert.match(stderr, /tests\/e2e has no `absent\.test\.js`; use one of: .*\breadme\b/);
}

const ID_IN_KEY = /^acme_live_([0-9A-Za-z]{12})[0-9A-Za-z]{38}\n$/;

async function issue(command) {
  const { stdout } = await succeeds(command);
  const key = await readFile(path.join(COPY, "key.txt"), "utf8");
  assert.match(key, ID_IN_KEY);
  assert.ok(!stdout.includes(key.trim()), "the key is in the file alone");
}

async function namesTheKey(command) {
  const { stdout } = await succeeds(`${command}; printf %s "$KEY_ID"`);
  assert.equal(stdout, ID_IN_KEY.exec(await readFile(path.join(COPY, "key.txt"), "utf8"))[1]);
  env.KEY_ID = stdout;
}

async function listsTheKey(command) {
  const { stdout } = await succeeds(command);
  assert.ok(stdout.includes(env.KEY_ID), stdout);
}

async function rotate(command) {
  const { stdout } = await succeeds(command);
  assert.match(stdout, ID_IN_KEY);
  assert.notEqual(ID_IN_KEY.exec(stdout)[1], env.KEY_ID);
}

async function permits(command) {
  const { stdout, stderr } = await succeeds(command);
  assert.match(stdout + stderr, /200|permit|forward/i);
}

async function clientIsServed(command) {
  const key = (await readFile(path.join(COPY, "key.txt"), "utf8")).trim();
  const { stdout } = await succeeds(command);
  assert.match(stdout, /acme/);
  assert.ok(!stdout.includes(key));
}

async function setsThePath(command) {
  const { stdout } = await succeeds(`${command}; printf %s "$PATH"`);
  assert.ok(stdout.startsWith(path.join(COPY, "node_modules", ".bin")), stdout);
  env.PATH = stdout;
}

async function createsTheNamespace(command) {
  const { stdout } = await succeeds(command);
  assert.ok(stdout.includes(LIVE), stdout);
  const file = path.join(COPY, "wrangler.toml");
  const toml = await readFile(file, "utf8");
  const [id] = toml.match(/(?<=^id = ")[0-9a-f]{32}(?="$)/m);
  await writeFile(file, toml.replace(id, LIVE));
}

async function setsThePepper(command) {
  await succeeds(command);
  const { text } = api.workers.binding("keygate", "PEPPER");
  assert.match(text, /^[\w-]{43}$/);
  assert.equal((await readFile(path.join(COPY, "pepper.txt"), "utf8")).trim(), text);
}

async function deploysControl(command) {
  await succeeds(command);
  assert.ok(api.workers.hasModule("keygate-control", "keygate_control_bg.wasm"));
  assert.equal(api.workers.schedules("keygate-control").length, 1);
}

async function deploys(command) {
  await succeeds(command);
  assert.ok(api.workers.hasModule("keygate", "keygate_bg.wasm"));
  assert.equal(api.workers.binding("keygate", "KEYS").namespace_id, LIVE);
  for (const variable of ["KEY_PREFIX", "ORIGIN"]) assert.ok(api.workers.binding("keygate", variable).text, variable);
}

async function issuesRemotely(command) {
  const { stdout } = await succeeds(command);
  assert.match(stdout, ID_IN_KEY);
  const [entry] = api.entries.values();
  assert.equal(JSON.parse(entry.value).subject, "acme");
}
