// `keygate rotate --to` and `issue --to` when nothing fails: what is checked first, and many keys at once. Failures are in
// cli_rotation_failures.test.js, and killed rotations in cli_rotation_crash.test.js.

import assert from "node:assert/strict";
import { chmod, open, readdir, stat, symlink } from "node:fs/promises";
import { describe, test } from "node:test";

import { keyIn } from "./support/cli.js";
import { deliveries } from "./support/deliveries.js";
import { PEPPER, importKey, now, pepperId, randomBase62 } from "./support/keys.js";

const { api, at, put, read, keygate, remote, verify, keep, stored, assertUntouched } = await deliveries();
const lines = (text) => text.split("\n").filter(Boolean).map((line) => JSON.parse(line));

describe("one key", () => {
  test("is delivered to every secret store in the form that it holds, and is not printed", async () => {
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

  test("is printed, or written to a file, on request", async () => {
    const old = stored();
    await put("a", old.key);
    const { stdout } = await remote(["rotate", old.id, "--to", `file:${at("a")}`, "--print", "--key-out", at("out")]);
    const { id } = keyIn(stdout);
    assert.deepEqual([`${await read("a")}\n`, await read("out")], [stdout, stdout]);
    const said = JSON.parse((await remote(["rotate", id, "--to", `file:${at("a")}`, "--json"])).stdout);
    assert.deepEqual([said.key, said.replaces.id, said.places], [undefined, id, [`file:${at("a")}`]]);
  });

  test("that leaked expires at once, and the output says what to do about staleness", async () => {
    const old = stored();
    await put("a", old.key);
    const { stdout, stderr } = await remote(["rotate", old.id, "--now", "--to", `file:${at("a")}`]);
    assert.match(stderr, /stops working now: it is revoked\nstaleness: gates may go by the old record for up to 1 min 30 s/);
    assert.match(stderr, new RegExp(`add ${old.id} to the secret DENIED_IDS`));
    assert.deepEqual([await verify(old.key), await verify(await read("a"))], ["key_revoked", "permitted"]);
    const next = await remote(["rotate", stdout.trim(), "--now"]);
    assert.match(next.stderr, /staleness: .*\n.*DENIED_IDS/);
    assert.equal(await verify(await read("a")), "key_revoked");
  });

  test("is made with a pepper that no exec: command finds in its environment", async () => {
    const old = stored();
    const from = { KEYGATE_PEPPER: "", KEYGATE_PEPPER_FROM: "env:THE_PEPPER", THE_PEPPER: PEPPER };
    await remote(["rotate", old.id, "--to", `exec:env > ${at("seen")}`], { env: from });
    assert.doesNotMatch(await read("seen"), new RegExp(PEPPER));
    assert.match(await read("seen"), /^KEYGATE_SUBJECT=/m);
  });

  test("of another system is rotated into an issued key", async () => {
    const old = importKey(randomBase62(40));
    keep(old.record);
    await put("a", old.key);
    await remote(["rotate", old.id, "--to", `file:${at("a")}`]);
    assert.equal(await verify(await read("a")), "permitted");
  });

  test("of the previous pepper is rotated with KEYGATE_PEPPER_PREVIOUS", async () => {
    const pepper = randomBase62(43);
    const old = stored({}, { pepper });
    await put("a", old.key);
    const args = ["rotate", old.id, "--to", `file:${at("a")}`];
    const { stderr } = await remote(args, { status: 1 });
    assert.match(stderr, new RegExp(`was made with pepper ${pepperId(pepper)}.*\n help: .*KEYGATE_PEPPER_PREVIOUS to the one before`));
    await assertUntouched(old);
    await remote(args, { env: { KEYGATE_PEPPER_PREVIOUS: pepper } });
    assert.equal(await verify(await read("a")), "permitted");
  });

  test("with --dry-run is looked up, and nothing is written", async () => {
    const old = stored();
    await put("a", old.key);
    const { stdout } = await remote(["rotate", old.id, "--dry-run", "--to", `file:${at("a")}`, "--to", "exec:exit 1"]);
    assert.match(stdout, /can be rotated: file:.*, exec:exit 1 can be written, and hold it.*\nnothing was written/);
    await assertUntouched(old);
  });

  test("on the local KV is delivered, too", async () => {
    const { key, id } = keyIn((await keygate(["issue", "--subject", "acme", "--persist-to", at("kv")])).stdout);
    await put("a", key);
    const { stdout } = await keygate(["rotate", id, "--to", `file:${at("a")}`, "--persist-to", at("kv")]);
    const shown = JSON.parse((await keygate(["show", id, "--json", "--persist-to", at("kv")])).stdout);
    assert.equal(shown.record.replaced_by, stdout.trim());
  });
});

describe("before anything is written, each secret store is checked:", () => {
  const place = (name) => ["--to", `file:${at(name)}`];
  const rows = [
    ["a file that is not there", async () => place("none"), /none does not hold key/],
    ["a file with another key", async () => (await put("x", stored().key), place("x")), /x does not hold key/],
    ["a file with the key's id and another secret", async (old) => (await put("x", old.key.replace(/.{4}$/, "0000")), place("x")), /x does not hold key/],
    ["a folder that is not there", async () => place("no/where"), /cannot write beside .*no\/where.*\n help: make its folder/],
    ["a file that others read", async (old) => (await put("x", old.key), await chmod(at("x"), 0o644), place("x")), /may be read by others/],
    ["a link", async (old) => (await put("real", old.key), await symlink(at("real"), at("x")), place("x")), /is a symbolic link\n help: name the file that it leads to/],
    ["a secret store that is named twice", async () => place("a"), /is given twice/, 2],
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

describe("a first key", () => {
  test("goes into its secret stores, and its record gets its expiry last", async () => {
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

  test("replaces another only with --overwrite", async () => {
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

  test("that a secret store refuses expires by itself", async () => {
    const { stderr } = await remote(["issue", "--subject", "acme", "--to", "exec:exit 7"], { status: 1 });
    const [, id] = /the record of key (\w{12}) expires by itself within the hour/.exec(stderr);
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

  test("that are old are rotated, each into its own secret store", async () => {
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

  test("stop at the first that fails, and the output lists what is done and what is left", async () => {
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

  test("report each rotation before the next one begins", async () => {
    await made(2);
    const rows = await open(at("rows"), "w");
    await remote(many("--json", "--to", `exec:cp ${at("rows")} ${at("$KEYGATE_SUBJECT.seen")}`), { stdout: rows.fd });
    await rows.close();
    assert.deepEqual([await read("s0.seen"), lines(await read("s1.seen")).map(({ subject, fate }) => [subject, fate])], ["", [["s0", "rotated"]]]);
  });

  test("of one subject, or of one pepper, are chosen", async () => {
    const pepper = randomBase62(43);
    const all = await made(2);
    const old = stored({ subject: "old", created: now() - 100_000 }, { pepper });
    await put("old", old.key);
    const rows = async (...args) => lines((await remote(many("--json", ...args), { env: { KEYGATE_PEPPER_PREVIOUS: pepper } })).stdout).map(({ id }) => id);
    assert.deepEqual(await rows("--made-with", pepperId(pepper)), [old.id]);
    assert.deepEqual(await rows("--subject", "s1"), [all[1].id]);
  });

  test("are not all written to one secret store", async () => {
    await made(2);
    const { stderr } = await remote(["rotate", "--all-older-than", "0", "--to", `file:${at("one")}`], { status: 2 });
    assert.match(stderr, /would both go to file:/);
  });
});
