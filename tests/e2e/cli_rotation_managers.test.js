// `keygate issue --to` and `rotate --to` into secret managers: a real OpenBao, moto's AWS, and the Key Vault stand-in, alone
// and all three at once; their failures, and resumption.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, readdir, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";

import { Operator, KEYGATE, PATH, cleanEnv } from "./support/cli.js";
import { Cloudflare } from "./support/cloudflare.js";
import { KeyVault, VAULT, refusal } from "./support/key_vault.js";
import { PEPPER, issue, now } from "./support/keys.js";
import { Moto } from "./support/moto.js";
import { OpenBao } from "./support/openbao.js";
import { run } from "./support/program.js";
import { pythonWithPackages } from "./support/python.js";
import { Relay } from "./support/relay.js";

/** More calls than a rotation of three places makes; a run that is not killed ends the series long before. */
const MANY = 200;

let gate;
let api;
let bao;
let moto;
let azure;
let toBao;
let toMoto;
let journal;
before(async () => {
  [gate, api, bao, moto, azure] = await Promise.all([Operator.make(), Cloudflare.start(), OpenBao.start(), Moto.start(), KeyVault.start()]);
  [toBao, toMoto] = await Promise.all([bao.url, moto.url].map((url) => Relay.start(url)));
});
after(async () => {
  await Promise.all([toBao, toMoto].map((relay) => relay.stop()));
  await Promise.all([gate.remove(), api.stop(), bao.stop(), moto.stop(), azure.stop()]);
});
beforeEach(async () => {
  api.entries.clear();
  journal = path.join(await mkdtemp(path.join(gate.folder, "managers-")), "journal");
});

const env = () => ({
  ...{ ...bao.env, ...moto.env, ...azure.env, ...api.env, KEYGATE_PEPPER: PEPPER, KEYGATE_JOURNAL: journal },
  // The proxy is for the names of Azure; everything else is on this machine.
  ...{ VAULT_ADDR: toBao.url, AWS_ENDPOINT_URL: toMoto.url, NO_PROXY: "127.0.0.1" },
});
const keygate = (args, { env: more, ...options } = {}) => gate.keygate(args, { ...options, env: { ...env(), ...more } });
const verify = async (key) => JSON.parse((await keygate(["verify", "--remote", "--json"], { input: key, status: null })).stdout).code ?? "permitted";

