// A pepper that is not the gate's, as far as can be told: no key is ended for one that the gate would refuse.

import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";

import { ACCOUNT, LIVE, keyIn } from "./support/cli.js";
import { deliveries } from "./support/deliveries.js";
import { PEPPER, bareImportedDigestOf, importKey, pepperId, randomBase62 } from "./support/keys.js";

const { gate, api, at, put, read, remote, keygate, verify, keep, stored } = await deliveries();
const OTHER = randomBase62(43);
const other = { KEYGATE_PEPPER: OTHER };
const settings = `GET /accounts/${ACCOUNT}/workers/scripts/gate/settings`;

/** The entries as they are, to be compared. */
const entries = () => JSON.stringify([...api.entries]);

describe("a rotation with another pepper than the key's", () => {
  const rows = {
    "rotate": (id) => ["rotate", id],
    "rotate --now": (id) => ["rotate", id, "--now"],
    "rotate --dry-run": (id) => ["rotate", id, "--dry-run", "--json"],
    "rotate --to exec:": (id) => ["rotate", id, "--to", `exec:cat > ${at("x")}`],
    "rotate --to file:": (id) => ["rotate", id, "--to", `file:${at("a")}`],
    "rotate --to --dry-run": (id) => ["rotate", id, "--to", "exec:cat", "--dry-run"],
    "rotate --all-older-than": () => ["rotate", "--all-older-than", "0", "--now", "--to", "exec:cat"],
    "rotate --all-older-than --dry-run": () => ["rotate", "--all-older-than", "0", "--to", "exec:cat", "--dry-run"],
  };
  for (const [name, args] of Object.entries(rows)) {
    test(`is refused: ${name}`, async () => {
      const old = stored();
      await put("a", old.key);
      const before = entries();
      const { stderr } = await remote(args(old.id), { env: other, status: 1 });
      assert.match(stderr, new RegExp(`key ${old.id} was made with pepper ${pepperId(PEPPER)}, and the pepper from KEYGATE_PEPPER is ${pepperId(OTHER)}: the gate would refuse the new key`));
      assert.match(stderr, /(\n help: |"remedy":")set KEYGATE_PEPPER to the pepper that the gate has; .*KEYGATE_PEPPER_PREVIOUS.*add --new-pepper/);
      assert.deepEqual([entries(), await read("a"), await readdir(at("journal")).catch(() => [])], [before, old.key, []]);
      assert.equal(await verify(old.key), "permitted");
    });
  }

  test("is done with --new-pepper", async () => {
    const [one, two, three] = [stored(), stored(), stored()];
    await remote(["rotate", one.id, "--now", "--new-pepper"], { env: other });
    await remote(["rotate", two.id, "--to", `exec:cat > ${at("x")}`, "--new-pepper"], { env: other });
    await remote(["rotate", "--all-older-than", "0", "--made-with", pepperId(PEPPER), "--to", `exec:cat > ${at("y")}`, "--new-pepper"], { env: other });
    for (const { id } of [one, two, three]) assert.match(api.record(api.record(id).replaced_by).digest, new RegExp(`^hs256.${pepperId(OTHER)}`));
  });

  test("of many keys is refused when one key is of another", async () => {
    stored({ created: 5 });
    const old = stored({ created: 6 }, { pepper: OTHER });
    const before = entries();
    const { stderr } = await remote(["rotate", "--all-older-than", "0", "--to", "exec:cat"], { status: 1 });
    assert.match(stderr, new RegExp(`key ${old.id} was made with pepper ${pepperId(OTHER)}`));
    assert.equal(entries(), before);
  });

  test("that is the one before is done, unless the gate has no PEPPER_PREVIOUS", async () => {
    const env = { ...other, KEYGATE_PEPPER_PREVIOUS: PEPPER };
    const bindings = (...names) => void (api.results[settings] = { bindings: names.map((name) => ({ name, namespace_id: LIVE })) });
    const old = stored();
    try {
      bindings("PEPPER", "KEYS");
      const before = entries();
      for (const args of [[old.id, "--now"], [old.id, "--to", "exec:cat"], ["--all-older-than", "0", "--to", "exec:cat"]]) {
        const { stderr } = await remote(["rotate", ...args], { env, status: 1 });
        assert.match(stderr, new RegExp(`the gate has no PEPPER_PREVIOUS: it has not been given pepper ${pepperId(OTHER)}.*\\n help: see what comes next: \`keygate pepper status --remote\``));
      }
      assert.equal(entries(), before);
      bindings("PEPPER", "KEYS", "PEPPER_PREVIOUS");
      await remote(["rotate", old.id, "--now"], { env });
    } finally {
      delete api.results[settings];
    }
    // What may not be looked at is not in the way.
    await remote(["rotate", stored().id], { env });
    assert.ok(api.record(old.id).replaced_by);
  });

  test("of a key whose digest has none is refused when all other keys are of another", async () => {
    const foreign = importKey(randomBase62(40));
    keep({ ...foreign.record, digest: bareImportedDigestOf(foreign.key) });
    const rotate = ["rotate", foreign.id, "--dry-run", "--json"];
    await remote(rotate, { env: other });
    stored();
    const { stderr } = await remote(rotate, { env: other, status: 1 });
    assert.match(stderr, new RegExp(`all other keys were made with pepper ${pepperId(PEPPER)}, and the pepper from KEYGATE_PEPPER is ${pepperId(OTHER)}`));
    await remote(rotate);
  });

  test("that the local gate does not have is refused", async () => {
    const persist = ["--persist-to", at("kv")];
    const { id } = keyIn((await gate.keygate(["issue", "--subject", "acme", ...persist], { env: other })).stdout);
    for (const args of [[id], [id, "--to", "exec:cat"]]) {
      const { stderr } = await keygate(["rotate", ...args, ...persist], { env: other, status: 1 });
      assert.match(stderr, new RegExp(`the pepper from KEYGATE_PEPPER is ${pepperId(OTHER)}, and .dev.vars has another one`));
    }
    // While the pepper is rotated the local gate has both.
    const vars = path.join(gate.folder, ".dev.vars");
    try {
      await writeFile(vars, `PEPPER="${PEPPER}"\nPEPPER_PREVIOUS="${OTHER}"\n`);
      await keygate(["rotate", id, ...persist], { env: { KEYGATE_PEPPER: "" } });
    } finally {
      await writeFile(vars, `PEPPER="${PEPPER}"\n`);
    }
  });
});

describe("a key that is issued with another pepper than all others", () => {
  const warning = new RegExp(`warning: all other keys were made with pepper ${pepperId(PEPPER)}, and this one is made with ${pepperId(OTHER)}; the gate refuses it unless it has that pepper \\(\`keygate pepper status --remote\`\\)`);

  test("is issued with a warning", async () => {
    stored();
    for (const args of [["--name", "x"], ["--to", "exec:cat >/dev/null"]]) {
      for (const name of [...api.entries.keys()].slice(1)) api.entries.delete(name);
      assert.match((await remote(["issue", "--subject", "acme", ...args], { env: other })).stderr, warning);
    }
    assert.doesNotMatch((await remote(["issue", "--subject", "acme"])).stderr, /warning/);
  });

  test("is issued without one when it is the first, one of several, or the others are revoked", async () => {
    assert.doesNotMatch((await remote(["issue", "--subject", "acme"], { env: other })).stderr, /warning/);
    stored();
    assert.doesNotMatch((await remote(["issue", "--subject", "acme"])).stderr, /warning/);
    api.entries.clear();
    stored({ state: "revoked" });
    assert.doesNotMatch((await remote(["issue", "--subject", "acme"], { env: other })).stderr, /warning/);
  });
});
