// Bodies pass through the gate as streams: it never holds one, and never reads the body of a refused request.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import { describe, test } from "node:test";

import { assertRefusal } from "./support/contract.js";
import { startGates } from "./support/harness.js";

const SIZE = 64 * 1024 * 1024;
const CHUNK = 64 * 1024;

const harness = await startGates();
const { gate } = harness.gates;
const issued = await harness.issue();

/** Distinct chunks, so that one that is lost, repeated or moved changes the hash. */
function* chunks() {
  for (let at = 0; at < SIZE / CHUNK; at++) {
    const chunk = Buffer.alloc(CHUNK, at);
    chunk.writeUInt32BE(at);
    yield chunk;
  }
}

const EXPECTED = (() => {
  const hash = createHash("sha256");
  for (const chunk of chunks()) hash.update(chunk);
  return hash.digest("hex");
})();

async function writeAll(stream) {
  for (const chunk of chunks()) if (!stream.write(chunk)) await once(stream, "drain");
  stream.end();
}

async function hashOf(stream) {
  const hash = createHash("sha256");
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest("hex");
}

function request(method, target, headers = {}) {
  return http.request(`${gate.url}${target}`, {
    method,
    agent: false,
    headers: { Authorization: `Bearer ${issued.key}`, ...headers },
  });
}

/** The largest memory that workerd has had, in bytes; `undefined` on a system that does not tell. */
async function peakMemory() {
  const peaks = [];
  try {
    const children = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, "utf8");
    for (const pid of children.trim().split(" ")) {
      const status = await readFile(`/proc/${pid}/status`, "utf8");
      if (/^Name:\s+workerd$/m.test(status)) peaks.push(Number(/VmHWM:\s+(\d+) kB/.exec(status)[1]) * 1024);
    }
  } catch {
    return undefined;
  }
  assert.equal(peaks.length, 1, "this process has one workerd");
  return peaks[0];
}

test("case 53: a 64 MB upload reaches the origin whole", async () => {
  harness.origin.clear(async (incoming, outgoing) => outgoing.end(await hashOf(incoming)));
  const upload = request("POST", "/v1/upload", { "Transfer-Encoding": "chunked" });
  const answered = once(upload, "response");
  await writeAll(upload);
  const [answer] = await answered;
  assert.equal(answer.statusCode, 200);
  assert.equal((await Array.fromAsync(answer)).join(""), EXPECTED);
});

test("a 64 MB upload of a stated length keeps its length", async () => {
  let length;
  harness.origin.clear(async (incoming, outgoing) => {
    length = incoming.headers["content-length"];
    outgoing.end(await hashOf(incoming));
  });
  const upload = request("PUT", "/v1/upload", { "Content-Length": SIZE });
  const answered = once(upload, "response");
  await writeAll(upload);
  const [answer] = await answered;
  assert.equal((await Array.fromAsync(answer)).join(""), EXPECTED);
  assert.equal(length, String(SIZE));
});

test("case 53: a 64 MB download reaches the client whole", async () => {
  harness.origin.clear(async (_, outgoing) => {
    outgoing.writeHead(200, { "content-type": "application/octet-stream" });
    await writeAll(outgoing);
  });
  const download = request("GET", "/v1/download");
  download.end();
  const [answer] = await once(download, "response");
  assert.equal(answer.statusCode, 200);
  assert.equal(await hashOf(answer), EXPECTED);
});

test("an upload is forwarded while the client still writes, and the answer while the origin still writes", async () => {
  harness.origin.clear((incoming, outgoing) => {
    outgoing.writeHead(200, { "content-type": "text/plain" });
    incoming.pipe(outgoing);
  });
  const exchange = request("POST", "/v1/echo", { "Transfer-Encoding": "chunked" });
  exchange.write("first");
  const [answer] = await once(exchange, "response");
  const parts = answer[Symbol.asyncIterator]();
  assert.equal(String((await parts.next()).value), "first");
  // The origin can only have echoed it from a request that has not ended.
  exchange.write("second");
  assert.equal(String((await parts.next()).value), "second");
  exchange.end();
  assert.equal((await parts.next()).done, true);
});

test("case 53: the runtime's memory stays far below the size of the body", async (t) => {
  const peak = await peakMemory();
  if (peak === undefined) return t.skip("this system does not tell the memory of a process");
  // The idle runtime has about 150 MB; three bodies of 64 MB have passed.
  assert.ok(peak < 300 * 1024 * 1024, `workerd has used ${Math.round(peak / 1024 / 1024)} MB`);
});

/** Begins an upload, and ends the connection with `end` once the origin has the first bytes; returns the line of the refusal. */
async function logOfInterruptedUpload(headers, body, end) {
  const arrived = new Promise((resolve) => harness.origin.clear((incoming) => incoming.once("data", () => resolve(incoming))));
  const socket = net.connect({ host: "127.0.0.1", port: Number(new URL(gate.url).port) });
  socket.on("error", () => {});
  const { length } = harness.logs.events;
  socket.write(`POST /v1/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${issued.key}\r\n${headers}\r\n\r\n${body}`);
  const incoming = await arrived;
  incoming.on("error", () => {});
  end(socket, incoming);
  await harness.logs.untilEvent(({ code }, at) => at >= length && code !== undefined);
  await harness.settle();
  socket.destroy();
  const lines = harness.logs.events.slice(length).filter(({ code }) => code !== undefined);
  assert.equal(lines.length, 1);
  return lines[0];
}

describe("an upload that ends early is logged as", () => {
  const framings = [["Content-Length: 1000000", "a".repeat(5000)], ["Transfer-Encoding: chunked", "5\r\nhello\r\n"]];
  const rows = [
    ["the client's if it resets the connection", (client) => client.resetAndDestroy(), "client_disconnected", 499, "info", /^the client disconnected/],
    ["of client or origin if the client closes the connection", (client) => client.destroy(), "origin_unreachable", 502, "error", /^the origin failed, or the client/],
    ["of client or origin if the origin resets the connection", (_, { socket }) => socket.resetAndDestroy(), "origin_unreachable", 502, "error", /^the origin failed, or the client/],
  ];
  for (const [name, end, code, status, level, reason] of rows) {
    for (const [headers, body] of framings) {
      test(`${name}, with ${headers}`, async () => {
        const line = await logOfInterruptedUpload(headers, body, end);
        assert.deepEqual([line.code, line.level, line.status, line.key_id], [code, level, status, issued.id]);
        assert.match(line.reason, reason);
      });
    }
  }
});

test("case 53: a refused upload is answered before it is sent, and no byte of it reaches the origin", async () => {
  harness.origin.clear();
  const answer = await gate.send({
    method: "POST",
    target: "/v1/upload",
    headers: { "Content-Length": SIZE, Expect: "100-continue" },
  });
  assertRefusal(answer, "credential_missing");
  assert.equal(harness.origin.requests.length, 0);
});

test("case 54: server-sent events arrive one by one", async () => {
  let next;
  harness.origin.clear(async (_, outgoing) => {
    outgoing.writeHead(200, { "content-type": "text/event-stream" });
    for (const event of ["one", "two", "three"]) {
      outgoing.write(`data: ${event}\n\n`);
      await new Promise((resolve) => (next = resolve));
    }
    outgoing.end();
  });
  const stream = request("GET", "/v1/events");
  stream.end();
  const [answer] = await once(stream, "response");
  const events = [];
  // The origin sends the next event only after this side has the one before.
  for await (const chunk of answer) {
    events.push(String(chunk));
    next();
  }
  assert.deepEqual(events, ["data: one\n\n", "data: two\n\n", "data: three\n\n"]);
});
