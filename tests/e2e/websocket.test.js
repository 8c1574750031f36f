// A WebSocket is checked like any other request.

import assert from "node:assert/strict";
import { test } from "node:test";

import { identityOf } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { valuesOf } from "./support/origin.js";
import { openWebSocket } from "./support/websocket.js";

const harness = await startGates();
const { gate } = harness.gates;
const issued = await harness.issue({ scopes: ["chat"] });

for (const [name, headers] of [
  ["Bearer", (key) => ({ Authorization: `Bearer ${key}` })],
  ["X-API-Key", (key) => ({ "X-API-Key": key })],
]) {
  test(`cases 37, 52: with a key by ${name} it opens, echoes and closes`, async () => {
    harness.origin.clear();
    const socket = await openWebSocket(gate.url, { target: "/v1/chat?room=1", headers: headers(issued.key) });
    assert.equal(socket.answer.status, 101);
    assert.equal(await socket.echo("hello"), "hello");
    assert.equal(await socket.echo("x".repeat(50_000)), "x".repeat(50_000));
    assert.deepEqual(await socket.echo(Buffer.from([0, 1, 255])), Buffer.from([0, 1, 255]));
    assert.equal(await socket.close(), true);
    const seen = harness.origin.only;
    assert.equal(seen.url, "/v1/chat?room=1");
    assert.deepEqual(valuesOf(seen, "upgrade").map((v) => v.toLowerCase()), ["websocket"]);
    assert.deepEqual(valuesOf(seen, "authorization"), []);
    assert.deepEqual(valuesOf(seen, "x-api-key"), []);
    for (const [header, values] of Object.entries(identityOf(issued))) assert.deepEqual(valuesOf(seen, header), values, header);
  });
}

for (const [name, headers, status] of [
  ["without a key", {}, 401],
  ["with a wrong key", { Authorization: "Bearer acme_live_wrong" }, 401],
]) {
  test(`case 52: ${name} there is no 101 and no call of the origin`, async () => {
    harness.origin.clear();
    const { answer } = await openWebSocket(gate.url, { target: "/v1/chat", headers });
    assert.equal(answer.status, status);
    assert.equal(harness.origin.requests.length, 0);
  });
}

test("a public route's WebSocket opens without a key", async () => {
  harness.origin.clear();
  const socket = await openWebSocket(gate.url, { target: "/public/chat" });
  assert.equal(await socket.echo("hello"), "hello");
  assert.equal(await socket.close(), true);
});

// An upgrade is always a GET on the wire: what was judged as another method must not become one.
for (const method of ["POST", "DELETE", "HEAD", "OPTIONS"]) {
  test(`an upgrade by ${method} does not reach the origin as GET`, async () => {
    harness.origin.clear();
    const headers = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==" };
    await gate.send({ method, target: "/v1/chat", key: issued.key, headers, body: "" });
    assert.deepEqual(harness.origin.requests.map((seen) => seen.method).filter((seen) => seen !== method), []);
  });
}
