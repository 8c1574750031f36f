// keygate with Azure Key Vault, against a stand-in that Azure's own SDK accepts, too.

import assert from "node:assert/strict";
import { chmod, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { Operator, PATH } from "./support/cli.js";
import { CHINA, CLIENT, CLIENT_SECRET, KeyVault, TENANT, VAULT, refusal } from "./support/key_vault.js";
import { PEPPER, pepperId } from "./support/keys.js";
import { run } from "./support/program.js";
import { pythonWithPackages } from "./support/python.js";

const OTHER = "other-pepper-0123456789-abcdefghijklmnopqrstuvwxyz";
const URI = `azure:${VAULT}/pepper`;

let gate;
let vault;
before(async () => {
  [gate, vault] = await Promise.all([Operator.make(), KeyVault.start()]);
  vault.set("pepper", PEPPER);
  vault.set("pepper", OTHER);
});
after(() => Promise.all([gate.remove(), vault.stop()]));
beforeEach(() => (vault.log.length = vault.grants.length = 0));

/** Issues, without writing anything, with the pepper that is held at the URI. */
async function issueFrom(uri, { env = vault.env, ...options } = {}) {
  const ran = await gate.keygate(["issue", "--subject", "acme", "--dry-run", "--json", "--pepper-from", uri], { env, ...options });
  for (const secret of [OTHER, CLIENT_SECRET]) assert.ok(!ran.stderr.includes(secret), ran.stderr);
  return ran;
}

const pepperOf = ({ stdout }) => JSON.parse(stdout).entries[0].metadata.pepper;

describe("the Key Vault stand-in", () => {
  test("answers Azure's own SDK as Key Vault does, and keygate reads what that wrote", async () => {
    const script = fileURLToPath(new URL("support/key_vault_client.py", import.meta.url));
    const env = { ...process.env, ...vault.env, REQUESTS_CA_BUNDLE: vault.ca };
    const { status, stdout, stderr } = await run(await pythonWithPackages(), [script, `https://${VAULT}.vault.azure.net`, OTHER], { env });
    assert.equal(status, 0, stderr);
    const { version, ...seen } = JSON.parse(stdout);
    assert.match(version, /^[0-9a-f]{32}$/);
    assert.deepEqual(seen, {
      ...{ absent: "SecretNotFound", same: true, tags: { team: "billing" }, deleted: "deleted" },
      conflict: [409, "ObjectIsDeletedButRecoverable"],
    });
    assert.equal(pepperOf(await issueFrom(`azure:${VAULT}/by-sdk`)), pepperId(OTHER));
  });
});

describe("the pepper is the latest version of a secret", () => {
  test("of a vault that is named, in the public cloud", async () => {
    const named = await issueFrom(URI);
    assert.equal(pepperOf(named), pepperId(OTHER));
    assert.match(named.stderr, /from azure:gate-vault\/pepper\n/);
    assert.deepEqual(vault.grants, ["client secret"]);
    // Unauthorized first: what the token has to be for is learnt from the vault, and checked.
    const asked = `GET ${VAULT}.vault.azure.net/secrets/pepper/`;
    assert.deepEqual(vault.log, [asked, `POST login.microsoftonline.com/${TENANT}/oauth2/v2.0/token`, asked]);
  });

  test("of a vault in another cloud, by its whole host", async () => {
    const env = { ...vault.env, AZURE_AUTHORITY_HOST: `https://${CHINA.signIn}` };
    assert.equal(pepperOf(await issueFrom(`azure:${CHINA.vault}/pepper`, { env })), pepperId(OTHER));
    assert.ok(vault.log.every((call) => !call.includes("microsoftonline")), vault.log.join("\n"));
  });
});

describe("the caller is", () => {
  test("a workload's token file", async () => {
    const file = path.join(gate.folder, "federated-token");
    await writeFile(file, "header.claims.signature");
    const env = { ...vault.env, AZURE_CLIENT_SECRET: "", AZURE_FEDERATED_TOKEN_FILE: file };
    assert.equal(pepperOf(await issueFrom(URI, { env })), pepperId(OTHER));
    assert.deepEqual(vault.grants, ["assertion header.claims.signature"]);
  });

  test("a managed identity", async () => {
    const env = { ...vault.network, AZURE_CLIENT_ID: CLIENT, IDENTITY_ENDPOINT: `${vault.url}/msi/token`, IDENTITY_HEADER: CLIENT_SECRET };
    assert.equal(pepperOf(await issueFrom(URI, { env })), pepperId(OTHER));
    assert.deepEqual(vault.grants, [`managed identity ${CLIENT}`]);
  });

  test("the login of Azure's command line", async () => {
    const az = path.join(gate.folder, "az");
    const answer = { accessToken: "e2e-access-token-9xLr2K7hVbT1mWcZk3vQ", expires_on: Math.floor(Date.now() / 1000) + 3600, tokenType: "Bearer" };
    await writeFile(az, `#!/bin/sh\necho "$@" > '${az}.args'\ncat <<'E'\n${JSON.stringify(answer)}\nE\n`);
    await chmod(az, 0o700);
    const env = { ...vault.network, AZURE_TOKEN_CREDENTIALS: "AzureCliCredential", PATH: `${gate.folder}:${PATH}` };
    assert.equal(pepperOf(await issueFrom(URI, { env })), pepperId(OTHER));
    assert.deepEqual(vault.grants, []);
    await writeFile(az, "#!/bin/sh\necho 'ERROR: Please run az login to setup account.' >&2\nexit 1\n");
    const { stderr } = await issueFrom(URI, { env, status: 1 });
    assert.match(stderr, /there is no token from Azure \(.*az login.*run `az login`/);
  });
});

describe("each mistake has a message that says what to do", () => {
  const of = (part, answer) => (call) => (call.includes(part) ? answer : undefined);
  const mistakes = [
    ["a wrong client secret", { env: { AZURE_CLIENT_SECRET: "wrong" } }, /there is no token from Azure \(.*AADSTS7000215.*a client secret expires/],
    ["a client secret without its tenant", { env: { AZURE_TENANT_ID: "" }, status: 2 }, /AZURE_CLIENT_SECRET needs AZURE_TENANT_ID beside it.*set AZURE_TENANT_ID/],
    ["a kind of credential that there is not", { env: { AZURE_TOKEN_CREDENTIALS: "Browser" }, status: 2 }, /names no kind of credential.*AzureCliCredential/],
    ["a sign-in in the clear", { env: { AZURE_AUTHORITY_HOST: "http://login.example.com" }, status: 2 }, /credential cannot be used.*AZURE_AUTHORITY_HOST/],
    ["a secret that is not there", { uri: `azure:${VAULT}/absent` }, /azure:gate-vault\/absent holds nothing.*put the text there/],
    ["a name that cannot be", { uri: "azure:gate_vault/pepper", status: 2 }, /the vault's name has letters.*its whole host/],
    ["a vault that cannot be reached", { uri: "azure:other-vault/pepper" }, /other-vault\.vault\.azure\.net .*check /],
    ["no permission", { fail: of("/secrets/", refusal(403, "Forbidden", "ForbiddenByRbac")) }, /this identity may not do this \(status 403, Forbidden, ForbiddenByRbac.*Key Vault Secrets User/],
    ["the vault's firewall", { fail: of("/secrets/", refusal(403, "Forbidden", "ForbiddenByFirewall")) }, /the vault's firewall.*add its network/],
    ["a server of something else", { fail: of("/secrets/", { text: "<html>" }) }, /is not one of Key Vault.*HTTPS_PROXY/],
    ["an answer of two megabytes", { fail: of("/secrets/", { text: "x".repeat(2e6) }) }, /is not one of Key Vault/],
    ["a connection that breaks", { fail: of("/secrets/", "reset") }, /cannot be reached.*check the network/],
    ["a sign-in that breaks", { fail: of("/oauth2/", "reset") }, /the Azure sign-in cannot be reached/],
    ["a server that fails", { fail: of("/secrets/", refusal(500, "InternalServerError")) }, /Key Vault fails \(status 500.*azure\.status/],
  ];
  for (const [name, { uri = URI, env = {}, fail, status = 1 }, said] of mistakes) {
    test(name, async () => {
      const ask = () => issueFrom(uri, { env: { ...vault.env, ...env }, status });
      const { stdout, stderr } = await (fail ? vault.failing(fail, ask) : ask());
      assert.match(stderr, said);
      assert.equal(stdout, "");
    });
  }

  test("a disabled version", async () => {
    vault.set("off", OTHER, { attributes: { enabled: false } });
    const { stderr } = await issueFrom(`azure:${VAULT}/off`, { status: 1 });
    assert.match(stderr, /its latest version is disabled.*az keyvault secret set-attributes --vault-name gate-vault --name off --enabled true/);
  });

  test("a CA that is not trusted: no token is asked for", async () => {
    const { stderr } = await issueFrom(URI, { env: { ...vault.env, SSL_CERT_FILE: "" }, status: 1 });
    assert.match(stderr, /does not prove who it is.*SSL_CERT_FILE/);
    assert.deepEqual(vault.log, []);
  });

  test("a transient failure is retried", async () => {
    let failed = 0;
    const once = (call) => (call.includes("/secrets/") && failed++ === 0 ? refusal(503, "Unavailable") : undefined);
    assert.equal(pepperOf(await vault.failing(once, () => issueFrom(URI))), pepperId(OTHER));
  });
});
