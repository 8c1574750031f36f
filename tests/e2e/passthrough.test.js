// The client gets the origin's answer; the gate adds and follows nothing.

import assert from "node:assert/strict";
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from "node:zlib";
import { after, describe, test } from "node:test";

import { startGates } from "./support/harness.js";
import { fixed, Origin, valuesOf } from "./support/origin.js";

const APP = "https://app.example.com";

const harness = await startGates(() => ({ gate: {}, cors: { vars: { CORS_ORIGINS: [APP] } } }));
const { gate } = harness.gates;
const issued = await harness.issue();
const elsewhere = await Origin.start();
after(() => elsewhere.stop());

describe("case 54: status, headers and body pass unchanged:", () => {
  const text = "some text ".repeat(100);
  const rows = [
    ["200", [200, ["content-type", "text/plain"], "hello"]],
    ["201 with a Location", [201, ["location", "/v1/things/7"], ""]],
    ["204", [204, [], ""]],
    ["206 of a range", [206, ["content-range", "bytes 0-4/10", "accept-ranges", "bytes"], "hello"]],
    ["299", [299, [], "odd"]],
    ["304", [304, ["etag", '"v1"'], ""]],
    ["the origin's own 400", [400, ["content-type", "application/json"], '{"origin":"says no"}']],
    ["the origin's own 401", [401, ["www-authenticate", 'Basic realm="origin"'], "the origin's 401"]],
    ["404", [404, [], "not here"]],
    ["the origin's own 503", [503, ["retry-after", "9"], "the origin is busy"]],
    ["599", [599, [], "odder"]],
    ["999", [999, [], "oddest"]],
    ["gzip", [200, ["content-encoding", "gzip"], gzipSync(text)]],
    ["br", [200, ["content-encoding", "br"], brotliCompressSync(text)]],
    ["two cookies", [200, ["set-cookie", "a=1; Path=/", "set-cookie", "b=2; HttpOnly"], "ok"]],
    ["a cache header for everybody", [200, ["cache-control", "public, max-age=60"], "ok"]],
    ["a header with bytes above 0x7f", [200, ["x-odd", "caf\xe9"], "ok"]],
  ];
  const readers = { "": { gate: "gate", origin: {} }, ", for a page of another site": { gate: "cors", origin: { Origin: APP } } };
  for (const [[name, [status, headers, body]], [reader, by]] of rows.flatMap((row) => Object.entries(readers).map((r) => [row, r]))) {
    test(name + reader, async () => {
      harness.origin.clear(fixed(status, headers, body));
      const sent = { key: issued.key, headers: { "Accept-Encoding": "gzip, br", ...by.origin } };
      const answer = await harness.gates[by.gate].get("/v1/things", sent);
      assert.equal(answer.status, status);
      for (let at = 0; at < headers.length; at += 2) {
        assert.ok(answer.all(headers[at]).includes(headers[at + 1]), `${headers[at]}: ${answer.all(headers[at])}`);
      }
      assert.equal(answer.all("set-cookie").length, headers.filter((h) => h === "set-cookie").length);
      // CORS headers need a new response around the body, and the runtime compresses that one anew.
      if (by.gate === "gate") assert.deepEqual(answer.bytes, Buffer.from(body));
      else assert.deepEqual(decoded(answer.bytes, answer.header("content-encoding")), decoded(Buffer.from(body), encodingOf(headers)));
      // 999 is no status of the web's: such a response cannot be rebuilt with another header.
      if (by.gate === "cors" && status < 600) assert.equal(answer.header("access-control-allow-origin"), APP);
    });
  }
});

const encodingOf = ([name, value]) => (name === "content-encoding" ? value : undefined);
const decoded = (bytes, encoding) => ({ gzip: gunzipSync, br: brotliDecompressSync })[encoding]?.(bytes) ?? bytes;

test("CORS headers that the origin sets itself are kept", async () => {
  const own = ["access-control-allow-origin", "*", "vary", "accept"];
  harness.origin.clear(fixed(200, own, "ok"));
  const answer = await harness.gates.cors.get("/v1/things", { key: issued.key, headers: { Origin: APP } });
  assert.equal(answer.header("access-control-allow-origin"), "*");
  assert.equal(answer.header("vary"), "accept");
});

test("an Origin that is not listed gets the origin's answer as it is", async () => {
  harness.origin.clear(fixed(200, [], "ok"));
  const answer = await harness.gates.cors.get("/v1/things", { key: issued.key, headers: { Origin: "https://evil.example" } });
  assert.equal(answer.header("access-control-allow-origin"), undefined);
});

test("conditional and range headers reach the origin", async () => {
  harness.origin.clear(fixed(304, ["etag", '"v1"']));
  const sent = { "If-None-Match": '"v1"', Range: "bytes=0-4", "If-Modified-Since": "Sat, 01 Nov 2025 00:00:00 GMT" };
  const answer = await gate.get("/v1/things", { key: issued.key, headers: sent });
  assert.equal(answer.status, 304);
  for (const [name, value] of Object.entries(sent)) assert.deepEqual(valuesOf(harness.origin.only, name.toLowerCase()), [value]);
});

describe("case 55: a redirect is returned to the client and not followed:", () => {
  for (const status of [301, 302, 303, 307, 308]) {
    test(String(status), async () => {
      const location = `${elsewhere.url}/steal`;
      elsewhere.clear();
      harness.origin.clear(fixed(status, ["location", location]));
      const answer = await gate.send({ method: "POST", target: "/v1/things", body: "data", key: issued.key });
      assert.equal(answer.status, status);
      assert.equal(answer.header("location"), location);
      assert.equal(harness.origin.requests.length, 1);
      assert.equal(elsewhere.requests.length, 0);
    });
  }
});

test("case 56: an answer for one key is never reused for another", async () => {
  const other = await harness.issue({ subject: "other" });
  const asked = [];
  harness.origin.clear(async (request, response) => {
    asked.push(request.headers["x-keygate-subject"]);
    response.writeHead(200, { "cache-control": "public, max-age=3600" });
    response.end(`for ${request.headers["x-keygate-subject"]}`);
  });
  assert.equal((await gate.get("/v1/cached", { key: issued.key })).text, "for acme");
  assert.equal((await gate.get("/v1/cached", { key: other.key })).text, "for other");
  assert.equal((await gate.get("/v1/cached")).status, 401);
  assert.deepEqual(asked, ["acme", "other"]);
});
