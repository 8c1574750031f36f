// Attacks by somebody who has read the code: request smuggling, Connection, upgrades, the isolate's cache and the clock. Every request
// that reaches the origin was checked as it stands there.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

import { assertAccepted, assertRefused, identityOf } from "./support/contract.js";
import { SETTABLE_CLOCK } from "./support/entry_modules.js";
import { startGates } from "./support/harness.js";
import { exchange } from "./support/http.js";
import { makeKey, now } from "./support/keys.js";
import { eventually } from "./support/logs.js";
import { valuesOf } from "./support/origin.js";

const harness = await startGates(() => ({
  gate: { vars: { CREDENTIALS: ["bearer", "basic", "header:x-api-key", "query:api_key"] } },
  cached: { kv: "scripted", vars: { CACHE_SECONDS: 30 }, entry: SETTABLE_CLOCK },
  crowded: { kv: "scripted", vars: { CACHE_SECONDS: 3600, CACHE_ENTRIES: 1 } },
  limited: { vars: { PLANS: { free: { rate: { limiter: "FREE", period: 60 } } } }, limiters: { FREE: { limit: 5, period: 60 } } },
  provider: { secrets: { ORIGIN_AUTHORIZATION: "Bearer provider-token" } },
}));
const { gates } = harness;
/** A holder without the scope `admin`. */
const holder = await harness.issue({ scopes: ["reports:read"], subject: "acme" });
afterEach(() => harness.store.clear());

/** Every request at the origin is on a public route without a holder, or the holder's own and not below `/admin`. */
function assertDecided(expected) {
  for (const seen of harness.origin.requests) {
    assert.doesNotMatch(seen.url, /^\/(admin|closed)/);
    const id = seen.url.startsWith("/public/") ? [] : [holder.id];
    assert.deepEqual(valuesOf(seen, "x-keygate-key-id"), id, seen.url);
    assert.deepEqual(valuesOf(seen, "x-keygate-subject"), id.length ? ["acme"] : []);
    assert.deepEqual(seen.trailers, []);
  }
  assert.deepEqual(harness.origin.requests.map(({ method, url }) => `${method} ${url}`), expected);
}

