// An operator with keys in the key store, and a folder with the files that are secret stores.

import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { beforeEach } from "node:test";

import { PEPPER, issue } from "./keys.js";
import { operator } from "./operator.js";

/** One for the tests of a file; the store is empty and the folder new for each of them. */
export async function deliveries() {
  const { gate, api } = await operator();
  let folder;
  beforeEach(async () => {
    api.entries.clear();
    api.log.length = 0;
    folder = await mkdtemp(path.join(gate.folder, "places-"));
  });

  const at = (name) => path.join(folder, name);
  const put = (name, text) => writeFile(at(name), text, { mode: 0o600 });
  const read = (name) => readFile(at(name), "utf8");
  const env = () => ({ ...api.env, KEYGATE_PEPPER: PEPPER, KEYGATE_JOURNAL: at("journal") });
  const keygate = (args, { env: more, ...options } = {}) => gate.keygate(args, { ...options, env: { ...env(), ...more } });
  const remote = (args, options) => keygate([...args, "--remote"], options);
  /** What the gate would answer: its code, or "permitted". */
  const verify = async (key) => JSON.parse((await remote(["verify", "--json"], { input: key, status: null })).stdout).code ?? "permitted";

  function keep(record) {
    const { subject, name, state, not_after = null } = record;
    const pepper = record.digest.startsWith("hs256.") ? { pepper: record.digest.split(".")[1] } : {};
    api.entries.set(`key/${record.id}`, { key: `key/${record.id}`, value: JSON.stringify(record), metadata: { subject, name, state, not_after, ...pepper, rev: 1 } });
  }

  /** A key whose record is in the store. */
  function stored(fields, options) {
    const made = issue(fields, options);
    keep(made.record);
    return made;
  }

  /** Nothing was written, and nothing is left in the journal. */
  async function assertUntouched(old) {
    assert.deepEqual([...api.entries.keys()], [`key/${old.id}`]);
    assert.equal(api.record(old.id).replaced_by, undefined);
    assert.deepEqual(await readdir(at("journal")).catch(() => []), []);
  }

  return { gate, api, at, put, read, keygate, remote, verify, keep, stored, assertUntouched };
}
