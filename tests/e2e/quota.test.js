// Quotas: requests are paid with units that the Durable Object of the subject lends, and answers say what is left.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { startGates } from "./support/harness.js";

const WITHIN_MS = 120_000;
const WHOAMI = "/.well-known/keygate/whoami";
const PLANS = {
  ten: { quota: { limit: 10, period: "day" } },
  monthly: { quota: { limit: 3, period: "month" } },
  once: { quota: { limit: 3, period: "total" } },
  thousand: { quota: { limit: 1000, period: "day" } },
  million: { quota: { limit: 1_000_000, period: "day" } },
  rated: { rate: { limiter: "RATE", period: 60, limit: 2 }, quota: { limit: 10, period: "total" } },
  rate: { rate: { limiter: "RATE", period: 60, limit: 2 } },
};
const limiters = { RATE: { limit: 2, period: 60 } };
const ROUTES = [
  { path: "/public/*", access: "public" },
  { path: "/closed/*", access: "deny" },
  { path: "/admin/*", scopes: ["admin"] },
  { path: "/dear/*", cost: 4 },
  { path: "/free/*", cost: 0 },
  { path: "/cached/*", cache: true },
];

const harness = await startGates(() => ({
  gate: { quota: true, limiters, vars: { PLANS, ROUTES, WHOAMI_PATH: WHOAMI } },
  pages: { quota: true, limiters, vars: { PLANS, ROUTES, CORS_ORIGINS: ["https://app.example.com"] } },
  unbound: {},
  originless: { quota: true, limiters, vars: { PLANS, ROUTES, ORIGIN: "http://127.0.0.1:1" } },
}));
const { gates } = harness;
let subjects = 0;
/** A key of a subject of its own, so that each test has a quota of its own. */
const holder = (fields) => harness.issue({ subject: `s${(subjects += 1)}`, ...fields });

/** What the object of the subject has counted, by period, and what it was sent. */
async function account({ record: { subject } }, gate = "gate") {
  return (await (await harness.quota(gate, subject)).fetch("https://quota/")).json();
}

async function tell({ record: { subject } }, how, gate = "gate") {
  await (await harness.quota(gate, subject)).fetch("https://quota/", { method: "PUT", body: how });
}

const status = async ({ key }, target = "/v1/things", gate = "gate") => (await gates[gate].get(target, { key })).status;

/** Sends `count` requests, one after the other, and returns how many were accepted. */
async function accepted(holder, count, target) {
  let sum = 0;
  for (let n = 0; n < count; n += 1) sum += Number((await status(holder, target)) === 200);
  return sum;
}

describe("exactly the limit is accepted:", () => {
  for (const [name, fields, target, sent, expected] of [
    ["a plan's", { plan: "ten" }, "/v1/things", 13, 10],
    ["of a month", { plan: "monthly" }, "/v1/things", 5, 3],
    ["in total", { plan: "once" }, "/v1/things", 5, 3],
    ["the record's, without a plan", { quota: { limit: 2, period: "hour" } }, "/v1/things", 4, 2],
    ["the record's, instead of the plan's", { plan: "ten", quota: { limit: 2, period: "day" } }, "/v1/things", 4, 2],
    ["requests that cost more", { plan: "ten" }, "/dear/things", 4, 2],
    ["requests that are free of charge", { plan: "once" }, "/free/things", 5, 5],
  ]) {
    test(name, async () => {
      assert.equal(await accepted(await holder(fields), sent, target), expected);
    });
  }

  test("of fifty at once with two keys of one subject", async () => {
    const first = await holder({ plan: "ten" });
    const second = await harness.issue({ subject: first.record.subject, plan: "ten" });
    const all = await Promise.all(Array.from({ length: 50 }, (_, n) => status(n % 2 ? first : second)));
    assert.equal(all.filter((one) => one === 200).length, 10);
    assert.ok(all.every((one) => one === 200 || one === 429), all.join(" "));
  });

  test("a new key of the subject goes on where the old one was", async () => {
    const old = await holder({ plan: "ten" });
    assert.equal(await accepted(old, 6), 6);
    const next = await harness.issue({ subject: old.record.subject, plan: "ten", replaces: old.id });
    assert.equal(await accepted(next, 6), 4);
  });

  test("what is cheap still passes when little is left", async () => {
    const one = await holder({ plan: "ten" });
    assert.equal(await accepted(one, 3, "/dear/things"), 2);
    assert.equal(await accepted(one, 3), 2);
  });
});

