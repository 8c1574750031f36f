// From every state of a rotation one command leads out, and the messages name it: what is refused before anything is written, what
// undoes and what finishes a rotation whose secret stores do not work, and whose rotation is meant.

import assert from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, test } from "node:test";

import { deliveries } from "./support/deliveries.js";
import { keyIn } from "./support/cli.js";

const { gate, api, at, put, read, keygate, remote, verify, stored, assertUntouched } = await deliveries();

/** The records of new keys that the gate would accept. */
const pending = (old) => [...api.entries.keys()].map((name) => api.record(name.slice(4))).filter(({ id, state }) => id !== old.id && state === "active");
const ghh = "exec:ghh secret set X";

describe("a program that sh does not find is named before anything is written", () => {
  for (const line of ["ghh secret set X", "GH_TOKEN=x ghh secret set", "./no/where --put", "ghh"]) {
    test(`exec:${line}`, async () => {
      const old = stored({ created: 1 });
      await put("a", old.key);
      const to = ["--to", `file:${at("a")}`, "--to", `exec:${line}`];
      for (const args of [
        ["rotate", old.id, ...to],
        ["rotate", old.id, ...to, "--dry-run"],
        ["rotate", "--all-older-than", "0", ...to],
        ["issue", "--subject", "acme", "--to", `exec:${line}`],
        ["issue", "--subject", "acme", "--to", `exec:${line}`, "--dry-run"],
      ]) {
        assert.match((await remote(args, { status: 1 })).stderr, /sh finds no program `(ghh|\.\/no\/where)`.*\n help: correct the command, or install/);
        await assertUntouched(old);
      }
      assert.equal(await read("a"), old.key);
    });
  }

  test("what sh would run is not refused", async () => {
    const old = stored();
    for (const line of ["cat >x", "A=b cat", "put() { cat; }; put", "[ -e x ] || :", "if :; then cat; fi", "\"$TOOL\" put", "PATH=/opt/x put", "{ cat; }", `'${process.execPath}' -e 0`, "read -r key"]) {
      await remote(["rotate", old.id, "--to", `exec:${line}`, "--dry-run"]);
    }
  });
});

