// `keygate --remote`: Cloudflare's REST API, its failures, and two operators at one namespace.

import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { beforeEach, describe, test } from "node:test";

import { certificate } from "./support/certificate.js";
import { ACCOUNT, LIVE, PATH, TOKEN, keyIn } from "./support/cli.js";
import { Cloudflare, refuse } from "./support/cloudflare.js";
import { PEPPER } from "./support/keys.js";
import { operator } from "./support/operator.js";
import { run } from "./support/program.js";

const { gate, api } = await operator();
beforeEach(() => (api.log.length = 0));

const remote = (args, { env, ...options } = {}) =>
  gate.keygate([...args, "--remote"], { ...options, env: { ...api.env, KEYGATE_PEPPER: PEPPER, ...env } });
const issue = async (...args) => keyIn((await remote(["issue", ...args])).stdout);
const listed = async (...args) => (await remote(["list", "--json", ...args])).stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));

describe("a deployed namespace", () => {
  test("keys are issued, listed over all pages, shown and changed", async () => {
    const ids = [];
    for (let at = 0; at < 5; at += 1) ids.push((await issue("--subject", `s${at}`, "--scope", "a")).id);
    assert.deepEqual((await listed()).map(({ id }) => id).sort(), ids.toSorted());
    assert.deepEqual((await listed("--subject", "s3")).map(({ id }) => id), [ids[3]]);
    assert.match((await remote(["show", "000000000000"], { status: 1 })).stderr, /there is no key 000000000000 in the deployed.*\n help: see `keygate list --remote`/);
    const { stderr } = await remote(["revoke", ids[0]]);
    assert.match(stderr, /up to 1 min 30 s/);
    assert.match(stderr, new RegExp(`add ${ids[0]} to the secret DENIED_IDS`));
    assert.equal(api.metadata(ids[0]).state, "revoked");
    await remote(["update", ids[1], "--expires", "5d"]);
    assert.deepEqual((await listed("--expiring", "6d")).map(({ id }) => id), [ids[1]]);
    assert.deepEqual((await listed("--scope", "b")), []);
  });

  test("a command that a message names has --remote", async () => {
    const { id } = await issue("--subject", "acme");
    await remote(["revoke", id]);
    const bare = await issue("--subject", "acme");
    api.entries.get(`key/${bare.id}`).metadata = null;
    await writeFile(path.join(gate.folder, "taken"), "something", { mode: 0o600 });
    const imported = ["issue", "--subject", "acme", "--import-stdin"];
    const input = "Zk3vQ9xLr2K7hVbT1mWcZk3vQ9xLr2K7hVbT1mWc";
    const importedId = (await remote(imported, { input })).stdout.trim();
    for (const [args, status, named] of [
      [["revoke", id], 1, [`show ${id}`]],
      [["update", id, "--name", "x", "--if-rev", "1"], 1, [`show ${id}`]],
      [["issue", "--subject", "acme", "--to", `file:${path.join(gate.folder, "taken")}`], 1, ["rotate ID --to URI"]],
      [imported, 1, [`show ${importedId}`, `update ${importedId}`]],
      [["list"], 0, ["show ID", "update ID"]],
      [["doctor"], 0, ["update ID --name …"]],
    ]) {
      const { stderr, stdout } = await remote(args, { status, ...(args === imported ? { input } : {}) });
      for (const command of named) assert.ok(`${stdout}${stderr}`.includes(`\`keygate ${command} --remote\``), `${args}: ${stdout}${stderr}`);
    }
    for (const name of [id, bare.id, importedId]) api.entries.delete(`key/${name}`);
  });

  test("wrangler reads what keygate wrote, and keygate what wrangler wrote", async () => {
    const wrangler = (...args) => run("wrangler", ["kv", ...args, "--binding=KEYS", "--remote", "--preview=false"], {
      ...{ cwd: gate.folder, env: { ...process.env, PATH, WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true", ...api.env } },
    });
    const { id } = await issue("--subject", "wrangled");
    const names = path.join(gate.folder, "names.json");
    await writeFile(names, JSON.stringify([`key/${id}`]));
    const bulk = path.join(gate.folder, "bulk.json");
    const { stdout } = await remote(["update", id, "--name", "by wrangler", "--dry-run"]);
    await writeFile(bulk, stdout);
    const [read, wrote] = [await wrangler("bulk", "get", names), await wrangler("bulk", "put", bulk)];
    assert.deepEqual([read.status, wrote.status], [0, 0], read.stderr + wrote.stderr);
    assert.equal(JSON.parse(JSON.parse(read.stdout)[`key/${id}`]).subject, "wrangled");
    const shown = JSON.parse((await remote(["show", id, "--json"])).stdout);
    assert.deepEqual([shown.record.name, shown.rev], ["by wrangler", 2]);
  });

  test("when the second write of a rotation fails, both keys work and the error says how to go on", async () => {
    const old = await issue("--subject", "acme");
    let writes = 0;
    const fail = (call) => (call === "PUT /bulk" && ++writes === 2 ? refuse(403) : undefined);
    const { stdout, stderr } = await api.failing(fail, () => remote(["rotate", old.id], { status: 1 }));
    const fresh = keyIn(stdout);
    assert.match(stderr, new RegExp(`keygate update ${old.id} --expires \\d{4}-`));
    assert.equal(api.record(old.id).not_after, null);
    assert.equal(api.record(fresh.id).replaces, old.id);
  });

  test("when the record is not written, no key is printed and no key file stays", async () => {
    const fail = (call) => (call === "PUT /bulk" ? refuse(403) : undefined);
    const args = ["issue", "--subject", "acme", "--key-out", path.join(gate.folder, "key")];
    const { stdout } = await api.failing(fail, () => remote(args, { status: 1 }));
    assert.equal(stdout, "");
    assert.ok(!(await readdir(gate.folder)).includes("key"));
  });

  test("a new key needs the current pepper alone, and the previous one is not read", async () => {
    for (const before of [{ KEYGATE_PEPPER_PREVIOUS: "too short" }, { KEYGATE_PEPPER_PREVIOUS_FROM: "file:/no/where" }]) {
      const { id } = keyIn((await remote(["issue", "--subject", "acme"], { env: before })).stdout);
      keyIn((await remote(["rotate", id], { env: before })).stdout);
      // Where it is needed it is read, and has to be one.
      const [[name, text]] = Object.entries(before);
      const { stderr } = await remote(["pepper", "status"], { env: before, status: 1 });
      assert.match(stderr, name.endsWith("FROM") ? /\/no\/where.* holds nothing\n help: put the text there/ : /the pepper before from KEYGATE_PEPPER_PREVIOUS .*\n help: use the text that the gate has as its secret/);
      assert.ok(!stderr.includes("too short"), text);
    }
  });

  test("the local pepper is not used for a deployed gate, and no call is made", async () => {
    const { stderr } = await remote(["issue", "--subject", "acme"], { status: 2, env: { KEYGATE_PEPPER: "" } });
    assert.match(stderr, /no pepper for the deployed gate/);
    assert.deepEqual(api.log, []);
  });
});

describe("each mistake has a message that says what to do", () => {
  const mistakes = [
    ["no token", { env: { CLOUDFLARE_API_TOKEN: "" }, status: 2 }, /CLOUDFLARE_API_TOKEN is not set\n help: make one/],
    ["a token with a newline in it", { env: { CLOUDFLARE_API_TOKEN: `${TOKEN}\n` }, status: 2 }, /blank or another character.*\n help: use the token as it was shown/],
    ["half a token", { env: { CLOUDFLARE_API_TOKEN: "abc" } }, /not the form of an API token.*\n help: .*without quotes/],
    ["an expired token", { env: { CLOUDFLARE_API_TOKEN: `${TOKEN}-expired` } }, /does not know the token.*\n help: .*make another/],
    ["a token without permission", { env: { CLOUDFLARE_API_TOKEN: `${TOKEN}-other` } }, /may not do this in this account.*\n help: .*Workers KV Storage: Read/],
    ["another account", { args: ["--account", "b".repeat(32)] }, /may not do this in this account.*\n help: .*see that it is for the account/],
    ["an account's name", { args: ["--account", "acme"], status: 2 }, /--account is not an id of Cloudflare's.*\n help: copy the id/],
    ["another namespace", { args: ["--namespace", "c".repeat(32)] }, /no such KV namespace.*\n help: .*wrangler kv namespace list/],
    ["a base URL in the clear", { env: { CLOUDFLARE_API_BASE_URL: "http://api.example.com" }, status: 2 }, /not the address of an API.*\n help: unset it/],
    ["a timeout that is not a number", { env: { KEYGATE_API_TIMEOUT: "soon" }, status: 2 }, /KEYGATE_API_TIMEOUT is not a number of seconds.*\n help: unset it/],
    ["nobody at the base URL", { env: { CLOUDFLARE_API_BASE_URL: "http://127.0.0.1:9/v4" } }, /cannot be reached.*\n help: check the network/],
    ["no TLS at the base URL", { tls: true }, /does not prove who it is.*\n help: check this machine's clock/],
  ];
  for (const [name, { env, args = [], status = 1, tls }, said] of mistakes) {
    test(name, async () => {
      const overTls = tls && { CLOUDFLARE_API_BASE_URL: api.url.replace("http:", "https:") };
      const { stderr } = await remote(["list", ...args], { status, env: { ...env, ...overTls } });
      assert.match(stderr, said);
    });
  }

  test("the account comes from wrangler.toml, or from the environment where that names none", async () => {
    const toml = path.join(gate.folder, "no-account.toml");
    await writeFile(toml, `kv_namespaces = [{ binding = "KEYS", id = "${LIVE}" }]\n`);
    const { stderr } = await remote(["list", "--config", toml], { status: 2 });
    assert.match(stderr, /account is not named.*\n help: set `account_id`/);
    await remote(["list", "--config", toml], { env: { CLOUDFLARE_ACCOUNT_ID: ACCOUNT } });
    await remote(["list"], { env: { CLOUDFLARE_ACCOUNT_ID: "b".repeat(32) } });
  });
});

describe("when the API fails", () => {
  /** The first `count` calls get what `make` returns. */
  const first = (count, make) => {
    let left = count;
    return () => (left-- > 0 ? make() : undefined);
  };

  for (const [name, make] of [
    ["too many requests", () => refuse(429, { headers: { "Retry-After": "0" } })],
    ["a gateway's error page", () => ({ status: 502, text: "<html>bad gateway</html>" })],
    ["a connection that is reset", () => "reset"],
  ]) {
    test(`${name} is retried`, () => api.failing(first(2, make), async () => {
      await remote(["list"]);
      assert.equal(api.log.filter((call) => call === "GET /keys").length >= 3, true);
    }));
  }

  test("a long Retry-After ends the command at once", async () => {
    const fail = () => refuse(429, { headers: { "Retry-After": "300" } });
    const { stderr } = await api.failing(fail, () => remote(["list"], { status: 1 }));
    assert.match(stderr, /too many.*\n help: wait five minutes/);
    assert.equal(api.log.length, 1);
  });

  test("a permanent failure is reported after five attempts", async () => {
    const { stderr } = await api.failing(() => refuse(503), () => remote(["list"], { status: 1 }));
    assert.match(stderr, /Cloudflare's API fails.*\n help: see cloudflarestatus\.com/);
    assert.equal(api.log.length, 5);
  });

  test("a write without an answer names the key whose record may be there", async () => {
    let body;
    const fail = (call, sent) => (call === "PUT /bulk" ? ((body = sent), "hang") : undefined);
    const { stdout, stderr } = await api.failing(fail, () => remote(["issue", "--subject", "acme"], { status: 1, env: { KEYGATE_API_TIMEOUT: "1" } }));
    const id = JSON.parse(body)[0].key.replace("key/", "");
    assert.equal(stdout, "");
    assert.match(stderr, new RegExp(`did not answer in time.*the record of key ${id} may have been written.*\\n help: look with \`keygate show ${id} --remote\`; if it is there, \`keygate revoke ${id} --remote\``));
    assert.equal(api.log.filter((call) => call === "PUT /bulk").length, 5);
  });

  for (const [name, answers, said] of [
    ["by an attempt that failed, before one that was refused", [{ ...refuse(500), kept: true }, refuse(403)], /may not do this in this account/],
    ["by an attempt that failed, before too many", [{ ...refuse(500), kept: true }, refuse(429, { headers: { "Retry-After": "300" } })], /too many/],
    ["by one whose answer is not the API's", [{ text: "<html>", kept: true }], /not one of Cloudflare's API/],
  ]) {
    test(`a record that may have been written ${name} is read back, and named where that fails`, async () => {
      for (const readable of [true, false]) {
        let left = [...answers];
        let id;
        const fail = (call, body) => {
          if (call !== "PUT /bulk") return readable ? undefined : refuse(403);
          const [entry] = JSON.parse(body);
          id = entry.key.replace("key/", "");
          const answer = left.shift();
          if (answer?.kept) api.entries.set(entry.key, entry);
          return answer;
        };
        const { stdout, stderr } = await api.failing(fail, () => remote(["issue", "--subject", "acme"], { status: readable ? 0 : 1 }));
        if (readable) assert.equal(keyIn(stdout).id, id);
        else assert.match(stderr, new RegExp(`${said.source}[^]*the record of key ${id} may have been written[^]*keygate revoke ${id}`));
      }
    });
  }

  test("a write whose answer is lost is read back: the key is printed, and works", async () => {
    const fail = (call) => (call === "PUT /bulk" ? "done, reset" : undefined);
    const { id } = await api.failing(fail, () => issue("--subject", "acme"));
    assert.equal(api.record(id).state, "active");
  });

  test("a refusal is not retried", async () => {
    await api.failing(() => refuse(403), () => remote(["list"], { status: 1 }));
    assert.equal(api.log.length, 1);
  });

  test("an answer that is not the API's is reported without quoting it", async () => {
    const { stderr } = await api.failing(() => ({ text: '{"success": true, "result": "canary"}' }), () => remote(["list"], { status: 1 }));
    assert.match(stderr, /not one of Cloudflare's API.*\n help: check CLOUDFLARE_API_BASE_URL/);
    assert.doesNotMatch(stderr, /canary/);
  });

  test("a success without a result is not treated as an empty store", async () => {
    for (const args of [["list"], ["export"], ["show", "000000000000"]]) {
      const { stdout, stderr } = await api.failing(() => ({ result: null }), () => remote(args, { status: 1 }));
      assert.match(stderr, /not one of Cloudflare's API \(it has no result\)\n help: check CLOUDFLARE_API_BASE_URL/);
      assert.equal(stdout, "");
    }
  });

  test("a listing whose cursors form a cycle is refused", async () => {
    let calls = 0;
    const round = () => ({ result: [], result_info: { cursor: ["a", "b"][calls++ % 2] } });
    const { stderr } = await api.failing(round, () => remote(["list"], { status: 1 }));
    assert.match(stderr, /the listing does not go on/);
    assert.equal(calls, 3);
  });

  test("an export that lacks listed keys reports them", async () => {
    await issue("--subject", "acme");
    const absent = (call, body) => (call === "POST /bulk/get" ? { result: { values: Object.fromEntries(JSON.parse(body).keys.map((name) => [name, null])) } } : undefined);
    const { stdout, stderr } = await api.failing(absent, () => remote(["export"], { status: 1 }));
    assert.equal(stdout, "");
    assert.match(stderr, /^\d+ were listed, and could not be read a moment later/m);
  });

  test("entries that Cloudflare did not write are written again", async () => {
    let writes = 0;
    const fail = (call, body) => (call === "PUT /bulk" && writes++ === 0 ? { result: { unsuccessful_keys: [JSON.parse(body)[0].key] } } : undefined);
    const { id } = await api.failing(fail, () => issue("--subject", "acme"));
    assert.equal(writes, 2);
    assert.equal(api.record(id).subject, "acme");
  });
});

describe("the API's certificate", () => {
  const list = async (certificate, trusted, status) => {
    const file = path.join(gate.folder, "trusted.pem");
    await writeFile(file, trusted.cert);
    const secure = await Cloudflare.start(certificate);
    try {
      const ran = await remote(["list"], { status, env: { CLOUDFLARE_API_BASE_URL: secure.url, SSL_CERT_FILE: file } });
      assert.equal(secure.log.length, status === 0 ? 1 : 0, "the token is sent to nobody else");
      return ran;
    } finally {
      await secure.stop();
    }
  };

  // The system's own trust on macOS takes no file.
  const onLinux = { skip: process.platform !== "linux" && "SSL_CERT_FILE is read on Linux" };
  test("must be trusted by the system, and name the host", onLinux, async () => {
    const own = certificate("127.0.0.1");
    await list(own, own, 0);
    for (const [shown, trusted] of [[own, certificate("127.0.0.1")], [certificate("127.0.0.2"), undefined]]) {
      const { stderr } = await list(shown, trusted ?? shown, 1);
      assert.match(stderr, /does not prove who it is.*\n help: check this machine's clock and its trusted certificates/);
    }
  });
});

describe("two operators", () => {
  test("every write has the next revision, and KEYGATE_OPERATOR", async () => {
    const { id } = await issue("--subject", "acme");
    assert.deepEqual([api.metadata(id).rev, api.metadata(id).by], [1, undefined]);
    await remote(["disable", id], { env: { KEYGATE_OPERATOR: "ci-deploy" } });
    const { stdout } = await remote(["show", id]);
    assert.match(stdout, /^revision {4}2 by ci-deploy$/m);
    const { stderr } = await remote(["list"], { status: 2, env: { KEYGATE_OPERATOR: "two words" } });
    assert.match(stderr, /KEYGATE_OPERATOR is not/);
  });

  test("a decision on an earlier revision is refused, and the error names the operator of the later one", async () => {
    const { id } = await issue("--subject", "acme");
    await remote(["disable", id], { env: { KEYGATE_OPERATOR: "on-call" } });
    const { stderr } = await remote(["update", id, "--name", "x", "--if-rev", "1"], { status: 1 });
    assert.match(stderr, /is at revision 2 by on-call, not at revision 1\n help: .*keygate show/);
    await remote(["enable", id, "--if-rev", "2"]);
    assert.equal(api.metadata(id).rev, 3);
  });

  test("a key that is revoked during its rotation stays revoked", async () => {
    const { id } = await issue("--subject", "acme");
    const reads = [];
    const revoke = (call) => {
      // The second read of the rotation: the look before the old entry is overwritten.
      if (call === "POST /bulk/get" && reads.push(call) === 2) {
        const entry = api.entries.get(`key/${id}`);
        const value = JSON.stringify({ ...JSON.parse(entry.value), state: "revoked" });
        api.entries.set(entry.key, { ...entry, value, metadata: { ...entry.metadata, state: "revoked", rev: 2, by: "on-call" } });
      }
    };
    const { stdout, stderr } = await api.failing(revoke, () => remote(["rotate", id], { status: 1 }));
    assert.match(stderr, /changed in between: state "active" → "revoked" \(revision 1 → revision 2 by on-call\)/);
    assert.equal(api.record(id).state, "revoked");
    assert.equal(api.record(keyIn(stdout).id).state, "active");
  });
});