describe("answers say", () => {
  const policy = '"plan";q=10;w=86400';
  test("the policy and what is left", async () => {
    const one = await holder({ plan: "ten" });
    for (const left of [9, 8]) {
      const { answer } = await assertAccepted(gates.gate, { target: "/v1/things", key: one.key }, one);
      assert.equal(answer.header("ratelimit-policy"), policy);
      const [, units, secs] = /^"plan";r=(\d+);t=(\d+)$/.exec(answer.header("ratelimit"));
      assert.ok(Number(units) === left && secs >= 1 && secs <= 86_400, answer.header("ratelimit"));
    }
  });

  for (const [name, fields, expected, left] of [
    ["a month has no window", { plan: "monthly" }, '"plan";q=3', /^"plan";r=2;t=\d+$/],
    ["a total has no window and no reset", { plan: "once" }, '"plan";q=3', /^"plan";r=2$/],
    ["a rate, if its limit is known", { plan: "rate", subject: "rated" }, '"rate";q=2;w=60', undefined],
    ["both", { plan: "rated" }, '"plan";q=10, "rate";q=2;w=60', /^"plan";r=9$/],
  ]) {
    test(name, async () => {
      const one = await holder(fields);
      const answer = await gates.gate.get("/v1/things", { key: one.key });
      assert.deepEqual([answer.status, answer.header("ratelimit-policy")], [200, expected]);
      if (left) assert.match(answer.header("ratelimit"), left);
      else assert.equal(answer.header("ratelimit"), undefined);
    });
  }

  for (const [plan, policy, retryAfter] of [["ten", '"plan";q=10;w=86400', /^[1-9]\d*$/], ["once", '"plan";q=3', undefined]]) {
    test(`that the quota is exceeded, ${plan}`, async () => {
      const one = await holder({ plan });
      await accepted(one, 10);
      const { answer } = await assertRefused(gates.gate, { target: "/v1/things", key: one.key }, "quota_exceeded", { log: { key_id: one.id, subject: one.record.subject } });
      assert.equal(answer.header("ratelimit-policy"), policy);
      assert.match(answer.header("ratelimit"), /^"plan";r=0/);
      assert.deepEqual(answer.json["violated-policies"], ["plan"]);
      if (retryAfter) {
        assert.match(answer.header("retry-after"), retryAfter);
        assert.equal(answer.header("ratelimit"), `"plan";r=0;t=${answer.header("retry-after")}`);
      } else assert.equal(answer.header("retry-after"), undefined);
    });
  }

  test("nothing where there is no quota, and no object is asked", async () => {
    const one = await holder({});
    for (const target of ["/v1/things", "/public/things"]) {
      const answer = await gates.gate.get(target, { key: one.key });
      assert.deepEqual([answer.status, answer.header("ratelimit-policy"), answer.header("ratelimit")], [200, undefined, undefined]);
    }
    assert.deepEqual(await account(one), { spent: {}, messages: [] });
  });

  test("nothing where a cache would give it to others", async () => {
    const one = await holder({ plan: "ten" });
    const answer = await gates.gate.get("/cached/things", { key: one.key });
    assert.deepEqual([answer.status, answer.header("ratelimit-policy"), answer.header("ratelimit")], [200, undefined, undefined]);
    assert.deepEqual((await account(one)).spent, { day: 1 });
  });

  test("it to pages too", async () => {
    const one = await holder({ plan: "once" });
    const headers = { Origin: "https://app.example.com" };
    for (const expected of [200, 200, 200, 429]) {
      const answer = await gates.pages.get("/v1/things", { key: one.key, headers });
      assert.equal(answer.status, expected);
      const exposed = answer.header("access-control-expose-headers").toLowerCase().split(/, */);
      assert.ok(exposed.includes("ratelimit") && exposed.includes("ratelimit-policy"), exposed.join());
    }
  });
});

describe("nothing is charged for", () => {
  for (const [name, target, code, options] of [
    ["a missing scope", "/admin/things", "scope_missing"],
    ["a closed route", "/closed/things", "route_denied"],
    ["an ambiguous path", "/v1%2fthings", "path_ambiguous"],
  ]) {
    test(name, async () => {
      const one = await holder({ plan: "ten" });
      await assertRefused(gates.gate, { target, key: one.key }, code, options);
      assert.deepEqual(await account(one), { spent: {}, messages: [] });
    });
  }

  test("what the rate limit refuses", async () => {
    const one = await holder({ plan: "rated" });
    const sent = 8;
    const passed = await accepted(one, sent);
    // The limiter's window may turn in between.
    assert.ok(passed < sent, `${passed} of ${sent}`);
    assert.deepEqual((await account(one)).spent, { total: passed });
  });

  test("what the limit refuses", async () => {
    const one = await holder({ plan: "once" });
    await accepted(one, 6);
    assert.deepEqual((await account(one)).spent, { total: 3 });
  });
});

