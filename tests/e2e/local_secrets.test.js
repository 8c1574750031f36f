// keygate reads the local gate's secrets as `wrangler dev` does: the same files, the same values, byte for byte.

import assert from "node:assert/strict";
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";

import { cleanEnv, KEYGATE, PATH } from "./support/cli.js";
import { pepperId } from "./support/keys.js";
import { run } from "./support/program.js";
import { quietly } from "./support/project.js";

const require = createRequire(import.meta.url);
const { unstable_getVarsForDev, unstable_readConfig } = require("wrangler");

/** 48 characters; in the rows it is `P`. */
const P = "Zk3vQ9xLr2K7hVbT1mWc-Zk3vQ9xLr2K7hVbT1mWc_aB9=x";

/** Texts of a file: assignments, quotes, comments, line ends, and what is none of these. */
const TEXTS = [
  "PEPPER=P", "PEPPER=P\n", "PEPPER=P\r\n", "PEPPER=P\rOTHER=1\r", "A=1\rPEPPER=P", "A=1\r\nPEPPER=P\r\nB=2\r\n",
  "\ufeffPEPPER=P\n", "\ufeff\nPEPPER=P\n", "\u00a0PEPPER=P", "\tPEPPER=P", "\u0085PEPPER=P", "\u2028PEPPER=P\u2028", "A=1\u2028PEPPER=P",
  "PEPPER = P", "PEPPER= P ", "PEPPER =P", "PEPPER\t=\tP\t", "PEPPER\n=P", "PEPPER=\nP", "PEPPER=\n'P'\n", "PEPPER=\n\n\"P\"", "PEPPER:\nP\n",
  "PEPPER: P", "PEPPER:P", "PEPPER : P", "PEPPER:\tP", "PEPPER: 'P'",
  "export PEPPER=P", "export\tPEPPER=P", "export\nPEPPER=P", "exportPEPPER=P", "  export   PEPPER = P", "EXPORT PEPPER=P",
  'PEPPER="P"', "PEPPER='P'", "PEPPER=`P`", 'PEPPER="P";', "PEPPER='P';", "PEPPER=P;", 'PEPPER="P" ;', 'PEPPER="P" # mine', "PEPPER='P'# mine",
  "PEPPER=P # mine", "PEPPER=P# mine", "PEPPER=P#mine", 'PEPPER="P#P"', "PEPPER='P # P'", "PEPPER=`P#P`", "# PEPPER=P", " # PEPPER=P\nPEPPER=PP",
  'PEPPER="P', "PEPPER='P", "PEPPER=`P", 'PEPPER=P"', "PEPPER=\"P'", "PEPPER='P\"", 'PEPPER="P\nOTHER="1"', "PEPPER='P\nOTHER='1'\n",
  'PEPPER="P\\nP"', "PEPPER='P\\nP'", 'PEPPER="P\\rP"', 'PEPPER="P\\"P"', "PEPPER='P\\'P'", "PEPPER=`P\\`P`", "PEPPER=P\\nP", 'PEPPER="P\\\\"', "PEPPER=P\\",
  'PEPPER="P\nP"', "PEPPER='P\n\nP'", "PEPPER=`P\nP`", "OTHER='\nPEPPER=P\n'\n", 'OTHER="\nPEPPER=P\n"\nPEPPER=PP',
  "PEPPER=P\nPEPPER=PP", "PEPPER=PP\nPEPPER=", "PEPPER=\nPEPPER=P", "PEPPER=P\nPEPPER", "PEPPER=P\n=PP",
  "PEPPER=", "PEPPER=''", 'PEPPER=""', "PEPPER", "", "\n\n", "=P", "PEPPER==P", "PEPPER=P=P", "PEPPER='P'P", "PEPPER=P 'P'", "PEPPER=\"P\"P\"P\"", "PEPPER='P'\"P\"",
  "XPEPPER=P", "PEPPER_=P", "PEPPER.X=P\nPEPPER=PP", "PEPPER-X=P", "pepper=P", "A B PEPPER=P", "OTHER=x PEPPER=P", "{\"PEPPER\": \"P\"}", "PEPPER: \"P\",",
  "OTHER='open\nPEPPER=P", 'OTHER="open\nPEPPER=P', "OTHER=it's\nPEPPER=P\n", "OTHER=a\\\nPEPPER=P", "PEPPER=P${OTHER}", "PEPPER=$OTHER", "PEPPER=P\u00e9",
  "PEPPER='P\u2028P'", "PEPPER=P\u2028P", "PEPPER=P\u0000", "A='\ufffd'\nPEPPER=P",
];

