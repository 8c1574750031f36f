// A machine whose clock is wrong: a leaked key stops working all the same, and the difference is said.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";

import { deliveries } from "./support/deliveries.js";
import { noPreload, preload } from "./support/preload.js";

const { gate, api, at, put, read, remote, verify, stored } = await deliveries();
const HOUR = 3600;

let library;
before(async () => {
  if (!noPreload) library = await preload("clock_off", gate.folder);
});
const clock = (ahead) => ({ LD_PRELOAD: library, CLOCK_OFF: String(ahead) });
const difference = /the clock of this machine is (.*): it says (\S+Z), and (Cloudflare's API|the gate) says (\S+Z)/g;

describe("with the clock two hours fast", { skip: noPreload }, () => {
  for (const [name, more] of [["", []], [" --to", ["--to", "file:a"]]]) {
    for (const option of [["--now"], ["--grace", "0"]]) {
      test(`rotate ${option.join(" ")}${name} ends the old key now`, async () => {
        const old = stored();
        await put("a", old.key);
        const args = ["rotate", old.id, ...option, ...more.map((word) => word.replace("file:a", `file:${at("a")}`))];
        const { stderr } = await remote(args, { env: clock(2 * HOUR) });
        assert.match(stderr, new RegExp(`old key ${old.id} stops working now: it is revoked`));
        assert.equal(await verify(old.key), "key_revoked");
        assert.equal((await remote(["show", old.id, "--json"])).stdout.includes('"state":"revoked"'), true);
      });
    }
  }

  test("rotate --all-older-than 0 --now ends the old keys now", async () => {
    const old = stored();
    await put("a", old.key);
    const { stdout } = await remote(["rotate", "--all-older-than", "0", "--now", "--to", `file:${at("a")}`], { env: clock(2 * HOUR) });
    assert.match(stdout, new RegExp(`^rotated   ${old.id}  acme  → \\w{12}  revoked\n`));
    assert.deepEqual([await verify(old.key), await verify(await read("a"))], ["key_revoked", "permitted"]);
  });

  test("the difference is said once a command, with both times", async () => {
    for (const [ahead, said] of [[2 * HOUR, "2 h fast"], [-2 * HOUR, "2 h slow"]]) {
      const { stderr } = await remote(["issue", "--subject", "acme"], { env: clock(ahead) });
      const [[, by, ours, , theirs], ...more] = [...stderr.matchAll(difference)];
      assert.deepEqual([by, more], [said, []]);
      assert.ok(Math.abs(Date.parse(ours) - Date.parse(theirs) - ahead * 1000) < 60_000, stderr);
      assert.match(stderr, /^warning: the clock of this machine/m);
    }
    assert.doesNotMatch((await remote(["issue", "--subject", "acme"], { env: clock(30) })).stderr, /the clock/);
    assert.match((await remote(["list"], { env: clock(-90) })).stderr, /1 min 3\d s slow/);
  });
});

describe("with the clock ten minutes slow, an expiry that has passed by the store's clock is refused", { skip: noPreload }, () => {
  const rows = {
    "issue": () => ["issue", "--subject", "acme"],
    "issue --to": () => ["issue", "--subject", "acme", "--to", "exec:cat"],
    "update": (id) => ["update", id],
    "rotate": (id) => ["rotate", id],
    "rotate --to": (id) => ["rotate", id, "--to", "exec:cat"],
    "rotate --all-older-than": () => ["rotate", "--all-older-than", "0", "--to", "exec:cat"],
  };
  for (const [name, args] of Object.entries(rows)) {
    test(name, async () => {
      const old = stored({ created: 1 });
      const before = JSON.stringify([...api.entries]);
      const { stderr } = await remote([...args(old.id), "--expires", "5m"], { env: clock(-600), status: null });
      assert.match(stderr, /the key would expire at \S+, which has passed: it is \S+ by the store's clock, and \S+ by this machine's/);
      assert.match(stderr, /\n help: set the clock of this machine/);
      assert.equal(JSON.stringify([...api.entries]), before);
      await remote([...args(old.id), "--expires", "15m"], { env: clock(-600) });
    });
  }
});

describe("doctor", () => {
  let server;
  let url;
  let date = () => new Date();
  before(async () => {
    server = createServer((_, response) => response.writeHead(401, { Date: date().toUTCString() }).end());
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${server.address().port}/`;
  });
  after(() => server.close());
  const findings = async (args, env) => JSON.parse((await remote(["doctor", "--json", ...args], { env, status: null })).stdout).findings.filter(({ field }) => field === "clock");

  test("compares the gate's clock with this machine's", async () => {
    assert.deepEqual(await findings(["--url", url]), []);
    date = () => new Date(Date.now() + 2 * HOUR * 1000);
    const [{ level, file, problem, remedy }, ...more] = await findings(["--url", url]);
    assert.deepEqual([level, file, more], ["warning", "this machine", []]);
    assert.match(problem, /^the clock of this machine is (2 h|1 h 59 min) slow: it says \S+Z, and the gate says \S+Z/);
    assert.match(remedy, /set the clock of this machine/);
  });

  test("says which gate does not answer", async () => {
    const [{ level, problem }] = await findings(["--url", "http://127.0.0.1:9/"]);
    assert.deepEqual([level, problem.slice(0, 50)], ["warning", "not looked at: the gate at http://127.0.0.1:9/ does not answer".slice(0, 50)]);
  });

  test("compares the store's clock, and says so once", { skip: noPreload }, async () => {
    const ran = await remote(["doctor", "--json"], { env: clock(2 * HOUR), status: null });
    const [{ problem }] = JSON.parse(ran.stdout).findings.filter(({ field }) => field === "clock");
    assert.match(problem, /2 h fast: .* and Cloudflare's API says/);
    assert.doesNotMatch(ran.stderr, /the clock of this machine/);
  });
});
