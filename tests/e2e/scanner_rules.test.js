// The rules of `keygate scanner-rules`, with the scanners, on a folder of keys and of what resembles them: every key is found, and
// nothing else.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { Operator } from "./support/cli.js";
import { valid } from "./support/json_schema.js";
import { makeKey, randomBase62 } from "./support/keys.js";
import { run } from "./support/program.js";
import { ROOT } from "./support/project.js";
import { pythonWithPackages } from "./support/python.js";

/** Files, and lines with a key in each place of `KEY`. */
const KEYS = [
  ["app.py", 'API_KEY = "KEY"'],
  ["app.py", "client = Client('KEY', timeout=5)"],
  ["app.py", 'HEADERS = {"Authorization": "Bearer KEY"}  # works'],
  ["app.py", "keys = ['KEY', 'KEY']"],
  ["app.js", "const key = `KEY`;"],
  ["main.go", 'req.Header.Set("x-api-key", "KEY")'],
  [".env", "API_KEY=KEY"],
  [".env", "export API_KEY='KEY'"],
  [".env.production", 'API_KEY="KEY"'],
  ["config/settings.json", '{"key":"KEY","other":["KEY"]}'],
  ["config/deploy.yaml", "key: KEY"],
  ["config/deploy.yaml", "- KEY"],
  ["config/deploy.yaml", "env: {KEY_OF_API: KEY}"],
  ["README.md", "Use `KEY`, or (KEY), or <KEY>."],
  ["README.md", "https://api.example.com/v1/reports?key=KEY&page=2"],
  ["README.md", "https://api.example.com/v1/reports?page=2&key=KEY#top"],
  ["README.md", "https://KEY@api.example.com/KEY/reports"],
  ["README.md", "curl -u KEY: https://api.example.com"],
  ["notes.txt", "KEY"],
  ["notes.txt", "KEY at the start of a line"],
  ["notes.txt", "at the end of a line KEY"],
  ["notes.txt", "with a full stop KEY."],
  ["notes.txt", "one,KEY,KEY;KEY|KEY"],
  ["notes.txt", "\tKEY\t"],
  ["notes.txt", "beside a letter that is not ASCII: éKEYé"],
  ["app.js", 'send("x-api-key:\\tKEY\\r\\nKEY\\nKEY");'],
  ["config/settings.json", '{"header":"Bearer\\u0020KEY","text":"\\u003CKEY\\u003e","python":"\\x27KEY\\x27"}'],
  ["README.md", "https://login.example.com/?next=%2Fv1%2Freports%3Fkey%3DKEY%26page%3d2&note=%20KEY%0aKEY"],
  ["terminal.txt", "\u001b[31mKEY\u001b[0m \u001b[01;31m\u001b[KKEY\u001b[m\u001b[K"],
  ["terminal.sh", String.raw`printf '\033[1mKEY\e[0m\n' && echo '\u001b[38;5;9mKEY'`],
  ["windows.txt", "KEY\r"],
  ["last-line.txt", "no line end: KEY", ""],
];

/** The same with what is no key; `B` are 50 characters of base62. */
const NEAR_KEYS = [
  ["near.txt", "49 characters acme_live_49"],
  ["near.txt", "51 characters acme_live_51"],
  ["near.txt", "a key id acme_live_12"],
  ["near.txt", "another prefix acme_test_50"],
  ["near.txt", "a prefix in capitals ACME_LIVE_50"],
  ["near.txt", "a prefix with a capital Acme_live_50"],
  ["near.txt", "a prefix without _ acme_live50"],
  ["near.txt", "a prefix with - acme-live-50"],
  ["near.txt", "an identifier that ends with it my_acme_live_50"],
  ["near.txt", "an identifier that ends with it myacme_live_50"],
  ["near.txt", "an identifier that begins with it acme_live_50_old"],
  ["near.txt", "two halves acme_live_25-25"],
  ["near.txt", "two lines acme_live_25\n25"],
  ["near.txt", String.raw`after an escape \nacme_live_49 %20acme_live_51 \tmy_acme_live_50 %20xacme_live_50 \nacme_live_50_old`],
  ["near.txt", String.raw`after what is no escape nacme_live_50 20acme_live_50 \dacme_live_50 %2acme_live_50 31macme_live_50`],
  ["near.txt", "in a colour \u001b[31mMY_acme_live_50\u001b[0m \u001b[31mACME_LIVE_50\u001b[0m"],
  ["near.py", "acme_live_49 = acme_live_51"],
  ["README.md", "keygate show 12 # of acme_live_12…"],
];