/** `.env` files, in place of `.dev.vars`: the files, and what else wrangler is given. */
const FILES = [
  [{ ".env": "PEPPER=P" }],
  [{ ".env": "PEPPER=P", ".env.local": "PEPPER=PP" }],
  [{ ".env": "PEPPER=P", ".env.local": "OTHER=1" }],
  [{ ".env": "PEPPER=P", ".dev.vars": "OTHER=1" }],
  [{ ".env": "PEPPER=P", ".dev.vars": "" }],
  [{ ".env": "PEPPER=P", ".env.test": "PEPPER=PP" }, { environment: "test" }],
  [{ ".env": "PEPPER=P", ".env.test": "PEPPER=PP" }],
  [{ ".env.test": "PEPPER=P", ".env.test.local": "PEPPER=PP", ".env.local": "PEPPER=PPP" }, { environment: "test" }],
  [{ ".env.local": "PEPPER=P", ".env.test": "PEPPER=" }, { environment: "test" }],
  [{ ".dev.vars": "PEPPER=P", ".dev.vars.test": "PEPPER=PP" }, { environment: "test" }],
  [{ ".dev.vars": "PEPPER=P", ".dev.vars.test": "OTHER=1" }, { environment: "test" }],
  [{ ".dev.vars": "PEPPER=P", ".dev.vars.test": "PEPPER=PP" }],
  // As `wrangler dev`: the variable chooses the environment of the configuration, and not that of the secrets.
  [{ ".dev.vars": "PEPPER=P", ".dev.vars.test": "PEPPER=PP" }, { env: { CLOUDFLARE_ENV: "test" } }],
  [{ ".env": "PEPPER=P" }, { env: { CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV: "false" } }],
  [{ ".env": "PEPPER=P" }, { env: { PEPPER: `${P}-of-environment` } }],
  [{ ".env": "PEPPER=P" }, { env: { PEPPER: `${P}-of-environment`, CLOUDFLARE_INCLUDE_PROCESS_ENV: "true" } }],
  [{ ".env": "OTHER=1" }, { env: { PEPPER: `${P}-of-environment`, CLOUDFLARE_INCLUDE_PROCESS_ENV: "true" } }],
  [{ ".env": "PEPPER=P" }, { env: { PEPPER: `${P}-of-environment` }, required: ["PEPPER"] }],
  [{}, { env: { PEPPER: `${P}-of-environment` }, required: ["PEPPER"] }],
  [{ ".dev.vars": "OTHER=1" }, { env: { PEPPER: `${P}-of-environment` }, required: ["PEPPER"] }],
  [{ ".env": "PEPPER=P" }, { required: ["PEPPER", "OTHER"] }],
  [{}, { env: { OTHER: "x", DENIED_IDS: "" }, required: ["PEPPER", "OTHER", "DENIED_IDS"] }],
  [{ ".env": "" }, { env: { OTHER: "x" }, required: ["PEPPER", "OTHER"] }],
  [{ ".env": "A=PP\nPEPPER=${A}" }],
  [{ ".env": "A=PP\nPEPPER=$A-x" }],
  [{ ".env": "PEPPER=$A-P\nA=PP" }],
  [{ ".env": "PEPPER=${A:-PP}" }],
  [{ ".env": "A=\nPEPPER=${A-PP}" }],
  [{ ".env": "A=1\nPEPPER=${A:+PP}" }],
  [{ ".env": "PEPPER=P${A+PP}" }],
  [{ ".env": "A=x\nB=$A$A\nPEPPER=P$B${C:-$A}" }],
  [{ ".env": "PEPPER=P\\$A" }],
  [{ ".env": "PEPPER='P$A'\nA=1" }],
  [{ ".env": "A=x$$y\nPEPPER=P$A" }],
  [{ ".env": "PEPPER=P$A" }, { env: { A: "$$x", CLOUDFLARE_INCLUDE_PROCESS_ENV: "true" } }],
  [{ ".env": "PEPPER=P$A-end" }, { env: { A: "$'", CLOUDFLARE_INCLUDE_PROCESS_ENV: "true" } }],
  [{ ".env": "PEPPER=P$PEPPER" }],
  [{ ".env": "PEPPER=P$nullable" }],
  [{ ".env": "A=$B\nB=$A\nPEPPER=P$A" }],
  [{ ".env": "PEPPER=P${HOME_OF_TEST}" }, { env: { HOME_OF_TEST: "x", CLOUDFLARE_INCLUDE_PROCESS_ENV: "true" } }],
  [{ ".env": "PEPPER=P", ".env.local": "PEPPER=${PEPPER}P" }],
];

