// `keygate import` and `export`: every format, a second run, faults by line number, and many keys at once.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { beforeEach, describe, test } from "node:test";

import { PEPPER, bareImportedDigestOf, importKey, importedDigestOf, importedIdOf, pepperId, randomBase62 } from "./support/keys.js";
import { operator } from "./support/operator.js";

const { gate, api } = await operator();
beforeEach(() => {
  api.entries.clear();
  api.log.length = 0;
});

const remote = (args, { env, ...options } = {}) => gate.keygate([...args, "--remote"], { ...options, env: { ...api.env, KEYGATE_PEPPER: PEPPER, ...env } });
const rows = ({ stdout }) => stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
const snapshot = () => JSON.stringify([...api.entries.values()].sort((a, b) => (a.key < b.key ? -1 : 1)));
const key = () => randomBase62(32);

describe("import", () => {
  const [a, b, c] = [key(), key(), key()];
  const hash = (text, encoding) => createHash("sha256").update(text).digest(encoding);
  const sources = {
    keys: `${a} s1\n\n# a note\n${b}\ts2\n${c}\n`,
    sha256: `${hash(a, "hex")} s1\n${hash(b, "base64")} s2\n${hash(c, "base64url")}\n`,
    csv: `key,subject,sha256,name\n${a},s1,,"A, 1"\n,s2,${hash(b, "hex")},\n${c},,,\n`,
    jsonl: [{ key: a, subject: "s1" }, { sha256: hash(b, "hex"), subject: "s2" }, { key: c }].map((row) => JSON.stringify(row)).join("\n"),
    kong: `consumers:\n- username: s1\n  keyauth_credentials: [{key: ${a}}]\n- {username: s2, keyauth_credentials: [{key: ${b}}, {key: ${c}}]}\n`,
    apisix: JSON.stringify({ consumers: [["s1", a], ["s2", b], ["rest", c]].map(([username, text]) => ({ username, plugins: { "key-auth": { key: text } } })) }),
  };
  for (const [format, source] of Object.entries(sources)) {
    test(`${format}: keys become digests, and a second run changes nothing`, async () => {
      const args = ["import", "--format", format, "--subject", "rest", "--expires", "90d", "--json"];
      const first = rows(await remote(args, { input: source }));
      assert.deepEqual(first.map(({ fate }) => fate), ["new", "new", "new"]);
      assert.deepEqual(first.map(({ id }) => id), [a, b, c].map(importedIdOf));
      assert.equal(api.record(importedIdOf(a)).digest, importedDigestOf(PEPPER, a));
      assert.deepEqual([a, b].map((text) => api.record(importedIdOf(text)).subject), ["s1", "s2"]);
      const before = snapshot();
      assert.ok(![a, b, c].some((text) => before.includes(text)), "a key was stored");
      const again = await remote(args, { input: source });
      assert.deepEqual(rows(again).map(({ fate }) => fate), ["same", "same", "same"]);
      assert.equal(snapshot(), before);
      assert.equal(api.log.filter((call) => call === "PUT /bulk").length, 1);
      const digests = { sha256: 3, csv: 1, jsonl: 1 }[format];
      const told = again.stderr.match(/^of \d+ keys the source has digests alone: .* cannot be told$/gm);
      assert.deepEqual(told?.map((line) => line.split(" ")[1]), digests && [String(digests)]);
    });
  }

  test("invalid lines are named by number without their text, and all others are imported", async () => {
    const weak = "correcthorsebatterystaplecorrect";
    const source = `${a} s1\n${weak} s2\ntoo-short s3\nacme_live_${key()} s4\n${b}\n${a} s5\n\xff\n${c} s7`;
    const { stderr, stdout } = await remote(["import", "--format", "keys"], { input: Buffer.from(source, "latin1"), status: 1 });
    assert.equal(stdout, "");
    for (const said of [/line 2: .*too easy to guess/, /line 3: .*cannot be imported/, /line 4: .*own prefix/, /line 5: .*no `subject`/, /line 6: .*same key as line 1/, /line 7: .*not UTF-8/]) {
      assert.match(stderr, said);
    }
    assert.match(stderr, /^2 written to .*, 6 not taken$/m);
    for (const text of [weak, "too-short", a, b]) assert.ok(!stderr.includes(text));
    assert.equal(api.entries.size, 2);
    await remote(["import", "--format", "keys", "--allow-weak"], { input: `${weak} s2` });
    assert.ok(api.entries.has(`key/${importedIdOf(weak)}`));
  });

  test("a key that was changed since its import is left as it is, and the differences are reported", async () => {
    await remote(["import", "--format", "keys"], { input: `${a} s1` });
    await remote(["revoke", importedIdOf(a)]);
    const before = snapshot();
    const { stderr } = await remote(["import", "--format", "keys"], { input: `${a} s1`, status: 1 });
    assert.match(stderr, /line 1: key \w{12} is there already and is left as it is: state "active" → "revoked"/);
    assert.equal(snapshot(), before);
  });

  test("without a pepper nothing is imported, and the error says where to put it", async () => {
    const { stderr } = await remote(["import", "--format", "keys"], { input: `${a} s1`, env: { KEYGATE_PEPPER: "" }, status: 2 });
    assert.match(stderr, /there is no pepper for the deployed gate\n help: set KEYGATE_PEPPER/);
    assert.equal(api.entries.size, 0);
  });

  test("under another pepper only the digests are renewed", async () => {
    await remote(["import", "--format", "keys", "--expires", "90d"], { input: `${a} s1\n${b} s2` });
    await remote(["disable", importedIdOf(b)]);
    const next = randomBase62(43);
    const options = { input: `${a} s1\n${b} s2`, env: { KEYGATE_PEPPER: next }, status: 1 };
    const again = rows(await remote(["import", "--format", "keys", "--expires", "90d", "--json"], options));
    assert.deepEqual(again.map(({ fate }) => fate), ["renewed", "different"]);
    assert.equal(api.record(importedIdOf(a)).digest, importedDigestOf(next, a));
    assert.equal(api.record(importedIdOf(b)).digest, importedDigestOf(PEPPER, b));
  });

  test("a dry run says what would happen, and writes nothing", async () => {
    const { stdout, stderr } = await remote(["import", "--format", "keys", "--dry-run"], { input: `${a} s1\nx y` , status: 1 });
    assert.equal(stdout, `new        ${importedIdOf(a)}  s1\n`);
    assert.match(stderr, /line 2: .*\n1 would be written to .*\nnothing was written/);
    assert.equal(api.entries.size, 0);
  });

  test("a CSV file without a header line is refused without quoting its first key", async () => {
    const { stderr } = await remote(["import", "--format", "csv"], { input: `${a},s1\n`, status: 1 });
    assert.match(stderr, /the first line names a column that is no field/);
    assert.ok(!stderr.includes(a));
  });
});