describe("no framing of a message smuggles in a second request:", () => {
  const HEAD = "Host: localhost\nAuthorization: Bearer KEY";
  const rows = [
    ["Content-Length and chunked", `POST /v1/x HTTP/1.1\n${HEAD}\nContent-Length: 4\nTransfer-Encoding: chunked\n\n0\n\nGET /admin/x HTTP/1.1\n${HEAD}\n\n`, ["POST /v1/x"]],
    ["two lengths", `POST /v1/x HTTP/1.1\n${HEAD}\nContent-Length: 0\nContent-Length: 42\n\nGET /admin/x HTTP/1.1\nHost: localhost\n\n`, []],
    ["a list of lengths", `POST /v1/x HTTP/1.1\n${HEAD}\nContent-Length: 0, 42\n\nGET /admin/x HTTP/1.1\nHost: localhost\n\n`, []],
    ["a length with a sign", `POST /v1/x HTTP/1.1\n${HEAD}\nContent-Length: +4\n\nabcd`, []],
    ["an unknown coding", `POST /v1/x HTTP/1.1\n${HEAD}\nTransfer-Encoding: xchunked\nContent-Length: 4\n\nabcd`, []],
    ["chunked and another coding", `POST /v1/x HTTP/1.1\n${HEAD}\nTransfer-Encoding: chunked\nTransfer-Encoding: identity\n\n0\n\n`, []],
    ["a body of GET that is a request", `GET /public/x HTTP/1.1\nHost: localhost\nContent-Length: 42\nConnection: close\n\nGET /admin/x HTTP/1.1\nHost: localhost\n\n`, ["GET /public/x"]],
    ["a space before the colon", `GET /v1/x HTTP/1.1\n${HEAD}\nX-Keygate-Subject : root\n\n`, []],
    ["a folded line", `GET /v1/x HTTP/1.1\n${HEAD}\nX-A: b\n X-Keygate-Subject: root\n\n`, []],
    ["no Host", `GET /v1/x HTTP/1.1\nAuthorization: Bearer KEY\n\n`, []],
    ["HTTP/0.9", `GET /public/x\n\n`, []],
    ["trailers that claim an identity", `POST /v1/x HTTP/1.1\n${HEAD}\nTransfer-Encoding: chunked\nTrailer: X-Keygate-Subject\nConnection: close\n\n3\nabc\n0\nX-Keygate-Subject: root\nX-Keygate-Scopes: admin\n\n`, ["POST /v1/x"]],
    ["an upgrade to HTTP/2", `GET /v1/x HTTP/1.1\n${HEAD}\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAAP__\n\n`, ["GET /v1/x"]],
    ["an upgrade to HTTP/2 or a WebSocket", `GET /v1/x HTTP/1.1\n${HEAD}\nConnection: Upgrade\nUpgrade: h2c, websocket\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\nSec-WebSocket-Version: 13\n\n`, ["GET /v1/x"]],
  ];
  for (const [name, text, expected] of rows) {
    test(name, async () => {
      harness.origin.clear();
      const answer = await exchange(gates.gate.url, Buffer.from(text.replaceAll("KEY", holder.key).replaceAll("\n", "\r\n"), "latin1"));
      assert.equal(answer.status, expected.length ? 200 : 400, answer.text.slice(0, 200));
      // A request of its own, so that one that was smuggled in before it would be here by now.
      await gates.gate.get("/public/after");
      assertDecided([...expected, "GET /public/after"]);
      for (const seen of harness.origin.requests) {
        for (const header of ["upgrade", "http2-settings", "trailer"]) assert.deepEqual(valuesOf(seen, header), [], header);
      }
    });
  }

  test("two pipelined requests are decided independently", async () => {
    harness.origin.clear();
    const requests = `GET /v1/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${holder.key}\r\n\r\nGET /v1/y HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
    assert.equal((await exchange(gates.gate.url, Buffer.from(requests))).status, 200);
    await harness.logs.until(({ message }) => message.includes('"path":"/v1/y"'));
    assertDecided(["GET /v1/x"]);
    assert.equal(harness.logs.events.find(({ path }) => path === "/v1/y").code, "credential_missing");
  });
});

describe("Connection removes no header that the gate or the origin relies on:", () => {
  const ADDRESS = "203.0.113.9";
  const NAMED = [
    "authorization", "x-api-key", "cf-connecting-ip", "CF-Connecting-IP", "x-forwarded-for", "x-forwarded-host", "host",
    "content-length", "transfer-encoding", "content-type", "connection", "X-Keygate-Scopes", ",,;=\"",
    Array.from({ length: 2000 }, (_, at) => `x-h${at}`).join(),
  ];
  for (const named of NAMED) {
    test(named.slice(0, 40), async () => {
      const fenced = await harness.issue({ ips: ["203.0.113.0/24"], scopes: ["a"] });
      const headers = [["Connection", `close, ${named}`], ["CF-Connecting-IP", ADDRESS], ["Content-Type", "text/plain"]];
      const { seen } = await assertAccepted(gates.gate, { method: "POST", target: "/v1/x", body: "hello", key: fenced.key, headers }, fenced);
      for (const name of ["x-forwarded-for", "x-forwarded-host", "host", "content-type", "content-length"]) {
        assert.equal(valuesOf(seen, name).length, 1, name);
      }
      assert.deepEqual(valuesOf(seen, "x-forwarded-for"), [ADDRESS]);
      assert.equal(String(seen.body), "hello");
      await assertRefused(gates.gate, { target: "/v1/x", headers: [["Connection", `close, ${named}`]] }, "credential_missing");
    });
  }
});

test("a thousand identity headers are removed", async () => {
  const headers = Array.from({ length: 1000 }, (_, at) => [`X-Keygate-Subject${at || ""}`, "root"]);
  const { seen } = await assertAccepted(gates.gate, { target: "/v1/x", key: holder.key, headers }, holder);
  assert.deepEqual(seen.headers.filter(([, value]) => value === "root"), []);
});

describe("an upgrade is checked like any request:", () => {
  const upgrade = { Connection: "Upgrade", Upgrade: "WebSocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==" };
  for (const [target, code] of [
    ["/admin/chat", "scope_missing"],
    ["/closed/chat", "route_denied"],
    ["/public/../admin/chat", "path_ambiguous"],
    ["/acme-only%2fchat", "path_ambiguous"],
  ]) {
    test(target, () => assertRefused(gates.gate, { target, key: holder.key, headers: upgrade }, code));
  }
  test("without a key, from a page of any site", () => {
    const headers = { ...upgrade, Origin: "https://evil.example" };
    return assertRefused(gates.gate, { target: "/v1/chat", headers }, "credential_missing");
  });
});

describe("on a public route nothing that could be a key is forwarded:", () => {
  const basic = (text) => `Basic ${Buffer.from(text).toString("base64")}`;
  for (const [name, make] of [
    ["two lines of X-API-Key", (key) => [["X-API-Key", key], ["X-API-Key", key]]],
    ["different keys in two credential sources", (key) => [["X-API-Key", key], ["Authorization", `Bearer ${makeKey().key}`]]],
    ["a key within another scheme", (key) => [["Authorization", `Custom token="${key}"`]]],
    ["a key in Basic, as the user", (key) => [["Authorization", basic(`${key}:`)]]],
    ["a key in Basic, as part of a password", (key) => [["Authorization", basic(`user:x${key}y`)]]],
    ["a key in lenient base64", (key) => [["Authorization", basic(`user:${key}`).replaceAll("=", "").replace("Basic ", "basic \t")]]],
    ["two bearer tokens", (key) => [["Authorization", `Bearer a, Bearer ${key}`]]],
    ["the URL of the page that sent the request", (key) => [["Referer", `https://api.example.com/page?x=1&%61pi_key=${key}`]]],
  ]) {
    test(name, async () => {
      const { seen } = await assertAccepted(gates.gate, { target: "/public/x", headers: make(holder.key) });
      const all = JSON.stringify(seen.headers);
      const secret = holder.key.slice(-38, -8);
      assert.ok(!all.includes(secret) && !Buffer.from(all.replace(/.*basic\s+/is, ""), "base64").toString("latin1").includes(secret), all);
    });
  }

  test("a key in the query, under any spelling of its name", async () => {
    const { seen } = await assertAccepted(gates.gate, { target: `/public/x?a=1&%61pi_key=${holder.key}&api_key=${holder.key}&b=2` });
    assert.equal(seen.url, "/public/x?a=1&b=2");
  });

  test("ORIGIN_AUTHORIZATION is not sent in place of a caller's credential", async () => {
    const { seen } = await assertAccepted(gates.provider, { target: "/v1/x", headers: { "X-API-Key": holder.key, Authorization: "Bearer mine" } }, holder);
    assert.deepEqual(valuesOf(seen, "authorization"), ["Bearer provider-token"]);
    await assertRefused(gates.provider, { target: "/v1/x", headers: { Authorization: "Bearer provider-token" } }, "key_invalid");
  });
});

