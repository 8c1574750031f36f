// ERROR_FORMAT = "openai": the SDKs of OpenAI and Stripe read the code and the message of a refusal.

import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";

import { assertRefused } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { makeKey, now } from "./support/keys.js";
import { run } from "./support/program.js";
import { ROOT } from "./support/project.js";
import { pythonWithPackages } from "./support/python.js";

const CLIENT = path.join(ROOT, "tests", "e2e", "clients", "sdk_errors.py");

const python = await pythonWithPackages();
const harness = await startGates(() => ({ gate: { vars: { ERROR_FORMAT: "openai" } }, problem: {} }));
const { gate, problem } = harness.gates;

test("the body is an error object, and status and headers are those of a problem", async () => {
  for (const [request, kind] of [
    [{ target: "/v1/things" }, "authentication_error"],
    [{ target: "/closed/x" }, "permission_error"],
    [{ target: "/v1/%2f" }, "invalid_request_error"],
  ]) {
    const [answer, other] = [await gate.send(request), await problem.send(request)];
    assert.equal(answer.status, other.status);
    assert.equal(answer.header("content-type"), "application/json");
    for (const header of ["cache-control", "www-authenticate"]) assert.equal(answer.header(header), other.header(header));
    const { detail, code } = other.json;
    const { request_id: id, ...body } = answer.json;
    assert.match(id, /./);
    assert.deepEqual(body, { error: { message: detail, type: kind, code, param: null } });
  }
});

describe("the SDK's exception has code and message:", () => {
  const rows = [
    ["key_invalid", async () => makeKey(), 401, "AuthenticationError"],
    ["key_expired", () => harness.issue({ not_after: now() - 1 }), 401, "AuthenticationError"],
    ["ip_not_allowed", () => harness.issue({ ips: ["198.51.100.0/24"] }), 403, "PermissionDeniedError"],
  ];
  for (const [code, make, status, openaiClass] of rows) {
    test(code, async () => {
      const { key } = await make();
      const { answer } = await assertRefused(problem, { target: "/v1/models", key }, code);
      const message = answer.json.detail;
      const { NO_PROXY: _, ...inherited } = process.env;
      const env = { ...inherited, NO_PROXY: "*", API_URL: gate.url, API_KEY: key };
      const result = await run(python, [CLIENT], { env });
      assert.equal(result.status, 0, result.stderr);
      const { openai, stripe } = JSON.parse(result.stdout);
      const type = status === 401 ? "authentication_error" : "permission_error";
      assert.deepEqual(openai, { class: openaiClass, status, code, type, message });
      assert.deepEqual(stripe, { class: status === 401 ? "AuthenticationError" : "PermissionError", status, code, type, message });
    });
  }
});