test("a request whose origin failed was charged", async () => {
  const one = await holder({ plan: "ten" });
  assert.equal(await status(one, "/v1/things", "originless"), 502);
  assert.deepEqual((await account(one, "originless")).spent, { day: 1 });
});

describe("where the object", () => {
  test("fails, the rest of the lease is spent, and then it is 503", async () => {
    const one = await holder({ plan: "thousand" });
    // 1, then 2, then 4 units are lent.
    assert.equal(await accepted(one, 4), 4);
    await tell(one, "fail");
    assert.equal(await accepted(one, 3), 3);
    await assertRefused(gates.gate, { target: "/v1/things", key: one.key }, "quota_unavailable", { log: { key_id: one.id } });
    await tell(one, "work");
    assert.equal(await accepted(one, 1), 1);
  });

  test("lends and the answer is lost, it is 503, and nothing is lost", async () => {
    const one = await holder({ plan: "ten" });
    await tell(one, "lose");
    await assertRefused(gates.gate, { target: "/v1/things", key: one.key }, "quota_unavailable");
    const { messages } = await account(one);
    assert.deepEqual(messages.map(({ request }) => request.id), [messages[0].request.id, messages[0].request.id]);
    await tell(one, "work");
    assert.equal(await accepted(one, 12), 10);
  });

  test("hangs, it is 503, and no other subject waits", async () => {
    const [one, other] = [await holder({ plan: "ten" }), await holder({ plan: "ten" })];
    await tell(one, "hang");
    let ended = false;
    const waiting = gates.gate.get("/v1/things", { key: one.key }).finally(() => (ended = true));
    assert.equal(await status(other), 200);
    assert.ok(!ended, "it did not hang");
    const answer = await waiting;
    assert.deepEqual([answer.status, answer.json.code], [503, "quota_unavailable"]);
    assert.match(answer.header("retry-after"), /^[1-9]\d*$/);
  });

  test("is not bound, a key with a quota is refused, and others are not", async () => {
    const one = await holder({ quota: { limit: 5, period: "day" } });
    await assertRefused(gates.unbound, { target: "/v1/things", key: one.key }, "quota_unavailable", { log: { reason: "the quota could not be counted: QUOTA is not bound" } });
    assert.equal(await status(await holder({}), "/v1/things", "unbound"), 200);
  });
});

describe("far from the limit", () => {
  test("of 2,000 requests one in a hundred waits for the object, and what was not spent comes back", async () => {
    const one = await holder({ plan: "million" });
    assert.equal(await accepted(one, 2000), 2000);
    const asked = (await account(one)).messages.filter(({ path }) => path === "/leases").length;
    assert.ok(asked <= 20, `${asked} requests waited`);
    const end = Date.now() + WITHIN_MS;
    for (;;) {
      const { spent, messages } = await account(one);
      if (spent.day === 2000) {
        assert.ok(messages.some(({ path }) => path === "/returns"), "nothing was given back");
        return;
      }
      assert.ok(Date.now() < end, `${spent.day} units are spent`);
      await sleep(200);
    }
  });
});

describe("whoami says", () => {
  const whoami = async ({ key }) => (await gates.gate.get(WHOAMI, { key })).json.quota;
  test("what is left, without charging it", async () => {
    const one = await holder({ plan: "ten" });
    await accepted(one, 3);
    for (let n = 0; n < 2; n += 1) {
      const { resets_at: resetsAt, ...quota } = await whoami(one);
      assert.deepEqual(quota, { limit: 10, period: "day", left: 7 });
      assert.ok(Math.abs(resetsAt - (Math.floor(Date.now() / 86_400_000) + 1) * 86_400) < 60, `${resetsAt}`);
    }
    assert.deepEqual((await account(one)).spent, { day: 3 });
  });

  test("only the quota where the object fails", async () => {
    const one = await holder({ plan: "once" });
    await tell(one, "fail");
    assert.deepEqual(await whoami(one), { limit: 3, period: "total" });
  });

  test("null where there is none", async () => {
    assert.equal(await whoami(await holder({})), null);
  });
});
