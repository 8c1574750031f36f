// docs/key-format.md is enough to write a verifier in another language: tests/vectors/verifier.py is one, and agrees with every frozen
// vector that the core's own tests run.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { before, test } from "node:test";

import { rowsBelow } from "./support/documents.js";
import { run } from "./support/program.js";
import { ROOT } from "./support/project.js";

const VERIFIER = path.join("tests", "vectors", "verifier.py");

const read = (...name) => readFile(path.join(ROOT, ...name), "utf8");

let keys;
let records;
let answers;

before(async () => {
  [keys, records] = await Promise.all(["key", "record"].map(async (name) => JSON.parse(await read("tests", "vectors", `${name}.json`))));
  const { status, stdout, stderr } = await run(process.env.KEYGATE_PYTHON ?? "python3", [path.join("tests", "e2e", "support", "key_format.py")], { cwd: ROOT });
  assert.equal(status, 0, stderr);
  answers = JSON.parse(stdout);
});

/** One answer for each case, by name, so that a difference names its vector. */
const byName = (cases, values) => {
  assert.ok(cases.length > 0);
  assert.equal(values.length, cases.length);
  return cases.map(({ name }, at) => [name, values[at]]);
};

test("every frozen key is valid or has the fault that the vector names", () => {
  const expected = keys.cases.map(({ outcome }) => outcome);
  assert.deepEqual(byName(keys.cases, answers.outcomes), byName(keys.cases, expected));
});

test("pepper ids and key ids are computed from the pepper and the key", () => {
  assert.deepEqual(answers.pepperIds, keys.pepper_ids.map(({ id }) => id));
  assert.deepEqual(answers.keyIds, keys.digests.map(({ id }) => id));
  assert.deepEqual(answers.importedIds, keys.imported.map(({ id }) => id));
});

test("every frozen digest matches its own key and no other", () => {
  assert.deepEqual(answers.digests, keys.digests.map(() => true));
  assert.deepEqual(answers.imported, keys.imported.flatMap(() => [true, true]));
  assert.ok(answers.mismatches.length > 10, `${answers.mismatches.length}`);
  assert.deepEqual(new Set(answers.mismatches), new Set([false]));
});

test("every malformed digest is refused", () => {
  assert.deepEqual(byName(keys.bad_digests, answers.badDigests), byName(keys.bad_digests, keys.bad_digests.map(() => false)));
});

test("a prefix has one form", () => {
  assert.deepEqual(answers.prefixes, { good: keys.prefixes.good.map(() => true), bad: keys.prefixes.bad.map(() => false) });
});

test("every frozen record is read, or refused for the field that the vector names", () => {
  const fields = records.map(({ field }) => (field === undefined ? [] : [field === "." ? "." : field.split(/[.[]/)[0]]));
  assert.deepEqual(byName(records, answers.records), byName(records, fields));
});

test("the worked example of docs/key-format.md is what the verifier computes", async () => {
  assert.deepEqual(Object.fromEntries(await rowsBelow("docs/key-format.md", "| value | example |")), answers.example);
});

test("the verifier is short and needs nothing but Python", async () => {
  const source = await read(VERIFIER);
  assert.ok(source.trimEnd().split("\n").length <= 80);
  const { status, stderr } = await run("python3", ["-I", "-S", "-c", `exec(open(${JSON.stringify(VERIFIER)}).read())`], { cwd: ROOT });
  assert.equal(status, 0, stderr);
});
