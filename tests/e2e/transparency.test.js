// What the gate changes of a request and of its answer: the rows of docs/transparency.md, and nothing else.
//
// Every exchange takes place three times with the same bytes: with the origin itself, through a Worker that only forwards, and
// through the gate. What differs with the Worker is the runtime's doing; what differs with the gate only is the gate's.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";

import { differences } from "./support/differences.js";
import { ANSWERS, ENDPOINTS, METHODS, REQUESTS } from "./support/exchanges.js";
import { startGates } from "./support/harness.js";
import { exchange } from "./support/http.js";
import { ROOT } from "./support/project.js";
import { RawOrigin, Tap } from "./support/raw_origin.js";
import { startServer } from "./support/servers.js";
import { APP, PROVIDER, RULES, rowsOf } from "./support/transparency_rules.js";

const SIGNING_KEY = `2026-11:${Buffer.from("0123456789abcdefghijklmnopqrstuv").toString("base64")}`;

/** A Worker that only forwards: what it changes, the runtime changes, and no Worker can help it. */
const FORWARDER = `export default {
  fetch(request, env) {
    return fetch(env.ORIGIN + request.url.slice(request.url.indexOf("/", 8)), request);
  },
};`;

const tap = await new Tap(await startServer("httpbin")).listen();
const origin = await new RawOrigin().listen();
const ORIGIN = origin.url;
const harness = await startGates(() => ({
  forwarder: { worker: FORWARDER, vars: { ORIGIN } },
  forwarderToHttpbin: { worker: FORWARDER, vars: { ORIGIN: tap.url } },
  plain: { vars: { ORIGIN } },
  httpbin: { vars: { ORIGIN: tap.url } },
  cached: { vars: { ORIGIN, ROUTES: [{ path: "/*", cache: true }] } },
  cors: { vars: { ORIGIN, CORS_ORIGINS: [APP] } },
  query: { vars: { ORIGIN, CREDENTIALS: ["header:x-api-key", "query:api_key"] } },
  based: { vars: { ORIGIN: `${ORIGIN}/base` } },
  provider: { vars: { ORIGIN }, secrets: { ORIGIN_AUTHORIZATION: PROVIDER } },
  signed: { vars: { ORIGIN }, secrets: { ORIGIN_SIGNING_KEY: SIGNING_KEY } },
}));
const issued = await harness.issue({ scopes: ["reports:read"] });

/** The bytes of a request; `host` is that of whom they are sent to. The key goes where `key` says, in place of `{key}`. */
function bytesOf({ method = "GET", target = "/v1/things", key = ["X-API-Key", "{key}"], headers = [], body, chunks, trailers = [] }, host) {
  const list = [["Host", host], ...(key === undefined ? [] : [key]), ...headers];
  if (body !== undefined) list.push(["Content-Length", String(body.length)]);
  if (chunks !== undefined) list.push(["Transfer-Encoding", "chunked"]);
  if (!headers.some(([name]) => name === "Connection")) list.push(["Connection", "close"]);
  const lines = (pairs) => pairs.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = `${method} ${target} HTTP/1.1\r\n${lines(list)}\r\n`.replaceAll("{key}", issued.key);
  const chunked = (chunks ?? []).map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("");
  const end = chunks === undefined ? "" : `0\r\n${lines(trailers)}\r\n`;
  return Buffer.from(head + (body ?? "") + chunked + end, "latin1");
}

/** One exchange by way of `url`: what the origin saw, and what the client got. */
async function observe(request, url, behind) {
  behind.clear();
  const { message: answer } = await exchange(url, bytesOf(request, new URL(url).host), request.method);
  assert.equal(behind.requests.length, 1, `calls of the origin, answered ${answer.start} ${answer.body.toString("latin1", 0, 300)}`);
  return { seen: behind.requests[0], answer };
}

const WITH_RAW_ORIGIN = { behind: () => origin, forwarder: "forwarder", plainly: (exchange) => exchange };

/** The rows that have occurred. */
const occurred = new Set();

/** Has the exchange in all three ways; fails on what is no row of the list. `plainly` leaves out what the origin makes up anew. */
async function assertTransparent(request, gate = "plain", { behind, forwarder, plainly } = WITH_RAW_ORIGIN) {
  const direct = plainly(await observe(request, behind().url, behind()));
  const gateUrl = harness.gates[gate].url;
  const ways = [
    [harness.gates[forwarder].url, { request }],
    [gateUrl, { request, gate, issued, host: new URL(gateUrl).host }],
  ];
  for (const [url, context] of ways) {
    const other = plainly(await observe(request, url, behind()));
    const found = [...differences("request", direct.seen, other.seen), ...differences("answer", direct.answer, other.answer)];
    for (const difference of found) {
      const rows = rowsOf(difference, context);
      const { side, what, from, to } = difference;
      const told = `${side} ${what}: ${JSON.stringify(from)?.slice(0, 300)} became ${JSON.stringify(to)?.slice(0, 300)}`;
      assert.ok(rows.length > 0, `${told}, by way of ${context.gate ?? "the forwarder"}: ${JSON.stringify(request).slice(0, 300)}`);
      for (const row of rows) occurred.add(row);
    }
  }
}

