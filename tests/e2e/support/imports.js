// Imports from files with three keys, and the check of all that comes of one.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, beforeEach, describe, test } from "node:test";

import { PEPPER, importedDigestOf, importedIdOf, randomBase62 } from "./keys.js";
import { operator } from "./operator.js";

/** Consumers of Kong, by id. */
export const [ACME, OTHER] = ["8f1b6c3e-3b0a-4f0e-9f6d-0d6c2f8f7b11", "2d9c1f55-7a59-4d27-8f63-5a3c8ad6c0a2"];

/** Said, though every key was taken. */
export const soft = (pattern) => ({ soft: pattern });

/** For the tests of a file: a folder, three keys, and a store that is empty before each test. */
export async function imports() {
  const { gate, api } = await operator();
  const folder = await mkdtemp(path.join(tmpdir(), "keygate-import-"));
  after(() => rm(folder, { recursive: true }));
  beforeEach(() => api.entries.clear());

  const remote = (args, options) => gate.keygate([...args, "--remote"], { ...options, env: { ...api.env, KEYGATE_PEPPER: PEPPER } });
  const keys = [0, 1, 2].map(() => randomBase62(32));

  /**
   * Imports `source` and checks the whole outcome: `keys` are the records that are there then, by the key, each with the fields that count;
   * `said` is what standard error has; nothing of a key is in it. The exit code is 0 only if every key was taken.
   */
  async function check({ format, args = [], source, keys: taken = {}, said = [] }) {
    const status = said.some((text) => !text.soft) ? 1 : 0;
    const outcome = await remote(["import", "--format", format, ...args], { input: source, status });
    const expected = Object.entries(taken).map(([key, fields]) => [importedIdOf(key), fields]);
    for (const [id, fields] of expected) {
      const record = api.record(id);
      const found = Object.fromEntries(Object.keys(fields).map((name) => [name, record[name] ?? null]));
      assert.deepEqual(found, fields);
    }
    assert.deepEqual([...api.entries.keys()].sort(), expected.map(([id]) => `key/${id}`).sort());
    for (const [key] of Object.entries(taken)) assert.equal(api.record(importedIdOf(key)).digest, importedDigestOf(PEPPER, key));
    for (const text of said) assert.match(outcome.stderr, text.soft ?? text);
    for (const key of keys) assert.ok(!outcome.stderr.includes(key.slice(0, 8)), outcome.stderr);
  }

  /** A test for each row of `all`, by its name. */
  const rows = (title, all) => describe(title, () => {
    for (const [name, row] of Object.entries(all)) test(name, () => check(row));
  });

  return { api, folder, remote, keys, check, rows };
}