describe("a rotation whose command fails", () => {
  /** One that fails for good, beside a file if it is named. */
  async function stuck(file) {
    const old = stored();
    if (file) await put(file, old.key);
    const to = [...(file ? [`file:${at(file)}`] : []), `exec:exit 7`].flatMap((uri) => ["--to", uri]);
    const { stderr } = await remote(["rotate", old.id, ...to], { status: 1 });
    assert.match(stderr, new RegExp(`help: .*; then \`keygate rotate --resume ${old.id}\` finishes the rotation; or without that \`keygate rotate --undo ${old.id}\` takes it back`));
    return old;
  }

  for (const file of [undefined, "a"]) {
    test(`has one new key, however often it is resumed, and is undone${file ? " beside a file" : ""}`, async () => {
      const old = await stuck(file);
      const [{ id }] = pending(old);
      for (let time = 0; time < 3; time += 1) {
        await keygate(["rotate", "--resume", old.id], { status: 1 });
        assert.deepEqual(pending(old).map((record) => record.id), [id]);
      }
      const { stderr, stdout } = await keygate(["rotate", "--undo", old.id, "--json"]);
      assert.match(stderr, new RegExp(`is undone: the new key ${id} is revoked\nnot looked at: exec:exit 7 may hold the new key, which is refused from now on; see that it holds key ${old.id}\n`));
      assert.deepEqual(JSON.parse(stdout), { id: old.id, undone: true, not_looked_at: ["exec:exit 7"] });
      assert.deepEqual([pending(old), await verify(old.key), await readdir(at("journal"))], [[], "permitted", []]);
      if (file) assert.equal(await read(file), old.key);
      // The way is open for a command that works.
      await remote(["rotate", old.id, "--to", `exec:cat > ${at("x")}`]);
      assert.equal(await verify(await read("x")), "permitted");
    });
  }

  test("is finished with a corrected --to, which takes the place of the one that failed", async () => {
    const old = await stuck("a");
    const fresh = await read("a");
    await put("b", old.key);
    const { stderr } = await keygate(["rotate", old.id, "--resume", "--to", `file:${at("b")}`, "--to", `exec:cat > ${at("c")}`]);
    assert.deepEqual([await read("b"), await read("c"), await verify(fresh)], [fresh, fresh, "permitted"]);
    assert.match(stderr, /\/a holds the new key already, and keeps it\n/);
    assert.ok(stderr.includes(`left out: exec:exit 7 may hold the new key ${keyIn(`${fresh}\n`).id}, which works, or still key ${old.id}, which ends`), stderr);
    assert.deepEqual([pending(old).length, api.record(old.id).replaced_by, await readdir(at("journal"))], [1, keyIn(`${fresh}\n`).id, []]);
  });

  for (const failed of ["exec:exit 7", "file"]) {
    test(`and that is corrected still reaches the stores after it (${failed === "file" ? "a file that nothing was written to" : failed})`, async () => {
      const old = stored();
      for (const name of ["gone", "b", "c", "d"]) await put(name, old.key);
      const first = failed === "file" ? `file:${at("gone")}` : failed;
      // A file that is not reached for the command before it, and is gone when the rotation goes on.
      const to = [...(failed === "file" ? [`exec:[ ! -e ${at("broken")} ] && cat >/dev/null`] : []), first, `file:${at("b")}`, `file:${at("c")}`];
      await put("broken", "");
      await remote(["rotate", old.id, "--now", ...to.flatMap((uri) => ["--to", uri])], { status: 1 });
      await rm(at("broken"));
      if (failed === "file") {
        await rm(at("gone"));
        await keygate(["rotate", "--resume", old.id], { status: 1 });
      }
      const { stderr } = await keygate(["rotate", old.id, "--resume", "--to", `file:${at("d")}`]);
      for (const name of ["b", "c", "d"]) assert.equal(await verify(await read(name)), "permitted", name);
      assert.ok(stderr.includes(`left out: ${first} may hold the new key`), stderr);
    });
  }

  test("and that is corrected, and fails again, is undone in every store that was written to", async () => {
    const old = await stuck("a");
    await put("b", old.key);
    await keygate(["rotate", old.id, "--resume", "--to", `file:${at("b")}`, "--to", "exec:exit 8"], { status: 1 });
    assert.equal(await read("b"), await read("a"));
    const { stderr } = await keygate(["rotate", "--undo", old.id]);
    for (const code of [7, 8]) assert.match(stderr, new RegExp(`not looked at: exec:exit ${code} may hold the new key`));
    assert.deepEqual([await read("a"), await read("b"), pending(old), await readdir(at("journal"))], [old.key, old.key, [], []]);
  });

  test("is not corrected into what cannot be", async () => {
    const old = await stuck("a");
    const journal = await read(`journal/${old.id}.json`);
    await put("b", "another");
    for (const [args, said, status] of [
      [[old.id, "--to", ghh], /sh finds no program `ghh`/, 1],
      [[old.id, "--to", `file:${at("b")}`], /does not hold key/, 1],
      [[old.id, "--to", "file:x", "--to", "file:x"], /is given twice/, 2],
      [["--to", `file:${at("b")}`], /which rotation is meant\n help: name the key: `keygate rotate ID --resume --to URI`/, 2],
    ]) {
      assert.match((await keygate(["rotate", "--resume", ...args], { status })).stderr, said);
      assert.equal(await read(`journal/${old.id}.json`), journal);
    }
    await put(`journal/${old.id}.json`, journal.replace('"step":"delivering"', '"step":"ended"'));
    const { stderr } = await keygate(["rotate", old.id, "--resume", "--to", `file:${at("b")}`], { status: 2 });
    assert.match(stderr, new RegExp(`nothing is delivered any more .*\n help: leave --to out: \`keygate rotate --resume ${old.id}\``));
  });

  test("is undone without the stores that cannot be reached, and they are named", async () => {
    const old = await stuck("a");
    const file = `journal/${old.id}.json`;
    const journal = JSON.parse(await read(file));
    const [place] = journal.places;
    await put("b", old.key);
    // A manager whose address is not set, a command that is gone, a file that is something else now.
    const gone = ["vault:secret/x#y", ghh, `file:${at("folder")}`];
    await mkdir(at("folder"));
    journal.places = [...gone.map((uri) => ({ ...place, uri })), place, { ...place, uri: `file:${at("b")}`, begun: false, holds: false }];
    await put(file, JSON.stringify(journal));
    const { stderr } = await keygate(["rotate", "--undo", old.id]);
    for (const uri of gone) assert.ok(stderr.includes(`not looked at: ${uri} may hold the new key`), stderr);
    assert.deepEqual([await read("a"), await read("b"), pending(old), await readdir(at("journal"))], [old.key, old.key, [], []]);
  });

  test("is undone where a store shows nothing, and that one is named", async () => {
    const old = await stuck("a");
    const fresh = await read("a");
    await rm(at("a"));
    const { stderr } = await keygate(["rotate", "--undo", old.id]);
    assert.ok(stderr.includes(`not looked at: file:${at("a")} may hold the new key`), stderr);
    assert.deepEqual([stderr.includes("no secret store is left with it"), await verify(fresh)], [false, "key_revoked"]);
  });

  describe("after another command that took the key", () => {
    const OTHER = "another-pepper-0123456789-abcdefghijklmnopqrstuvwxyz";

    /** The first command has the new key, the second fails; a file after them was not reached. */
    async function taken(file) {
      const old = stored();
      if (file) await put(file, old.key);
      const to = [`exec:cat > ${at("s1")}`, "exec:exit 7", ...(file ? [`file:${at(file)}`] : [])];
      const { stderr } = await remote(["rotate", old.id, ...to.flatMap((uri) => ["--to", uri])], { status: 1 });
      return { old, stderr };
    }

    test("is not undone where nobody has the old key's text, and the messages name what leads out", async () => {
      const { old, stderr } = await taken();
      const correct = `\`keygate rotate ${old.id} --resume --to URI\``;
      assert.ok(stderr.includes(`or ${correct} without the store that fails`) && !stderr.includes("--undo"), stderr);
      const refused = await keygate(["rotate", "--undo", old.id], { status: 1 });
      assert.ok(refused.stderr.includes(`finish instead: \`keygate rotate --resume ${old.id}\`, or without the store that fails: ${correct}`), refused.stderr);
      assert.equal(await verify(await read("s1")), "permitted");
      await keygate(["rotate", old.id, "--resume", "--to", `exec:cat > ${at("s2")}`]);
      assert.deepEqual([await verify(await read("s2")), await read("s1"), await readdir(at("journal"))], ["permitted", await read("s2"), []]);
    });

    for (const [what, env, said, status] of [
      ["another pepper", { KEYGATE_PEPPER: OTHER }, /the rotation was begun with pepper/, 1],
      ["an invalid time limit", { KEYGATE_COMMAND_TIMEOUT: "2m" }, /KEYGATE_COMMAND_TIMEOUT is not a number of seconds/, null],
    ]) {
      test(`is not undone with ${what}`, async () => {
        const { old } = await taken("a");
        assert.match((await keygate(["rotate", "--undo", old.id], { env, status })).stderr, said);
        assert.equal(await verify(await read("s1")), "permitted");
        await keygate(["rotate", "--undo", old.id]);
        assert.deepEqual([await read("s1"), await read("a")], [old.key, old.key]);
      });
    }

    test("and whose old record was deleted is undone once the new key is revoked", async () => {
      const { old } = await taken();
      const subject = api.record(old.id).subject;
      api.entries.delete(`key/${old.id}`);
      for (const [args, said] of [
        [["rotate", "--resume", old.id], /1 of 2 secret stores hold the new key/],
        [["rotate", old.id, "--resume", "--to", `exec:cat > ${at("s2")}`], /there is no key/],
        [["rotate", "--undo", old.id], /has no record any more/],
      ]) {
        assert.match((await keygate(args, { status: 1 })).stderr, said);
      }
      const listed = (await remote(["list", "--json", "--state", "active", "--subject", subject])).stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line).id);
      const { id } = keyIn(`${await read("s1")}\n`);
      assert.ok(listed.includes(id));
      await remote(["revoke", id]);
      await keygate(["rotate", "--undo", old.id]);
      assert.deepEqual([api.record(id).state, await readdir(at("journal"))], ["revoked", []]);
      await remote(["issue", "--subject", subject, "--to", `exec:cat > ${at("s1")}`]);
      assert.equal(await verify(await read("s1")), "permitted");
    });

    test("is finished when the old key is revoked meanwhile, and is not undone", async () => {
      const { old } = await taken();
      await remote(["revoke", old.id]);
      assert.ok((await keygate(["rotate", "--undo", old.id], { status: 1 })).stderr.includes(`finish instead: \`keygate rotate --resume ${old.id}\``));
      const { stderr } = await keygate(["rotate", "--resume", old.id], { status: 1 });
      assert.match(stderr, /; 1 of 2 secret stores hold the new key\n/);
      await keygate(["rotate", old.id, "--resume", "--to", `exec:cat > ${at("s2")}`]);
      assert.equal(await verify(await read("s2")), "permitted");
    });
  });

  test("and whose old record was deleted is finished where a store holds the new key, and else undone", async () => {
    const held = await stuck("a");
    const other = stored();
    await put("no", "");
    const to = `exec:[ ! -e ${at("no")} ] && cat > ${at("b")}`;
    await put("c", other.key);
    await remote(["rotate", other.id, "--to", `file:${at("c")}`, "--to", to], { status: 1 });
    for (const { id } of [held, other]) api.entries.delete(`key/${id}`);
    await rm(at("no"));
    assert.ok((await keygate(["rotate", "--undo", other.id], { status: 1 })).stderr.includes(`key ${other.id} has no record any more`));
    await keygate(["rotate", "--resume", other.id]);
    assert.deepEqual([await read("b"), await verify(await read("c"))], [await read("c"), "permitted"]);
    const [{ id }] = pending(held).filter((record) => record.replaces === held.id);
    await put("a", held.key);
    await keygate(["rotate", "--resume", held.id], { status: 1 });
    await keygate(["rotate", "--undo", held.id]);
    assert.deepEqual([api.record(id).state, await readdir(at("journal"))], ["revoked", []]);
  });

  test("with a journal in another folder is led out by the very commands that the messages name", async () => {
    const old = stored();
    const elsewhere = at("my journal");
    const named = ({ stderr }, option) => {
      const [command] = [...stderr.matchAll(/`(keygate rotate [^`]*)`/g)].map(([, line]) => line).filter((line) => line.includes(option));
      assert.ok(command?.endsWith(` --journal '${elsewhere}'`), stderr);
      return [...command.replace(` --journal '${elsewhere}'`, "").split(" ").slice(1), "--journal", elsewhere];
    };
    const args = ["rotate", old.id, "--to", "exec:exit 7", "--journal", elsewhere];
    const begun = await remote(args, { status: 1 });
    named(await remote(args, { status: 1 }), "--resume");
    named(await remote(["rotate", old.id, "--journal", elsewhere], { status: 1 }), "--undo");
    named(await keygate(["rotate", "--resume", "--local", "--journal", elsewhere], { status: 2 }), "--resume");
    const resumed = await keygate(named(begun, "--resume"), { status: 1 });
    await keygate(named(resumed, "--undo"));
    assert.deepEqual(await readdir(elsewhere), []);
  });

  test("hides the old key of a store that a correction named, for an undo", async () => {
    const old = await stuck();
    await put("b", old.key);
    await keygate(["rotate", old.id, "--resume", "--to", `file:${at("b")}`, "--to", "exec:exit 8"], { status: 1 });
    assert.notEqual(await read("b"), old.key);
    await keygate(["rotate", "--undo", old.id]);
    assert.equal(await read("b"), old.key);
  });

  test("of a key that was disabled says what to type, and not that the key works", async () => {
    const old = await stuck();
    await remote(["disable", old.id]);
    const { stderr } = await keygate(["rotate", "--resume", old.id], { status: 1 });
    assert.ok(stderr.includes(`enable it first: \`keygate enable ${old.id} --remote\``) && !stderr.includes("works as before"), stderr);
  });

  for (const state of ["disable", "revoke"]) {
    test(`is undone when somebody has used ${state} on both keys`, async () => {
      const old = await stuck("a");
      const [{ id }] = pending(old);
      for (const key of [old.id, id]) await remote([state, key]);
      assert.match((await keygate(["rotate", "--resume", old.id], { status: 1 })).stderr, new RegExp(`is ${state}d; a key that is not in use is not rotated.*`, "s"));
      const { stderr } = await keygate(["rotate", "--undo", old.id]);
      assert.match(stderr, new RegExp(`may hold the new key, .*; key ${old.id} is not in use: see that it holds a key that is`));
      assert.deepEqual([api.record(id).state, await readdir(at("journal"))], ["revoked", []]);
    });
  }

  test("because it takes too long is finished when it does not", async () => {
    const old = stored();
    await put("slow", "");
    const to = `exec:[ ! -e ${at("slow")} ] || sleep 60; cat > ${at("b")}`;
    const { stderr } = await remote(["rotate", old.id, "--to", to], { status: 1, env: { KEYGATE_COMMAND_TIMEOUT: "1" } });
    assert.match(stderr, /did not end within 1 s, and was ended; 0 of 1 secret stores/);
    await rm(at("slow"));
    await keygate(["rotate", "--resume", old.id]);
    assert.deepEqual([await verify(await read("b")), pending(old).length], ["permitted", 1]);
    const wrong = await remote(["issue", "--subject", "x", "--to", "exec:cat"], { status: 2, env: { KEYGATE_COMMAND_TIMEOUT: "soon" } });
    assert.match(wrong.stderr, /KEYGATE_COMMAND_TIMEOUT is not a number of seconds from 1 to 3600\n help: unset it/);
  });
});