/** Each with how it is run: the secrets that its rule finds. */
const SCANNERS = { gitleaks, trufflehog: withEngine, "detect-secrets": detectSecrets, github: withEngine };

let operator;
let folder;
let programs;
const keys = [];

before(async () => {
  operator = await Operator.make();
  folder = await mkdtemp(path.join(tmpdir(), "keygate-scanned-"));
  programs = path.dirname(await pythonWithPackages());
  const files = new Map();
  const add = (file, line, end = "\n") => files.set(file, `${files.get(file) ?? ""}${line}${end}`);
  for (const [file, line, end] of KEYS) add(file, line.replaceAll(/(?<!_)KEY(?!_)/g, newKey), end);
  for (const [file, line] of NEAR_KEYS) add(file, line.replaceAll(/(?<=(?:acme.live|acme_test)[_-]?|-|\n|show )\d+/gi, (length) => randomBase62(Number(length))));
  for (const [file, text] of files) {
    await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
    await writeFile(path.join(folder, file), text);
  }
  assert.equal(keys.length, 48);
});

after(async () => {
  await operator?.remove();
  if (folder) await rm(folder, { recursive: true });
});

async function writeFiles(files) {
  for (const [file, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(operator.folder, file)), { recursive: true });
    await writeFile(path.join(operator.folder, file), text);
  }
}

function newKey() {
  const { key } = makeKey();
  keys.push(key);
  return key;
}

describe("every key is found, and no near-key, by the rules for", () => {
  for (const [format, scan] of Object.entries(SCANNERS)) {
    test(format, async () => {
      const { stdout } = await operator.keygate(["scanner-rules", "--format", format, "--prefix", "acme_live"]);
      const rules = path.join(operator.folder, `rules-for-${format}`);
      await writeFile(rules, stdout);
      assert.deepEqual((await scan(rules, format)).sort(), [...keys].sort());
    });
  }
});

async function gitleaks(rules) {
  const report = path.join(operator.folder, "report.json");
  const args = ["dir", ".", "--config", rules, "--report-format", "json", "--report-path", report, "--exit-code", "0", "--no-banner"];
  await succeed(path.join(programs, "gitleaks"), args);
  const findings = JSON.parse(await readFile(report, "utf8"));
  // The scanner's own rules are in force as well, and it reports a key again from the text without the escapes.
  const isOwn = ({ RuleID, Tags }) => RuleID === "keygate-acme-live" && !Tags.some((tag) => tag.startsWith("decoded:"));
  return findings.filter(isOwn).map(({ Secret }) => Secret);
}

/** The report has hashes of what was found. */
async function detectSecrets(rules) {
  const plugin = `${rules}.py`;
  await writeFile(plugin, await readFile(rules));
  const filter = "detect_secrets.filters.heuristic.is_indirect_reference";
  const args = ["scan", "--all-files", "--no-verify", "--plugin", plugin, "--disable-filter", filter, "."];
  const { results } = JSON.parse((await succeed(path.join(programs, "detect-secrets"), args)).stdout);
  const hashes = Object.values(results).flat().filter(({ type }) => type === "Keygate key").map(({ hashed_secret: hash }) => hash);
  const known = new Map(keys.map((key) => [createHash("sha1").update(key).digest("hex"), key]));
  return hashes.map((hash) => known.get(hash) ?? hash);
}

async function withEngine(rules, format) {
  const script = path.join(ROOT, "tests/e2e/support/apply_scanner_rules.py");
  return JSON.parse((await succeed(path.join(programs, "python"), [script, format, rules, folder])).stdout);
}

async function succeed(program, args) {
  const ran = await run(program, args, { cwd: folder });
  assert.equal(ran.status, 0, `${program} ${args.join(" ")}\n${ran.stderr}`);
  return ran;
}

const schema = JSON.parse(await readFile(path.join(ROOT, "docs", "cli-output.schema.json"), "utf8"));