const root = await mkdtemp(path.join(tmpdir(), "keygate-secrets-"));
after(() => rm(root, { recursive: true }));
let folders = 0;

/** A folder with the files, and a configuration that asks for the secrets. */
async function folderOf(files, { required, name = "wrangler.json" } = {}) {
  const folder = path.join(root, String((folders += 1)));
  await mkdir(folder);
  const own = { vars: {}, ...(required && { secrets: { required } }) };
  await writeFile(path.join(folder, name), JSON.stringify({ name: "gate", ...own, env: { test: own } }));
  for (const [file, text] of Object.entries(files)) await writeFile(path.join(folder, file), text);
  return folder;
}

/** What wrangler gives the gate: values by name. */
function byWrangler(folder, { environment, env = {}, required } = {}) {
  const before = { ...process.env };
  const here = process.cwd();
  Object.assign(process.env, env);
  process.chdir(folder);
  try {
    const found = quietly(() => unstable_getVarsForDev(path.join(folder, "wrangler.json"), undefined, {}, environment, true, required && { required }));
    return Object.fromEntries(Object.entries(found).map(([name, { value }]) => [name, value]));
  } finally {
    process.chdir(here);
    for (const name of Object.keys(env)) {
      if (name in before) process.env[name] = before[name];
      else delete process.env[name];
    }
  }
}

/** As the gate does: blanks around it do not count. */
const idOf = (text) => {
  const pepper = text.replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, "");
  return pepper.length >= 43 && pepper.length <= 512 && /^[!-~]+$/.test(pepper) ? pepperId(pepper) : undefined;
};

