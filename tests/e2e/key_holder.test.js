// What a key's holder learns from the gate: what the key is, and that it expires soon.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { startGates } from "./support/harness.js";

const WHOAMI = "/.well-known/keygate/whoami";
const DAY = 86_400;
const now = Math.floor(Date.now() / 1000);

const harness = await startGates(() => ({
  gate: { vars: { WHOAMI_PATH: WHOAMI } },
  off: {},
  closed: { vars: { WHOAMI_PATH: WHOAMI, ROUTES: [{ path: "/*", access: "deny" }] } },
  pages: { vars: { WHOAMI_PATH: WHOAMI, CORS_ORIGINS: ["https://app.example.com"] } },
  early: { vars: { EXPIRY_WARNING_DAYS: 365 } },
  cached: { vars: { ROUTES: [{ path: "/v1/*", cache: true }] } },
  never: { vars: { EXPIRY_WARNING_DAYS: 0 } },
}));
const { gates } = harness;
const lasting = await harness.issue({ subject: "acme", name: "Büro \"1\"", scopes: ["reports:read", "admin"], plan: null });
const expiring = { soon: 13 * DAY, later: 15 * DAY };
for (const [name, secs] of Object.entries(expiring)) expiring[name] = { ...(await harness.issue({ not_after: now + secs })), not_after: now + secs };
const bearer = ({ key }) => ({ Authorization: `Bearer ${key}` });

describe("at WHOAMI_PATH the gate says what a key is, without the origin:", () => {
  for (const gate of ["gate", "closed", "pages"]) {
    test(gate, async () => {
      harness.origin.clear();
      const answer = await gates[gate].send({ target: `${WHOAMI}?x=1`, headers: { ...bearer(lasting), Origin: "https://app.example.com" } });
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(JSON.parse(answer.text), {
        ...{ id: lasting.id, subject: "acme", name: "Büro \"1\"", scopes: ["reports:read", "admin"] },
        ...{ plan: null, not_before: null, not_after: null, quota: null },
      });
      assert.equal(answer.header("content-type"), "application/json");
      assert.equal(answer.header("cache-control"), "no-store");
      assert.equal(answer.header("access-control-allow-origin"), gate === "pages" ? "https://app.example.com" : undefined);
      assert.equal(harness.origin.requests.length, 0);
    });
  }

  test("to a HEAD without the body", async () => {
    const answer = await gates.gate.send({ method: "HEAD", target: WHOAMI, headers: bearer(lasting) });
    assert.deepEqual([answer.status, answer.text], [200, ""]);
  });

  test("with the expiry, in Unix seconds and as a header", async () => {
    const answer = await gates.gate.send({ target: WHOAMI, headers: bearer(expiring.soon) });
    assert.equal(JSON.parse(answer.text).not_after, expiring.soon.not_after);
    assert.equal(answer.header("x-keygate-key-expires"), new Date(expiring.soon.not_after * 1000).toUTCString());
  });
});

describe("at WHOAMI_PATH a request needs a valid key:", () => {
  for (const [name, request, code, options] of [
    ["none", {}, "credential_missing"],
    ["a forged one", { headers: { Authorization: `Bearer ${lasting.key.slice(0, -1)}!` } }, "key_invalid"],
    ["by GET or HEAD", { method: "POST", headers: bearer(lasting) }, "method_not_allowed", { allow: "GET, HEAD" }],
  ]) {
    test(name, () => assertRefused(gates.gate, { target: WHOAMI, ...request }, code, options));
  }
});

describe("another path is the origin's:", () => {
  for (const [gate, target] of [["off", WHOAMI], ["gate", `${WHOAMI}/`], ["gate", `${WHOAMI}/x`], ["gate", WHOAMI.toUpperCase()]]) {
    test(`${target}, ${gate}`, () => assertAccepted(gates[gate], { target, headers: bearer(lasting) }, lasting));
  }
});

describe("a response warns of an expiry within EXPIRY_WARNING_DAYS:", () => {
  for (const [gate, key, warns] of [
    ["gate", "soon", true],
    ["gate", "later", false],
    ["early", "later", true],
    ["never", "soon", false],
    ["cached", "soon", false],
  ]) {
    test(`${gate}, ${key}`, async () => {
      const issued = expiring[key];
      const { answer } = await assertAccepted(gates[gate], { target: "/v1/things", headers: bearer(issued) }, issued);
      const expected = warns ? new Date(issued.not_after * 1000).toUTCString() : undefined;
      assert.equal(answer.header("x-keygate-key-expires"), expected);
    });
  }

  test("a page may read it", async () => {
    const headers = { ...bearer(expiring.soon), Origin: "https://app.example.com" };
    const answer = await gates.pages.send({ target: "/v1/things", headers });
    assert.equal(answer.header("access-control-expose-headers"), "x-keygate-key-expires");
  });

  test("no response without a key does", async () => {
    const answer = await gates.early.send({ target: "/public/x" });
    assert.equal(answer.header("x-keygate-key-expires"), undefined);
  });
});