const HELLO = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";

describe("the origin gets the request unchanged:", () => {
  for (const [name, requests] of Object.entries(REQUESTS)) {
    test(name, async () => {
      origin.answer = HELLO;
      for (const request of requests) await assertTransparent(request);
    });
  }
});

describe("the client gets the answer unchanged:", () => {
  for (const [name, answer] of Object.entries(ANSWERS)) {
    test(name, async () => {
      origin.answer = answer;
      // With what a browser says that wants to read it, too.
      const headers = [["Accept-Encoding", "gzip, br"], ["Origin", APP]];
      for (const method of ["GET", "HEAD"]) {
        await assertTransparent({ method, headers });
        await assertTransparent({ method, headers }, "cors");
      }
    });
  }
});

describe("each setting changes only what it documents:", () => {
  const everywhere = [...METHODS.map((method) => ({ method })), { method: "POST", body: "a=1" }, { target: "/a/b?c=%2f" }];
  const foreign = { headers: [["Authorization", "Basic dTpw"]] };
  const unsignable = { headers: [["Content-Digest", `sha-256=:${"A".repeat(1100)}:`]] };
  const rows = {
    "a bearer token": ["plain", [{ key: ["Authorization", "Bearer {key}"] }]],
    "a key in the query": ["query", [...everywhere, { key: undefined, target: "/v1/things?a=%2f&api_key={key}&b=+&c" }]],
    "a base path": ["based", everywhere],
    "a route that caches may keep": ["cached", everywhere],
    "a credential of the gate's own": ["provider", [...everywhere, foreign]],
    "signatures": ["signed", [...everywhere, foreign, ...REQUESTS["digests and signatures of the client"], unsignable]],
    "pages of other sites": ["cors", [...everywhere, ...REQUESTS["a page of another site"]]],
  };
  for (const [name, [gate, requests]] of Object.entries(rows)) {
    test(name, async () => {
      origin.answer = HELLO;
      for (const request of requests) await assertTransparent(request, gate);
    });
  }
});

/** Without what httpbin makes up anew for each request, and without the request's headers where it repeats them. */
const withHttpbin = ({ echoes = false, encoded }) => ({
  behind: () => tap,
  forwarder: "forwarderToHttpbin",
  plainly({ seen, answer }) {
    const isOther = (name) => name === "date" || (echoes && name === "content-length");
    const headers = answer.headers.map(([name, value]) => [name, isOther(name.toLowerCase()) ? "" : value]);
    if (!echoes || answer.body.length === 0) return { seen, answer: { ...answer, headers } };
    const isEncoded = headers.some(([name]) => name.toLowerCase() === "content-encoding");
    const text = (isEncoded ? encoded(answer.body) : answer.body).toString("latin1");
    const body = Buffer.from(text.replace(/"headers": \{[^}]*\}/g, '"headers": {}'), "latin1");
    return { seen, answer: { ...answer, headers, body } };
  },
});

describe("httpbin answers the same, by every method:", () => {
  for (const [target, { headers = [], ...nature } = {}] of ENDPOINTS) {
    test(`${target}${headers.length > 0 ? ` with ${headers[0].join(": ")}` : ""}`, async () => {
      for (const method of METHODS) {
        const body = ["POST", "PUT", "PATCH"].includes(method) ? "a=1&b=%2f" : undefined;
        const type = ["Content-Type", "application/x-www-form-urlencoded"];
        await assertTransparent({ method, target, headers: [...headers, type], body }, "httpbin", withHttpbin(nature));
      }
    });
  }

  test("TRACE is refused", async () => {
    tap.clear();
    const { gates } = harness;
    const answer = await gates.httpbin.send({ method: "TRACE", target: "/anything", headers: { "X-API-Key": issued.key } });
    assert.equal(answer.json.code, "method_not_allowed");
    assert.equal(tap.requests.length, 0);
  });
});

test("exactly the changes of docs/transparency.md occur", async () => {
  const text = await readFile(path.join(ROOT, "docs", "transparency.md"), "utf8");
  const rows = [...text.matchAll(/^\| ([a-z -]+?) +\| (request|answer) +\| (runtime|gate) +\| \S/gm)];
  const documented = rows.map(([, name, side, by]) => `${name}, ${side}, ${by}`);
  assert.deepEqual(documented.sort(), Object.entries(RULES).map(([name, { side, by }]) => `${name}, ${side}, ${by}`).sort());
  assert.deepEqual(Object.keys(RULES).filter((name) => !occurred.has(name)), [], "rows that never occur");
});