/** keygate's reading is wrangler's; where there is no pepper it writes one, and wrangler reads that and all else as before. */
async function assertSame(texts, given = {}) {
  const folder = await folderOf(texts, given);
  const expected = byWrangler(folder, given);
  const args = ["pepper", "init", "--json", ...(given.environment ? ["--env", given.environment] : [])];
  const { status, stdout, stderr } = await run(KEYGATE, args, { cwd: folder, env: { ...cleanEnv(), PATH, ...given.env } });
  assert.ok(!stderr.includes(P), "the pepper on standard error");
  if (expected.PEPPER) {
    const id = idOf(expected.PEPPER);
    assert.equal(status, id ? 0 : 1, stderr);
    if (id) assert.deepEqual([JSON.parse(stdout).id, JSON.parse(stdout).is_new], [id, false]);
    return;
  }
  if (status === 1) {
    // Better than a file that wrangler reads otherwise.
    assert.match(stderr, /cannot be changed so that wrangler reads|come from several \.env files|the local gate would lose what it has from the environment: DENIED_IDS, OTHER".*make an empty \.env /);
    return;
  }
  const { id, is_new: isNew } = JSON.parse(stdout);
  const { PEPPER: written, ...others } = byWrangler(folder, given);
  delete expected.PEPPER;
  assert.deepEqual([isNew, idOf(written), others], [true, id, expected]);
}

const filled = (text) => text.replaceAll(/(?<![A-Z_])P+(?![A-Z_])/g, (peppers) => peppers.replaceAll("P", P));

describe(".dev.vars is read, and written, as wrangler reads it:", () => {
  for (const text of TEXTS) test(JSON.stringify(text), () => assertSame({ ".dev.vars": filled(text) }));
});

describe("the local secrets come from where wrangler takes them:", () => {
  for (const [files, given] of FILES) {
    const texts = Object.fromEntries(Object.entries(files).map(([name, text]) => [name, filled(text)]));
    test(JSON.stringify([files, given && { ...given, env: given.env && Object.keys(given.env) }]), () => assertSame(texts, given));
  }
});

describe("the configuration is the one that wrangler finds:", () => {
  const SOUND = { vars: { ORIGIN: "zone", KEY_PREFIX: "acme" }, kv_namespaces: [{ binding: "KEYS", id: "a" }], workers_dev: false, preview_urls: false };
  const JSON_TEXT = JSON.stringify(SOUND);
  const TOML_TEXT = 'workers_dev = false\npreview_urls = false\nkv_namespaces = [{ binding = "KEYS", id = "a" }]\nvars = { ORIGIN = "zone", KEY_PREFIX = "acme" }\n';
  const text = (name) => (name.endsWith("toml") ? TOML_TEXT : JSON_TEXT);
  for (const [files, chosen, ignored] of [
    [["wrangler.toml"], "wrangler.toml", []],
    [["wrangler.jsonc"], "wrangler.jsonc", []],
    [["wrangler.json", "wrangler.jsonc", "wrangler.toml"], "wrangler.json", ["wrangler.jsonc", "wrangler.toml"]],
    [["wrangler.jsonc", "wrangler.toml"], "wrangler.jsonc", ["wrangler.toml"]],
    [["../wrangler.json", "wrangler.toml"], "../wrangler.json", ["wrangler.toml"]],
    [["../wrangler.toml", "wrangler.jsonc"], "wrangler.jsonc", []],
    [["../wrangler.toml"], "../wrangler.toml", []],
  ]) {
    test(files.join(", "), async () => {
      const folder = path.join(root, String((folders += 1)), "inner");
      await mkdir(folder, { recursive: true });
      for (const name of files) await writeFile(path.join(folder, name), text(name));
      const here = process.cwd();
      process.chdir(folder);
      const { configPath } = quietly(() => unstable_readConfig({}, { hideWarnings: true }));
      process.chdir(here);
      assert.equal(path.relative(folder, configPath), chosen);
      const { stdout } = await run(KEYGATE, ["check", "--json"], { cwd: folder, env: { ...cleanEnv(), PATH } });
      const { ok, findings } = JSON.parse(stdout);
      assert.ok(ok, stdout);
      assert.deepEqual(findings.map(({ level, file }) => [level, file]), ignored.map((name) => ["warning", name]));
      for (const { problem } of findings) assert.ok(problem.includes(`wrangler reads ${chosen}`), problem);
      // Messages name the file that was read.
      await writeFile(path.join(folder, chosen), text(chosen).replace("zone", "nowhere"));
      const faulty = JSON.parse((await run(KEYGATE, ["check", "--json"], { cwd: folder, env: { ...cleanEnv(), PATH } })).stdout);
      assert.deepEqual(faulty.findings.filter(({ level }) => level === "error").map(({ file, field }) => [file, field]), [[chosen, "vars.ORIGIN"]]);
    });
  }

  for (const [name, args, files] of [
    [".wrangler/deploy/config.json", [], [".wrangler/deploy/config.json"]],
    ["../.wrangler/deploy/config.json", [], ["../.wrangler/deploy/config.json"]],
    [".wrangler/deploy/config.json", ["--config", "wrangler.toml"], []],
  ]) {
    test(`${name} leads wrangler elsewhere${args.length > 0 ? ", unless the file is named" : ""}`, async () => {
      const folder = path.join(root, String((folders += 1)), "inner");
      const redirection = path.join(folder, name);
      await mkdir(path.join(folder, "dist"), { recursive: true });
      await mkdir(path.dirname(redirection), { recursive: true });
      // Two environments, and one warning.
      await writeFile(path.join(folder, "wrangler.toml"), `${TOML_TEXT}[env.test]\n${TOML_TEXT}`);
      await writeFile(redirection, JSON.stringify({ configPath: "../../dist/wrangler.json" }));
      const { stdout } = await run(KEYGATE, ["check", "--json", ...args], { cwd: folder, env: { ...cleanEnv(), PATH } });
      const { ok, findings } = JSON.parse(stdout);
      assert.ok(ok, stdout);
      assert.deepEqual(findings.map(({ level, file }) => [level, file]), files.map((file) => ["warning", file]));
    });
  }

  test("nowhere", async () => {
    const folder = path.join(root, "empty");
    await mkdir(folder);
    const { status, stderr } = await run(KEYGATE, ["check"], { cwd: folder, env: { ...cleanEnv(), PATH } });
    assert.equal(status, 1);
    assert.match(stderr, /there is no wrangler\.json, wrangler\.jsonc or wrangler\.toml/);
  });
});

test("check names what wrangler drops from .dev.vars, and where it belongs", async () => {
  const folder = path.join(root, "dropped");
  await mkdir(folder);
  const vars = { ORIGIN: "zone", KEY_PREFIX: "acme", CASE_INSENSITIVE_PATHS: false };
  const config = { vars, kv_namespaces: [{ binding: "KEYS", id: "a" }], workers_dev: false, preview_urls: false, secrets: { required: ["PEPPER"] } };
  await writeFile(path.join(folder, "wrangler.json"), JSON.stringify(config));
  await writeFile(path.join(folder, ".dev.vars"), `PEPPER=${P}\nORIGIN=zone\nALLOW_HTTP=true\nDENIED_IDS=\nSOMETHING_ELSE=1\n`);
  const { stdout } = await run(KEYGATE, ["check", "--json"], { cwd: folder, env: { ...cleanEnv(), PATH } });
  const { ok, findings } = JSON.parse(stdout);
  assert.ok(ok);
  assert.deepEqual(findings.map(({ level, file, field, remedy }) => [level, file, field, remedy]), [
    ["warning", ".dev.vars", "ALLOW_HTTP", "set it in `vars`"],
    ["warning", ".dev.vars", "DENIED_IDS", 'add "DENIED_IDS" to `secrets.required`'],
  ]);
});

describe("check reports what the local gate alone refuses:", () => {
  for (const [text, fields] of [
    ["KEYS=x\nUSAGE=y\n", ["KEYS", "USAGE"]],
    ["ORIGIN=service:NOWHERE\n", ["NOWHERE"]],
    ["ORIGIN=http://localhost:8787\n", ["ORIGIN"]],
    ["ORIGIN=http://localhost:5000\n", []],
  ]) {
    test(JSON.stringify(text), async () => {
      const folder = path.join(root, String((folders += 1)));
      await mkdir(folder);
      const vars = { ORIGIN: "zone", KEY_PREFIX: "acme" };
      await writeFile(path.join(folder, "wrangler.json"), JSON.stringify({ vars, kv_namespaces: [{ binding: "KEYS", id: "a" }], workers_dev: false, preview_urls: false }));
      await writeFile(path.join(folder, ".dev.vars"), `PEPPER=${P}\n${text}`);
      const { stdout } = await run(KEYGATE, ["check", "--json"], { cwd: folder, env: { ...cleanEnv(), PATH } });
      assert.deepEqual(JSON.parse(stdout).findings.map(({ level, file, field }) => [level, file, field]), fields.map((field) => ["error", ".dev.vars", field]));
    });
  }
});

test("a linked configuration has its store and its secrets beside the link, as wrangler has", async () => {
  const [theirs, own] = [path.join(root, "theirs"), path.join(root, "own")];
  await Promise.all([theirs, own].map((folder) => mkdir(folder)));
  await writeFile(path.join(theirs, "wrangler.toml"), 'name = "gate"\ncompatibility_date = "2026-11-01"\nkv_namespaces = [{ binding = "KEYS", id = "a" }]\nvars = { ORIGIN = "zone", KEY_PREFIX = "acme" }\n');
  await symlink(path.join(theirs, "wrangler.toml"), path.join(own, "wrangler.toml"));
  await writeFile(path.join(own, ".dev.vars"), `PEPPER=${P}\n`);
  const options = { cwd: own, env: { ...cleanEnv(), PATH, WRANGLER_SEND_METRICS: "false" } };
  const issued = await run(KEYGATE, ["issue", "--subject", "acme", "--json"], options);
  assert.equal(issued.status, 0, issued.stderr);
  const listed = await run("wrangler", ["kv", "key", "list", "--local", "--binding", "KEYS"], options);
  assert.deepEqual(JSON.parse(listed.stdout).map(({ name }) => name), [`key/${JSON.parse(issued.stdout).id}`], listed.stderr);
  await assert.rejects(readFile(path.join(theirs, ".dev.vars")), { code: "ENOENT" });
  await assert.rejects(readFile(path.join(theirs, ".wrangler")), { code: "ENOENT" });
});

test("a .dev.vars that is written anew keeps its owner, its mode and its line ends", async () => {
  const folder = await folderOf({ ".dev.vars": "A=1\r\nB=2\nC=3\r\n" });
  const file = path.join(folder, ".dev.vars");
  await chmod(file, 0o640);
  // Only root may give a file away.
  if (process.getuid() === 0) await chown(file, 12345, 12346);
  const before = await stat(file);
  const { status, stderr } = await run(KEYGATE, ["pepper", "init"], { cwd: folder, env: { ...cleanEnv(), PATH } });
  assert.equal(status, 0, stderr);
  const after = await stat(file);
  assert.deepEqual([after.mode, after.uid, after.gid], [before.mode, before.uid, before.gid]);
  assert.match(await readFile(file, "utf8"), /^A=1\r\nB=2\nC=3\r\nPEPPER="[\w-]{43}"\r\n$/);
});

test("a .dev.vars that is not UTF-8 is left as it is", async () => {
  const bytes = Buffer.from("A=caf\u00e9\n", "latin1");
  const folder = await folderOf({ ".dev.vars": bytes });
  const { status, stderr } = await run(KEYGATE, ["pepper", "init"], { cwd: folder, env: { ...cleanEnv(), PATH } });
  assert.equal(status, 1);
  assert.match(stderr, /\.dev\.vars holds bytes that are not UTF-8.*\n help: write the file in UTF-8/);
  assert.deepEqual(await readFile(path.join(folder, ".dev.vars")), bytes);
});

test("a .dev.vars that is a link to nowhere is reported as one", async () => {
  const folder = await folderOf({});
  await symlink(path.join(folder, "nowhere"), path.join(folder, ".dev.vars"));
  const { status, stderr } = await run(KEYGATE, ["pepper", "init"], { cwd: folder, env: { ...cleanEnv(), PATH } });
  assert.equal(status, 1);
  assert.match(stderr, /\.dev\.vars beside .* is a link that leads nowhere\n help: remove the link, or make the file/);
});

test("a pepper file that holds more than the pepper is refused with what to do", async () => {
  const folder = await folderOf({}, {});
  for (const [text, what] of [[`PEPPER=${P}\n`, "a name and a value"], [`"${P}"\n`, "quotes or punctuation"], [`${P} \n`, "white space"], [`\ufeff${P}`, "a byte order mark"]]) {
    await writeFile(path.join(folder, "pepper"), text);
    const { status, stderr } = await run(KEYGATE, ["pepper", "status", "--remote", "--pepper-file", "pepper"], { cwd: folder, env: { ...cleanEnv(), PATH } });
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`the pepper file pepper holds ${what}[^]* help: leave the pepper alone in the file`));
    assert.ok(!stderr.includes(P));
  }
});
