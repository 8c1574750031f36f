// keygate with AWS Secrets Manager, against moto's server.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { Operator } from "./support/cli.js";
import { PEPPER, pepperId } from "./support/keys.js";
import { Moto, REGION } from "./support/moto.js";
import { closedPort } from "./support/origin.js";

const OTHER = "other-pepper-0123456789-abcdefghijklmnopqrstuvwxyz";

let gate;
let moto;
before(async () => ([gate, moto] = await Promise.all([Operator.make(), Moto.start()])));
after(() => Promise.all([gate.remove(), moto.stop()]));

/** A secret that is there: its ARN. */
const secret = async (SecretString, Name = `s-${randomUUID()}`) => (await moto.ask("CreateSecret", { Name, SecretString })).ARN;

async function keygate(args, { env, ...options } = {}) {
  const ran = await gate.keygate(args, { env: { ...moto.env, KEYGATE_PEPPER: PEPPER, HOME: gate.folder, ...env }, ...options });
  for (const canary of [OTHER, moto.env.AWS_SECRET_ACCESS_KEY]) assert.ok(!ran.stderr.includes(canary), ran.stderr);
  return ran;
}

const issueFrom = (uri, options) => keygate(["issue", "--subject", "acme", "--dry-run", "--json", "--pepper-from", uri], options);
const pepperOf = ({ stdout }) => JSON.parse(stdout).entries[0].metadata.pepper;

describe("the pepper is the text of a secret", () => {
  test("of its current version, by name or by ARN", async () => {
    const SecretId = await secret(PEPPER, "pepper");
    await moto.ask("PutSecretValue", { SecretId, SecretString: OTHER });
    await moto.ask("PutSecretValue", { SecretId, SecretString: PEPPER, VersionStages: ["AWSPENDING"] });
    const named = await issueFrom("aws:pepper");
    assert.equal(pepperOf(named), pepperId(OTHER));
    assert.match(named.stderr, /from aws:pepper\n/);
    assert.equal(pepperOf(await issueFrom(`aws:${SecretId}`, { env: { AWS_REGION: "us-east-1" } })), pepperId(OTHER));
  });

  test("asked for with a profile's keys and region", async () => {
    await secret(OTHER, "by-profile");
    const [config, credentials] = [path.join(gate.folder, "aws-config"), path.join(gate.folder, "aws-credentials")];
    await writeFile(config, `[profile ops]\nregion = ${REGION}\nendpoint_url = ${moto.url}\n`);
    await writeFile(credentials, "[ops]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n");
    const none = Object.fromEntries(Object.keys(moto.env).map((name) => [name, undefined]));
    const env = { ...none, AWS_PROFILE: "ops", AWS_CONFIG_FILE: config, AWS_SHARED_CREDENTIALS_FILE: credentials };
    assert.equal(pepperOf(await issueFrom("aws:by-profile", { env })), pepperId(OTHER));
  });
});

describe("each mistake has a message that says what to do", () => {
  before(async () => {
    await moto.ask("CreateSecret", { Name: "empty" });
    await moto.ask("DeleteSecret", { SecretId: await secret(OTHER, "deleted"), RecoveryWindowInDays: 7 });
  });
  const unset = (...names) => Object.fromEntries(names.map((name) => [name, undefined]));
  const mistakes = [
    ["a secret that is not there", "aws:absent", {}, /there is no such secret in eu-central-1.*aws secretsmanager create-secret --region eu-central-1 --name absent/],
    ["a secret in another region", "aws:empty", { env: { AWS_REGION: "us-east-1" } }, /there is no such secret in us-east-1/],
    ["a secret that holds nothing", "aws:empty", {}, /aws:empty holds nothing.*put the text there/],
    ["a secret that is to be deleted", "aws:deleted", {}, /scheduled for deletion.*restore-secret --secret-id deleted/],
    ["no region", "aws:x", { env: unset("AWS_REGION"), status: 2 }, /the AWS region of x is not known.*set AWS_REGION/],
    ["no credentials", "aws:x", { env: unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), status: 2 }, /there are no AWS credentials \(.*aws sso login/],
    ["nobody at the endpoint", "aws:x", { env: { AWS_ENDPOINT_URL: "closed" } }, /AWS Secrets Manager in eu-central-1 cannot be reached.*check the network/],
    ["no TLS at the endpoint", "aws:x", { env: { AWS_ENDPOINT_URL: "tls" } }, /does not prove who it is.*SSL_CERT_FILE/],
    ["an endpoint in the clear", "aws:x", { env: { AWS_ENDPOINT_URL: "http://aws.example.com" } }, /would be sent in the clear.*AWS_ENDPOINT_URL/],
  ];
  for (const [name, uri, { env = {}, status = 1 }, said] of mistakes) {
    test(name, async () => {
      const named = { closed: await closedPort(), tls: moto.url.replace("http:", "https:") }[env.AWS_ENDPOINT_URL];
      const { stdout, stderr } = await issueFrom(uri, { env: { ...env, ...(named && { AWS_ENDPOINT_URL: named }) }, status });
      assert.match(stderr, said);
      assert.equal(stdout, "");
    });
  }
});
