// `keygate rotate --to` when something fails: the rest is finished or undone, and whatever somebody else did meanwhile stays.

import assert from "node:assert/strict";
import { chmod, readFile, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";

import { keyIn } from "./support/cli.js";
import { refuse } from "./support/cloudflare.js";
import { deliveries } from "./support/deliveries.js";
import { now, randomBase62 } from "./support/keys.js";

const { gate, api, at, put, read, keygate, remote, verify, stored, assertUntouched } = await deliveries();

describe("when a rotation fails", () => {
  /** A key in file a and behind a command that fails while the file `broken` is there. */
  async function half() {
    const old = stored();
    await put("a", old.key);
    await put("b", old.key);
    await put("broken", "");
    const command = `exec:[ ! -e ${at("broken")} ] && cat > ${at("b")}`;
    const { stderr } = await remote(["rotate", old.id, "--to", `file:${at("a")}`, "--to", command], { status: 1 });
    assert.match(stderr, /ended with 1; 1 of 2 secret stores hold the new key, and key .* works as before/);
    assert.match(stderr, new RegExp(`keygate rotate --resume ${old.id}.*--undo ${old.id}`));
    assert.deepEqual([await verify(await read("a")), await verify(await read("b"))], ["permitted", "permitted"]);
    return old;
  }

  test("a resumption finishes it from the secret store that has the new key", async () => {
    const old = await half();
    const first = await read("a");
    const again = await remote(["rotate", old.id, "--to", `file:${at("a")}`], { status: 1 });
    assert.match(again.stderr, /is not finished\n help: `keygate rotate --resume/);
    assert.match((await remote(["rotate", old.id], { status: 1 })).stderr, /is not finished/);
    await keygate(["rotate", "--resume"], { status: 1 });
    await rm(at("broken"));
    const { stdout } = await keygate(["rotate", "--resume", "--json"]);
    assert.deepEqual([await read("a"), await read("b")], [first, first]);
    assert.equal(JSON.parse(stdout).replaces.id, old.id);
    assert.equal(api.entries.size, 2);
    assert.match((await keygate(["rotate", "--resume"])).stderr, /no rotation is unfinished/);
  });

  test("--undo restores the old key in every secret store and revokes the new one", async () => {
    const old = await half();
    const fresh = await read("a");
    await rm(at("broken"));
    // No place that can be read has the old key any more; the command's place may have got the new one.
    const { stderr } = await keygate(["rotate", "--undo", old.id]);
    assert.match(stderr, /is undone/);
    assert.deepEqual([await read("a"), await read("b")], [old.key, old.key]);
    assert.deepEqual([await verify(fresh), await verify(old.key)], ["key_revoked", "permitted"]);
    assert.equal(api.record(old.id).replaced_by, undefined);
    assert.deepEqual(await readdir(at("journal")), []);
  });

  test("a secret store that somebody else wrote is not overwritten", async () => {
    const old = await half();
    await rm(at("broken"));
    const fresh = await read("a");
    await put("a", "somebody else's");
    const { stderr } = await keygate(["rotate", "--resume"], { status: 1 });
    assert.match(stderr, /holds neither key .* nor the new one: somebody else writes it/);
    await put("a", old.key);
    await keygate(["rotate", "--resume"]);
    assert.equal(await read("a"), await read("b"));
    assert.deepEqual([await read("a"), await verify(fresh), api.entries.size], [fresh, "permitted", 2], "the one new key that there is");
  });

  test("a key that is revoked meanwhile stays revoked, and the output says so", async () => {
    const old = await half();
    await remote(["revoke", old.id]);
    await rm(at("broken"));
    const { stderr } = await keygate(["rotate", "--resume"]);
    assert.match(stderr, new RegExp(`warning: key ${old.id} was changed while the new one was delivered`));
    assert.deepEqual([await verify(old.key), await verify(await read("a"))], ["key_revoked", "permitted"]);
  });

  test("a key that somebody else rotated meanwhile is left unchanged", async () => {
    const old = await half();
    const entry = api.entries.get(`key/${old.id}`);
    api.entries.set(entry.key, { ...entry, value: JSON.stringify({ ...JSON.parse(entry.value), replaced_by: "000000000000" }) });
    await rm(at("broken"));
    assert.match((await keygate(["rotate", "--resume"], { status: 1 })).stderr, /has been replaced by 000000000000 in the meantime/);
    // Its new key is given up when no place needs it any more.
    const { id } = keyIn(`${await read("a")}\n`);
    const undo = ["rotate", "--undo", old.id];
    assert.match((await keygate(undo, { status: 1 })).stderr, /\/a holds a key of this rotation; .*\n help: put key 000000000000 there.*`keygate rotate --undo \w{12}`/);
    await put("a", "somebody else's");
    assert.match((await keygate(undo)).stderr, new RegExp(`is undone: the new key ${id} is revoked\nnot looked at: exec:.* may hold the new key, .*; see that it holds key 000000000000`));
    assert.equal(api.record(id).state, "revoked");
    assert.deepEqual([await read("a"), api.record(old.id).replaced_by, await readdir(at("journal"))], ["somebody else's", "000000000000", []]);
  });

  test("of two machines that rotate one key, the later one leaves no key behind", async () => {
    const old = stored();
    await put("a", old.key);
    let writes = 0;
    const meanwhile = (call) => {
      if (call !== "PUT /bulk" || ++writes !== 2) return undefined;
      const entry = api.entries.get(`key/${old.id}`);
      api.entries.set(entry.key, { ...entry, value: JSON.stringify({ ...JSON.parse(entry.value), replaced_by: "000000000000" }) });
      return refuse(403);
    };
    await api.failing(meanwhile, () => remote(["rotate", old.id, "--to", `file:${at("a")}`], { status: 1 }));
    await keygate(["rotate", "--undo", old.id]);
    assert.deepEqual([...api.entries.keys()].map((name) => api.record(name.slice(4)).state), ["active", "revoked"]);
    assert.deepEqual([await read("a"), await readdir(at("journal"))], [old.key, []]);
  });

  test("once the old key has its expiry nothing is undone, and the rest is finished", async () => {
    const old = await half();
    const [fresh] = [...api.entries.keys()].filter((name) => name !== `key/${old.id}`);
    const entry = api.entries.get(`key/${old.id}`);
    const value = { ...JSON.parse(entry.value), replaced_by: fresh.replace("key/", ""), not_after: now() + 60 };
    api.entries.set(entry.key, { ...entry, value: JSON.stringify(value) });
    assert.match((await keygate(["rotate", "--undo", old.id], { status: 1 })).stderr, /has been replaced by \w{12} already; .*\n help: finish instead/);
    await keygate(["rotate", "--resume"]);
    assert.equal(api.record(old.id).not_after, value.not_after);
    assert.deepEqual(await readdir(at("journal")), []);
  });

  test("a key that is not in use any more is not rotated", async () => {
    const old = await half();
    await remote(["disable", old.id]);
    await put("a", old.key);
    await rm(at("broken"));
    assert.match((await keygate(["rotate", "--resume"], { status: 1 })).stderr, /is disabled; a key that is not in use is not rotated/);
    await remote(["enable", old.id]);
    await keygate(["rotate", "--resume"]);
    assert.equal(await verify(await read("b")), "permitted");
  });

  for (const [writes, when] of [[1, "before anybody has it"], [2, "while it is delivered"]]) {
    test(`a new key that somebody revokes ${when} does not expire the old one, and another is made`, async () => {
      const old = stored();
      await put("a", old.key);
      let written = 0;
      let fresh;
      const revoke = (call, body) => {
        if (call === "PUT /bulk") [{ key: fresh }] = (written += 1, JSON.parse(body));
        if (call !== "POST /bulk/get" || written !== writes) return;
        const entry = api.entries.get(fresh);
        api.entries.set(fresh, { ...entry, value: JSON.stringify({ ...JSON.parse(entry.value), state: "revoked" }) });
      };
      const { stderr } = await api.failing(revoke, () => remote(["rotate", old.id, "--to", `file:${at("a")}`], { status: 1 }));
      assert.match(stderr, new RegExp(`the new key ${fresh.slice(4)} is revoked; .*key ${old.id} works as before`));
      assert.equal(api.record(old.id).replaced_by, undefined);
      if (writes === 1) assert.equal(await read("a"), old.key);
      await keygate(["rotate", "--resume"]);
      assert.equal(await verify(await read("a")), "permitted");
      assert.equal(api.entries.size, 3);
    });
  }

  test("an expiry that somebody gave the new key meanwhile stays", async () => {
    await half();
    const { id } = keyIn(`${await read("a")}\n`);
    await remote(["update", id, "--expires", "5d"]);
    await rm(at("broken"));
    await keygate(["rotate", "--resume"]);
    assert.ok(Math.abs(api.record(id).not_after - now() - 5 * 86_400) < 600);
    assert.equal(await read("b"), await read("a"));
  });

  test("a rotation that has delivered no key is undone, whatever the old key's state", async () => {
    const old = stored();
    await put("a", old.key);
    let writes = 0;
    const fail = (call) => (call === "PUT /bulk" && ++writes === 2 ? refuse(403) : undefined);
    await api.failing(fail, () => remote(["rotate", old.id, "--to", `file:${at("a")}`], { status: 1 }));
    await remote(["revoke", old.id]);
    assert.match((await keygate(["rotate", "--resume"], { status: 1 })).stderr, /is revoked/);
    await keygate(["rotate", "--undo", old.id]);
    assert.deepEqual([...api.entries.keys()].map((name) => api.record(name.slice(4)).state), ["revoked", "revoked"]);
    assert.deepEqual(await readdir(at("journal")), []);
  });

  test("a record whose write got no answer is not forgotten when the key store refuses the resumption", async () => {
    const old = stored();
    await put("a", old.key);
    let isLost = false;
    // From the first write on no answer is one.
    const lost = (call, body) => {
      if (call === "PUT /bulk") JSON.parse(body).forEach((entry) => api.entries.set(entry.key, entry));
      isLost ||= call === "PUT /bulk";
      return isLost ? { text: "<html>" } : undefined;
    };
    await api.failing(lost, () => remote(["rotate", old.id, "--to", `file:${at("a")}`], { status: 1 }));
    const [, fresh] = [...api.entries.keys()];
    let reads = 0;
    const refused = (call) => (call === "POST /bulk/get" && ++reads > 1 ? refuse(403) : undefined);
    await api.failing(refused, () => keygate(["rotate", "--resume", old.id], { status: 1 }));
    assert.ok((await readdir(at("journal"))).includes(`${old.id}.json`));
    await keygate(["rotate", "--undo", old.id]);
    assert.equal(api.record(fresh.slice(4)).state, "revoked");
  });

  test("a key that is to be printed after the rotation is made once more, or reported as not known", async () => {
    const another = { KEYGATE_PEPPER: randomBase62(43) };
    for (const [to, status, env, name] of [[`file:${at("b")}`, 0, {}, "file"], ["exec:cat", 0, {}, "exec"], ["exec:cat", 1, another, "none"]]) {
      const old = stored();
      await put("b", old.key);
      let writes = 0;
      // The third write is the old key's end; it is made, and nobody can say so.
      const fail = (call, body) => {
        if (call === "PUT /bulk" && ++writes === 3) JSON.parse(body).forEach((entry) => api.entries.set(entry.key, entry));
        return writes === 3 ? { text: "<html>" } : undefined;
      };
      await api.failing(fail, () => remote(["rotate", old.id, "--to", to], { status: 1 }));
      assert.ok(api.record(old.id).replaced_by);
      const { stdout, stderr } = await keygate(["rotate", "--resume", "--print", "--key-out", at(name)], { status, env });
      if (status === 0) assert.deepEqual([await verify(stdout), await read(name)], ["permitted", stdout]);
      if (name === "file") assert.equal(stdout, `${await read("b")}\n`);
      if (status === 1) assert.deepEqual([stdout, (await readdir(at(""))).includes(name)], ["", false]);
      if (status === 1) assert.match(stderr, /cannot be shown: it was made with another pepper than those that are known here\n help: /);
      assert.deepEqual(await readdir(at("journal")), []);
    }
  });

  test("a journal of another machine names its gate", async () => {
    const old = await half();
    const journal = at(`journal/${old.id}.json`);
    await writeFile(journal, JSON.stringify({ ...JSON.parse(await readFile(journal, "utf8")), gate: { config: "/no/where/wrangler.toml", environment: null, store: { local: { persist_to: null } } } }));
    for (const args of [["--resume", old.id], ["--undo", old.id]]) {
      const { stderr } = await keygate(["rotate", ...args, "--config", path.join(gate.folder, "wrangler.toml")], { status: 1 });
      assert.match(stderr, /the journal names the gate of \/no\/where\/wrangler.toml: .*\n help: put that file back.*docs\/operations\.md/);
    }
  });

  test("a journal, its folder or a project folder that others can write is refused", async () => {
    const old = await half();
    await rm(at("broken"));
    for (const [name, mode, kept] of [[at(`journal/${old.id}.json`), 0o666, 0o600], [at("journal"), 0o777, 0o700], [gate.folder, 0o775, 0o700]]) {
      await chmod(name, mode);
      for (const args of [["--resume"], ["--undo", old.id]]) {
        const { stderr } = await keygate(["rotate", ...args], { status: 1 });
        assert.match(stderr, /is writable by other users, and .*as you\n help: see that nobody has changed it, then `chmod go-w /);
      }
      await chmod(name, kept);
    }
    assert.notEqual(await read("a"), await read("b"));
    await keygate(["rotate", "--resume"]);
    assert.equal(await read("a"), await read("b"));
  });

  test("more than one rotation is not resumed into one file", async () => {
    await half();
    await half();
    for (const option of ["--print", "--key-out=x"]) {
      assert.match((await keygate(["rotate", "--resume", option], { status: 2 })).stderr, /more than one rotation is unfinished/);
    }
  });

  test("two processes do not rotate one key at once", async () => {
    const old = await half();
    await rm(at("broken"));
    await put("hold", "");
    const held = stored();
    await put("h", held.key);
    const command = `exec:: > ${at("begun")}; while [ -e ${at("hold")} ]; do sleep 0.01; done; cat > ${at("h")}`;
    const first = remote(["rotate", held.id, "--to", command]);
    while (!(await readdir(at(""))).includes("begun")) await new Promise((resolve) => setTimeout(resolve, 10));
    for (const args of [["--resume", held.id], ["--undo", held.id]]) {
      assert.match((await keygate(["rotate", ...args], { status: 1 })).stderr, /another keygate on this machine is rotating key/);
    }
    // Another key's is no concern of theirs.
    await keygate(["rotate", "--resume", old.id]);
    await rm(at("hold"));
    await first;
    assert.equal(await verify(await read("h")), "permitted");
  });

  test("the journal is in the state folder, and no rotation begins without one", async () => {
    const old = stored();
    await put("a", old.key);
    const args = ["rotate", old.id, "--to", `file:${at("a")}`];
    for (const [more, said, status] of [
      [{ KEYGATE_JOURNAL: at("a") }, /cannot use the journal .*--journal DIR/s, 1],
      [{ KEYGATE_JOURNAL: "", HOME: "", XDG_STATE_HOME: "" }, /no folder for the journal: HOME is not set/, 2],
    ]) {
      assert.match((await remote(args, { status, env: more })).stderr, said);
      assert.equal(await read("a"), old.key);
      assert.equal(api.entries.size, 1);
    }
    await remote(args, { env: { KEYGATE_JOURNAL: "", XDG_STATE_HOME: at("state") } });
    assert.deepEqual(await readdir(at("state/keygate/journal")), []);
  });

  test("a key store that refuses leaves nothing behind", async () => {
    const old = stored();
    await put("a", old.key);
    const fail = (call) => (call === "PUT /bulk" ? refuse(403) : undefined);
    await api.failing(fail, () => remote(["rotate", old.id, "--to", `file:${at("a")}`], { status: 1 }));
    await assertUntouched(old);
  });
});
