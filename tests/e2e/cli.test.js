// `keygate` on its own: against wrangler's local KV, and against a deployed namespace as wrangler's API client sees one.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, open, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { PEPPER, importedIdOf, randomBase62 } from "./support/keys.js";
import { ROOT } from "./support/project.js";

const KEYGATE = process.env.KEYGATE_BIN ?? path.join(ROOT, "target", "debug", "keygate");
const PATH = [path.join(ROOT, "node_modules", ".bin"), process.env.PATH].join(path.delimiter);
const ACCOUNT = "a".repeat(32);
const LIVE = "1".repeat(32);
const TEST = "2".repeat(32);
const WRANGLER_TOML = `
name = "gate"
account_id = "${ACCOUNT}"
workers_dev = false
preview_urls = false
compatibility_date = "2026-11-17"

[vars]
ORIGIN = "https://api.example.com"
KEY_PREFIX = "acme_live"
IMPORTED_KEYS = true
[[vars.ROUTES]]
path = "/reports/*"
scopes = ["reports:read"]

[[kv_namespaces]]
binding = "KEYS"
id = "${LIVE}"

[env.test.vars]
ORIGIN = "https://api.example.com"
KEY_PREFIX = "acme_test"
[[env.test.kv_namespaces]]
binding = "KEYS"
id = "${TEST}"
`;

/** Runs a program to its end. Without input its standard input is closed; `stdout` may be a file to write to. */
function run(program, args, { input, stdout = "pipe", ...options }) {
  return new Promise((resolve, reject) => {
    const stdin = input === undefined ? "ignore" : "pipe";
    const child = spawn(program, args, { stdio: [stdin, stdout, "pipe"], ...options });
    const said = { stdout: "", stderr: "" };
    child.stdout?.setEncoding("utf8").on("data", (text) => (said.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (said.stderr += text));
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, ...said }));
    // A program may end before it has read what it was sent.
    child.stdin?.on("error", () => {}).end(input);
  });
}

/** A folder with a wrangler.toml, and keygate run in it. */
class Gate {
  static async make() {
    const gate = new Gate();
    gate.folder = await mkdtemp(path.join(tmpdir(), "keygate-cli-"));
    await writeFile(path.join(gate.folder, "wrangler.toml"), WRANGLER_TOML);
    await writeFile(path.join(gate.folder, ".dev.vars"), `PEPPER="${PEPPER}"\n`);
    return gate;
  }

  remove() {
    return rm(this.folder, { recursive: true });
  }

  /** Runs keygate; asserts the exit code and that nothing secret was said to a reader. */
  async keygate(args, { env = {}, status = 0, ...options } = {}) {
    const { KEYGATE_PEPPER: _, CLOUDFLARE_ENV: __, ...inherited } = process.env;
    const ran = await run(KEYGATE, args, { cwd: this.folder, env: { ...inherited, PATH, ...env }, ...options });
    assert.equal(ran.status, status, `keygate ${args.join(" ")}\n${ran.stdout}${ran.stderr}`);
    assert.ok(!ran.stderr.includes(PEPPER), "the pepper on standard error");
    assert.doesNotMatch(ran.stderr, /acme_\w+_[0-9A-Za-z]{50}/, "a key on standard error");
    return ran;
  }

  async json(args, options) {
    return JSON.parse((await this.keygate([...args, "--json"], options)).stdout);
  }

  /** Issues a key and returns it with its id. */
  async issue(...args) {
    const { stdout } = await this.keygate(["issue", ...args]);
    return keyIn(stdout);
  }

  /** What the gate would answer: its code, or "permitted". */
  async verify(key, ...args) {
    const ran = await run(KEYGATE, ["verify", "--json", ...args], { cwd: this.folder, input: `${key}\n`, env: { ...process.env, PATH } });
    const said = JSON.parse(ran.stdout);
    assert.equal(ran.status, said.permitted ? 0 : 1);
    return said.code ?? "permitted";
  }
}

