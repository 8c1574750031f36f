// ORIGIN_AUTHORIZATION and ORIGIN_SIGNING_KEY are secrets between the gate and ORIGIN. Another origin gets them only if its
// route says so.

import assert from "node:assert/strict";
import { test } from "node:test";

import { assertAccepted } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { valuesOf } from "./support/origin.js";

const harness = await startGates(({ origin }) => ({
  gate: {
    vars: {
      ROUTES: [
        { path: "/other/*", origin: origin.url },
        { path: "/trusted/*", origin: origin.url, origin_authorization: true, origin_signature: true },
        { path: "/half/*", origin: origin.url, origin_signature: true },
        { path: "/bare/*", origin_authorization: false, origin_signature: false },
      ],
    },
    secrets: {
      ORIGIN_AUTHORIZATION: "Bearer provider",
      ORIGIN_SIGNING_KEY: "2026-11:v3IBMFPq0jvVjfQtT0hZpWm1bPqk1bFqXyQy3R1zq2E=",
    },
  },
}));
const issued = await harness.issue();

for (const [name, target, authorization, isSigned] of [
  ["ORIGIN itself", "/v1/x", ["Bearer provider"], true],
  ["an origin of a route's own", "/other/x", [], false],
  ["an origin whose route asks for both", "/trusted/x", ["Bearer provider"], true],
  ["an origin whose route asks for one", "/half/x", [], true],
  ["ORIGIN, where the route says no", "/bare/x", [], false],
]) {
  test(`${name} gets ${authorization.length ? "the" : "no"} authorization and ${isSigned ? "a" : "no"} signature`, async () => {
    const { seen } = await assertAccepted(harness.gates.gate, { target, key: issued.key }, issued);
    assert.deepEqual(valuesOf(seen, "authorization"), authorization);
    assert.equal(valuesOf(seen, "signature").length, isSigned ? 1 : 0);
  });
}

test("a client's own Authorization is forwarded to an origin that does not get the gate's", async () => {
  const headers = { "X-API-Key": issued.key, Authorization: "Digest of-the-other-origin" };
  const { seen } = await assertAccepted(harness.gates.gate, { target: "/other/x", headers }, issued);
  assert.deepEqual(valuesOf(seen, "authorization"), ["Digest of-the-other-origin"]);
});