describe("a resumption", () => {
  const half = async () => {
    const old = stored();
    await put(`of-${old.id}`, old.key);
    const to = ["--to", `file:${at(`of-${old.id}`)}`, "--to", `exec:[ ! -e ${at("broken")} ] && cat >/dev/null`];
    await put("broken", "");
    await remote(["rotate", old.id, ...to], { status: 1 });
    await rm(at("broken"));
    return old;
  };

  test("without an id is of this gate's rotations alone, and the others are named", async () => {
    const [here, elsewhere] = [await half(), await half()];
    const other = await mkdtemp(path.join(tmpdir(), "keygate-other-"));
    try {
      await copyFile(path.join(gate.folder, "wrangler.toml"), path.join(other, "wrangler.toml"));
      const config = path.join(other, "wrangler.toml");
      const journal = at(`journal/${elsewhere.id}.json`);
      const kept = await readFile(journal, "utf8");
      const of = (change) => writeFile(journal, JSON.stringify({ ...JSON.parse(kept), gate: { ...JSON.parse(kept).gate, ...change } }));
      for (const [change, named] of [
        [{ config }, config],
        [{ environment: "test" }, "(environment test)"],
        [{ store: { remote: { account: "a".repeat(32), namespace: "3".repeat(32) } } }, `in the KV namespace ${"3".repeat(32)}`],
      ]) {
        await of(change);
        const { stderr } = await keygate(["rotate", "--resume"]);
        assert.ok(stderr.includes(`left as it is: the rotation of key ${elsewhere.id} of `) && stderr.includes(named), stderr);
        assert.match(stderr, new RegExp(`\`keygate rotate --resume ${elsewhere.id}\` finishes it`));
        assert.equal(api.record(elsewhere.id).replaced_by, undefined);
      }
      assert.ok(api.record(here.id).replaced_by);
      await of({ config });
      // In its own project it is finished.
      await mkdir(path.join(other, "empty"));
      await rename(config, path.join(other, "away.toml"));
      const nowhere = await keygate(["rotate", "--resume"], { cwd: path.join(other, "empty"), status: 1 });
      await rename(path.join(other, "away.toml"), config);
      assert.match(nowhere.stderr, new RegExp(`there is no wrangler.json, .*which rotation is meant cannot be told; unfinished are: key ${elsewhere.id} of `));
      await keygate(["rotate", "--resume"], { cwd: other });
      assert.ok(api.record(elsewhere.id).replaced_by);
    } finally {
      await rm(other, { recursive: true });
    }
  });

  test("with an option that names the store says what to type", async () => {
    const old = await half();
    for (const [args, command] of [
      [["--resume", "--remote"], "`keygate rotate --resume`"],
      [["--resume", old.id, "--remote"], `\`keygate rotate --resume ${old.id}\``],
      [["--undo", old.id, "--local"], `\`keygate rotate --undo ${old.id}\``],
    ]) {
      const { stderr } = await keygate(["rotate", ...args], { status: 2 });
      assert.ok(stderr.includes(`\n help: type ${command}; unfinished: key ${old.id} of this gate`), stderr);
    }
    await keygate(["rotate", "--resume"]);
    assert.match((await keygate(["rotate", "--resume", "--remote"], { status: 2 })).stderr, /unfinished: no rotation is/);
  });

  test("of several rotations finishes those that it can", async () => {
    const old = [await half(), await half(), await half()].map(({ id }) => id).sort();
    await put(`of-${old[1]}`, "somebody else's");
    const { stderr } = await keygate(["rotate", "--resume"], { status: 1 });
    assert.match(stderr, /holds neither key/);
    assert.deepEqual(old.map((id) => api.record(id).replaced_by !== undefined), [true, false, true]);
  });

  test("with another pepper than the rotation was begun with is refused, and with the right one it goes on", async () => {
    const old = await half();
    const { stderr } = await keygate(["rotate", "--resume"], { status: 1, env: { KEYGATE_PEPPER: "another-pepper-0123456789-abcdefghijklmnopqrstuvwxyz" } });
    assert.match(stderr, /the rotation was begun with pepper [0-9a-f]{8}, which is not among those that are known here.*\n help: give that pepper: KEYGATE_PEPPER/);
    await keygate(["rotate", "--resume"]);
    assert.equal(pending(old).length, 1);
  });
});

describe("what killed processes left", () => {
  test("is removed by the next rotation, and by a resumption that has nothing else to do", async () => {
    const old = stored();
    await put("a", old.key);
    await mkdir(at("journal"), { mode: 0o700 });
    const leave = () => Promise.all([".a.keygate", `journal/.${old.id}.json.keygate`, "journal/000000000000.lock", "journal/.000000000000.json.keygate"].map((name) => put(name, "")));
    await leave();
    await remote(["rotate", old.id, "--to", `file:${at("a")}`]);
    assert.deepEqual([await readdir(at("journal")), await readdir(at("."))], [[], ["a", "journal"]]);
    await leave();
    await keygate(["rotate", "--resume"]);
    assert.deepEqual(await readdir(at("journal")), []);
  });
});