function keyIn(stdout) {
  const match = /^(acme_(?:live|test)_([0-9A-Za-z]{12})[0-9A-Za-z]{38})\n$/.exec(stdout);
  assert.ok(match, "standard output holds the key alone");
  return { key: match[1], id: match[2] };
}

const inDays = (time) => Math.round((time - Date.now() / 1000) / 86400);

describe("the local KV", () => {
  let gate;
  before(async () => (gate = await Gate.make()));
  after(() => gate.remove());

  test("a pepper is printed alone and can be used at once", async () => {
    const { stdout } = await gate.keygate(["pepper"]);
    assert.match(stdout, /^[0-9A-Za-z_-]{43}\n$/);
    const file = path.join(gate.folder, "pepper");
    await writeFile(file, stdout);
    const { stdout: issued, stderr } = await gate.keygate(["issue", "--subject", "acme", "--pepper-file", file]);
    assert.match(stderr, /warning: PEPPER in \.dev\.vars is another one/);
    assert.equal(await gate.verify(keyIn(issued).key), "key_invalid");
    assert.equal(await gate.verify(keyIn(issued).key, "--pepper-file", file), "permitted");
  });

  test("what was issued is shown, listed and judged as it was meant", async () => {
    const { key, id } = await gate.issue(
      ...["--subject", "shown", "--name", "Büro \"1\"", "--scope", "reports:read", "--ip", "203.0.113.0/24"],
      ...["--expires", "90d", "--plan", "free", "--meta", "team=billing"],
    );
    const { record, state, good_now } = await gate.json(["show", id]);
    assert.deepEqual({ state, good_now }, { state: "active", good_now: true });
    const { digest, created, not_after, ...rest } = record;
    assert.match(digest, /^hs256\.[0-9a-f]{8}\.[0-9A-Za-z_-]{43}$/);
    assert.equal(not_after - created, 90 * 86400);
    assert.deepEqual(rest, {
      ...{ v: 1, id, subject: "shown", name: "Büro \"1\"", state: "active", not_before: null, scopes: ["reports:read"] },
      ...{ ips: ["203.0.113.0/24"], plan: "free", replaces: null, replaced_by: null, meta: { team: "billing" } },
    });
    assert.deepEqual(await gate.json(["list", "--subject", "shown"]), {
      ...{ id, subject: "shown", name: "Büro \"1\"", state: "active", not_after },
    });
    assert.equal(await gate.verify(key, "--path", "/reports/7"), "ip_not_allowed");
    assert.equal(await gate.verify(key, "--path", "/reports/7", "--ip", "203.0.113.7"), "permitted");
    const changed = key.slice(0, -1) + (key.endsWith("0") ? "1" : "0");
    assert.equal(await gate.verify(changed, "--ip", "203.0.113.7"), "key_invalid");
  });

  test("a rotated key hands everything on, ends after the grace and is not rotated twice", async () => {
    const old = await gate.issue("--subject", "rotated", "--name", "R", "--scope", "reports:read", "--expires", "90d");
    const fresh = keyIn((await gate.keygate(["rotate", old.id, "--grace", "7d"])).stdout);
    const [before, now] = [await gate.json(["show", old.id]), await gate.json(["show", fresh.id])];
    assert.deepEqual([before.record.replaced_by, now.record.replaces], [fresh.id, old.id]);
    assert.deepEqual([inDays(before.record.not_after), inDays(now.record.not_after)], [7, 90]);
    assert.deepEqual([now.record.subject, now.record.name, now.record.scopes], ["rotated", "R", ["reports:read"]]);
    assert.equal(await gate.verify(old.key), "permitted");
    assert.equal(await gate.verify(fresh.key), "permitted");
    const { stderr } = await gate.keygate(["rotate", old.id], { status: 1 });
    assert.match(stderr, new RegExp(`replaced by ${fresh.id}`));
    const last = await gate.json(["rotate", fresh.id, "--grace", "0", "--expires", "never"]);
    assert.equal(await gate.verify(fresh.key), "key_expired");
    assert.equal(await gate.verify(last.key), "permitted");
    assert.equal(last.replaces.id, fresh.id);
  });

  test("disabled comes back, revoked does not", async () => {
    const { key, id } = await gate.issue("--subject", "changed");
    await gate.keygate(["disable", id]);
    assert.equal(await gate.verify(key), "key_disabled");
    await gate.keygate(["rotate", id], { status: 1 });
    await gate.keygate(["enable", id]);
    await gate.keygate(["update", id, "--scope", "reports:read", "--name", "N", "--expires", "1h"]);
    assert.equal(await gate.verify(key, "--path", "/reports"), "permitted");
    const { staleness_seconds } = await gate.json(["revoke", id]);
    assert.equal(staleness_seconds, 30);
    assert.equal(await gate.verify(key), "key_revoked");
    for (const command of ["enable", "disable", "revoke", "rotate"]) await gate.keygate([command, id], { status: 1 });
    await gate.keygate(["update", id, "--name", "M"], { status: 1 });
    assert.deepEqual((await gate.json(["list", "--state", "revoked"])).id, id);
  });

  test("a foreign key is digested, found again, and never taken in twice or when it is weak", async () => {
    const foreign = randomBase62(40);
    const { stdout, stderr } = await gate.keygate(["issue", "--subject", "old", "--import-stdin"], { input: `${foreign}\n` });
    assert.equal(stdout, `${importedIdOf(foreign)}\n`);
    assert.ok(!stderr.includes(foreign));
    assert.equal(await gate.verify(foreign), "permitted");
    await gate.keygate(["issue", "--subject", "old", "--import-stdin"], { input: foreign, status: 1 });
    const weak = await gate.keygate(["issue", "--subject", "old", "--import-stdin"], { input: "12345678901234567890", status: 1 });
    assert.match(weak.stderr, /too easy to guess/);
  });

  test("a dry run writes nothing, and what it prints can be written by wrangler", async () => {
    const out = path.join(gate.folder, "dry");
    const { stdout } = await gate.keygate(["issue", "--subject", "dry", "--dry-run", "--key-out", out]);
    assert.equal((await stat(out)).mode & 0o777, 0o600);
    const { key, id } = keyIn(await readFile(out, "utf8"));
    await gate.keygate(["show", id], { status: 1 });
    const bulk = path.join(gate.folder, "bulk.json");
    await writeFile(bulk, stdout);
    await gate.keygate(["check", bulk]);
    const wrote = await run("wrangler", ["kv", "bulk", "put", bulk, "--binding=KEYS", "--local", "--preview=false"], {
      ...{ cwd: gate.folder, env: { ...process.env, PATH } },
    });
    assert.equal(wrote.status, 0, wrote.stderr);
    assert.equal(await gate.verify(key), "permitted");
    const [revoked] = JSON.parse((await gate.keygate(["revoke", id, "--dry-run"])).stdout);
    assert.equal(JSON.parse(revoked.value).state, "revoked");
    assert.equal(await gate.verify(key), "permitted");
  });

  test("environments do not meet", async () => {
    const { stdout } = await gate.keygate(["issue", "--subject", "acme", "--env", "test"]);
    const { key, id } = keyIn(stdout);
    assert.match(key, /^acme_test_/);
    await gate.keygate(["show", id], { status: 1 });
    await gate.keygate(["show", id, "--env", "test"]);
    assert.equal(await gate.verify(key), "key_invalid");
    assert.equal(await gate.verify(key, "--env", "test"), "permitted");
  });

  test("an entry that somebody else wrote is listed, and its fault is named", async () => {
    const elsewhere = path.join(gate.folder, "other-kv");
    await mkdir(elsewhere);
    const { key, id } = await gate.issue("--subject", "spoilt", "--persist-to", elsewhere);
    const record = { ...(await gate.json(["show", id, "--persist-to", elsewhere])).record, ip: ["203.0.113.0/24"] };
    const bulk = path.join(gate.folder, "spoilt.json");
    await writeFile(bulk, JSON.stringify([{ key: `key/${id}`, value: JSON.stringify(record) }]));
    const put = ["kv", "bulk", "put", bulk, "--binding=KEYS", "--local", "--preview=false", "--persist-to", elsewhere];
    assert.equal((await run("wrangler", put, { cwd: gate.folder, env: { ...process.env, PATH } })).status, 0);
    const listed = await gate.json(["list", "--persist-to", elsewhere]);
    assert.deepEqual(listed, { id, subject: null, name: null, state: null, not_after: null });
    const shown = await gate.keygate(["show", id, "--persist-to", elsewhere], { status: 1 });
    assert.match(shown.stderr, /not a valid record: `ip`/);
    assert.equal(await gate.verify(key, "--persist-to", elsewhere), "key_record_invalid");
  });

  test("a key that cannot be printed is said to be lost, and the old one lives on", { skip: process.platform !== "linux" && "needs /dev/full" }, async () => {
    const old = await gate.issue("--subject", "lost");
    const full = await open("/dev/full", "w");
    const { stderr } = await gate.keygate(["rotate", old.id], { status: 1, stdout: full.fd });
    await full.close();
    assert.match(stderr, /could not be handed over and is lost\n help: `keygate revoke [0-9A-Za-z]{12}`/);
    const { record } = await gate.json(["show", old.id]);
    assert.deepEqual([record.not_after, record.replaced_by], [null, null]);
  });

  test("without wrangler, and without a pepper, the error says what to do", async () => {
    const { stderr } = await gate.keygate(["list"], { status: 1, env: { PATH: gate.folder } });
    assert.match(stderr, /wrangler was found neither .*\n help: install/);
    const bare = await Gate.make();
    try {
      await rm(path.join(bare.folder, ".dev.vars"));
      const { stderr } = await bare.keygate(["issue", "--subject", "acme"], { status: 1 });
      assert.match(stderr, /there is no PEPPER in \.dev\.vars/);
    } finally {
      await bare.remove();
    }
  });
});

