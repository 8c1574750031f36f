// `keygate upgrade`: what it shows, what it writes, and that it leaves everything as it was where it stops.

import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";

import { cleanEnv, KEYGATE } from "./support/cli.js";
import { valid } from "./support/json_schema.js";
import { run } from "./support/program.js";
import { ROOT } from "./support/project.js";
import { runAtTerminal } from "./support/terminal.js";

const OLDER = "0.0.1";
// As a shell in a folder names it: macOS has a link for the temporary folder.
const root = await realpath(await mkdtemp(path.join(tmpdir(), "keygate-upgrade-")));
after(() => rm(root, { recursive: true, force: true }));
const schema = JSON.parse(await readFile(path.join(ROOT, "docs", "cli-output.schema.json"), "utf8"));
const { stdout: said } = await run(KEYGATE, ["--version"]);
const own = said.trim().split(" ")[1];

/** Beside the folders: a program `npm` in place of the real one, which writes down how it is called and then does as `does` says. */
const programs = path.join(root, "bin");
const calls = path.join(root, "npm-calls");
await mkdir(programs);
async function npm(does) {
  await writeFile(path.join(programs, "npm"), `#!/bin/sh\necho "$PWD $*" >> ${calls}\nenv >> ${calls}\necho "from npm"\n${does}\n`);
  await chmod(path.join(programs, "npm"), 0o755);
  await writeFile(calls, "");
}

/** What npm does to `node_modules` as far as it matters here. */
const INSTALLS = ["keygate", "keygate-workers", "wrangler"]
  .map((name) => `mkdir -p node_modules/${name} && sed -n 's/.*"${name}": "\\([0-9].*\\)".*/{"version": "\\1"}/p' package.json > node_modules/${name}/package.json`)
  .join("\n");

const env = (more) => ({ ...cleanEnv(), PATH: [programs, process.env.PATH].join(path.delimiter), ...more });

let made = 0;
/** A folder of an older version, whose owner has changed its files as `change` says, by name. */
async function project(change = {}, parent = root) {
  const folder = path.join(parent, `gate-${(made += 1)}`);
  const { status, stderr } = await run(KEYGATE, ["init", folder, "--origin", "https://origin.example.com", "--yes"], { env: env() });
  assert.equal(status, 0, stderr);
  const older = (text) => text.replaceAll(`"${own}"`, `"${OLDER}"`);
  for (const [name, edit] of Object.entries({ "package.json": older, ...change })) {
    const file = path.join(folder, name);
    await writeFile(file, edit(await readFile(file, "utf8"), older));
  }
  return folder;
}

/** Every file of the folder with its content and its mode. */
async function contents(folder) {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile() && !entry.parentPath.includes("node_modules"));
  const files = names.map((entry) => path.join(entry.parentPath, entry.name)).sort();
  return Promise.all(files.map(async (file) => [file, (await stat(file)).mode, await readFile(file, "utf8")]));
}

async function upgrade(folder, args, { status = 0, ...options } = {}) {
  const ran = await run(KEYGATE, ["upgrade", ...args], { cwd: folder, env: env(), ...options });
  assert.equal(ran.status, status, ran.stdout + ran.stderr);
  if (/^error: /m.test(ran.stderr)) assert.match(ran.stderr, /\n help: \S/);
  return ran;
}

const versions = async (folder) => JSON.parse(await readFile(path.join(folder, "package.json"), "utf8")).dependencies;
const called = async () => (await readFile(calls, "utf8")).split("\n").filter((line) => line.startsWith(root));

