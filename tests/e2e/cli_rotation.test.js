// `keygate rotate --to` and `issue --to` when nobody kills them: what is checked first, what fails, what is undone, and many
// keys at once. How it ends when it is killed is in cli_rotation_crash.test.js.

import assert from "node:assert/strict";
import { chmod, mkdtemp, open, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";

import { Gate, keyIn } from "./support/cli.js";
import { Cloudflare, refuse } from "./support/cloudflare.js";
import { PEPPER, importKey, issue, now, pepperId, randomBase62 } from "./support/keys.js";

let gate;
let api;
let folder;
before(async () => ([gate, api] = [await Gate.make(), await Cloudflare.start()]));
after(async () => {
  await api.stop();
  await gate.remove();
});
beforeEach(async () => {
  api.entries.clear();
  api.log.length = 0;
  folder = await mkdtemp(path.join(gate.folder, "places-"));
});

const env = () => ({ ...api.env, KEYGATE_PEPPER: PEPPER, KEYGATE_JOURNAL: path.join(folder, "journal") });
const keygate = (args, { env: more, ...options } = {}) => gate.keygate(args, { ...options, env: { ...env(), ...more } });
const remote = (args, options) => keygate([...args, "--remote"], options);
const at = (name) => path.join(folder, name);
const put = (name, text) => writeFile(at(name), text, { mode: 0o600 });
const read = (name) => readFile(at(name), "utf8");
/** What the gate would answer: its code, or "permitted". */
const verify = async (key) => JSON.parse((await remote(["verify", "--json"], { input: key, status: null })).stdout).code ?? "permitted";
const lines = (text) => text.split("\n").filter(Boolean).map((line) => JSON.parse(line));

/** A key whose record is in the store. */
function stored(fields, options) {
  const made = issue(fields, options);
  keep(made.record);
  return made;
}

function keep(record) {
  const { subject, name, state, not_after = null } = record;
  const pepper = record.digest.startsWith("hs256.") ? { pepper: record.digest.split(".")[1] } : {};
  api.entries.set(`key/${record.id}`, { key: `key/${record.id}`, value: JSON.stringify(record), metadata: { subject, name, state, not_after, ...pepper, rev: 1 } });
}

/** Nothing was written, and nothing is left in the journal. */
async function assertUntouched(old) {
  assert.deepEqual([...api.entries.keys()], [`key/${old.id}`]);
  assert.equal(api.record(old.id).replaced_by, undefined);
  assert.deepEqual(await readdir(at("journal")).catch(() => []), []);
}

describe("one key", () => {
  test("is put into every place in the form that stands there, and is not printed", async () => {
    const old = stored({ scopes: ["reports:read"] });
    await put("a", `${old.key}\n`);
    await put("b", old.key);
    const { stdout, stderr } = await remote(["rotate", old.id, "--to", `file:${at("a")}`, "--to", `file:${at("b")}`, "--grace", "7d"]);
    const id = stdout.trim();
    assert.match(id, /^[0-9A-Za-z]{12}$/);
    const key = await read("b");
    assert.equal(await read("a"), `${key}\n`);
    assert.equal(keyIn(`${key}\n`).id, id);
    assert.deepEqual([await verify(key), await verify(old.key)], ["permitted", "permitted"]);
    assert.deepEqual([api.record(id).replaces, api.record(id).not_after, api.record(id).scopes], [old.id, null, ["reports:read"]]);
    assert.ok(Math.abs(api.record(old.id).not_after - now() - 7 * 86_400) < 60);
    assert.match(stderr, /delivered to file:.*a\ndelivered to file:.*b\nmade /);
    assert.deepEqual(await readdir(at("journal")), []);
  });

  test("is printed, or written to a file, where that is asked for", async () => {
    const old = stored();
    await put("a", old.key);
    const { stdout } = await remote(["rotate", old.id, "--to", `file:${at("a")}`, "--print", "--key-out", at("out")]);
    const { id } = keyIn(stdout);
    assert.deepEqual([`${await read("a")}\n`, await read("out")], [stdout, stdout]);
    const said = JSON.parse((await remote(["rotate", id, "--to", `file:${at("a")}`, "--json"])).stdout);
    assert.deepEqual([said.key, said.replaces.id, said.places], [undefined, id, [`file:${at("a")}`]]);
  });

  test("that leaked ends at once, and what to do about the staleness is said", async () => {
    const old = stored();
    await put("a", old.key);
    const { stdout, stderr } = await remote(["rotate", old.id, "--now", "--to", `file:${at("a")}`]);
    assert.match(stderr, /stops working at .*, now\nstaleness: gates may go by the old record for up to 1 min 30 s/);
    assert.match(stderr, new RegExp(`add ${old.id} to the secret DENIED_IDS`));
    assert.deepEqual([await verify(old.key), await verify(await read("a"))], ["key_expired", "permitted"]);
    const next = await remote(["rotate", stdout.trim(), "--now"]);
    assert.match(next.stderr, /staleness: .*\n.*DENIED_IDS/);
    assert.equal(await verify(await read("a")), "key_expired");
  });

  test("is made with a pepper that no command finds in its environment", async () => {
    const old = stored();
    const from = { KEYGATE_PEPPER: "", KEYGATE_PEPPER_FROM: "env:THE_PEPPER", THE_PEPPER: PEPPER };
    await remote(["rotate", old.id, "--to", `exec:env > ${at("seen")}`], { env: from });
    assert.doesNotMatch(await read("seen"), new RegExp(PEPPER));
    assert.match(await read("seen"), /^KEYGATE_SUBJECT=/m);
  });

  test("that another system issued is rotated into a key of ours", async () => {
    const old = importKey(randomBase62(40));
    keep(old.record);
    await put("a", old.key);
    await remote(["rotate", old.id, "--to", `file:${at("a")}`]);
    assert.equal(await verify(await read("a")), "permitted");
  });

  test("of the pepper before is known by KEYGATE_PEPPER_PREVIOUS", async () => {
    const pepper = randomBase62(43);
    const old = stored({}, { pepper });
    await put("a", old.key);
    const args = ["rotate", old.id, "--to", `file:${at("a")}`];
    const { stderr } = await remote(args, { status: 1 });
    assert.match(stderr, new RegExp(`depends on pepper ${pepperId(pepper)}.*\n help: set KEYGATE_PEPPER_PREVIOUS`));
    await assertUntouched(old);
    await remote(args, { env: { KEYGATE_PEPPER_PREVIOUS: pepper } });
    assert.equal(await verify(await read("a")), "permitted");
  });

  test("with --dry-run is looked for, and nothing else is done", async () => {
    const old = stored();
    await put("a", old.key);
    const { stdout } = await remote(["rotate", old.id, "--dry-run", "--to", `file:${at("a")}`, "--to", "exec:exit 1"]);
    assert.match(stdout, /can be rotated: file:.*, exec:exit 1 can be written, and hold it.*\nnothing was written/);
    await assertUntouched(old);
  });

  test("on the local KV is delivered in the same way", async () => {
    const { key, id } = keyIn((await keygate(["issue", "--subject", "acme", "--persist-to", at("kv")])).stdout);
    await put("a", key);
    const { stdout } = await keygate(["rotate", id, "--to", `file:${at("a")}`, "--persist-to", at("kv")]);
    const shown = JSON.parse((await keygate(["show", id, "--json", "--persist-to", at("kv")])).stdout);
    assert.equal(shown.record.replaced_by, stdout.trim());
  });
});

describe("before anything is done, each place has to fit", () => {
  const place = (name) => ["--to", `file:${at(name)}`];
  const rows = [
    ["a file that is not there", async () => place("none"), /none does not hold key/],
    ["a file with another key", async () => (await put("x", stored().key), place("x")), /x does not hold key/],
    ["a file with the key's id and another secret", async (old) => (await put("x", old.key.replace(/.{4}$/, "0000")), place("x")), /x does not hold key/],
    ["a folder that is not there", async () => place("no/where"), /cannot write beside .*no\/where.*\n help: make its folder/],
    ["a file that others read", async (old) => (await put("x", old.key), await chmod(at("x"), 0o644), place("x")), /may be read by others/],
    ["a link", async (old) => (await put("real", old.key), await symlink(at("real"), at("x")), place("x")), /is a symbolic link\n help: name the file that it leads to/],
    ["a place that is named twice", async () => place("a"), /is given twice/, 2],
    ["a variable", async () => ["--to", "env:PATH"], /can be read, not written/, 2],
    ["a manager that is not built in, or not there", async () => ["--to", "vault:secret/x#y"], /vault/i, null],
  ];
  for (const [name, make, said, status = 1] of rows) {
    test(name, async () => {
      const old = stored();
      await put("a", old.key);
      const to = await make(old);
      for (const id of [...api.entries.keys()].filter((id) => id !== `key/${old.id}`)) api.entries.delete(id);
      const { stderr } = await remote(["rotate", old.id, ...place("a"), ...to], { status });
      assert.match(stderr, said);
      assert.equal(await read("a"), old.key);
      await assertUntouched(old);
    });
  }

  for (const [name, fields, said] of [
    ["a revoked key", { state: "revoked" }, /is revoked; a key that is not in use is not rotated/],
    ["a key that was replaced", { replaced_by: "000000000000" }, /has been replaced by 000000000000/],
  ]) {
    test(name, async () => {
      const old = stored(fields);
      await put("a", old.key);
      assert.match((await remote(["rotate", old.id, ...place("a")], { status: 1 })).stderr, said);
      assert.equal(api.entries.size, 1);
    });
  }
});

describe("when something fails on the way", () => {
  /** A key in file a and behind a command that fails while the file `broken` is there. */
  async function half() {
    const old = stored();
    await put("a", old.key);
    await put("b", old.key);
    await put("broken", "");
    const command = `exec:[ ! -e ${at("broken")} ] && cat > ${at("b")}`;
    const { stderr } = await remote(["rotate", old.id, "--to", `file:${at("a")}`, "--to", command], { status: 1 });
    assert.match(stderr, /ended with 1; 1 of 2 places hold the new key, and key .* works as before/);
    assert.match(stderr, new RegExp(`keygate rotate --resume ${old.id}.*--undo ${old.id}`));
    assert.deepEqual([await verify(await read("a")), await verify(await read("b"))], ["permitted", "permitted"]);
    return old;
  }

  test("what is left is finished from the place that has the key", async () => {
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

  test("what is left is undone: the old key everywhere, the new one revoked", async () => {
    const old = await half();
    const fresh = await read("a");
    assert.match((await keygate(["rotate", "--undo", old.id], { status: 1 })).stderr, /is not undone/);
    assert.equal(await read("a"), fresh, "no place has the old key any more, that can be read");
    await rm(at("broken"));
    // The command's place got it, and cannot be read.
    await put("a", old.key);
    const { stderr } = await keygate(["rotate", "--undo", old.id]);
    assert.match(stderr, /is undone/);
    assert.deepEqual([await read("a"), await read("b")], [old.key, old.key]);
    assert.deepEqual([await verify(fresh), await verify(old.key)], ["key_revoked", "permitted"]);
    assert.equal(api.record(old.id).replaced_by, undefined);
    assert.deepEqual(await readdir(at("journal")), []);
  });

  test("a place that somebody else wrote is not written over", async () => {
    const old = await half();
    await rm(at("broken"));
    const fresh = await read("a");
    await put("a", "somebody else's");
    // Neither place that can be read has the new key: another would be made, but a place has neither.
    const { stderr } = await keygate(["rotate", "--resume"], { status: 1 });
    assert.match(stderr, /holds neither key .* nor the new one: somebody else writes it/);
    await put("a", old.key);
    await keygate(["rotate", "--resume"]);
    assert.equal(await read("a"), await read("b"));
    assert.deepEqual([await verify(fresh), await verify(await read("a"))], ["key_revoked", "permitted"]);
  });

  test("a key that is revoked meanwhile stays revoked, and that is said", async () => {
    const old = await half();
    await remote(["revoke", old.id]);
    await rm(at("broken"));
    const { stderr } = await keygate(["rotate", "--resume"]);
    assert.match(stderr, new RegExp(`warning: key ${old.id} was changed while the new one was delivered`));
    assert.deepEqual([await verify(old.key), await verify(await read("a"))], ["key_revoked", "permitted"]);
  });

  test("a key that somebody rotated otherwise meanwhile is left alone", async () => {
    const old = await half();
    const entry = api.entries.get(`key/${old.id}`);
    api.entries.set(entry.key, { ...entry, value: JSON.stringify({ ...JSON.parse(entry.value), replaced_by: "000000000000" }) });
    await rm(at("broken"));
    assert.match((await keygate(["rotate", "--resume"], { status: 1 })).stderr, /has been replaced by 000000000000 in the meantime/);
    // Its new key is given up when no place needs it any more.
    const { id } = keyIn(`${await read("a")}\n`);
    const undo = ["rotate", "--undo", old.id];
    assert.match((await keygate(undo, { status: 1 })).stderr, /\/a may hold a key of this rotation; .*\n help: put key 000000000000 there/);
    await put("a", "somebody else's");
    assert.match((await keygate(undo, { status: 1 })).stderr, new RegExp(`exec:.* may hold a key of this rotation; .*\n help: .*\`keygate revoke ${id}\``));
    await remote(["revoke", id]);
    assert.match((await keygate(undo)).stderr, /is undone/);
    assert.deepEqual([await read("a"), api.record(old.id).replaced_by, await readdir(at("journal"))], ["somebody else's", "000000000000", []]);
  });

  test("of two machines that rotate one key, the one that came too late leaves no key behind", async () => {
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

  test("after the old key got its end nothing is undone, and what is left is finished", async () => {
    const old = await half();
    const [fresh] = [...api.entries.keys()].filter((name) => name !== `key/${old.id}`);
    const entry = api.entries.get(`key/${old.id}`);
    const value = { ...JSON.parse(entry.value), replaced_by: fresh.replace("key/", ""), not_after: now() + 60 };
    api.entries.set(entry.key, { ...entry, value: JSON.stringify(value) });
    assert.match((await keygate(["rotate", "--undo", old.id], { status: 1 })).stderr, /has its end already; .*\n help: finish instead/);
    await keygate(["rotate", "--resume"]);
    assert.equal(api.record(old.id).not_after, value.not_after);
    assert.deepEqual(await readdir(at("journal")), []);
  });

  test("another key is not made for one that is not in use any more", async () => {
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
    test(`a new key that somebody revokes ${when} does not end the old one; another is made`, async () => {
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

  test("an end that somebody gave the new key meanwhile stays", async () => {
    await half();
    const { id } = keyIn(`${await read("a")}\n`);
    await remote(["update", id, "--expires", "5d"]);
    await rm(at("broken"));
    await keygate(["rotate", "--resume"]);
    assert.ok(Math.abs(api.record(id).not_after - now() - 5 * 86_400) < 600);
    assert.equal(await read("b"), await read("a"));
  });

  test("a rotation that nobody was given a key by is undone, whatever became of the old key", async () => {
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

  test("a key that is asked for when all is done comes from a place that has it, or is said not to be there", async () => {
    for (const [to, status] of [[`file:${at("b")}`, 0], ["exec:cat", 1]]) {
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
      const out = at(`out${status}`);
      const { stdout, stderr } = await keygate(["rotate", "--resume", "--print", "--key-out", out], { status });
      if (status === 0) assert.deepEqual([stdout, await read("out0")], [`${await read("b")}\n`, stdout]);
      else assert.deepEqual([stdout, (await readdir(folder)).includes("out1")], ["", false]);
      if (status === 1) assert.match(stderr, /cannot be shown: no place that can be read has it\n help: /);
      assert.deepEqual(await readdir(at("journal")), []);
    }
  });

  test("a journal of another machine names the gate that it is of", async () => {
    const old = await half();
    const journal = at(`journal/${old.id}.json`);
    await writeFile(journal, JSON.stringify({ ...JSON.parse(await readFile(journal, "utf8")), gate: { config: "/no/where/wrangler.toml", environment: null, store: { local: { persist_to: null } } } }));
    for (const args of [["--resume"], ["--undo", old.id]]) {
      const { stderr } = await keygate(["rotate", ...args, "--config", path.join(gate.folder, "wrangler.toml")], { status: 1 });
      assert.match(stderr, /the journal names the gate of \/no\/where\/wrangler.toml: .*\n help: put that file back.*docs\/operations\.md/);
    }
  });

  test("more than one is not resumed into one file", async () => {
    await half();
    await half();
    for (const option of ["--print", "--key-out=x"]) {
      assert.match((await keygate(["rotate", "--resume", option], { status: 2 })).stderr, /more than one rotation is unfinished/);
    }
  });

  test("two at once do not rotate one key", async () => {
    const old = await half();
    await rm(at("broken"));
    await put("hold", "");
    const held = stored();
    await put("h", held.key);
    const command = `exec:: > ${at("begun")}; while [ -e ${at("hold")} ]; do sleep 0.01; done; cat > ${at("h")}`;
    const first = remote(["rotate", held.id, "--to", command]);
    while (!(await readdir(folder)).includes("begun")) await new Promise((resolve) => setTimeout(resolve, 10));
    for (const args of [["--resume", held.id], ["--undo", held.id]]) {
      assert.match((await keygate(["rotate", ...args], { status: 1 })).stderr, /another keygate on this machine is rotating key/);
    }
    // Another key's is no concern of theirs.
    await keygate(["rotate", "--resume", old.id]);
    await rm(at("hold"));
    await first;
    assert.equal(await verify(await read("h")), "permitted");
  });

  test("the journal lies in the folder for state, and a rotation is not begun without one", async () => {
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

  test("a store that refuses leaves nothing behind", async () => {
    const old = stored();
    await put("a", old.key);
    const fail = (call) => (call === "PUT /bulk" ? refuse(403) : undefined);
    await api.failing(fail, () => remote(["rotate", old.id, "--to", `file:${at("a")}`], { status: 1 }));
    await assertUntouched(old);
  });
});

describe("a first key", () => {
  test("goes into its places, and its record gets its end last", async () => {
    const ends = [];
    const watch = (call, body) => void (call === "PUT /bulk" && ends.push(JSON.parse(JSON.parse(body)[0].value).not_after));
    const args = ["issue", "--subject", "acme", "--name", "prod", "--to", `file:${at("{subject}-{name}")}`, "--to", `exec:cat > ${at("x")}; printf %s "$KEYGATE_SUBJECT" > ${at("who")}`];
    const { stdout } = await api.failing(watch, () => remote(args));
    const key = await read("acme-prod");
    assert.deepEqual([await read("x"), await read("who"), keyIn(`${key}\n`).id], [key, "acme", stdout.trim()]);
    assert.equal((await stat(at("acme-prod"))).mode & 0o777, 0o600);
    assert.ok(ends[0] <= now() + 3600);
    assert.deepEqual(ends.slice(1), [null]);
    assert.equal(await verify(key), "permitted");
  });

  test("is not written over another without being told to", async () => {
    await put("a", "something");
    const args = ["issue", "--subject", "acme", "--to", `file:${at("a")}`];
    assert.match((await remote(args, { status: 1 })).stderr, /holds something already\n help: .*--overwrite/);
    assert.equal(api.entries.size, 0);
    assert.match((await remote([...args, "--overwrite", "--dry-run"])).stdout, /can be delivered to .*\nnothing was written/);
    await remote([...args, "--overwrite"]);
    assert.equal(await verify(await read("a")), "permitted");
  });

  test("that is revoked while it is delivered stays revoked", async () => {
    let id;
    const revoke = (call, body) => {
      if (call === "PUT /bulk") id ??= JSON.parse(body)[0].key;
      if (call !== "POST /bulk/get") return;
      const entry = api.entries.get(id);
      api.entries.set(id, { ...entry, value: JSON.stringify({ ...JSON.parse(entry.value), state: "revoked" }) });
    };
    const { stderr } = await api.failing(revoke, () => remote(["issue", "--subject", "acme", "--to", `file:${at("a")}`], { status: 1 }));
    assert.match(stderr, /changed in between: state "active" → "revoked"/);
    assert.equal(api.record(id.slice(4)).state, "revoked");
  });

  test("that a place does not take ends by itself", async () => {
    const { stderr } = await remote(["issue", "--subject", "acme", "--to", "exec:exit 7"], { status: 1 });
    const [, id] = /the record of key (\w{12}) ends by itself at \d{4}-/.exec(stderr);
    assert.ok(api.record(id).not_after <= now() + 3600);
  });
});

describe("many keys", () => {
  const made = async (count) => {
    const all = Array.from({ length: count }, (_, nth) => stored({ subject: `s${nth}`, created: now() - 100_000 + nth }));
    await Promise.all(all.map(({ key }, nth) => put(`s${nth}`, key)));
    return all;
  };
  const many = (...args) => ["rotate", "--all-older-than", "1d", "--to", `file:${at("{subject}")}`, ...args];

  test("that are old are rotated, each into its own place", async () => {
    const all = await made(3);
    const young = stored({ subject: "s9" });
    await remote(many("--dry-run"));
    assert.equal(api.entries.size, 4);
    const rows = lines((await remote(many("--json"))).stdout);
    assert.deepEqual(rows.map(({ id, fate }) => [id, fate]), all.map(({ id }) => [id, "rotated"]));
    for (const [nth, { new: id }] of rows.entries()) {
      assert.equal(keyIn(`${await read(`s${nth}`)}\n`).id, id);
      assert.equal(await verify(await read(`s${nth}`)), "permitted");
    }
    assert.equal(api.record(young.id).replaced_by, undefined);
    assert.deepEqual(lines((await remote(many("--json"))).stdout), []);
  });

  test("stop at the first that fails; what is done and what is left is said", async () => {
    const all = await made(4);
    await put("s2", "another");
    const { stdout, stderr } = await remote(many("--json"), { status: 1 });
    assert.deepEqual(lines(stdout).map(({ fate }) => fate), ["rotated", "rotated", "failed", "left"]);
    assert.match(JSON.parse(stderr).error, new RegExp(`key ${all[2].id} failed after 2 were rotated, and 1 are left`));
    assert.equal(await read("s3"), all[3].key);
    await put("s2", all[2].key);
    const text = (await remote(many())).stdout;
    assert.match(text, new RegExp(`^rotated {3}${all[2].id}  s2  → \\w{12}  ends .*\nrotated {3}${all[3].id}  s3  →`));
  });

  test("what has been rotated is said before the next one is begun", async () => {
    await made(2);
    const rows = await open(at("rows"), "w");
    await remote(many("--json", "--to", `exec:cp ${at("rows")} ${at("$KEYGATE_SUBJECT.seen")}`), { stdout: rows.fd });
    await rows.close();
    assert.deepEqual([await read("s0.seen"), lines(await read("s1.seen")).map(({ subject, fate }) => [subject, fate])], ["", [["s0", "rotated"]]]);
  });

  test("of one holder, or of one pepper, are chosen", async () => {
    const pepper = randomBase62(43);
    const all = await made(2);
    const old = stored({ subject: "old", created: now() - 100_000 }, { pepper });
    await put("old", old.key);
    const rows = async (...args) => lines((await remote(many("--json", ...args), { env: { KEYGATE_PEPPER_PREVIOUS: pepper } })).stdout).map(({ id }) => id);
    assert.deepEqual(await rows("--made-with", pepperId(pepper)), [old.id]);
    assert.deepEqual(await rows("--subject", "s1"), [all[1].id]);
  });

  test("do not go to one place", async () => {
    await made(2);
    const { stderr } = await remote(["rotate", "--all-older-than", "0", "--to", `file:${at("one")}`], { status: 2 });
    assert.match(stderr, /would both go to file:/);
  });
});