/** Cloudflare's KV API, as much of it as wrangler asks for; `fail` makes it answer a request with an error. */
class Api {
  static async start() {
    const api = new Api();
    api.entries = new Map();
    api.log = [];
    api.fail = () => undefined;
    api.server = createServer((request, response) => api.answer(request, response));
    await new Promise((resolve) => api.server.listen(0, "127.0.0.1", resolve));
    api.url = `http://127.0.0.1:${api.server.address().port}/client/v4`;
    return api;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  async answer(request, response) {
    let body = "";
    for await (const chunk of request) body += chunk;
    const url = new URL(request.url, "http://api");
    const call = `${request.method} ${url.pathname.replace(`/client/v4/accounts/${ACCOUNT}/storage/kv/namespaces/${LIVE}`, "")}`;
    this.log.push(call);
    const send = (status, json) => {
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(JSON.stringify({ success: status < 300, errors: [], messages: [], ...json }));
    };
    const failure = request.headers.authorization === "Bearer token" ? this.fail(call) : [403, "Authentication error"];
    if (failure) return send(failure[0], { errors: [{ code: 10000, message: failure[1] }], result: null });
    if (call === "PUT /bulk") {
      for (const entry of JSON.parse(body)) this.entries.set(entry.key, entry);
      return send(200, { result: {} });
    }
    if (call === "POST /bulk/get") {
      const { keys } = JSON.parse(body);
      return send(200, { result: { values: Object.fromEntries(keys.map((key) => [key, this.entries.get(key)?.value ?? null])) } });
    }
    if (call === "GET /keys") {
      // Two to a page, and an empty page between them, as the real one may.
      const names = [...this.entries.keys()].filter((key) => key.startsWith(url.searchParams.get("prefix") ?? "")).sort();
      const [at, empty] = (url.searchParams.get("cursor") ?? "0").split("e");
      const page = empty === undefined ? names.slice(Number(at), Number(at) + 2) : [];
      const next = empty === undefined ? `${Number(at) + page.length}e` : at;
      const more = Number(at) + page.length < names.length;
      return send(200, {
        result: page.map((name) => ({ name, metadata: this.entries.get(name).metadata })),
        result_info: { count: page.length, cursor: more ? next : "" },
      });
    }
    return send(404, { errors: [{ code: 7003, message: `no route for ${call}` }], result: null });
  }
}

describe("a deployed namespace", () => {
  let gate;
  let api;
  let remote;
  before(async () => {
    [gate, api] = [await Gate.make(), await Api.start()];
    const env = { CLOUDFLARE_API_BASE_URL: api.url, CLOUDFLARE_API_TOKEN: "token", KEYGATE_PEPPER: PEPPER };
    remote = (args, options = {}) => gate.keygate([...args, "--remote"], { ...options, env: { ...env, ...options.env } });
  });
  after(async () => {
    await api.stop();
    await gate.remove();
  });

  test("keys are issued, listed over all pages, shown and changed", async () => {
    const ids = [];
    for (let at = 0; at < 3; at += 1) ids.push(keyIn((await remote(["issue", "--subject", `s${at}`])).stdout).id);
    const listed = (await remote(["list", "--json"])).stdout.trimEnd().split("\n").map((line) => JSON.parse(line).id);
    assert.deepEqual(listed.sort(), ids.sort());
    await remote(["show", ids[0]]);
    await remote(["show", "000000000000"], { status: 1 });
    const { stderr } = await remote(["revoke", ids[0]]);
    assert.match(stderr, /up to 1 min 30 s/);
    assert.match(stderr, new RegExp(`add ${ids[0]} to the secret DENIED_IDS`));
    assert.equal(api.entries.get(`key/${ids[0]}`).metadata.state, "revoked");
  });

  test("when the second write of a rotation fails, both keys work and the error says how to go on", async () => {
    const old = keyIn((await remote(["issue", "--subject", "acme"])).stdout);
    let writes = 0;
    api.fail = (call) => (call === "PUT /bulk" && ++writes === 2 ? [403, "no more writes"] : undefined);
    const { stdout, stderr } = await remote(["rotate", old.id], { status: 1 });
    api.fail = () => undefined;
    const fresh = keyIn(stdout);
    assert.match(stderr, new RegExp(`keygate update ${old.id} --expires \\d{4}-`));
    assert.equal(JSON.parse(api.entries.get(`key/${old.id}`).value).not_after, null);
    assert.equal(JSON.parse(api.entries.get(`key/${fresh.id}`).value).replaces, old.id);
  });

  test("when the record is not written, no key is printed and no key file stays", async () => {
    api.fail = (call) => (call === "PUT /bulk" ? [403, "no writes"] : undefined);
    const { stdout, stderr } = await remote(["issue", "--subject", "acme", "--key-out", path.join(gate.folder, "key")], { status: 1 });
    api.fail = () => undefined;
    assert.equal(stdout, "");
    assert.match(stderr, /`wrangler kv bulk put` failed for the deployed KV namespace: .*no writes/);
    assert.ok(!(await readdir(gate.folder)).includes("key"));
  });

  test("a wrong token, and the local pepper, are refused with what to do", async () => {
    const { stderr } = await remote(["list"], { status: 1, env: { CLOUDFLARE_API_TOKEN: "wrong" } });
    assert.match(stderr, /Authentication error.*\n help: .*Workers KV Storage: Edit/);
    const calls = api.log.length;
    const local = await remote(["issue", "--subject", "acme"], { status: 2, env: { KEYGATE_PEPPER: "" } });
    assert.match(local.stderr, /no pepper for the deployed gate/);
    assert.equal(api.log.length, calls);
  });
});
