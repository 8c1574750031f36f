// `keygate rotate --to`, killed with SIGKILL before and after each of its steps, then resumed: every secret store holds a key
// that the gate accepts at every moment, resumed or not, and the result is always the same.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync, watch } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { Operator, KEYGATE, PATH, cleanEnv } from "./support/cli.js";
import { Cloudflare } from "./support/cloudflare.js";
import { PEPPER, digestOf, issue, now } from "./support/keys.js";
import { noPreload, preload } from "./support/preload.js";
import { run } from "./support/program.js";

const TEN_YEARS = 10 * 365 * 86_400;
/** More than a rotation of three places has of anything; a run that is not killed ends the series long before. */
const MANY = 100;
/** What hangs ends; a slow machine has ten times what it needs. */
const SERIES_MS = 10 * 60_000;

let gate;
let home;
let shim;
before(async () => {
  gate = await Operator.make();
  home = await mkdtemp(path.join(tmpdir(), "keygate-crash-"));
  if (!noPreload) shim = await preload("kill_at", home);
});
after(async () => {
  await gate.remove();
  await rm(home, { recursive: true });
});

/** One key in three places, a store, a journal: everything that a rotation touches. */
class World {
  static async make(order) {
    const world = new World();
    world.folder = await mkdtemp(path.join(home, "world-"));
    world.journal = path.join(world.folder, "journal");
    world.api = await Cloudflare.start();
    world.old = issue();
    world.store(world.old.record);
    world.files = Object.fromEntries(["a", "b", "c"].map((name) => [name, path.join(world.folder, name)]));
    for (const file of Object.values(world.files)) await writeFile(file, `${world.old.key}\n`, { mode: 0o600 });
    const { b } = world.files;
    // Says that it was started and that it is done; is held up by files that the test makes.
    const command = `echo $$ > ${b}.pid; : > ${b}.begun; while [ -e ${b}.before ]; do sleep 0.01; done; cat > ${b}.new; mv ${b}.new ${b}; : > ${b}.done; while [ -e ${b}.after ]; do sleep 0.01; done; rm ${b}.begun ${b}.done`;
    const places = { a: `file:${world.files.a}`, b: `exec:${command}`, c: `file:${world.files.c}` };
    world.to = order.flatMap((name) => ["--to", places[name]]);
    // The places are looked at whenever the store changes: what a place holds must be good before and after that.
    const set = world.api.entries.set.bind(world.api.entries);
    world.faults = [];
    world.api.entries.set = (name, entry) => {
      world.judge("before a write");
      set(name, entry);
      world.judge("after a write");
      return world.api.entries;
    };
    return world;
  }

  store(record) {
    const { subject, name, state } = record;
    this.api.entries.set(`key/${record.id}`, { key: `key/${record.id}`, value: JSON.stringify(record), metadata: { subject, name, state, not_after: null, rev: 1 } });
  }

  async end() {
    await this.api.stop();
  }

  /** The keys in the places, each once. */
  held() {
    return [...new Set(Object.values(this.files ?? {}).filter((file) => existsSync(file)).map((file) => readFileSync(file, "utf8").trim()))];
  }

  /** Notes each place whose key the store's records would not let in now or, should nobody ever resume, in ten years. */
  judge(moment) {
    for (const key of this.held()) {
      const entry = this.api.entries.get(`key/${key.slice("acme_live_".length).slice(0, 12)}`);
      const { digest, state, not_after: end } = entry ? JSON.parse(entry.value) : {};
      // An old key that has been given its end is no longer good in ten years, so no place may hold it then.
      const good = digest === digestOf(PEPPER, key) && state === "active" && (end === null || end === undefined || end > now() + TEN_YEARS);
      if (!good) this.faults.push(`${moment}: ${entry?.value ?? "no record"}`);
    }
  }

  start(args, env = {}) {
    const child = spawn(KEYGATE, ["rotate", ...args], { cwd: gate.folder, stdio: ["ignore", "pipe", "pipe"], env: { ...this.env, ...env } });
    const said = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"]) child[name].setEncoding("utf8").on("data", (text) => (said[name] += text));
    const ended = new Promise((resolve) => child.once("exit", (status, signal) => resolve({ status, signal, said })));
    return { child, ended };
  }

  get env() {
    return { ...cleanEnv(), PATH, ...this.api.env, KEYGATE_PEPPER: PEPPER, KEYGATE_JOURNAL: this.journal };
  }

  rotate(env) {
    return this.start([this.old.id, "--remote", ...this.to], env);
  }

  /** What a crash leaves beside a place may hold a key: it is gone at the end. */
  assertTidy() {
    const names = readdirSync(this.folder).filter((name) => !name.startsWith("b."));
    assert.deepEqual(names.sort(), ["a", "b", "c", "journal"]);
    // A lock that nobody holds may be left: it is taken by the next.
    assert.deepEqual(readdirSync(this.journal).filter((name) => !name.endsWith(".lock")), []);
  }

