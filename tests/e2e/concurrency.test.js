// Requests share an isolate, and no answer, identity or failure of one reaches another.

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { afterEach, describe, test } from "node:test";

import { assertAccepted } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { makeKey } from "./support/keys.js";
import { eventually } from "./support/logs.js";

const HOLDERS = 10;
const REQUESTS = 200;

const harness = await startGates(() => ({
  uncached: { kv: "scripted" },
  cached: { kv: "scripted", vars: { CACHE_SECONDS: 3600 } },
  crowded: { kv: "scripted", vars: { CACHE_SECONDS: 3600, CACHE_ENTRIES: 3 } },
  slowStore: { kv: "scripted", vars: { KV_TIMEOUT_MS: 2000 } },
}));
const { gates } = harness;
const holders = await Promise.all(Array.from({ length: HOLDERS }, (_, at) => harness.issue({ subject: `holder-${at}` })));
afterEach(() => harness.store.clear());

const whoAmI = async (request, response) => {
  // Answers overtake each other.
  await new Promise((resolve) => setTimeout(resolve, Number(request.url.split("/").at(-1)) % 7));
  response.end(`${request.headers["x-keygate-subject"]} ${request.url}`);
};

describe("case 39: each of many simultaneous requests gets its own answer,", () => {
  for (const name of ["uncached", "cached", "crowded"]) {
    test(`${name} records`, async () => {
      harness.origin.clear(whoAmI);
      const forged = makeKey();
      const answers = await Promise.all(
        Array.from({ length: REQUESTS }, async (_, at) => {
          const isForged = at % 5 === 4;
          const holder = holders[at % HOLDERS];
          const target = `/v1/things/${at}`;
          const answer = await gates[name].get(target, { key: isForged ? forged.key : holder.key });
          return isForged
            ? [answer.status, answer.json.code, 401, "key_invalid"]
            : [answer.status, answer.text, 200, `${holder.record.subject} ${target}`];
        }),
      );
      for (const [status, text, expectedStatus, expectedText] of answers) {
        assert.deepEqual([status, text], [expectedStatus, expectedText]);
      }
      assert.equal(harness.origin.requests.length, (REQUESTS / 5) * 4);
    });
  }
});

test("case 58: simultaneous requests whose store read hangs all get 503, and the next one succeeds", async () => {
  harness.origin.clear();
  harness.store.mode = "hang";
  const answers = await Promise.all(holders.map(({ key }) => gates.slowStore.get("/v1/things", { key })));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [503]);
  assert.equal(harness.origin.requests.length, 0);
  harness.store.mode = "serve";
  await assertAccepted(gates.slowStore, { target: "/v1/things", key: holders[0].key }, holders[0]);
});

for (const [when, mode, gate] of [
  ["while the store is read", "hang", "slowStore"],
  ["while the origin answers", "serve", "cached"],
]) {
  test(`clients that go away ${when} leave nothing behind`, async () => {
    let waiting = 0;
    harness.origin.clear(() => {
      waiting += 1;
      return new Promise(() => {});
    });
    harness.store.mode = mode;
    const { hostname, port, host } = new URL(gates[gate].url);
    const sockets = holders.map(({ key }) => {
      const socket = net.connect({ host: hostname, port: Number(port) });
      socket.on("error", () => {});
      socket.write(`GET /v1/things HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${key}\r\n\r\n`);
      return socket;
    });
    await eventually(() => (mode === "hang" ? harness.store.reads.length : waiting) >= HOLDERS, "all requests to be under way");
    await Promise.all(sockets.map((socket) => (socket.destroy(), once(socket, "close"))));
    harness.store.mode = "serve";
    for (const holder of holders) await assertAccepted(gates[gate], { target: "/v1/things", key: holder.key }, holder);
  });
}