describe("the prefixes are", () => {
  const ROWS = [
    ["those of every environment", [], ["acme_live", "acme_test"]],
    ["those of a folder that `init` made, with its admin keys", ["--config", "made/wrangler.jsonc"], ["my_gate", "keygate_admin"]],
    ["those of this repository, with its admin keys", ["--config", path.join(ROOT, "wrangler.toml")], ["acme_live", "acme_admin"]],
    ["those of every environment of both Workers", ["--config", "both/wrangler.toml"], ["top", "in_other", "in_test", "admin", "admin_test"]],
    ["those of the environment in both Workers", ["--config", "both/wrangler.toml", "--env", "test"], ["in_test", "admin_test"]],
    ["that of the control Worker's top, without the environment", ["--config", "both/wrangler.toml", "--env", "other"], ["in_other", "admin"]],
    ["those of the control Worker alone", ["--config", "both/control/wrangler.jsonc"], ["admin", "admin_test"]],
    ["that of the chosen environment", ["--env", "test"], ["acme_test"]],
    ["that of --prefix", ["--prefix", "other"], ["other"]],
    ["each of --prefix once", ["--prefix", "other", "--prefix", "one_more", "--prefix", "other"], ["other", "one_more"]],
  ];
  const FILES = {
    "both/wrangler.toml": "vars.KEY_PREFIX = 'top'\nenv.test.vars.KEY_PREFIX = 'in_test'\nenv.other.vars.KEY_PREFIX = 'in_other'\n",
    "both/control/wrangler.jsonc": JSON.stringify({ vars: { KEY_PREFIX: "admin" }, env: { test: { vars: { KEY_PREFIX: "admin_test" } } } }),
  };
  before(async () => {
    await operator.keygate(["init", "made", "--origin", "https://api.example.com", "--prefix", "my_gate", "--yes"]);
    await writeFiles(FILES);
  });
  for (const [name, args, prefixes] of ROWS) {
    test(name, async () => {
      for (const format of Object.keys(SCANNERS)) {
        const said = await operator.json(["scanner-rules", "--format", format, ...args]);
        assert.ok(valid(said, schema.$defs.scanner_rules, schema), JSON.stringify(said));
        assert.deepEqual({ format: said.format, prefixes: said.prefixes }, { format, prefixes });
        for (const prefix of prefixes) assert.ok(said.text.includes(`${prefix}_[0-9A-Za-z]{50}`), said.text);
      }
    });
  }
});

describe("no rules are printed for", () => {
  const ROWS = [
    ["a prefix that is none", ["--prefix", "Acme"], 2, /`Acme` is not a key prefix: 2 to 24 characters/],
    ["a format that is none", ["--format", "sarif"], 2, /invalid value 'sarif'/],
    ["a configuration that is not there", ["--config", "none.toml"], 1, /cannot read none\.toml/],
    ["a configuration without a prefix", ["--config", "bare.toml"], 1, /bare\.toml has no `vars\.KEY_PREFIX`\n help: set it to a key prefix/],
    ["a wrong prefix of admin keys", ["--config", "half/wrangler.toml"], 1, /half\/control\/wrangler\.jsonc: `vars\.KEY_PREFIX`: `Admin` is not a key prefix/],
    ["a configuration with a wrong prefix", ["--config", "wrong.toml"], 1, /wrong\.toml: `vars\.KEY_PREFIX`: `ACME` is not a key prefix/],
  ];
  const FILES = {
    "bare.toml": "name = 'gate'\n",
    "wrong.toml": "[vars]\nKEY_PREFIX = 'ACME'\n",
    "half/wrangler.toml": "[vars]\nKEY_PREFIX = 'acme'\n",
    "half/control/wrangler.jsonc": '{ "vars": { "KEY_PREFIX": "Admin" } }',
  };
  before(() => writeFiles(FILES));
  for (const [name, args, status, message] of ROWS) {
    test(name, async () => {
      const format = args.includes("--format") ? [] : ["--format", "gitleaks"];
      const { stdout, stderr } = await operator.keygate(["scanner-rules", ...format, ...args], { status });
      assert.equal(stdout, "");
      assert.match(stderr, message);
    });
  }
});