  /** Nothing of a key is in the journal, or was said. */
  assertNoSecret(...texts) {
    const files = existsSync(this.journal) ? readdirSync(this.journal).map((name) => readFileSync(path.join(this.journal, name), "utf8")) : [];
    for (const text of [...files, ...texts]) assert.ok(!/acme_live_|hs256/.test(text) && !text.includes(PEPPER), "a secret was written or said");
  }

  /** What has to hold at a crash: every place works, by the gate's own code. */
  async assertWorking(said) {
    this.judge("at the crash");
    this.assertNoSecret(said.stdout, said.stderr);
    assert.deepEqual(this.faults, []);
    for (const key of this.held()) {
      const verified = await run(KEYGATE, ["verify", "--remote"], { cwd: gate.folder, input: key, env: this.env });
      assert.equal(verified.status, 0, verified.stdout + verified.stderr);
    }
  }

  /** Resumes, or rotates where nothing had been begun; then everything is as after a rotation that was not disturbed. */
  async assertResumable() {
    const begun = existsSync(this.journal) && readdirSync(this.journal).some((name) => name.endsWith(".json"));
    const replaced = JSON.parse(this.api.entries.get(`key/${this.old.id}`).value).replaced_by;
    if (begun || !replaced) {
      const { status, said } = await this.start(begun ? ["--resume"] : [this.old.id, "--remote", ...this.to]).ended;
      assert.equal(status, 0, said.stderr);
      this.assertNoSecret(said.stdout, said.stderr);
    }
    await this.assertFinished();
  }

  /** As before the rotation, but for new keys that are revoked. */
  async assertUndone() {
    this.judge("at the end");
    assert.deepEqual([this.faults, this.held()], [[], [this.old.key]]);
    const { [this.old.id]: old, ...others } = this.records();
    assert.deepEqual([old.state, old.not_after, old.replaced_by], ["active", undefined, undefined]);
    assert.ok(Object.values(others).every(({ state }) => state === "revoked"));
    this.assertTidy();
  }

  /** Id → record. */
  records() {
    return Object.fromEntries([...this.api.entries.values()].map(({ value }) => [JSON.parse(value).id, JSON.parse(value)]));
  }

  async assertFinished() {
    this.judge("at the end");
    assert.deepEqual(this.faults, []);
    const [key, ...others] = this.held();
    assert.deepEqual(others, [], "all places hold one key");
    const verified = await run(KEYGATE, ["verify", "--remote", "--json"], { cwd: gate.folder, input: key, env: this.env });
    const { key_id: id } = JSON.parse(verified.stdout);
    assert.notEqual(id, this.old.id);
    const { [this.old.id]: old, [id]: fresh, ...orphans } = this.records();
    assert.deepEqual([old.replaced_by, old.state, fresh.replaces, fresh.not_after], [id, "active", this.old.id, null]);
    assert.ok(Math.abs(old.not_after - now() - 86_400) < 600, "the old key works for the grace");
    assert.ok(Object.values(orphans).every(({ state }) => state === "revoked"), "no other key is left");
    this.assertTidy();
    for (const file of ["a", "c"]) assert.equal(await readFile(this.files[file], "utf8"), `${key}\n`);
  }
}

/** A command that comes first has no readable place before it from which its key could be read back. */
const ORDERS = [["a", "b", "c"], ["b", "a", "c"]];

/** Kills at the first, the second, … moment, until a run ends by itself; returns how many there were. */
async function series(order, crashed) {
  let killed = 0;
  for (let nth = 1; nth < MANY; nth += 1) {
    const world = await World.make(order);
    try {
      const { signal, status, said } = await crashed(world, nth);
      if (signal === null) {
        assert.equal(status, 0, said.stderr);
        await world.assertFinished();
        return killed;
      }
      killed += 1;
      await world.assertWorking(said);
      await world.assertResumable();
    } catch (error) {
      error.message = `killed at the ${nth}th moment: ${error.message}`;
      throw error;
    } finally {
      await world.end();
    }
  }
  throw new Error("it never ended by itself");
}

