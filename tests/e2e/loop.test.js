// An origin that leads back to the gate: the gate ends the loop.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import { after, test } from "node:test";

import { assertAccepted, assertRefusal } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { valuesOf } from "./support/origin.js";

/** An origin that sends every request on to `target`, which is set later; `count` is how many. */
class Forwarder {
  count = 0;
  target;
  #server = createServer((incoming, response) => {
    this.count += 1;
    const { host: _, ...headers } = incoming.headers;
    const outgoing = request(new URL(incoming.url, this.target), { method: incoming.method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    outgoing.on("error", () => response.destroy());
    incoming.pipe(outgoing);
  });

  static async start() {
    const forwarder = new Forwarder();
    forwarder.#server.listen(0, "127.0.0.1");
    await once(forwarder.#server, "listening");
    return forwarder;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  stop() {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

const [toItself, toSecond, toFirst] = await Promise.all([Forwarder.start(), Forwarder.start(), Forwarder.start()]);
after(() => [toItself, toSecond, toFirst].forEach((forwarder) => forwarder.stop()));
const harness = await startGates(() => ({
  gate: {},
  loop: { vars: { ORIGIN: toItself.url } },
  first: { vars: { ORIGIN: toSecond.url } },
  second: { vars: { ORIGIN: toFirst.url, KEY_PREFIX: "acme_test" } },
}));
const { gates } = harness;
toItself.target = gates.loop.url;
toSecond.target = gates.second.url;
toFirst.target = gates.first.url;

test("a gate whose origin is itself forwards a request once and answers 508", async () => {
  const answer = await gates.loop.send({ target: "/public/page" });
  assertRefusal(answer, "loop_detected");
  assert.equal(toItself.count, 1);
  const isLoop = ({ code }) => code === "loop_detected";
  await harness.logs.untilEvent(isLoop);
  assert.equal(harness.logs.events.filter(isLoop).length, 1);
});

test("a loop over two gates ends at the first", async () => {
  const answer = await gates.first.send({ target: "/public/page" });
  assertRefusal(answer, "loop_detected");
  assert.deepEqual([toSecond.count, toFirst.count], [1, 1]);
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
