// Bindings other than KV: Secrets Store peppers, services and the zone as origins, rate limiters that fail.

import assert from "node:assert/strict";
import { test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { PEPPER } from "./support/keys.js";
import { valuesOf } from "./support/origin.js";

/** Answers with what it was asked, by the name that the gate told it. */
const BACKEND = `export default { async fetch(request) {
  const { method, url, headers } = request;
  return Response.json({ method, url, subject: headers.get("x-keygate-subject"), key: headers.get("authorization"), body: await request.text() });
} };`;

/** A rate limiter as another Worker implements it: the holder's name says how it answers. */
const LIMITER = `import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
  async limit({ key }) {
    if (key === "hanging") await new Promise((resolve) => setTimeout(resolve, 20_000));
    if (key === "failing") throw new Error("the limiter is down");
    return { success: key !== "exceeding" };
  }
}`;

const harness = await startGates(({ origin }) => ({
  stored: { secrets: { PEPPER: undefined }, stored: { PEPPER } },
  storedForMany: { kv: "scripted", secrets: { PEPPER: undefined }, stored: { PEPPER } },
  storedLater: { secrets: { PEPPER: undefined }, stored: { PEPPER } },
  storedBad: { secrets: { PEPPER: undefined }, stored: { PEPPER: "too short" } },
  service: { vars: { ORIGIN: "service:BACKEND" }, services: { BACKEND } },
  routed: {
    vars: { ORIGIN: "service:BACKEND", ROUTES: [{ path: "/elsewhere/cached", origin: origin.url, cache: true }, { path: "/elsewhere/*", origin: `${origin.url}/base` }] },
    services: { BACKEND },
  },
  zone: { vars: { ORIGIN: "zone" } },
  // At runtime, another secret looks like a variable, and metadata like an object of [vars].
  unrelated: { versionMetadata: "CF_VERSION_METADATA", secrets: { SENTRY_DSN: "https://canary@sentry.example/1" }, vars: { LABELS: ["a"] } },
  limited: { vars: { PLANS: { free: { rate: { limiter: "LIMITER", period: 60 } } } }, services: { LIMITER } },
}));
const holder = await harness.issue({ subject: "acme" });

test("a pepper from a Secrets Store works as one from a secret", async () => {
  for (let round = 0; round < 2; round += 1) await assertAccepted(harness.gates.stored, { target: "/v1/x", key: holder.key }, holder);
  await assertRefused(harness.gates.stored, { target: "/v1/x" }, "credential_missing");
});

test("bindings that are not for the gate are ignored", async () => {
  await assertAccepted(harness.gates.unrelated, { target: "/v1/x", key: holder.key }, holder);
  await assertRefused(harness.gates.unrelated, { target: "/v1/x" }, "credential_missing");
  assert.ok(!harness.logs.entries.some(({ message }) => message.includes("canary")));
});

test("fifty simultaneous requests that wait for the pepper from a Secrets Store are decided independently", async () => {
  const holders = await Promise.all(Array.from({ length: 25 }, (_, at) => harness.issue({ subject: `holder-${at}` })));
  harness.origin.clear();
  const requests = holders.flatMap(({ key }) => [{ target: "/v1/x", key }, { target: "/v1/x" }]);
  const answers = await Promise.all(requests.map((request) => harness.gates.storedForMany.send(request)));
  for (const [at, { status }] of answers.entries()) assert.equal(status, requests[at].key ? 200 : 401);
  const told = harness.origin.requests.map((seen) => valuesOf(seen, "x-keygate-subject").join());
  assert.deepEqual(told.sort(), holders.map(({ record }) => record.subject).sort());
});

test("without a pepper in the Secrets Store every request is refused, and the next one asks again", async () => {
  const secrets = (await harness.runtime.getSecretsStoreSecretAPI("PEPPER", "storedLater"))();
  const { metadata } = (await secrets.list()).find(({ name }) => name === "storedLater-PEPPER");
  await secrets.delete(metadata.uuid);
  for (const target of ["/v1/x", "/public/x"]) {
    const { record } = await assertRefused(harness.gates.storedLater, { target, key: holder.key }, "gate_misconfigured");
    assert.ok(record.reason.includes("PEPPER"), record.reason);
  }
  await secrets.create(PEPPER);
  await assertAccepted(harness.gates.storedLater, { target: "/v1/x", key: holder.key }, holder);
});

test("with an invalid pepper in the Secrets Store every request is refused", async () => {
  await assertRefused(harness.gates.storedBad, { target: "/v1/x", key: holder.key }, "gate_misconfigured");
});

test("a service binding as origin gets method, path, query, body and subject, and no key", async () => {
  const answer = await harness.gates.service.send({ method: "POST", target: "/v1/x?a=%2f", key: holder.key, body: "hello" });
  assert.equal(answer.status, 200, answer.text);
  const { method, url, subject, key, body } = answer.json;
  assert.deepEqual({ method, subject, key, body }, { method: "POST", subject: "acme", key: null, body: "hello" });
  assert.ok(url.endsWith("/v1/x?a=%2f"), url);
});

test("a route's own origin gets the route's requests, and ORIGIN gets the others", async () => {
  const { seen } = await assertAccepted(harness.gates.routed, { target: "/elsewhere/x?y", key: holder.key }, holder);
  assert.equal(seen.url, "/base/elsewhere/x?y");
  assert.equal((await harness.gates.routed.send({ target: "/v1/x", key: holder.key })).json.subject, "acme");
});

test("only a route that says so lets shared caches store its answers", async () => {
  // `no-store` shows as these two headers.
  const cacheHeaders = (seen) => [...valuesOf(seen, "cache-control"), ...valuesOf(seen, "pragma")];
  for (const [target, expected] of [["/elsewhere/x", ["no-cache", "no-cache"]], ["/elsewhere/cached", []]]) {
    const { seen } = await assertAccepted(harness.gates.routed, { target, key: holder.key }, holder);
    assert.deepEqual(cacheHeaders(seen), expected, target);
  }
});

test("the zone as origin gets the request on its own URL", async () => {
  // On this machine the request's own host is the origin's, so the zone is the origin.
  const host = new URL(harness.origin.url).host;
  const headers = { Host: host };
  const { seen } = await assertAccepted(harness.gates.zone, { target: "/v1/x?a=%2f&b=+", key: holder.key, headers }, holder);
  assert.equal(seen.url, "/v1/x?a=%2f&b=+");
  assert.deepEqual(valuesOf(seen, "host"), [host]);
});

test("a rate limiter that fails, or does not answer in time, lets no request through", async () => {
  const limited = async (subject) => harness.issue({ subject, plan: "free" });
  const within = await limited("within");
  await assertAccepted(harness.gates.limited, { target: "/v1/x", key: within.key }, within);
  for (const [subject, code, reason] of [
    ["exceeding", "rate_limited", /exceeded/],
    ["failing", "gate_misconfigured", /the limiter is down/],
    ["hanging", "gate_misconfigured", /no answer within 1000 ms/],
  ]) {
    const { key } = await limited(subject);
    const { record } = await assertRefused(harness.gates.limited, { target: "/v1/x", key }, code);
    assert.match(record.reason, reason);
  }
});
