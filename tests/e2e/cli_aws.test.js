// keygate with AWS Secrets Manager, against moto's server; its records are in a deployed namespace.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { Operator, keyIn } from "./support/cli.js";
import { Cloudflare, refuse } from "./support/cloudflare.js";
import { PEPPER, digestOf, now, pepperId } from "./support/keys.js";
import { Moto, REGION } from "./support/moto.js";
import { closedPort } from "./support/origin.js";

const OTHER = "other-pepper-0123456789-abcdefghijklmnopqrstuvwxyz";

let gate;
let moto;
let api;
before(async () => ([gate, moto, api] = await Promise.all([Operator.make(), Moto.start(), Cloudflare.start()])));
after(() => Promise.all([gate.remove(), moto.stop(), api.stop()]));

/** A secret that is there: its ARN. */
const secret = async (SecretString, Name = `s-${randomUUID()}`) => (await moto.ask("CreateSecret", { Name, SecretString })).ARN;

async function keygate(args, { env, ...options } = {}) {
  const ran = await gate.keygate(args, { env: { ...moto.env, ...api.env, KEYGATE_PEPPER: PEPPER, HOME: gate.folder, ...env }, ...options });
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
    ["an endpoint in the clear", "aws:x", { env: { AWS_ENDPOINT_URL: "http://aws.example.com" } }, /did not answer as HTTP wants it.*AWS_ENDPOINT_URL/],
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

describe("a rotation in AWS's four steps", () => {
  const issue = async (...args) => keyIn((await keygate(["issue", "--remote", "--subject", "acme", "--scope", "a", ...args])).stdout);

  /** A key, the secret that holds it, and a rotation that was begun. */
  async function begun(...args) {
    const old = await issue(...args);
    const SecretId = await secret(`${old.key}\n`);
    return { old, SecretId, token: await moto.beginRotation(SecretId) };
  }

  const step = async (name, { SecretId, token }, args = [], options = {}) => {
    const ran = await keygate(["aws-rotation-step", "--step", name, "--secret-id", SecretId, "--token", token, "--remote", "--json", ...args], options);
    assert.doesNotMatch(ran.stdout, /acme_\w+_[0-9A-Za-z]{50}/, "a key on standard output");
    return ran.stdout === "" ? ran : JSON.parse(ran.stdout);
  };
  const pending = async ({ SecretId, token }) =>
    (await moto.ask("GetSecretValue", { SecretId, VersionId: token, VersionStage: "AWSPENDING" })).SecretString;

  test("hands the secret's readers a new key without a gap; every step may be repeated", async () => {
    const rotation = await begun("--expires", "90d");
    const { old, SecretId, token } = rotation;

    const made = await step("createSecret", rotation);
    const key = await pending(rotation);
    assert.deepEqual(made, { step: "createSecret", already: false, id: keyIn(`${key}\n`).id, replaces: old.id, old_not_after: null });
    assert.deepEqual(await step("createSecret", rotation), { ...made, already: true });
    assert.equal(await pending(rotation), key);
    assert.ok(!api.entries.has(`key/${made.id}`), "no record yet");

    assert.deepEqual(await step("setSecret", rotation), { ...made, step: "setSecret" });
    const record = api.record(made.id);
    assert.deepEqual([record.digest, record.replaces, record.scopes, record.subject], [digestOf(PEPPER, key), old.id, ["a"], "acme"]);
    assert.ok(record.not_after > now() + 89 * 86400);
    assert.deepEqual(await step("setSecret", rotation), { ...made, step: "setSecret", already: true });
    assert.equal(api.metadata(made.id).rev, 1, "written once");

    assert.equal((await step("testSecret", rotation)).id, made.id);
    assert.equal(await moto.current(SecretId), `${old.key}\n`, "readers have the old key until the end");
    assert.equal(api.record(old.id).replaced_by, null);

    const finished = await step("finishSecret", rotation, ["--grace", "7d"]);
    assert.deepEqual([finished.already, finished.replaces], [false, old.id]);
    assert.equal(await moto.current(SecretId), key);
    assert.deepEqual((await moto.labels(SecretId))[token].toSorted(), ["AWSCURRENT", "AWSPENDING"]);
    assert.equal(api.record(old.id).replaced_by, made.id);
    assert.equal(api.record(old.id).not_after, finished.old_not_after);
    assert.ok(Math.abs(finished.old_not_after - now() - 7 * 86400) < 60);
    for (const name of ["createSecret", "setSecret", "testSecret"]) {
      assert.deepEqual(await step(name, rotation), { ...made, step: name, already: true, replaces: null });
    }
    assert.deepEqual(await step("finishSecret", rotation), { ...finished, already: true });
    assert.equal(api.metadata(old.id).rev, 2, "ended once");

    const judged = await keygate(["verify", "--remote", "--path", "/"], { input: `${key}\n` });
    assert.match(judged.stdout, /permitted/);
  });

  test("an interrupted last step is completed by running it again", async () => {
    const rotation = await begun();
    for (const name of ["createSecret", "setSecret"]) await step(name, rotation);
    const fail = (call) => (call === "PUT /bulk" ? refuse(403) : undefined);
    const { stderr } = await api.failing(fail, () => step("finishSecret", rotation, [], { status: 1 }));
    assert.match(stderr, /is AWSCURRENT, and the old key .* still has no new end.*then run this step again/);
    assert.equal(await moto.current(rotation.SecretId), (await moto.ask("GetSecretValue", { SecretId: rotation.SecretId, VersionId: rotation.token })).SecretString);
    assert.equal(api.record(rotation.old.id).not_after, null);
    const finished = await step("finishSecret", rotation);
    assert.equal(finished.already, false);
    assert.equal(api.record(rotation.old.id).not_after, finished.old_not_after);
  });

  test("an old key that was revoked meanwhile stays revoked", async () => {
    const rotation = await begun();
    for (const name of ["createSecret", "setSecret"]) await step(name, rotation);
    await keygate(["revoke", rotation.old.id, "--remote"]);
    assert.equal((await step("finishSecret", rotation)).old_not_after, null);
    assert.equal(api.record(rotation.old.id).state, "revoked");
    assert.match(await moto.current(rotation.SecretId), /^acme_live_/);
  });

  test("a secret that holds no key yet needs --key", async () => {
    const old = await issue();
    const SecretId = await secret("to be replaced");
    const rotation = { old, SecretId, token: await moto.beginRotation(SecretId) };
    const { stderr } = await step("createSecret", rotation, [], { status: 1 });
    assert.match(stderr, /the secret holds no key.*--key ID/);
    assert.equal((await step("createSecret", rotation, ["--key", old.id])).replaces, old.id);
  });

  test("a key of another system is replaced as well", async () => {
    const foreign = "f3a1c9".repeat(3) + randomUUID().replaceAll("-", "");
    const { stdout } = await keygate(["issue", "--remote", "--subject", "acme", "--import-stdin"], { input: foreign });
    const SecretId = await secret(foreign);
    const rotation = { SecretId, token: await moto.beginRotation(SecretId) };
    for (const name of ["createSecret", "setSecret", "testSecret", "finishSecret"]) {
      const done = await step(name, rotation);
      assert.equal(done.replaces, stdout.trim(), name);
    }
    assert.match(await moto.current(SecretId), /^acme_live_/);
  });

  describe("refuses", () => {
    let rotation;
    before(async () => (rotation = await begun()));

    const refusals = [
      ["a token that the secret does not know", "createSecret", { token: randomUUID() }, /no version of this token.*ClientRequestToken/],
      ["a secret that is not there", "createSecret", { SecretId: "absent" }, /there is no such secret/],
      ["to write the record of a key that was not made", "setSecret", {}, /holds nothing yet.*createSecret first/],
      ["to test it", "testSecret", {}, /holds nothing yet.*createSecret first/],
      ["to finish with it", "finishSecret", {}, /holds nothing yet.*createSecret first/],
    ];
    for (const [name, which, own, said] of refusals) {
      test(name, async () => {
        const { stderr } = await step(which, { ...rotation, ...own }, [], { status: 1 });
        assert.match(stderr, said);
      });
    }

    test("a step that AWS does not have", async () => {
      const args = ["aws-rotation-step", "--step", "dropSecret", "--secret-id", "x", "--token", "x"];
      assert.match((await keygate(args, { status: 2 })).stderr, /createSecret, setSecret, testSecret, finishSecret/);
    });

    test("a secret whose rotation is not turned on", async () => {
      const SecretId = await secret("x");
      const [token] = Object.keys(await moto.labels(SecretId));
      const { stderr } = await step("createSecret", { SecretId, token }, [], { status: 1 });
      assert.match(stderr, /rotation is not turned on.*keygate rotate/);
    });

    test("a version that is no longer pending", async () => {
      const overtaken = await begun();
      await moto.beginRotation(overtaken.SecretId);
      const { stderr } = await step("createSecret", overtaken, [], { status: 1 });
      assert.match(stderr, /is not AWSPENDING.*another rotation has begun/);
    });

    test("a key that is not in use, before a new one is made", async () => {
      const revoked = await begun();
      await keygate(["revoke", revoked.old.id, "--remote"]);
      const { stderr } = await step("createSecret", revoked, [], { status: 1 });
      assert.match(stderr, /is revoked; a key that is not in use is not rotated/);
      await assert.rejects(pending(revoked), /find the specified secret value/);
    });

    test("another key than the one that the secret holds", async () => {
      const { id } = await issue();
      const { stderr } = await step("createSecret", rotation, ["--key", id], { status: 2 });
      assert.match(stderr, new RegExp(`the secret holds the key ${rotation.old.id}, not ${id}`));
    });

    test("to write or test with another pepper, and to make current what has no record", async () => {
      const started = await begun();
      const { id } = await step("createSecret", started);
      const other = { status: 1, env: { KEYGATE_PEPPER: OTHER } };
      assert.match((await step("setSecret", started, [], other)).stderr, /made with another pepper.*that createSecret was given/);
      assert.match((await step("testSecret", started, [], { status: 1 })).stderr, new RegExp(`there is no key ${id}`));
      assert.match((await step("finishSecret", started, [], { status: 1 })).stderr, new RegExp(`there is no key ${id}`));
      assert.equal(await moto.current(started.SecretId), `${started.old.key}\n`);
      await step("setSecret", started);
      assert.match((await step("testSecret", started, [], other)).stderr, /depends on another pepper/);
      await keygate(["disable", id, "--remote"]);
      for (const name of ["testSecret", "finishSecret"]) {
        assert.match((await step(name, started, [], { status: 1 })).stderr, new RegExp(`the new key ${id} is disabled`));
      }
      assert.equal(await moto.current(started.SecretId), `${started.old.key}\n`);
    });
  });
});