test("importing an export reproduces the store", async () => {
  const { id } = JSON.parse((await remote(["issue", "--json", "--subject", "acme", "--name", "Büro \"1\"", "--scope", "a", "--ip", "::1", "--expires", "9d", "--meta", "x=y"], { env: { KEYGATE_PEPPER: randomBase62(43) } })).stdout);
  await remote(["disable", id]);
  await remote(["import", "--format", "keys"], { input: Array.from({ length: 120 }, (_, at) => `${key()} s${at}`).join("\n") });
  const values = () => Object.fromEntries([...api.entries.values()].map(({ key: name, value }) => [name, value]));
  const before = values();
  api.page = 50;
  const { stdout } = await remote(["export"]);
  assert.doesNotMatch(stdout, /acme_live_/);
  assert.match((await remote(["import", "--format", "jsonl"], { input: stdout })).stderr, /^0 written to .*, 121 there already and the same/m);
  api.entries.clear();
  await remote(["import", "--format", "jsonl"], { input: stdout });
  assert.deepEqual(values(), before);
  api.entries.get(`key/${id}`).value = "{}";
  assert.match((await remote(["export"], { status: 1 })).stderr, new RegExp(`key/${id}: is not a valid record`));
});

test("records whose digests were made with another pepper are counted", async () => {
  await remote(["issue", "--subject", "acme"], { env: { KEYGATE_PEPPER: randomBase62(43) } });
  await remote(["issue", "--subject", "acme"]);
  const input = (await remote(["export"])).stdout;
  api.entries.clear();
  const told = /^warning: 1 records have digests of another pepper than KEYGATE_PEPPER: a gate with this one does not accept their keys$/m;
  assert.match((await remote(["import", "--format", "jsonl"], { input })).stderr, told);
  assert.equal(api.entries.size, 2);
  assert.doesNotMatch((await remote(["import", "--format", "jsonl"], { input, env: { KEYGATE_PEPPER: "" } })).stderr, /another pepper/);
});