const SECRETS = ["KEYGATE_PEPPER", "KEYGATE_ADMIN_KEY", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY", "PEPPER", "PEPPER_PREVIOUS", "STATIC_KEYS", "ORIGIN_AUTHORIZATION"]
  .concat(["ORIGIN_SIGNING_KEY", "VAULT_TOKEN", "VAULT_SECRET_ID", "BAO_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_CLIENT_SECRET"]);

test("it shows the change log with what breaks first, writes the versions, and runs npm install", async () => {
  await npm(INSTALLS);
  const folder = await project();
  const before = await contents(folder);
  const secrets = Object.fromEntries(SECRETS.map((name) => [name, `the-${name}-that-stays-here`]));
  const { stdout, stderr } = await upgrade(folder, [], { env: env(secrets) });
  assert.match(stdout, new RegExp(`^Changes from version ${OLDER} to ${own}:\n\nBreaking changes:\n(  - .*\\*\\*Breaking\\*\\*.*\n)+Added \\(`));
  assert.match(stdout, /^\/.*\/gate-[0-9]+\/package\.json:\n {2}keygate-workers 0\.0\.1 → .*\n {2}keygate 0\.0\.1 → .*\n$/m);
  assert.doesNotMatch(stdout, /from npm/);
  assert.match(stderr, /from npm\nthe folder has version .*; nothing was deployed\nnext: `npm run dev` to try it, `npm run deploy:control` and `npm run deploy` to deploy it\n$/);
  assert.deepEqual(await called(), [`${folder} install`]);
  for (const secret of Object.values(secrets)) assert.ok(!(await readFile(calls, "utf8")).includes(secret), "npm was given a secret");
  const changed = before.map(([file, mode, text]) => [file, mode, file.endsWith("package.json") ? text.replaceAll(`"${OLDER}"`, `"${own}"`) : text]);
  assert.deepEqual(await contents(folder), changed);
  const again = await upgrade(folder, []);
  assert.match(again.stderr, /^the folder has version .* already, which is this program's; `npx keygate@latest upgrade` runs the newest\n$/);
  assert.deepEqual(await called(), [`${folder} install`]);
});

test("only the versions change in a package.json that its owner has edited; a newer wrangler stays", async () => {
  await npm("");
  const edit = (text, older) => older(text).replace(/\n {2}/g, "\r\n\t").replace('"wrangler": "4.', '"zod" : "1.0.0",\t"wrangler": "^99.').replace('"keygate": "', '"keygate": "~');
  const folder = await project({ "package.json": edit });
  const before = await readFile(path.join(folder, "package.json"), "utf8");
  await upgrade(folder, ["--no-install"]);
  assert.equal(await readFile(path.join(folder, "package.json"), "utf8"), before.replaceAll(new RegExp(`"~?${OLDER}"`, "g"), `"${own}"`));
  assert.deepEqual(await called(), []);
});

for (const [title, lockFile, args, { installs, next }] of [
  ["after a run that was stopped before npm was done", "package-lock.json", [], { installs: true, next: /node_modules does not have the versions of package\.json: `npm install` is run[^]*already/ }],
  ["the same, told not to install", "package-lock.json", ["--no-install"], { installs: false, next: /next: `npm install`\n$/ }],
  ["the same as a dry run", "package-lock.json", ["--dry-run"], { installs: false, next: /next: `npm install`\n$/ }],
  ["the same in a folder of pnpm", "pnpm-lock.yaml", [], { installs: false, next: /next: `pnpm install`\n$/ }],
]) {
  test(`${title}: it ${installs ? "runs npm install" : "says what to run"}`, async () => {
    await npm(INSTALLS);
    const folder = await project();
    await writeFile(path.join(folder, lockFile), "");
    await upgrade(folder, ["--no-install"]);
    for (const modules of ["none", OLDER]) {
      await rm(path.join(folder, "node_modules"), { recursive: true, force: true });
      if (modules === OLDER) {
        await mkdir(path.join(folder, "node_modules", "keygate"), { recursive: true });
        await writeFile(path.join(folder, "node_modules", "keygate", "package.json"), JSON.stringify({ version: OLDER }));
      }
      await writeFile(calls, "");
      const { stderr } = await upgrade(folder, args);
      assert.match(stderr, next);
      assert.deepEqual(await called(), installs ? [`${folder} install`] : []);
    }
  });
}

for (const [lockFile, program] of [["pnpm-lock.yaml", "pnpm"], ["yarn.lock", "yarn"], ["bun.lock", "bun"], ["bun.lockb", "bun"]]) {
  test(`beside ${lockFile} npm is not run`, async () => {
    await npm(INSTALLS);
    const folder = await project();
    await writeFile(path.join(folder, lockFile), "");
    const { stderr } = await upgrade(folder, []);
    assert.match(stderr, new RegExp(`next: \`${program} install\`, then \`npm run dev\` to try it`));
    assert.equal((await versions(folder))["keygate-workers"], own);
    assert.deepEqual(await called(), []);
  });
}

for (const [title, change, places] of [
  ["with a byte order mark", (text) => `\ufeff${text}`, 2],
  ["that names a package in both sections", (text) => text.replace('"dependencies"', `"devDependencies": { "keygate": "${OLDER}" },\n  "dependencies"`), 3],
]) {
  test(`in a package.json ${title}, every version is written and nothing else`, async () => {
    await npm("");
    const folder = await project({ "package.json": (text, older) => change(older(text)) });
    const before = await readFile(path.join(folder, "package.json"), "utf8");
    const { stdout } = await upgrade(folder, []);
    assert.equal(stdout.split(" → ").length - 1, places);
    assert.equal(await readFile(path.join(folder, "package.json"), "utf8"), before.replaceAll(`"${OLDER}"`, `"${own}"`));
  });
}

for (const [title, above, inside, status, said] of [
  ["a wrangler.json above, which wrangler takes", "wrangler.json", "", 1, /wrangler takes \.\.\/wrangler\.json, which lies above this folder\n help: name this folder's file with `--config wrangler\.jsonc`/],
  ["a folder of the project without a file of its own", undefined, "notes", 1, /wrangler takes \.\.\/wrangler\.jsonc, which lies above this folder\n help: if that gate is meant, run the command there: `cd \.\.`/],
  ["a wrangler.toml above, which wrangler does not take", "wrangler.toml", "", 0, /nothing was deployed/],
]) {
  test(`${title}: npm is run in no other folder`, async () => {
    await npm(INSTALLS);
    const outer = await mkdtemp(path.join(root, "outer-"));
    const folder = await project({}, outer);
    if (above) {
      await writeFile(path.join(outer, above), "{}");
      await writeFile(path.join(outer, "package.json"), `{ "dependencies": { "keygate-workers": "${OLDER}" } }`);
    }
    const current = path.join(folder, inside);
    await mkdir(current, { recursive: true });
    const before = await contents(outer);
    const { stderr } = await upgrade(current, [], { status });
    assert.match(stderr, said);
    if (status === 1) {
      assert.deepEqual(await contents(outer), before);
      await upgrade(current, ["--config", path.join(folder, "wrangler.jsonc")]);
    }
    assert.deepEqual(await called(), [`${folder} install`]);
  });
}

const POLICY_ERROR = (text) => text.replace('"CREDENTIALS"', '"IMPORTED_KEYS": "perhaps", "CREDENTIALS"');
const IN_ENVIRONMENT = (text) => text.replace(/\}\s*$/, ', "env": { "staging": { "vars": { "KEY_PREFIX": "No" } } } }');

for (const [title, change, args, status, shown] of [
  ["--dry-run", {}, ["--dry-run"], 0, /→[^]*nothing was changed\n$/],
  ["a policy that the new version refuses", { "wrangler.jsonc": POLICY_ERROR }, [], 1, /error: wrangler\.jsonc: vars\.IMPORTED_KEYS: [^]*nothing was changed: version .* refuses the configuration; correct the errors above, then run the command again\n$/],
  ["the same with --dry-run", { "wrangler.jsonc": POLICY_ERROR }, ["--dry-run"], 1, /vars\.IMPORTED_KEYS/],
  ["an environment that it refuses", { "wrangler.jsonc": IN_ENVIRONMENT }, [], 1, /error: wrangler\.jsonc: env\.staging\.vars\.KEY_PREFIX: /],
  ["a control Worker that it refuses", { "control/wrangler.jsonc": (text) => text.replace("keygate_admin", "No") }, [], 1, /error: control\/wrangler\.jsonc: vars\.KEY_PREFIX: /],
  ["a folder that is newer", { "package.json": (text) => text.replaceAll(`"${own}"`, '"99.0.0"') }, [], 1, /the folder has version 99\.0\.0, and this program is .*\n help: run the newest version: `npx keygate@latest upgrade`; to go back, /],
  ["a folder whose command line alone is newer", { "package.json": (text, older) => older(text).replace(`"${OLDER}"`, '"99.0.0-rc.1"') }, [], 1, /the folder has version 99\.0\.0-rc\.1/],
  ["a folder that init did not make", { "package.json": (text) => text.replace("keygate-workers", "other") }, [], 1, /it is not a folder that `keygate init` made\n help: .*UPGRADING\.md/],
  ["a version that is none", { "package.json": (text) => text.replace(`"keygate-workers": "${own}"`, '"keygate-workers": "latest"') }, [], 1, /package\.json: `dependencies\.keygate-workers` is not a version\n help: write the version that is installed; `npm ls keygate-workers` shows it/],
  ["a package.json that is no JSON", { "package.json": () => "{" }, [], 1, /package\.json is not JSON: .* at line 1/],
  ["an npm that fails after it wrote a lock file", {}, [], 1, /`npm install` failed \(exit status: 7\); package\.json is as it was before\n help: /],
]) {
  test(`${title}: nothing is changed`, async () => {
    await npm("echo '{}' > package-lock.json; exit 7");
    const folder = await project(change);
    const before = await contents(folder);
    const { stdout, stderr } = await upgrade(folder, args, { status });
    assert.match(stdout + stderr, shown);
    assert.deepEqual(await contents(folder), before);
    const json = await upgrade(folder, [...args, "--json"], { status });
    const result = json.stdout && JSON.parse(json.stdout);
    if (result) assert.ok(valid(result, schema.$defs.upgrade, schema), json.stdout);
    assert.deepEqual([result?.written ?? false, result?.installed ?? false], [false, false]);
    assert.deepEqual(await contents(folder), before);
  });
}

test("a lock file that was there is put back too, and without npm nothing is left", async () => {
  await npm("echo '{}' > package-lock.json; exit 1");
  const folder = await project();
  await writeFile(path.join(folder, "package-lock.json"), "before");
  const before = await contents(folder);
  await upgrade(folder, [], { status: 1 });
  assert.deepEqual(await contents(folder), before);
  const { stderr } = await upgrade(folder, [], { status: 1, env: env({ PATH: root }) });
  assert.match(stderr, /npm cannot be started: .*; package\.json is as it was before/);
  assert.deepEqual(await contents(folder), before);
});

for (const [input, args, isWritten] of [["n\n", [], false], ["\n", [], false], ["y\n", [], true], ["", ["--yes"], true]]) {
  test(`at a terminal, ${JSON.stringify(input)} ${args} ${isWritten ? "writes" : "writes nothing"}`, async () => {
    await npm("");
    const folder = await project();
    const { status, stdout } = await runAtTerminal(KEYGATE, ["upgrade", ...args], { cwd: folder, env: env(), input });
    assert.equal(status, 0, stdout);
    assert.equal(stdout.includes("Write these versions, and run `npm install`? [y/N] "), args.length === 0);
    assert.equal((await versions(folder))["keygate-workers"], isWritten ? own : OLDER);
  });
}

test("--json says what was done", async () => {
  await npm("");
  const { stdout } = await upgrade(await project(), ["--json"]);
  const result = JSON.parse(stdout);
  assert.ok(valid(result, schema.$defs.upgrade, schema), stdout);
  assert.deepEqual([result.from, result.to, result.check.ok, result.written, result.installed], [OLDER, own, true, true, true]);
  assert.deepEqual(result.packages.map(({ package: name }) => name), ["keygate-workers", "keygate"]);
  assert.ok(result.changes.some(({ breaking }) => breaking));
});