describe("a cached record accepts no other key:", () => {
  test("a cached record is compared with every key that has its id", async () => {
    const issued = await harness.issue();
    await assertAccepted(gates.crowded, { target: "/v1/x", key: issued.key }, issued);
    const forged = makeKey({ id: issued.id });
    for (let round = 0; round < 3; round++) {
      await assertRefused(gates.crowded, { target: "/v1/x", key: forged.key }, "key_invalid");
      await assertAccepted(gates.crowded, { target: "/v1/x", key: issued.key }, issued);
    }
  });

  test("keys that evict each other from the cache are not confused", async () => {
    const pair = [await harness.issue({ subject: "one" }), await harness.issue({ subject: "two", state: "disabled" })];
    for (let round = 0; round < 5; round++) {
      await assertAccepted(gates.crowded, { target: "/v1/x", key: pair[0].key }, pair[0]);
      await assertRefused(gates.crowded, { target: "/v1/x", key: pair[1].key }, "key_disabled");
    }
  });

  test("case 26: a read that began before a revocation and ends after it lengthens the key's life by CACHE_SECONDS at most", async () => {
    const second = now();
    await gates.cached.setClock(second);
    const issued = await harness.issue();
    harness.origin.clear();
    harness.store.mode = "hold";
    const early = gates.cached.get("/v1/early", { key: issued.key });
    await eventually(() => harness.store.held === 1, "the read");
    // What the early read gets is what stood there when it began.
    harness.store.release();
    harness.store.mode = "serve";
    await harness.put({ ...issued.record, state: "revoked" });
    assert.equal((await early).status, 200);
    await gates.cached.setClock(second + 29);
    await assertAccepted(gates.cached, { target: "/v1/x", key: issued.key }, issued);
    await gates.cached.setClock(second + 30);
    await assertRefused(gates.cached, { target: "/v1/x", key: issued.key }, "key_revoked");
  });

  test("case 26: a revocation that was read is not undone by a read that began before it and ends after", async () => {
    await gates.cached.setClock(now());
    const issued = await harness.issue();
    harness.origin.clear();
    harness.store.mode = "hold";
    const early = gates.cached.get("/v1/early", { key: issued.key });
    await eventually(() => harness.store.held === 1, "the read");
    harness.store.mode = "serve";
    await harness.put({ ...issued.record, state: "revoked" });
    await assertRefused(gates.cached, { target: "/v1/x", key: issued.key }, "key_revoked");
    // The early read gets what stood there when it began.
    harness.store.put(issued.record);
    harness.store.release();
    await early;
    await assertRefused(gates.cached, { target: "/v1/x", key: issued.key }, "key_revoked");
  });

  test("case 58: a cached record is used for STALE_SECONDS while the store fails, and not a second longer", async () => {
    const second = now() + 10_000;
    await gates.cached.setClock(second);
    const issued = await harness.issue();
    await assertAccepted(gates.cached, { target: "/v1/x", key: issued.key }, issued);
    harness.store.mode = "fail";
    await gates.cached.setClock(second + 329);
    await assertAccepted(gates.cached, { target: "/v1/x", key: issued.key }, issued);
    await gates.cached.setClock(second + 330);
    await assertRefused(gates.cached, { target: "/v1/x", key: issued.key }, "key_store_unavailable");
  });

  test("a clock that goes back does not revive a record", async () => {
    const second = now() + 20_000;
    await gates.cached.setClock(second);
    const issued = await harness.issue();
    await assertAccepted(gates.cached, { target: "/v1/x", key: issued.key }, issued);
    await harness.put({ ...issued.record, state: "revoked" });
    await gates.cached.setClock(second - 1);
    await assertRefused(gates.cached, { target: "/v1/x", key: issued.key }, "key_revoked");
  });
});

