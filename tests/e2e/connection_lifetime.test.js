// MAX_CONNECTION_SECONDS: a WebSocket or a stream ends at most that long after its key was revoked.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { assertAccepted } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { fixed } from "./support/origin.js";
import { openWebSocket } from "./support/websocket.js";

const harness = await startGates(() => ({
  limited: { vars: { MAX_CONNECTION_SECONDS: 1, CORS_ORIGINS: ["https://app.example.com"] } },
  patient: { vars: { MAX_CONNECTION_SECONDS: 3600 } },
  unlimited: {},
}));
const { gates } = harness;
// The runtime's own word about a response that does not come to its end.
harness.logs.expected = /^Uncaught exception: .*TimeoutError/;
const issued = await harness.issue();

const bearer = () => ({ Authorization: `Bearer ${issued.key}` });

/** An origin's answer that sends something every 50 ms until its client has gone. */
const lines = (type, onEnd) => (request, response) => {
  response.writeHead(200, { "content-type": type });
  const timer = setInterval(() => response.write("data: tick\n\n"), 50);
  response.on("close", () => {
    clearInterval(timer);
    onEnd();
  });
};

describe("a WebSocket", () => {
  test("is closed with 1013 when its time is over, at both ends", async () => {
    const socket = await openWebSocket(gates.limited.url, { target: "/v1/chat", headers: bearer() });
    assert.equal(await socket.echo("hello"), "hello");
    assert.deepEqual(await socket.closed(), { code: 1013, reason: "MAX_CONNECTION_SECONDS elapsed; connect again" });
  });

  test("passes messages and closes as it does without a limit", async () => {
    for (const gate of [gates.patient, gates.unlimited]) {
      const socket = await openWebSocket(gate.url, { target: "/v1/chat", headers: bearer() });
      assert.equal(await socket.echo("hello"), "hello");
      assert.equal(await socket.echo("x".repeat(50_000)), "x".repeat(50_000));
      assert.deepEqual(await socket.echo(Buffer.from([0, 1, 255])), Buffer.from([0, 1, 255]));
      assert.equal(await socket.close(), true);
    }
  });

  test("of a public route is not limited", async () => {
    const socket = await openWebSocket(gates.limited.url, { target: "/public/chat" });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.equal(await socket.echo("hello"), "hello");
    await socket.close();
  });
});

describe("a stream is ended when its time is over, at both ends:", () => {
  const rows = [
    ["events, which end as they would by themselves", "text/event-stream", {}, true],
    ["events for a page", "text/event-stream; charset=utf-8", { Origin: "https://app.example.com" }, true],
    ["any other, which is seen not to be whole", "application/x-ndjson", {}, false],
  ];
  for (const [name, type, headers, isWhole] of rows) {
    test(name, async () => {
      let ended;
      const end = new Promise((resolve) => (ended = resolve));
      harness.origin.clear(lines(type, ended));
      const response = await fetch(`${gates.limited.url}/v1/events`, { headers: { ...bearer(), ...headers } });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("content-type"), type);
      let text = "";
      const read = async () => {
        for await (const chunk of response.body) text += Buffer.from(chunk).toString();
      };
      if (isWhole) await read();
      else await assert.rejects(read);
      assert.match(text, /tick/);
      await end;
    });
  }
});

describe("an answer", () => {
  for (const [name, answer] of [
    ["of stated length", fixed(200, ["content-type", "text/plain", "x-origin", "yes", "content-length", "5"], "whole")],
    ["of unstated length", fixed(200, ["content-type", "text/plain", "x-origin", "yes"], "whole")],
    ["with two cookies", fixed(200, ["x-origin", "yes", "set-cookie", "a=1", "set-cookie", "b=2"], "whole")],
    ["without a body", fixed(204, [])],
    ["of an unusual status", fixed(299, ["x-origin", "yes"], "whole")],
  ]) {
    test(`${name} is the same with a limit and without`, async () => {
      const seen = [];
      for (const gate of [gates.patient, gates.unlimited]) {
        harness.origin.clear(answer);
        const { status, headers, text } = await gate.get("/v1/x", { key: issued.key });
        seen.push({ status, text, headers: headers.filter(([header]) => !["date", "transfer-encoding", "content-length"].includes(header.toLowerCase())) });
      }
      assert.deepEqual(seen[0], seen[1]);
    });
  }
});

test("a request that ends in time is accepted", async () => {
  await assertAccepted(gates.limited, { target: "/v1/things", key: issued.key }, issued);
});