for (const order of ORDERS) {
  describe(`places ${order.join(", ")}, of which b is a command`, { concurrency: 2, timeout: SERIES_MS }, () => {
    test("killed before and after each change of a file", { skip: noPreload }, async () => {
      const killed = await series(order, (world, nth) => world.rotate({ LD_PRELOAD: shim, KILL_AT: nth }).ended);
      // Two for each of a dozen journal writes, two for each of two files.
      assert.ok(killed >= 28, `${killed} moments`);
    });

    for (const [when, told] of [["before", "hang"], ["after", "done, hang"]]) {
      test(`killed ${when} each call of the key store takes effect`, async () => {
        const killed = await series(order, (world, nth) => {
          let calls = 0;
          const { child, ended } = world.rotate();
          world.api.fail = () => {
            calls += 1;
            if (calls !== nth) return undefined;
            // The call is done, or not, and then it is seen by nobody.
            setImmediate(() => child.kill("SIGKILL"));
            return told;
          };
          return ended.finally(() => (world.api.fail = () => undefined));
        });
        assert.ok(killed >= 8, `${killed} moments`);
      });
    }

    for (const [name, hold, dies] of [
      ["before the command takes effect, which dies as well", "before", true],
      ["before the command takes effect, which goes on", "before", false],
      ["after the command took effect", "after", false],
    ]) {
      test(`killed ${name}`, async () => {
        const world = await World.make(order);
        try {
          const { b } = world.files;
          await writeFile(`${b}.${hold}`, "");
          const reached = appears(world.folder, `b.${hold === "before" ? "begun" : "done"}`);
          const { child, ended } = world.rotate();
          await Promise.race([reached, ended.then(({ said }) => assert.fail(said.stderr))]);
          child.kill("SIGKILL");
          const { signal, said } = await ended;
          assert.equal(signal, "SIGKILL");
          if (dies) process.kill(Number(await readFile(`${b}.pid`, "utf8")), "SIGKILL");
          await world.assertWorking(said);
          if (!dies) {
            // It would put its key there after all the others have another one.
            const early = await world.start(["--resume"]).ended;
            assert.match(early.said.stderr, /a command that one started has not ended/);
          }
          await rm(`${b}.${hold}`);
          if (dies) await rm(`${b}.begun`);
          else await gone(b);
          await world.assertWorking(said);
          await world.assertResumable();
        } finally {
          await world.end();
        }
      });
    }

    for (const told of ["done, reset", "reset"]) {
      test(`a lost answer of the key store (${told}) changes nothing`, async () => {
        const world = await World.make(order);
        try {
          // Every first attempt: what was done is done once more, to the same effect.
          let calls = 0;
          world.api.fail = () => ((calls += 1) % 2 === 1 ? told : undefined);
          const { status, said } = await world.rotate().ended;
          assert.equal(status, 0, said.stderr);
          world.api.fail = () => undefined;
          await world.assertFinished();
        } finally {
          await world.end();
        }
      });
    }
  });
}

describe("a rotation that is undone", { timeout: SERIES_MS }, () => {
  /** Two places have the new key, and the rotation is dead. */
  async function halfDone(world) {
    const { b } = world.files;
    await writeFile(`${b}.after`, "");
    const reached = appears(world.folder, "b.done");
    const { child, ended } = world.rotate();
    await Promise.race([reached, ended.then(({ said }) => assert.fail(said.stderr))]);
    child.kill("SIGKILL");
    await ended;
    await rm(`${b}.after`);
    await gone(b);
    assert.equal(world.held().length, 2);
  }

  test("and killed before and after each change of a file ends with the old key in every secret store", { skip: noPreload }, async () => {
    let killed = 0;
    for (let nth = 1; nth < MANY; nth += 1) {
      const world = await World.make(ORDERS[0]);
      try {
        await halfDone(world);
        const undo = ["--undo", world.old.id];
        const { signal, said } = await world.start(undo, { LD_PRELOAD: shim, KILL_AT: nth }).ended;
        await world.assertWorking(said);
        const [journal] = readdirSync(world.journal).filter((name) => name.endsWith(".json"));
        if (journal) {
          // What is being undone is undone by a resumption as well.
          const { step } = JSON.parse(await readFile(path.join(world.journal, journal), "utf8"));
          const again = await world.start(step === "undoing" || step === "restored" ? ["--resume"] : undo).ended;
          assert.equal(again.status, 0, again.said.stderr);
          assert.match(again.said.stderr, /is undone/);
        }
        await world.assertUndone();
        if (signal === null) return assert.ok(killed >= 8, `${killed} moments`);
        killed += 1;
      } finally {
        await world.end();
      }
    }
    return assert.fail("it never ended by itself");
  });
});

describe("an answer that never comes after the write was made", { concurrency: 3, timeout: SERIES_MS }, () => {
  for (const nth of [1, 2, 3]) {
    test(`of write ${nth}: the record is read back, and the rotation is not undone`, async () => {
      const world = await World.make(ORDERS[0]);
      try {
        const bodies = new Set();
        world.api.fail = (call, body) => {
          if (call !== "PUT /bulk") return undefined;
          bodies.add(body.toString());
          return bodies.size === nth && [...bodies].at(-1) === body.toString() ? "done, hang" : undefined;
        };
        const { status, said } = await world.rotate({ KEYGATE_API_TIMEOUT: "1" }).ended;
        assert.equal(status, 0, said.stderr);
        assert.equal(bodies.size, 3);
        await world.assertFinished();
      } finally {
        await world.end();
      }
    });
  }
});

/** Resolves when a file of that name is made in the folder. */
function appears(folder, name) {
  return new Promise((resolve) => {
    const watcher = watch(folder, () => {
      if (!existsSync(path.join(folder, name))) return;
      watcher.close();
      resolve();
    });
  });
}

/** Resolves when the command behind the place has ended; one that nobody waited for has a state of its own. */
async function gone(place) {
  const pid = (await readFile(`${place}.pid`, "utf8")).trim();
  while (/^[^Z\s]/.test((await run("ps", ["-o", "stat=", "-p", pid], {})).stdout)) await new Promise((resolve) => setTimeout(resolve, 10));
}
