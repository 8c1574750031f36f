// An origin that leads back to the gate: the gate ends the loop.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request as ask } from "node:http";
import { after, before, test } from "node:test";

import { assertAccepted, assertRefusal } from "./support/contract.js";
import { valuesOf } from "./support/origin.js";
import { boot } from "./support/world.js";

/** A server that passes every request on to `target`, which is set later; `passes` counts them. */
async function leadsTo() {
  const back = { passes: 0, target: undefined };
  const server = createServer((incoming, response) => {
    back.passes += 1;
    const { host: _, ...headers } = incoming.headers;
    const outgoing = ask(new URL(incoming.url, back.target), { method: incoming.method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    outgoing.on("error", () => response.destroy());
    incoming.pipe(outgoing);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = () => new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  return Object.assign(back, { url: `http://127.0.0.1:${server.address().port}`, stop });
}

let world;
let gates;
let toItself;
let toSecond;
let toFirst;
before(async () => {
  [toItself, toSecond, toFirst] = await Promise.all([leadsTo(), leadsTo(), leadsTo()]);
  world = await boot(() => ({
    gate: {},
    loop: { vars: { ORIGIN: toItself.url } },
    first: { vars: { ORIGIN: toSecond.url } },
    second: { vars: { ORIGIN: toFirst.url, KEY_PREFIX: "acme_test" } },
  }));
  ({ gates } = world);
  toItself.target = gates.loop.url;
  toSecond.target = gates.second.url;
  toFirst.target = gates.first.url;
});
after(async () => {
  await world?.stop();
  await Promise.all([toItself, toSecond, toFirst].map((back) => back?.stop()));
});

test("a gate whose origin is itself passes a request once and answers 508", async () => {
  const answer = await gates.loop.send({ target: "/public/page" });
  assertRefusal(answer, "loop_detected");
  assert.equal(toItself.passes, 1);
  const isLoop = ({ code }) => code === "loop_detected";
  await world.logs.until(() => world.logs.events.some(isLoop));
  assert.equal(world.logs.events.filter(isLoop).length, 1);
});

test("a loop over two gates ends at the first", async () => {
  const answer = await gates.first.send({ target: "/public/page" });
  assertRefusal(answer, "loop_detected");
  assert.deepEqual([toSecond.passes, toFirst.passes], [1, 1]);
});

test("the mark of another gate is kept, and other text is dropped", async () => {
  const other = "fedcba9876543210";
  const headers = { "Keygate-Via": `${other}, canary` };
  const { seen } = await assertAccepted(gates.gate, { target: "/public/page", headers });
  const [via] = valuesOf(seen, "keygate-via");
  assert.match(via, /^fedcba9876543210, [0-9a-f]{16}$/);
  const own = via.split(", ")[1];
  assert.notEqual(own, other);
  assertRefusal(await gates.gate.send({ target: "/public/page", headers: { "Keygate-Via": own } }), "loop_detected");
});