test("a plan's limit holds for fifty simultaneous requests with two keys of one subject", async () => {
  const keys = [await harness.issue({ plan: "free", subject: "greedy" }), await harness.issue({ plan: "free", subject: "greedy" })];
  harness.origin.clear();
  const answers = await Promise.all(Array.from({ length: 50 }, (_, at) => gates.limited.get("/v1/x", { key: keys[at % 2].key })));
  const allowed = answers.filter(({ status }) => status === 200).length;
  // The limiter's window may turn in between.
  assert.ok(allowed >= 5 && allowed <= 10, `${allowed} were let through`);
  assert.equal(harness.origin.requests.length, allowed);
  for (const { status } of answers) assert.ok([200, 429].includes(status));
});

test("identity headers in an origin's answer go to the client and into no later request", async () => {
  harness.origin.clear((_, response) => {
    response.writeHead(200, { "X-Keygate-Subject": "root", "X-Keygate-Key-Id": "AAAAAAAAAAAA" });
    response.end();
  });
  await gates.gate.get("/v1/x", { key: holder.key });
  const { seen } = await assertAccepted(gates.gate, { target: "/v1/x", key: holder.key }, holder);
  assert.deepEqual(valuesOf(seen, "x-keygate-subject"), identityOf(holder)["x-keygate-subject"]);
});
