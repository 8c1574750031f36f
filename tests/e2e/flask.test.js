// The example, as a user runs it: an unchanged Flask API behind the gate, and a client with requests.

import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";

import { assertRefusal } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { closedPort } from "./support/origin.js";
import { run } from "./support/program.js";
import { FLASK_EXAMPLE, pythonWithPackages } from "./support/python.js";
import { readRecipe } from "./support/recipes.js";
import { startServer } from "./support/servers.js";

const { ROUTES } = (await readRecipe("flask")).settings.vars;
const python = await pythonWithPackages();
const ORIGIN = await startServer("example");
const harness = await startGates(() => ({
  gate: { vars: { ORIGIN, ROUTES } },
  limited: {
    vars: { ORIGIN, ROUTES, PLANS: { tiny: { rate: { limiter: "TINY", period: 60 } }, daily: { quota: { limit: 1, period: "day" } } } },
    limiters: { TINY: { limit: 1, period: 60 } },
    quota: true,
  },
  broken: { vars: { ORIGIN, ROUTES }, secrets: { PEPPER: "" } },
}));
const { gate } = harness.gates;
const full = await harness.issue({ scopes: ["reports:read", "reports:write"] });

describe("the API behind the gate:", () => {
  test("its health is public", async () => {
    const answer = await gate.get("/healthz");
    assert.deepEqual(answer.json, { status: "ok" });
  });

  test("without a key there are no reports, and no users", async () => {
    assertRefusal(await gate.get("/v1/reports"), "credential_missing");
    assertRefusal(await gate.get("/admin/users"), "credential_missing");
  });

  test("with a key the reports come, and Flask knows who asked", async () => {
    const answer = await gate.get("/v1/reports", { key: full.key, headers: { "X-Keygate-Subject": "root" } });
    assert.equal(answer.status, 200);
    assert.equal(answer.json.caller, "acme");
  });

  test("its own 404 and 400 reach the client", async () => {
    assert.equal((await gate.get("/v1/reports/99", { key: full.key })).json.error, "no such report");
    const bad = await gate.send({ method: "POST", target: "/v1/reports", key: full.key, body: "{}" });
    assert.equal(bad.status, 400);
  });

  test("a key that may only read cannot add", async () => {
    const reader = await harness.issue({ scopes: ["reports:read"] });
    const headers = { "Content-Type": "application/json" };
    const answer = await gate.send({ method: "POST", target: "/v1/reports", key: reader.key, headers, body: '{"title":"x"}' });
    assert.equal(answer.json.code, "scope_missing");
    assert.match(answer.header("www-authenticate"), /scope="reports:write"/);
  });
});

/** Runs client.py, and holds that it never shows the key. */
async function client(args, { key, url = gate.url } = {}) {
  const { API_KEY: _, API_URL: __, ...inherited } = process.env;
  const env = { ...inherited, API_URL: url, ...(key === undefined ? {} : { API_KEY: key }) };
  const result = await run(python, [path.join(FLASK_EXAMPLE, "client.py"), ...args], { env });
  if (key) assert.ok(!`${result.stdout}${result.stderr}`.includes(key), "the client shows the key");
  return result;
}

describe("the client:", () => {
  test("lists the reports", async () => {
    const { status, stdout } = await client([], { key: full.key });
    assert.equal(status, 0);
    assert.equal(JSON.parse(stdout).caller, "acme");
  });

  test("adds a report in the name of the key's subject", async () => {
    const { status, stdout } = await client(["Sales, März"], { key: full.key });
    assert.equal(status, 0);
    const { title, created_by: createdBy } = JSON.parse(stdout);
    assert.deepEqual([title, createdBy], ["Sales, März", "acme"]);
  });

  for (const [name, key] of [["is not set", undefined], ["is empty", ""], ["is blank", "  "]]) {
    test(`when API_KEY ${name}, says so in one line and ends with 2`, async () => {
      const { status, stdout, stderr } = await client([], { key });
      assert.equal(status, 2);
      assert.equal(stdout, "");
      assert.match(stderr, /^client\.py: API_KEY is not set; .*export API_KEY=.*\n$/);
    });
  }

  for (const [name, key] of [["a line break", "acme_live_abc\ndef"], ["a dash of a word processor", "acme_live–abc"]]) {
    test(`when API_KEY holds ${name}, says so in one line and ends with 2`, async () => {
      const { status, stderr } = await client([], { key });
      assert.equal(status, 2);
      assert.match(stderr, /^client\.py: API_KEY holds a character that no key has; .*\n$/);
    });
  }

  const failures = [
    ["401", /401 key_invalid: .*copied whole/, async () => ({ key: `${full.key.slice(0, -1)}!` })],
    ["403", /403 scope_missing: /, async () => ({ key: full.key, args: ["--path", "/admin/users"] })],
    ["503", /503 gate_misconfigured: .*Try again in \d+ s\./, async () => ({ key: full.key, url: harness.gates.broken.url })],
    ["a 404 of the API", /answered 404/, async () => ({ key: full.key, args: ["--path", "/v1/reports/99"] })],
    ["an API that is not there", /cannot reach .*API_URL/, async () => ({ key: full.key, url: await closedPort() })],
  ];
  for (const [name, expected, prepare] of failures) {
    test(`explains ${name} in one line and ends with 1`, async () => {
      const { args = [], ...options } = await prepare();
      const { status, stdout, stderr } = await client(args, options);
      assert.equal(status, 1);
      assert.equal(stdout, "");
      assert.match(stderr, expected);
      assert.equal(stderr.trim().split("\n").length, 1);
    });
  }

  test("explains 429 with the time to wait", async () => {
    const limited = await harness.issue({ scopes: ["reports:read"], plan: "tiny" });
    const options = { key: limited.key, url: harness.gates.limited.url };
    let result;
    // The limiter's window may turn between two requests, so not exactly the second one.
    for (let n = 0; n < 5 && result?.status !== 1; n++) result = await client([], options);
    assert.match(result.stderr, /429 rate_limited: .*Try again in \d+ s\./);
  });

  test("explains an exceeded quota, and requests has the headers of it", async () => {
    const { key } = await harness.issue({ subject: "daily", scopes: ["reports:read"], plan: "daily" });
    const { url } = harness.gates.limited;
    const script = "import os, requests; print(*(requests.get(os.environ['API_URL'] + '/v1/reports', headers={'X-API-Key': os.environ['API_KEY']}, timeout=30).headers[n] for n in ('RateLimit-Policy', 'RateLimit')))";
    const { stdout } = await run(python, ["-c", script], { env: { ...process.env, API_URL: url, API_KEY: key } });
    assert.match(stdout, /^"plan";q=1;w=86400 "plan";r=0;t=\d+\n$/);
    const result = await client([], { key, url });
    assert.match(result.stderr, /429 quota_exceeded: .*Try again in \d+ s\./);
  });
});
