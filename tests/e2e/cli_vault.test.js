// keygate with HashiCorp Vault's protocol, against a real OpenBao.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { Operator } from "./support/cli.js";
import { PEPPER, pepperId } from "./support/keys.js";
import { OpenBao, ROOT_TOKEN } from "./support/openbao.js";
import { closedPort } from "./support/origin.js";

const OTHER = "other-pepper-0123456789-abcdefghijklmnopqrstuvwxyz";
const READER = `path "secret/data/gate" { capabilities = ["read"] }`;

let gate;
let bao;
let secure;
before(async () => {
  [gate, bao, secure] = await Promise.all([Operator.make(), OpenBao.start(), OpenBao.start({ tls: true })]);
  for (const server of [bao, secure]) await server.put("gate", { pepper: OTHER, previous: PEPPER, number: 7 });
});
after(() => Promise.all([gate.remove(), bao.stop(), secure.stop()]));

/** Issues, without writing anything, with the pepper that is held at the URI. */
async function issueFrom(uri, { env, ...options } = {}) {
  const from = uri === undefined ? [] : ["--pepper-from", uri];
  const ran = await gate.keygate(["issue", "--subject", "acme", "--dry-run", "--json", ...from], { env: { ...bao.env, ...env }, ...options });
  for (const secret of [OTHER, ROOT_TOKEN]) assert.ok(!ran.stderr.includes(secret), ran.stderr);
  return ran;
}

/** The pepper that a dry run made its key with. */
const pepperOf = ({ stdout }) => JSON.parse(stdout).entries[0].metadata.pepper;

