// What every command prints with --json has the published form: docs/cli-output.schema.json.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { beforeEach, test } from "node:test";

import { deliveries } from "./support/deliveries.js";
import { valid } from "./support/json_schema.js";
import { now, randomBase62 } from "./support/keys.js";
import { ROOT } from "./support/project.js";

const { gate, at, put, remote, stored } = await deliveries();
const schema = JSON.parse(await readFile(path.join(ROOT, "docs", "cli-output.schema.json"), "utf8"));

/** Runs a command with --json; every line that it prints must have the form. Returns them. */
async function printed(form, args, options) {
  const { stdout, stderr } = await (options?.local ? gate.keygate([...args, "--json"], options) : remote([...args, "--json"], options));
  const lines = (form === "error" ? stderr : stdout).trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.notEqual(lines.length, 0);
  for (const line of lines) assert.ok(valid(line, schema.$defs[form], schema), `${args.join(" ")}: ${JSON.stringify(line)}`);
  return lines;
}

let id;
beforeEach(async () => ([{ id }] = await printed("issue", ["issue", "--subject", "acme", "--scope", "a", "--expires", "90d"])));

test("a new key, printed, in a file, in a secret store, or of another system", async () => {
  await printed("issue", ["issue", "--subject", "acme", "--dry-run"]);
  await printed("issue", ["issue", "--subject", "acme", "--key-out", at("out")]);
  await printed("issue", ["issue", "--subject", "acme", "--to", `file:${at("first")}`, "--dry-run"]);
  await printed("issue", ["issue", "--subject", "acme", "--to", `file:${at("first")}`, "--print"]);
  await printed("issue", ["issue", "--subject", "acme", "--import-stdin"], { input: randomBase62(40) });
});

test("keys as they are", async () => {
  await printed("show", ["show", id]);
  stored();
  assert.equal((await printed("list", ["list"])).length, 2);
  await printed("verify", ["verify"], { input: randomBase62(40), status: 1 });
});

test("changes of a key", async () => {
  await printed("update", ["update", id, "--name", "N", "--dry-run"]);
  await printed("update", ["update", id, "--name", "N", "--expires", "never"]);
  await printed("disable", ["disable", id]);
  await printed("enable", ["enable", id]);
  await printed("rotate", ["rotate", id, "--dry-run"]);
  await printed("rotate", ["rotate", id]);
  await printed("revoke", ["revoke", id]);
});

test("rotations with delivery", async () => {
  const { id: kept, key } = stored({ subject: "kept", created: now() - 100_000 });
  await put("kept", key);
  const to = ["--to", `file:${at("{subject}")}`];
  await printed("rotate", ["rotate", kept, ...to, "--dry-run"]);
  await printed("rotate", ["rotate", "--all-older-than", "1d", "--subject", "kept", ...to]);
});

test("many keys", async () => {
  const rows = await printed("import", ["import", "--format", "keys"], { input: `${randomBase62(40)} s1\nx`, status: 1 });
  assert.deepEqual(rows.map(({ fate }) => fate).sort(), ["bad", "new"]);
});

test("peppers", async () => {
  await printed("pepper", ["pepper"], { local: true });
  await printed("pepper_status", ["pepper", "status"]);
  await printed("pepper_apply", ["pepper", "apply"]);
  await printed("pepper_rotate", ["pepper", "rotate", "--new", at("pepper")]);
});

test("findings", async () => {
  await printed("check", ["check"], { local: true });
  const faulty = at("faulty.toml");
  await writeFile(faulty, "");
  await printed("check", ["check", faulty], { local: true, status: 1 });
  await printed("doctor", ["doctor"], { status: null });
});

test("man pages", async () => {
  await printed("man", ["man", at("man1")], { local: true });
});

test("a failure, of the command line too", async () => {
  await printed("error", ["show", "000000000000"], { status: 1 });
  await printed("error", ["show", "short"], { status: 2 });
  await printed("error", ["update", id], { status: 2 });
});
