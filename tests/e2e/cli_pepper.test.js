// `keygate pepper status | rotate`: from one pepper to the next, with every key working at every moment.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { beforeEach, describe, test } from "node:test";

import { ACCOUNT, keyIn } from "./support/cli.js";
import { PEPPER, digestOf, issue, makeKey, makeRecord, now, pepperId, randomBase62 } from "./support/keys.js";
import { run } from "./support/program.js";
import { operator } from "./support/operator.js";

const { gate, api } = await operator();
beforeEach(() => {
  api.entries.clear();
  api.results = {};
});

const BINDINGS = `GET /accounts/${ACCOUNT}/workers/scripts/gate/settings`;
const bound = (...names) => (api.results[BINDINGS] = { bindings: names.map((name) => ({ name, type: "secret_text" })) });
const remote = (args, { env, ...options } = {}) => gate.keygate([...args, "--remote"], { ...options, env: { ...api.env, KEYGATE_PEPPER: PEPPER, ...env } });
const store = (record) => api.entries.set(`key/${record.id}`, { key: `key/${record.id}`, value: JSON.stringify(record) });

const NEW = randomBase62(43);

describe("the deployed gate", () => {
  const rotating = { KEYGATE_PEPPER: NEW, KEYGATE_PEPPER_PREVIOUS: PEPPER };
  const status = async (code, env) => JSON.parse((await remote(["pepper", "status", "--json"], { status: code, env })).stdout);

  for (const [name, { env, bindings, records = [], code = 1 }, stage, next] of [
    ["one pepper, all keys on it", { bindings: ["PEPPER"], records: [issue().record], code: 0 }, "settled", []],
    ["a rotation that others have begun", { bindings: ["PEPPER", "PEPPER_PREVIOUS"] }, "settled", [/^export KEYGATE_PEPPER_PREVIOUS=/, /status/]],
    ["an unknown pepper", { bindings: ["PEPPER"], records: [issue({}, { pepper: NEW }).record] }, "unknown", [/^export KEYGATE_PEPPER_PREVIOUS=/, /status/]],
    ["a gate without the pepper before", { env: rotating, bindings: ["PEPPER"], records: [issue().record] }, "rotating", [/^printf .* \| wrangler secret put PEPPER_PREVIOUS$/, /status/]],
    ["keys that are to be rotated", { env: rotating, bindings: ["PEPPER", "PEPPER_PREVIOUS"], records: [issue().record] }, "rotating", [new RegExp(`^keygate rotate --all-older-than 0 --made-with ${pepperId(PEPPER)} --to URI --remote$`), /status/]],
    ["keys in their grace", { env: rotating, bindings: ["PEPPER", "PEPPER_PREVIOUS"], records: [issue({ replaced_by: "000000000000", not_after: now() + 3600 }).record] }, "waiting", [/status/]],
    ["no key left", { env: rotating, bindings: ["PEPPER", "PEPPER_PREVIOUS"], records: [issue({ state: "revoked" }).record] }, "droppable", [/^wrangler secret delete PEPPER_PREVIOUS$/, /^unset/, /status/]],
    ["no key left, and no secret", { env: rotating, bindings: ["PEPPER"] }, "droppable", [/^unset KEYGATE_PEPPER_PREVIOUS$/, /status/]],
  ]) {
    test(`${name}: the next command`, async () => {
      bound(...bindings);
      records.forEach(store);
      const said = await status(code, env);
      assert.deepEqual([said.stage, said.next.length], [stage, next.length], said.next.join("\n"));
      next.forEach((pattern, at) => assert.match(said.next[at], pattern));
    });
  }

  test("what the token may not read is reported, and so is the rest", async () => {
    store(issue().record);
    const { stdout, stderr } = await remote(["pepper", "status"]);
    assert.match(stderr, /not looked at: cannot look at the deployed gate's secrets/);
    assert.match(stdout, new RegExp(`no rotation of the pepper is under way\ncurrent {3}${pepperId(PEPPER)}  1 keys`));
  });

  test("a rotation, from the first command to the last", async () => {
    const folder = await mkdtemp(path.join(gate.folder, "pepper-"));
    const [fresh, key] = [path.join(folder, "new"), path.join(folder, "key")];
    bound("PEPPER");
    const old = issue();
    store(old.record);
    await writeFile(key, old.key, { mode: 0o600 });

    assert.match((await remote(["pepper", "rotate"], { status: 2 })).stderr, /needs a place.*\n help: .*--new FILE/);
    const { stdout } = await remote(["pepper", "rotate", "--new", fresh]);
    assert.equal((await stat(fresh)).mode & 0o777, 0o600);
    const pepper = (await readFile(fresh, "utf8")).trim();
    assert.ok(!stdout.includes(pepper) && !stdout.includes(PEPPER), "no pepper in what is printed");
    assert.match(stdout, /put PEPPER_PREVIOUS\n {2}wrangler secret put PEPPER < '.*new'\n/);
    // Once more, after a crash say: the same pepper, the same commands.
    assert.equal((await remote(["pepper", "rotate", "--new", fresh])).stdout, stdout);

    bound("PEPPER", "PEPPER_PREVIOUS");
    const env = { KEYGATE_PEPPER: pepper, KEYGATE_PEPPER_PREVIOUS: PEPPER, KEYGATE_JOURNAL: path.join(folder, "journal") };
    const { next } = JSON.parse((await remote(["pepper", "rotate", "--json"], { status: 1, env })).stdout);
    const command = next[0].replace("URI", `file:${key}`).split(" ").slice(1);
    await gate.keygate(command, { env: { ...api.env, ...env } });
    assert.equal(keyIn(`${await readFile(key, "utf8")}\n`).id, api.record(old.id).replaced_by);
    assert.equal((await status(1, env)).stage, "waiting");
    store({ ...api.record(old.id), not_after: now() - 1 });
    assert.match((await remote(["pepper", "rotate"], { env })).stdout, /it can go[\s\S]*wrangler secret delete PEPPER_PREVIOUS/);
    bound("PEPPER");
    assert.equal((await status(0, { KEYGATE_PEPPER: pepper })).stage, "settled");
    const same = await remote(["pepper", "rotate", "--new", fresh], { status: 2, env: { KEYGATE_PEPPER: pepper } });
    assert.match(same.stderr, /holds the pepper that is in use/);
    await rm(folder, { recursive: true });
  });

  test("the printed commands name any new file as the shell takes it", async () => {
    const name = "it's \"$new\"";
    const { next } = JSON.parse((await remote(["pepper", "rotate", "--json", "--new", name])).stdout);
    const reading = next.filter((line) => line.includes("new")).map((line) => line.replace(/^wrangler secret put PEPPER </, "cat"));
    assert.equal(reading.length, 2);
    const pepper = await readFile(path.join(gate.folder, name), "utf8");
    const { status, stdout } = await run("/bin/sh", ["-c", `${reading.join("\n")}\nprintf '%s\\n' "$KEYGATE_PEPPER"`], { cwd: gate.folder });
    assert.equal(status, 0);
    assert.ok(stdout === `${pepper}${pepper.trim()}\n`, "the shell reads the file");
  });

  test("a file that holds no pepper is refused as the new one", async () => {
    const file = path.join(gate.folder, "no-pepper");
    await writeFile(file, "canary");
    const { stderr } = await remote(["pepper", "rotate", "--new", file], { status: 2 });
    assert.match(stderr, /no-pepper: the pepper .*\n help: name a file that is not there yet/);
    assert.ok(!stderr.includes("canary"));
  });

  test("the printed commands name the pepper file and contain no pepper", async () => {
    const file = path.join(gate.folder, "pepper.now");
    await writeFile(file, PEPPER, { mode: 0o600 });
    const args = ["pepper", "rotate", "--pepper-file", file, "--new", path.join(gate.folder, "pepper.new")];
    const { stdout } = await remote(args, { env: { KEYGATE_PEPPER: "" } });
    assert.match(stdout, /wrangler secret put PEPPER_PREVIOUS < '.*pepper\.now'/);
  });

  for (const [uri, next] of [
    ["env:MY_PEPPER", /^printf %s "\$MY_PEPPER" \| wrangler secret put PEPPER_PREVIOUS\n.*\nexport KEYGATE_PEPPER_PREVIOUS="\$MY_PEPPER"\n/],
    ["exec:printf %s \"$MY_PEPPER\"", /^\{ printf %s "\$MY_PEPPER"; \} \| wrangler secret put PEPPER_PREVIOUS\n.*\nexport KEYGATE_PEPPER_PREVIOUS="\$\(\{ printf %s "\$MY_PEPPER"; \}\)"\n/],
  ]) {
    const MY_PEPPER = PEPPER;

    test(`the printed commands read a pepper from ${uri}`, async () => {
      const fresh = path.join(gate.folder, `pepper-of-${uri.split(":")[0]}`);
      const rotate = ["pepper", "rotate", "--json", "--new", fresh];
      const named = { KEYGATE_PEPPER: "", KEYGATE_PEPPER_FROM: uri, MY_PEPPER };
      const byVariable = JSON.parse((await remote(rotate, { env: named })).stdout).next;
      assert.match(byVariable.join("\n"), next);
      // Both variables at once are refused.
      const unset = byVariable.indexOf("unset KEYGATE_PEPPER_FROM");
      assert.ok(unset >= 0 && unset < byVariable.findIndex((line) => line.startsWith("export KEYGATE_PEPPER=")));
      const option = { KEYGATE_PEPPER: "", MY_PEPPER };
      const byOption = JSON.parse((await remote([...rotate, "--pepper-from", uri], { env: option })).stdout).next;
      assert.deepEqual(byOption, byVariable.filter((line) => !line.startsWith("unset")));
    });

    test(`the printed commands read the previous pepper from ${uri}, and the last one unsets it`, async () => {
      store(issue().record);
      const env = { KEYGATE_PEPPER: NEW, KEYGATE_PEPPER_PREVIOUS_FROM: uri, MY_PEPPER };
      bound("PEPPER");
      assert.match((await status(1, env)).next[0], /MY_PEPPER.* \| wrangler secret put PEPPER_PREVIOUS$/);
      api.entries.clear();
      assert.equal((await status(1, env)).next[0], "unset KEYGATE_PEPPER_PREVIOUS_FROM");
    });
  }

  test("the printed commands use the same pepper", async () => {
    store(issue().record);
    bound("PEPPER", "PEPPER_PREVIOUS");
    const env = { KEYGATE_PEPPER: "", KEYGATE_PEPPER_PREVIOUS: PEPPER, MY_PEPPER: NEW };
    const { stdout } = await remote(["pepper", "status", "--json", "--pepper-from", "env:MY_PEPPER"], { status: 1, env });
    const { next } = JSON.parse(stdout);
    assert.ok(next.length === 2 && next.every((line) => line.endsWith(" --remote --pepper-from 'env:MY_PEPPER'")), next.join("\n"));
  });
});

describe("the local gate", () => {
  test("with a pepper from elsewhere is left unchanged", async () => {
    const { stderr } = await gate.keygate(["pepper", "rotate", "--pepper-from", "env:MY_PEPPER"], { status: 2, env: { MY_PEPPER: PEPPER } });
    assert.match(stderr, /others were given: from env:MY_PEPPER\n help: .*leave --pepper-file and --pepper-from out/);
  });

  const devVars = () => path.join(gate.folder, ".dev.vars");
  const local = (args, options) => gate.keygate(["pepper", ...args], options);

  test("gets both peppers in one step, keeps all else, and loses the old pepper when no key needs it", async () => {
    // A break-glass key depends on the pepper as any other does.
    const { id, key } = makeKey();
    const record = makeRecord(id, digestOf(PEPPER, key));
    await writeFile(devVars(), `# mine\nSTATIC_KEYS='${JSON.stringify([record])}'\nPEPPER="${PEPPER}" # old\n`);
    assert.match((await local(["rotate"])).stdout, new RegExp(`has the new pepper \\w{8}, and ${pepperId(PEPPER)} as PEPPER_PREVIOUS`));
    const text = await readFile(devVars(), "utf8");
    assert.match(text, /^# mine\nSTATIC_KEYS='.*'\nPEPPER="[\w-]{43}" # old\nPEPPER_PREVIOUS="e2e-pepper/);
    assert.match((await local(["rotate"], { status: 1 })).stdout, /they have to be rotated/);
    assert.equal(await readFile(devVars(), "utf8"), text);
    await writeFile(devVars(), text.replace(/^STATIC_KEYS.*\n/m, ""));
    const other = await local(["rotate"], { status: 2, env: { KEYGATE_PEPPER_PREVIOUS: PEPPER } });
    assert.match(other.stderr, /the local gate's peppers are in \.dev\.vars/);
    assert.match((await local(["rotate"])).stderr, /no PEPPER_PREVIOUS any more: the rotation is finished/);
    assert.doesNotMatch(await readFile(devVars(), "utf8"), /PEPPER_PREVIOUS/);
    assert.match((await local(["status"])).stdout, /no rotation of the pepper is under way/);
  });

  test("keeps the old pepper while keys of another environment, which reads the same file, need it", async () => {
    const before = await readFile(devVars(), "utf8");
    await writeFile(devVars(), `PEPPER="${PEPPER}"\n`);
    const { id } = await gate.issue("--env", "test", "--subject", "acme");
    const rotating = `PEPPER="${NEW}"\nPEPPER_PREVIOUS="${PEPPER}"\n`;
    await writeFile(devVars(), rotating);
    const { stderr } = await local(["rotate"], { status: 1 });
    assert.match(stderr, /\.dev\.vars is for the environment `test` too.*\n help: `keygate pepper status --env test` says/);
    assert.equal(await readFile(devVars(), "utf8"), rotating);
    await gate.keygate(["revoke", id, "--env", "test"]);
    await local(["rotate"]);
    assert.equal(await readFile(devVars(), "utf8"), `PEPPER="${NEW}"\n`);
    await writeFile(devVars(), before);
  });

  test("with invalid STATIC_KEYS is reported", async () => {
    const before = await readFile(devVars(), "utf8");
    await writeFile(devVars(), `${before}STATIC_KEYS=x\n`);
    assert.match((await local(["status"], { status: 1 })).stderr, /STATIC_KEYS in \.dev\.vars is not an array of records/);
    await writeFile(devVars(), before);
  });

  test("whose secrets.required lacks PEPPER_PREVIOUS is left unchanged", async () => {
    const toml = path.join(gate.folder, "required.toml");
    await writeFile(toml, `secrets = { required = ["PEPPER"] }\n${await readFile(path.join(gate.folder, "wrangler.toml"), "utf8")}`);
    const before = await readFile(devVars(), "utf8");
    const { stderr } = await local(["rotate", "--config", toml], { status: 1 });
    assert.match(stderr, /secrets\.required` in .* does not name PEPPER_PREVIOUS.*\n help: add "PEPPER_PREVIOUS" to the list, then run the command again/);
    assert.equal(await readFile(devVars(), "utf8"), before);
  });
});