describe("the pepper comes from a field of a secret", () => {
  test("named by the option, or by the variable", async () => {
    const uri = "vault:secret/gate#pepper";
    const named = await issueFrom(uri);
    assert.equal(pepperOf(named), pepperId(OTHER));
    assert.match(named.stderr, /from vault:secret\/gate#pepper\n/);
    assert.equal(pepperOf(await issueFrom(undefined, { env: { KEYGATE_PEPPER_FROM: uri } })), pepperId(OTHER));
  });

  test("the previous pepper as well", async () => {
    const { key } = await gate.issue("--subject", "acme");
    const judged = (previous) =>
      gate.keygate(["verify", "--pepper-from", "vault:secret/gate#pepper"], {
        ...{ input: `${key}\n`, status: previous === undefined ? 1 : 0 },
        env: { ...bao.env, KEYGATE_PEPPER_PREVIOUS_FROM: previous ?? "" },
      });
    assert.match((await judged()).stdout, /key_invalid/);
    assert.match((await judged("vault:secret/gate#previous")).stdout, /permitted/);
  });

  test("a pepper that is named twice is refused", async () => {
    const { stderr } = await issueFrom(undefined, { env: { KEYGATE_PEPPER: PEPPER, KEYGATE_PEPPER_FROM: "vault:secret/gate#pepper" }, status: 2 });
    assert.match(stderr, /KEYGATE_PEPPER and KEYGATE_PEPPER_FROM are both set/);
  });

  test("an older version is not read, and a deleted one holds nothing", async () => {
    await bao.put("turned", { pepper: PEPPER });
    await bao.put("turned", { pepper: OTHER });
    assert.equal(pepperOf(await issueFrom("vault:secret/turned#pepper")), pepperId(OTHER));
    await bao.ask("DELETE", "secret/data/turned");
    assert.match((await issueFrom("vault:secret/turned#pepper", { status: 1 })).stderr, /holds nothing/);
    await bao.ask("PUT", "secret/destroy/turned", { versions: [2] });
    assert.match((await issueFrom("vault:secret/turned#pepper", { status: 1 })).stderr, /holds nothing/);
  });

  test("an engine may be mounted below several segments", async () => {
    await bao.ask("POST", "sys/mounts/team/a/kv", { type: "kv", options: { version: "2" } });
    await bao.ask("POST", "team/a/kv/data/apps/gate", { data: { pepper: OTHER } });
    assert.equal(pepperOf(await issueFrom("vault:team/a/kv/apps/gate#pepper")), pepperId(OTHER));
  });
});

describe("the caller is", () => {
  test("a token that may read this secret alone is enough", async () => {
    const VAULT_TOKEN = await bao.token(READER);
    assert.equal(pepperOf(await issueFrom("vault:secret/gate#pepper", { env: { VAULT_TOKEN } })), pepperId(OTHER));
  });

  test("OpenBao's own variables come before Vault's", async () => {
    const env = { BAO_ADDR: bao.url, BAO_TOKEN: ROOT_TOKEN, VAULT_ADDR: "https://vault.invalid", VAULT_TOKEN: "wrong" };
    assert.equal(pepperOf(await issueFrom("vault:secret/gate#pepper", { env })), pepperId(OTHER));
  });

  test("the token that `login` left is used", async () => {
    await writeFile(path.join(gate.folder, ".vault-token"), await bao.token(READER));
    const env = { VAULT_TOKEN: "", HOME: gate.folder };
    assert.equal(pepperOf(await issueFrom("vault:secret/gate#pepper", { env })), pepperId(OTHER));
  });

  for (const [mount, variables] of [["approle", {}], ["ci", { VAULT_APPROLE_PATH: "ci" }]]) {
    test(`an AppRole logs in at auth/${mount}, once for both peppers`, async () => {
      await bao.ask("POST", `sys/auth/${mount}`, { type: "approle" });
      await bao.ask("PUT", `sys/policies/acl/${mount}`, { policy: READER });
      await bao.ask("POST", `auth/${mount}/role/gate`, { token_policies: [mount], secret_id_num_uses: 1 });
      const { role_id: VAULT_ROLE_ID } = await bao.ask("GET", `auth/${mount}/role/gate/role-id`);
      const { secret_id: VAULT_SECRET_ID } = await bao.ask("POST", `auth/${mount}/role/gate/secret-id`);
      const env = { VAULT_TOKEN: "", VAULT_ROLE_ID, VAULT_SECRET_ID, KEYGATE_PEPPER_PREVIOUS_FROM: "vault:secret/gate#previous", ...variables };
      const { key } = await gate.issue("--subject", "acme");
      await gate.keygate(["verify", "--pepper-from", "vault:secret/gate#pepper"], { input: key, env: { ...bao.env, ...env } });
      const { stderr } = await issueFrom("vault:secret/gate#pepper", { env, status: 1 });
      assert.match(stderr, /cannot log in to Vault by AppRole: it was refused \(status 400.*VAULT_SECRET_ID/);
      assert.ok(!stderr.includes(VAULT_SECRET_ID), stderr);
    });
  }

  test("a namespace is asked in", async () => {
    await bao.ask("POST", "sys/namespaces/team1", {});
    const env = { VAULT_NAMESPACE: "team1" };
    assert.match((await issueFrom("vault:secret/gate#pepper", { env, status: 1 })).stderr, /no KV version 2 engine at secret\//);
    await bao.ask("POST", "team1/sys/mounts/secret", { type: "kv", options: { version: "2" } });
    await bao.ask("POST", "team1/secret/data/gate", { data: { pepper: PEPPER } });
    assert.equal(pepperOf(await issueFrom("vault:secret/gate#pepper", { env })), pepperId(PEPPER));
  });
});

describe("TLS", () => {
  test("a certificate of the server's own CA is taken where VAULT_CACERT names it", async () => {
    const env = { ...secure.env, VAULT_CACERT: secure.cacert };
    assert.equal(pepperOf(await issueFrom("vault:secret/gate#pepper", { env })), pepperId(OTHER));
  });

  test("else the server is not trusted and gets no token", async () => {
    const { stderr } = await issueFrom("vault:secret/gate#pepper", { env: secure.env, status: 1 });
    assert.match(stderr, /does not prove who it is.*UnknownIssuer.*SSL_CERT_FILE, or VAULT_CACERT/);
  });
});

describe("each mistake has a message that says what to do", () => {
  let denied;
  let noDefault;
  before(async () => {
    await bao.ask("POST", "sys/mounts/old", { type: "kv", options: { version: "1" } });
    denied = await bao.token(`path "secret/data/other" { capabilities = ["read"] }`);
    const auth = await bao.ask("POST", "auth/token/create", { policies: ["none"], no_default_policy: true });
    noDefault = auth.client_token;
  });
  const mistakes = [
    ["no address", { env: { VAULT_ADDR: "" }, status: 2 }, /VAULT_ADDR is not set.*set VAULT_ADDR/],
    ["an address in the clear", { env: { VAULT_ADDR: "http://vault.example.com" }, status: 2 }, /VAULT_ADDR is not an address.*https:/],
    ["nobody at the address", { env: { VAULT_ADDR: "closed" } }, /cannot be reached.*check the network/],
    ["no TLS at the address", { env: { VAULT_ADDR: "tls" } }, /does not prove who it is.*VAULT_CACERT/],
    ["no token", { env: { VAULT_TOKEN: "" }, status: 2 }, /nothing to show Vault who asks.*set VAULT_TOKEN/],
    ["a wrong token", { env: { VAULT_TOKEN: "hvs.wrong" } }, /does not know the token from VAULT_TOKEN \(status 403.*log in again/],
    ["a token without permission", { token: () => denied }, /the token from VAULT_TOKEN may not do this.*path \\"secret\/data\/gate\\"/],
    ["a token that may nothing at all", { token: () => noDefault }, /does not know the token.*status 403/],
    ["a field that is not there", { uri: "vault:secret/gate#absent" }, /vault:secret\/gate#absent holds nothing.*put the text there/],
    ["a secret that is not there", { uri: "vault:secret/absent#pepper" }, /holds nothing/],
    ["a field that is not a string", { uri: "vault:secret/gate#number" }, /the field is no text.*JSON string/],
    ["an engine that is not there", { uri: "vault:absent/gate#pepper" }, /no KV version 2 engine at absent\/.*vault secrets list/],
    ["an engine of version 1", { uri: "vault:old/gate#pepper" }, /an engine of type kv version 1.*vault secrets list -detailed/],
    ["an engine of another kind", { uri: "vault:sys/gate#pepper" }, /an engine of type system/],
    ["a URI without a field", { uri: "vault:gate", status: 2 }, /--pepper-from: this names no secret store.*use vault:MOUNT\/PATH#FIELD/],
  ];
  for (const [name, { uri = "vault:secret/gate#pepper", env = {}, token, status = 1 }, said] of mistakes) {
    test(name, async () => {
      const named = { closed: await closedPort(), tls: bao.url.replace("http:", "https:") }[env.VAULT_ADDR];
      const own = { ...env, ...(named && { VAULT_ADDR: named }), ...(token && { VAULT_TOKEN: token() }) };
      const { stdout, stderr } = await issueFrom(uri, { env: own, status });
      assert.match(stderr, said);
      assert.equal(stdout, "");
    });
  }

  test("a server that is sealed", async () => {
    const sealed = await OpenBao.start();
    try {
      await sealed.ask("PUT", "sys/seal");
      const { stderr } = await issueFrom("vault:secret/gate#pepper", { env: sealed.env, status: 1 });
      assert.match(stderr, /it is sealed, or not ready \(status 503.*unseal it/);
    } finally {
      await sealed.stop();
    }
  });
});
