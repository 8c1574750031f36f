// What the control Worker writes does not grow with the requests: docs/usage.md says what it costs.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import { COUNTED_ROWS } from "./support/entry_modules.js";
import { startGates } from "./support/harness.js";
import { randomBase62 } from "./support/keys.js";

/** Rows for the keys of a day, and for their last uses, at most; and those for requests without a key, for the alarm and for where it is. */
const MOVED_MAX = 2 * 256 + 3;

const counted = { keyUsage: "control", controlEntry: COUNTED_ROWS };
const harness = await startGates(() => ({ counting: counted, aging: counted }));
const usage = await harness.usage("counting");
const written = async (query = "", object = usage) => (await object.fetch(`https://usage/rows-written${query}`)).json();

/** Sends batches at once, each of some keys with many requests. */
async function take(batches, keys, { now = Math.floor(Date.now() / 1000), object = usage } = {}) {
  const hours = { [Math.floor(now / 3600)]: { accepted: 1000, refused: {} } };
  const key = { last: { accepted: now }, hours };
  const bodies = Array.from({ length: batches }, () =>
    JSON.stringify({ id: randomUUID(), made: now, usage: { keys: Object.fromEntries(keys.map((id) => [id, key])) } }),
  );
  const send = async (body) => assert.equal((await object.fetch("https://usage/batches", { method: "POST", body })).status, 204);
  await Promise.all(bodies.map(send));
}

test("batches of a second are one row, whatever they hold, and a repeated move writes none of them again", async () => {
  await take(1, ["AAAAAAAAAAAA"]);
  // The tables are new.
  await written("?move");
  for (const [batches, count] of [[1, 1], [20, 10], [40, 100]]) {
    const keys = Array.from({ length: count }, () => randomBase62(12));
    await take(batches, keys);
    const commits = await written();
    assert.ok(commits >= 1 && commits <= 2, `${batches} batches of ${count} keys: ${commits} rows`);
    const moved = await written("?move");
    assert.ok(moved >= 2 && moved <= Math.min(2 * count + 2, MOVED_MAX), `${count} keys: ${moved} rows`);
  }
  assert.ok((await written("?move")) <= 1);
});

test("however many keys, a move writes at most so many rows", async () => {
  for (let part = 0; part < 5; part += 1) await take(1, Array.from({ length: 4000 }, () => randomBase62(12)));
  await written();
  const moved = await written("?move");
  assert.ok(moved > 500 && moved <= MOVED_MAX, `${moved} rows`);
});

test("a last use is forgotten after 400 days, also if no other key of its row is used", async () => {
  const object = await harness.usage("aging");
  const today = Math.floor(Date.now() / 1000);
  // Of two rows.
  const [old, used] = ["AAAAAAAAAAAA", "AAAAAAAAAAAB"];
  for (const [key, daysAgo, known] of [[old, 402, [old]], [used, 3, [old, used]], [used, 0, [used]]]) {
    const now = today - daysAgo * 86_400;
    await written(`?at=${now}`, object);
    await take(1, [key], { now, object });
    await written("?move", object);
    const { keys } = await (await object.fetch("https://usage/last-uses")).json();
    assert.deepEqual(Object.keys(keys), known, `${daysAgo} days ago`);
  }
});