test("many keys take as few calls as the API allows; a second import writes nothing, and importing the export reproduces the store", async () => {
  const COUNT = 10_500;
  api.page = 1000;
  /** What the calls since were, as counts; an empty page stands before each further one. */
  const calls = () => Object.fromEntries(Object.entries(Object.groupBy(api.log.splice(0), (call) => call)).map(([call, all]) => [call, all.length]));
  const source = Array.from({ length: COUNT }, (_, at) => JSON.stringify({ key: key(), subject: `s${at % 10}`, scopes: at % 4 ? ["a"] : ["a", "b"], state: at % 5 ? "active" : "disabled" })).join("\n");
  const imports = (input) => remote(["import", "--format", "jsonl", "--expires", "5d"], { input });
  assert.match((await imports(source)).stderr, new RegExp(`^${COUNT} written to `, "m"));
  assert.deepEqual(calls(), { "GET /keys": 1, "PUT /bulk": 2 });
  const stored = snapshot();
  assert.match((await imports(source)).stderr, new RegExp(`^0 written to .*, ${COUNT} there already and the same`, "m"));
  assert.deepEqual([calls(), snapshot() === stored], [{ "GET /keys": 21, "POST /bulk/get": 105 }, true]);

  for (const [args, count] of [
    [["--subject", "s3"], COUNT / 10],
    [["--state", "disabled"], COUNT / 5],
    [["--scope", "b"], COUNT / 4],
    [["--expiring", "6d"], COUNT - COUNT / 5],
    [["--expiring", "4d"], 0],
  ]) {
    assert.equal(rows(await remote(["list", "--json", ...args])).length, count, args.join(" "));
    assert.deepEqual(calls(), { "GET /keys": 21 }, "no value is read");
  }

  const { stdout } = await remote(["export"]);
  assert.deepEqual(calls(), { "GET /keys": 21, "POST /bulk/get": 105 });
  api.entries.clear();
  await imports(stdout);
  assert.deepEqual([calls(), snapshot() === stored], [{ "GET /keys": 1, "PUT /bulk": 2 }, true]);
});

test("many keys go into bulk files and from there into the store, and list reads their metadata alone", async () => {
  const COUNT = 10_010;
  const folder = await mkdtemp(path.join(tmpdir(), "keygate-bulk-"));
  try {
    const file = path.join(folder, "keys");
    await writeFile(file, Array.from({ length: COUNT }, (_, at) => `${key()} s${at % 10}`).join("\n"));
    const bulk = path.join(folder, "bulk");
    assert.match((await gate.keygate(["import", "--format", "keys", "--bulk-dir", bulk, file], { status: 2 })).stderr, /no pepper/);
    await rm(bulk, { recursive: true });
    const env = { KEYGATE_PEPPER: PEPPER };
    await gate.keygate(["import", "--format", "keys", "--expires", "5d", "--bulk-dir", bulk, file], { env });
    const files = (await readdir(bulk)).sort();
    assert.deepEqual(files, ["keys-0001.json", "keys-0002.json"]);
    for (const name of files) {
      for (const entry of JSON.parse(await readFile(path.join(bulk, name), "utf8"))) api.entries.set(entry.key, entry);
    }
    assert.equal(api.entries.size, COUNT);
    await gate.keygate(["import", "--format", "keys", "--bulk-dir", bulk, file], { env, status: 1 });
    api.page = 1000;
    assert.equal(rows(await remote(["list", "--json", "--subject", "s3", "--expiring", "6d"])).length, COUNT / 10);
    assert.deepEqual([...new Set(api.log)], ["GET /keys"]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("pepper apply gives imported keys a keyed digest, once, and touches no other", async () => {
  const store = (record) => api.entries.set(`key/${record.id}`, { key: `key/${record.id}`, value: JSON.stringify(record) });
  const bare = importKey(key());
  const keyed = importKey(key());
  store({ ...bare.record, digest: bareImportedDigestOf(bare.key), scopes: ["a"] });
  store(keyed.record);
  const status = async (code) => JSON.parse((await remote(["pepper", "status", "--json"], { status: code })).stdout);
  const before = await status(1);
  assert.deepEqual([before.imported_without_pepper, before.next], [1, ["keygate pepper apply --remote"]]);
  assert.match((await remote(["doctor"])).stdout, /1 imported keys in use are stored as plain SHA-256/);

  const asItWas = snapshot();
  assert.match((await remote(["pepper", "apply", "--dry-run"])).stderr, /1 records would get a digest with pepper/);
  assert.equal(snapshot(), asItWas);
  const { stdout } = await remote(["pepper", "apply", "--json"]);
  assert.deepEqual(JSON.parse(stdout), { pepper: pepperId(PEPPER), written: [bare.id] });
  assert.deepEqual([api.record(bare.id).digest, api.record(bare.id).scopes], [importedDigestOf(PEPPER, bare.key), ["a"]]);
  assert.equal(api.record(keyed.id).digest, keyed.record.digest);
  assert.equal((await status(0)).imported_without_pepper, 0);
  assert.deepEqual(JSON.parse((await remote(["pepper", "apply", "--json"])).stdout).written, []);
});