/** A manager: `hold` puts a text into a new secret (or makes room for one) and returns its URI, `text` reads it. */
const MANAGERS = {
  vault: {
    async hold(text) {
      const name = `apps/${randomUUID()}`;
      await bao.put(name, { ...(text !== undefined && { api_key: text }), other: "kept" });
      return `vault:secret/${name}#api_key`;
    },
    async text(uri) {
      const { data } = await bao.ask("GET", `secret/data/${/^vault:secret\/(.*)#/.exec(uri)[1]}`);
      assert.equal(data.other, "kept");
      return data.api_key;
    },
    write: (uri, text) => bao.put(/^vault:secret\/(.*)#/.exec(uri)[1], { api_key: text, other: "kept" }),
  },
  aws: {
    async hold(text) {
      const { Name } = await moto.ask("CreateSecret", { Name: `key-${randomUUID()}`, ...(text !== undefined && { SecretString: text }) });
      return `aws:${Name}`;
    },
    text: (uri) => moto.current(uri.slice("aws:".length)),
    write: (uri, SecretString) => moto.ask("PutSecretValue", { SecretId: uri.slice("aws:".length), SecretString }),
  },
  azure: {
    async hold(text) {
      const name = `key-${randomUUID()}`;
      if (text !== undefined) azure.set(name, text, { contentType: "text/plain", tags: { team: "billing" } });
      return `azure:${VAULT}/${name}`;
    },
    text: async (uri) => azure.secrets.get(uri.split("/")[1]).at(-1).value,
    write: async (uri, text) => azure.set(uri.split("/")[1], text),
  },
};
const NAMES = Object.keys(MANAGERS);
const server = { vault: () => toBao, aws: () => toMoto, azure: () => azure };

/** Runs `body` while calls of these managers fail for which `fail(call, name)` returns something. */
const failing = (names, fail, body) => names.reduce((inner, name) => () => server[name]().failing((call) => fail(call, name), inner), body)();
const managerOf = (uri) => MANAGERS[uri.split(":")[0]];
const held = (uris) => Promise.all(uris.map((uri) => managerOf(uri).text(uri)));
const to = (uris) => uris.flatMap((uri) => ["--to", uri]);

/** A key whose record is in the store, and places that hold it. */
async function placed(names = NAMES, ending = "") {
  const old = issue({ scopes: ["reports:read"] });
  const { subject, name, state, digest } = old.record;
  api.entries.set(`key/${old.id}`, { key: `key/${old.id}`, value: JSON.stringify(old.record), metadata: { subject, name, state, not_after: null, pepper: digest.split(".")[1], rev: 1 } });
  const uris = await Promise.all(names.map((manager) => MANAGERS[manager].hold(`${old.key}${ending}`)));
  return { old, uris };
}

/** Every place holds one new key, which works; the old one works until its end; no other key does; nothing is left to do. */
async function assertRotated({ old, uris }, ending = "") {
  const [text, ...others] = await held(uris);
  assert.ok(others.every((other) => other === text), "all places hold one text");
  const key = text.slice(0, text.length - ending.length);
  assert.match(key, /^acme_live_[0-9A-Za-z]{50}$/);
  assert.notEqual(key, old.key);
  assert.deepEqual([await verify(key), await verify(old.key)], ["permitted", "permitted"]);
  const id = key.slice("acme_live_".length).slice(0, 12);
  const { replaced_by: replacedBy, not_after: end } = api.record(old.id);
  assert.equal(replacedBy, id);
  assert.ok(Math.abs(end - now() - 86_400) < 600, "the old key works for the grace");
  assert.deepEqual([api.record(id).replaces, api.record(id).not_after], [old.id, null]);
  const orphans = [...api.entries.keys()].map((name) => api.record(name.slice("key/".length))).filter((record) => ![id, old.id].includes(record.id));
  assert.ok(orphans.every(({ state }) => state === "revoked"), "no other key is left");
  assert.deepEqual((await readdir(journal)).filter((name) => name.endsWith(".json")), []);
  return id;
}

describe("a first key", () => {
  for (const names of [["vault"], ["aws"], ["azure"], NAMES]) {
    test(`goes into ${names.join(", ")}, and is not printed`, async () => {
      const uris = await Promise.all(names.map((name) => MANAGERS[name].hold()));
      const { stdout } = await keygate(["issue", "--subject", "acme", "--remote", ...to(uris)]);
      const [key, ...others] = await held(uris);
      assert.ok(others.every((other) => other === key));
      assert.equal(key.slice("acme_live_".length).slice(0, 12), stdout.trim());
      assert.equal(await verify(key), "permitted");
      assert.equal(api.record(stdout.trim()).not_after, null);
    });
  }

  for (const name of NAMES) {
    test(`replaces what ${name} holds only with --overwrite`, async () => {
      const uri = await MANAGERS[name].hold("something");
      const { stderr } = await keygate(["issue", "--subject", "acme", "--remote", "--to", uri], { status: 1 });
      assert.match(stderr, /holds something already.*\n help: .*--overwrite/);
      assert.deepEqual([await held([uri]), api.entries.size], [["something"], 0]);
      await keygate(["issue", "--subject", "acme", "--remote", "--to", uri, "--overwrite"]);
      assert.equal(await verify((await held([uri]))[0]), "permitted");
    });
  }
});

describe("a rotation", () => {
  for (const names of [["vault"], ["aws"], ["azure"], NAMES]) {
    test(`puts the new key into ${names.join(", ")}`, async () => {
      const world = await placed(names, "\n");
      const { stdout, stderr } = await keygate(["rotate", world.old.id, "--remote", ...to(world.uris)]);
      assert.equal(await assertRotated(world, "\n"), stdout.trim());
      for (const uri of world.uris) assert.ok(stderr.includes(`delivered to ${uri}\n`), stderr);
    });
  }

  test("keeps the secret's other fields, and each manager's history", async () => {
    const { old, uris } = await placed();
    const [, aws, vault] = uris.map((uri) => uri.split(/[:/]/).at(-1));
    await keygate(["rotate", old.id, "--remote", ...to(uris)]);
    const { contentType, tags } = azure.secrets.get(vault).at(-1);
    assert.deepEqual([contentType, tags, azure.secrets.get(vault).length], ["text/plain", { team: "billing" }, 2]);
    const labels = Object.values(await moto.labels(aws)).flat().sort();
    assert.deepEqual(labels.filter((label) => label !== "AWSPENDING"), ["AWSCURRENT", "AWSPREVIOUS"]);
    const previous = await moto.ask("GetSecretValue", { SecretId: aws, VersionStage: "AWSPREVIOUS" });
    assert.equal(previous.SecretString, old.key);
  });

  test("reads each secret store back, and once more before the old key gets its expiry", async () => {
    const world = await placed();
    const calls = [];
    const noting = (manager) => (call) => void calls.push(`${manager} ${call}`);
    const put = /PUT .*vault\.azure\.net\/secrets|POST \/v1\/secret\/data|UpdateSecretVersionStage/;
    const read = /GET .*vault\.azure\.net\/secrets|GET \/v1\/secret\/data|GetSecretValue/;
    const { stderr } = await failing(NAMES, (call, name) => noting(name)(call), () => keygate(["rotate", world.old.id, "--remote", ...to(world.uris)]));
    for (const name of NAMES) {
      const own = calls.filter((call) => call.startsWith(name));
      const written = own.findIndex((call) => put.test(call));
      assert.ok(written > 0, `${own.join("\n")}\n${stderr}`);
      assert.equal(own.slice(written + 1).filter((call) => read.test(call)).length, 2, own.join("\n"));
    }
    const lastWrite = calls.findLastIndex((call) => put.test(call));
    const confirmed = calls.slice(lastWrite + 1).filter((call) => read.test(call)).map((call) => call.split(" ")[0]);
    assert.deepEqual(confirmed, ["azure", "vault", "aws", "azure"]);
  });

  test("with a pepper from a manager is resumed with the same pepper", async () => {
    await bao.put("pepper", { pepper: PEPPER });
    const world = await placed();
    const from = { KEYGATE_PEPPER: "", KEYGATE_PEPPER_FROM: "vault:secret/pepper#pepper" };
    const refuse = (call) => (call.startsWith("PUT ") ? refusal(403, "Forbidden", "ForbiddenByRbac") : undefined);
    const rotate = ["rotate", world.old.id, "--remote", ...to(world.uris)];
    await azure.failing(refuse, () => keygate(rotate, { env: from, status: 1 }));
    const { stderr } = await keygate(["rotate", "--resume", "--pepper-from", from.KEYGATE_PEPPER_FROM], { env: { KEYGATE_PEPPER: "" } });
    assert.match(stderr, /made with pepper [0-9a-f]{8} from vault:secret\/pepper#pepper/);
    await assertRotated(world);
  });

  test("of many keys puts each into its own secret", async () => {
    const worlds = [];
    for (const subject of ["one", "two"]) {
      const old = issue({ subject });
      api.entries.set(`key/${old.id}`, { key: `key/${old.id}`, value: JSON.stringify(old.record), metadata: { subject, name: "", state: "active", not_after: null, pepper: old.record.digest.split(".")[1], rev: 1 } });
      await bao.put(`many/${subject}`, { api_key: old.key, other: "kept" });
      azure.set(`many-${subject}`, old.key);
      worlds.push({ old, uris: [`vault:secret/many/${subject}#api_key`, `azure:${VAULT}/many-${subject}`] });
    }
    await keygate(["rotate", "--all-older-than", "0", "--remote", "--to", "vault:secret/many/{subject}#api_key", "--to", `azure:${VAULT}/many-{subject}`]);
    for (const { old, uris } of worlds) {
      const [key, other] = await held(uris);
      assert.equal(key, other);
      assert.equal(await verify(key), "permitted");
      assert.equal(api.record(old.id).replaced_by, key.slice("acme_live_".length).slice(0, 12));
    }
  });
});

describe("the lines of `pepper rotate`", () => {
  test("read the old pepper with Vault's own command line", async () => {
    await bao.put("apps/gate", { pepper: PEPPER });
    const folder = path.dirname(journal);
    // wrangler notes what it is given; Vault's command line is OpenBao's.
    await writeFile(path.join(folder, "wrangler"), `#!/bin/sh\ncat > '${folder}'/"$3"\n`, { mode: 0o700 });
    await symlink(path.join(path.dirname(await pythonWithPackages()), "bao"), path.join(folder, "vault"));
    const named = { KEYGATE_PEPPER: "", KEYGATE_PEPPER_FROM: "vault:secret/apps/gate#pepper" };
    const { next } = JSON.parse((await keygate(["pepper", "rotate", "--remote", "--json", "--new", path.join(folder, "new")], { env: named })).stdout);
    assert.match(next.at(-1), /^keygate pepper status --remote$/);
    // What the shell has at the end is what the command after it is given.
    const script = [...next.slice(0, -1), "env"].join(" && ");
    const { status, stdout, stderr } = await run("sh", ["-c", script], { env: { ...cleanEnv(), ...env(), ...named, KEYGATE_PEPPER: undefined, PATH: `${folder}:${PATH}` } });
    assert.equal(status, 0, stderr);
    const fresh = (await readFile(path.join(folder, "new"), "utf8")).trim();
    const set = await Promise.all(["PEPPER", "PEPPER_PREVIOUS"].map((name) => readFile(path.join(folder, name), "utf8")));
    assert.deepEqual(set.map((text) => text.trim()), [fresh, PEPPER]);
    const exported = Object.fromEntries(stdout.split("\n").filter((line) => line.startsWith("KEYGATE_PEPPER")).map((line) => line.split("=")));
    assert.deepEqual(exported, { KEYGATE_PEPPER: fresh, KEYGATE_PEPPER_PREVIOUS: PEPPER });
  });
});

describe("before anything is written, each secret store is checked:", () => {
  const rows = [
    ["a secret that AWS does not have", async () => "aws:absent", {}, /there is no such secret in eu-central-1[\s\S]*create-secret/],
    ["a secret that Key Vault does not have", async () => `azure:${VAULT}/absent`, {}, /azure:gate-vault\/absent does not hold key/],
    ["a field that Vault does not have", () => MANAGERS.vault.hold(), {}, /#api_key does not hold key/],
    ["an engine that Vault does not have", async () => "vault:absent/x#f", {}, /no KV version 2 engine at absent\//],
    ["another key", () => MANAGERS.aws.hold(issue().key), {}, /does not hold key/],
    ["a vault that is not there", async () => "azure:other-vault/x", {}, /other-vault\.vault\.azure\.net [\s\S]*check /],
    [
      ...["a token of Vault's that may only read", () => MANAGERS.vault.hold("x")],
      ...[{ VAULT_TOKEN: () => bao.token(`path "secret/data/apps/*" { capabilities = ["read"] }`) }, /the token may not update it \(it may: read\)[\s\S]*give its policy `path/],
    ],
    ["a rotation of AWS's own", () => pendingElsewhere(), {}, /a rotation of it has not ended: version \S+ is AWSPENDING/],
    ["credentials that Key Vault refuses", () => MANAGERS.azure.hold("x"), { AZURE_CLIENT_SECRET: () => "wrong" }, /there is no token from Azure/],
  ];

  async function pendingElsewhere() {
    const uri = await MANAGERS.aws.hold("x");
    await moto.ask("PutSecretValue", { SecretId: uri.slice("aws:".length), SecretString: "y", VersionStages: ["AWSPENDING"] });
    return uri;
  }

  for (const [name, make, variables, said] of rows) {
    test(`${name}: the other secret stores are left unchanged`, async () => {
      const { old, uris } = await placed();
      const more = Object.fromEntries(await Promise.all(Object.entries(variables).map(async ([key, value]) => [key, await value()])));
      const { stdout, stderr } = await keygate(["rotate", old.id, "--remote", ...to([...uris, await make()])], { env: more, status: null });
      assert.match(stderr, said);
      assert.equal(stdout, "");
      assert.deepEqual([await held(uris), [...api.entries.keys()], api.record(old.id).replaced_by], [[old.key, old.key, old.key], [`key/${old.id}`], undefined]);
      assert.deepEqual((await readdir(journal).catch(() => [])).filter((file) => file.endsWith(".json")), []);
    });
  }
});

describe("when a rotation fails", () => {
  const aws = (type) => ({ status: 400, headers: { "Content-Type": "application/x-amz-json-1.1" }, json: { __type: type, message: "no" } });
  /** Manager → how its writes are refused, what is said. */
  const refused = {
    vault: [(call) => (/^POST \/v1\/secret\/data/.test(call) ? { status: 403, json: { errors: ["permission denied"] } } : undefined), /may not do this[\s\S]*give its policy `path/],
    aws: [(call) => (/PutSecretValue/.test(call) ? aws("AccessDeniedException") : undefined), /these credentials may not do this[\s\S]*secretsmanager:PutSecretValue/],
    azure: [(call) => (/^PUT /.test(call) ? refusal(403, "Forbidden", "ForbiddenByRbac") : undefined), /cannot write azure:gate-vault\/\S+: this identity may not do this[\s\S]*Key Vault Secrets Officer/],
  };
  for (const [at, name] of NAMES.entries()) {
    const [refusing, said] = refused[name];
    test(`${name} refuses: what is written is reported, and a resumption does the rest`, async () => {
      const world = await placed();
      const { stderr } = await failing([name], refusing, () => keygate(["rotate", world.old.id, "--remote", ...to(world.uris)], { status: 1 }));
      assert.match(stderr, said);
      assert.match(stderr, new RegExp(`${at} of 3 secret stores hold the new key.*\n help: .*--resume`));
      assert.deepEqual((await held(world.uris)).map((text) => text === world.old.key), NAMES.map((_, place) => place >= at));
      await keygate(["rotate", "--resume"]);
      await assertRotated(world);
    });

    test(`${name} refuses: --undo restores what was written`, async () => {
      const { old, uris } = await placed();
      await failing([name], refusing, () => keygate(["rotate", old.id, "--remote", ...to(uris)], { status: 1 }));
      await keygate(["rotate", "--undo", old.id]);
      assert.deepEqual(await held(uris), [old.key, old.key, old.key]);
      const others = [...api.entries.keys()].filter((key) => key !== `key/${old.id}`).map((key) => api.record(key.slice("key/".length)).state);
      assert.deepEqual([api.record(old.id).replaced_by, others], [undefined, ["revoked"]]);
    });

    test(`somebody writes ${name} meanwhile: their text stays until the old key is restored`, async () => {
      const world = await placed();
      const uri = world.uris[at];
      // The command's look is answered (Key Vault's on the second asking, with a token); the writing looks again.
      const nth = { vault: 2, aws: 1, azure: 3 }[name];
      let looks = 0;
      const look = { vault: /^GET \/v1\/secret\/data/, aws: /DescribeSecret/, azure: /^GET .*\/secrets\// }[name];
      const intrude = async (call) => {
        if (api.entries.size < 2 || !look.test(call)) return;
        looks += 1;
        if (looks === nth) await MANAGERS[name].write(uri, "theirs");
      };
      // Key Vault's stand-in waits for nobody, and is written to at once.
      const fail = name === "azure" ? (call) => void intrude(call) : intrude;
      const { stderr } = await failing([name], fail, () => keygate(["rotate", world.old.id, "--remote", ...to(world.uris)], { status: 1 }));
      assert.match(stderr, /cannot write .*: somebody (wrote|made another version current)/);
      assert.equal((await held([uri]))[0], "theirs");
      const again = await keygate(["rotate", "--resume"], { status: 1 });
      assert.match(again.stderr, /holds neither key .* nor the new one: somebody else writes it/);
      await MANAGERS[name].write(uri, world.old.key);
      await keygate(["rotate", "--resume"]);
      await assertRotated(world);
    });
  }

  function start(world) {
    const child = spawn(KEYGATE, ["rotate", world.old.id, "--remote", ...to(world.uris)], { cwd: gate.folder, env: { ...cleanEnv(), PATH, ...env() }, stdio: ["ignore", "ignore", "pipe"] });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    const ended = new Promise((resolve) => child.once("close", (status, signal) => resolve({ status, signal, stderr })));
    return { kill: () => child.kill("SIGKILL"), ended };
  }

  /** Rotates; kills keygate before or after the n-th call to a manager since the record was written. */
  function killed(world, nth, when) {
    let calls = 0;
    const { kill, ended } = start(world);
    const fail = (_, name) => {
      if (api.entries.size < 2 || (calls += 1) !== nth) return undefined;
      // After a call of Key Vault's is before the next.
      if (when === "after" && name !== "azure") return kill;
      kill();
      return "hang";
    };
    return failing(NAMES, fail, () => ended);
  }

  for (const when of ["before", "after"]) {
    test(`killed ${when} each call to a manager takes effect, every secret store holds a valid key, and a resumption finishes`, { timeout: 600_000 }, async () => {
      for (let nth = 1; nth < MANY; nth += 1) {
        api.entries.clear();
        const world = await placed();
        const { status, signal, stderr } = await killed(world, nth, when);
        try {
          for (const key of new Set(await held(world.uris))) assert.equal(await verify(key), "permitted");
          if (signal === null) {
            assert.equal(status, 0, stderr);
            await assertRotated(world);
            // Two looks, a write and a look for each place, and three looks at the end, at least.
            return assert.ok(nth > 15, `${nth} moments`);
          }
          for (const file of (await readdir(journal)).filter((name) => name.endsWith(".json"))) {
            assert.doesNotMatch(await readFile(path.join(journal, file), "utf8"), /acme_live_|hs256/);
          }
          await keygate(["rotate", "--resume"]);
          await assertRotated(world);
        } catch (error) {
          error.message = `killed at call ${nth}: ${error.message}`;
          throw error;
        }
      }
      return assert.fail("it never ended by itself");
    });
  }

  test("killed between AWS's two calls, with the new key in no other secret store: a resumption replaces the pending version", async () => {
    const world = await placed(["aws"]);
    const name = world.uris[0].slice("aws:".length);
    const { kill, ended } = start(world);
    await failing(["aws"], (call) => (/UpdateSecretVersionStage/.test(call) ? (kill(), "hang") : undefined), () => ended);
    assert.deepEqual(await held(world.uris), [world.old.key]);
    const pending = async () => {
      const { VersionIdsToStages } = await moto.ask("DescribeSecret", { SecretId: name });
      return Object.entries(VersionIdsToStages).filter(([, labels]) => labels.includes("AWSPENDING") && !labels.includes("AWSCURRENT"));
    };
    assert.equal((await pending()).length, 1);
    await keygate(["rotate", "--resume"]);
    await assertRotated(world);
    assert.deepEqual(await pending(), []);
  });
});
