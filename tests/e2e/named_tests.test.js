// Tests that documents name: every case has its number in a test's name, every store and manager has its failures, and each test that
// docs/cases.md, docs/failures.md and docs/threats.md name exists.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";

import { ROOT } from "./support/project.js";

const E2E = path.join("tests", "e2e");
const CASES = Array.from({ length: 66 }, (_, at) => at + 1);
/** Held by the harness of `tests/deep.sh timing`, which measures and is no test of this folder. */
const ELSEWHERE = { 23: path.join("timing", "main.rs") };

const read = (file) => readFile(path.join(ROOT, file), "utf8");

/** The texts between quotes of a JavaScript module, as far as they fit on a line: names of tests among them, comments not. */
const literals = (source) => [...source.replace(/^\s*\/\/.*$/gm, "").matchAll(/"((?:[^"\\\n]|\\.)*)"|`([^`\n]*)`/g)].map(([, plain, template]) => plain ?? template);

const numbersIn = (name) => [...name.matchAll(/\bcases? (\d+(?:, \d+)*)/g)].flatMap(([, list]) => list.split(", ").map(Number));

/** The rows below each heading "held by": `{ cells, references: [file, name] }`. */
async function heldBy(document) {
  const text = await read(document);
  const rows = [];
  let isTable = false;
  for (const line of text.split("\n")) {
    if (!line.startsWith("|")) isTable = false;
    else if (/\| held by \|$/.test(line)) isTable = true;
    else if (isTable && !/^\|[-|]+$/.test(line)) rows.push(line.slice(1, -1).split(" | ").map((cell) => cell.trim()));
  }
  return rows.map((cells) => {
    let file;
    const references = [];
    for (const [, span] of cells.at(-1).matchAll(/`([^`]+)`/g)) {
      if (/\.(js|rs)$/.test(span)) file = span.includes("/") ? span : path.join(E2E, span);
      else references.push([file, span]);
    }
    return { cells, references };
  });
}

/** Whether `file` has a test of this name: a literal in JavaScript, a function or a quoted name in Rust. */
async function has(file, name) {
  const source = await read(file);
  if (file.endsWith(".rs")) return source.includes(`fn ${name}(`) || source.includes(`"${name}"`);
  return ['"', "`"].some((quote) => source.includes(quote + name + quote));
}

test("every case has its number in the name of a test", async () => {
  const files = (await readdir(path.join(ROOT, E2E))).filter((name) => name.endsWith(".test.js") && name !== "named_tests.test.js");
  const sources = await Promise.all(files.map((name) => read(path.join(E2E, name))));
  const found = new Set(sources.flatMap((source) => literals(source).flatMap(numbersIn)));
  assert.deepEqual(CASES.filter((number) => !found.has(number) && !(number in ELSEWHERE)), []);
  assert.deepEqual([...found].filter((number) => !CASES.includes(number)), []);
});

test("docs/cases.md has one row for each case, and a test in each row that has its number", async () => {
  const rows = await heldBy("docs/cases.md");
  assert.deepEqual(rows.map(({ cells }) => Number(cells[0])), CASES);
  for (const { cells: [number], references } of rows) {
    const isNumbered = references.some(([file, name]) => numbersIn(name).includes(Number(number)) || file === ELSEWHERE[number]);
    assert.ok(isNumbered, `case ${number}`);
  }
});

test("docs/failures.md has a row for each failure of every store and manager, or says that it cannot occur", async () => {
  const WHERE = ["Cloudflare", "local KV", "Vault", "AWS", "Azure", "exec", "file"];
  const FAILURES = ["wrong token", "no permission", "not found", "conflict", "timeout", "bad TLS", "malformed answer"];
  const held = (await heldBy("docs/failures.md")).map(({ cells: [where, failure] }) => [where, failure]);
  const [, absent] = (await read("docs/failures.md")).split("| where | has no | because |\n|---|---|---|\n");
  const none = absent.trim().split("\n").flatMap((row) => {
    const [where, failures] = row.slice(2).split(" | ");
    return failures.split(", ").map((failure) => [where, failure]);
  });
  assert.deepEqual([...held, ...none].map(String).sort(), WHERE.flatMap((where) => FAILURES.map((failure) => String([where, failure]))).sort());
});

describe("every test that a document names exists:", () => {
  for (const document of ["docs/cases.md", "docs/failures.md", "docs/threats.md"]) {
    test(document, async () => {
      const rows = await heldBy(document);
      assert.ok(rows.length > 20, `${rows.length} rows`);
      for (const { cells, references } of rows) {
        assert.ok(references.length > 0, `no test is named: ${cells[0]}`);
        for (const [file, name] of references) assert.ok(await has(file, name), `${file}: ${name}`);
      }
    });
  }
});
