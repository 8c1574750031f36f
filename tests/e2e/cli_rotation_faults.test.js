// Rotations with one random fault each: a secret store that cannot be read, written or found, a program that is missing, slow, fails or
// prints nothing, a refusal of the key store, a kill. Whoever then runs only the commands that the messages name ends with one key that
// works, in every store that can be read, and with nothing pending or left behind.
//
// KEYGATE_FAULT_RUNS runs (default 100), from KEYGATE_FAULT_SEED (default 1) on; a failure names the seed that repeats its run.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmdirSync, writeFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { KEYGATE, Operator, PATH, TOKEN, cleanEnv } from "./support/cli.js";
import { Cloudflare, refuse } from "./support/cloudflare.js";
import { PEPPER, digestOf, issue } from "./support/keys.js";
import { noPreload, preload } from "./support/preload.js";
import { seeded } from "./support/random.js";

const RUNS = Number(process.env.KEYGATE_FAULT_RUNS ?? 100);
const FIRST = Number(process.env.KEYGATE_FAULT_SEED ?? 1);
/** Of two cores each process has half of the time. */
const AT_ONCE = 4;
/** More commands than any way out has; who waits for a command that was left behind asks more often. */
const MOST_STEPS = 6;
const MOST_WAITS = 400;

/** What a program of a store does with the key; what it says is nobody's business. */
const PROGRAM = `#!/bin/sh
took() { cat > "$1.new" && mv "$1.new" "$1"; }
case $(cat "$0.mode") in
  fails) cat > /dev/null; exit 7 ;;
  "takes and fails") took "$1"; exit 7 ;;
  "is slow") exec sleep 3 ;;
  "takes and is slow") took "$1"; exec sleep 3 ;;
  *) took "$1" ;;
esac
`;

let gate;
let home;
let shim;
before(async () => {
  gate = await Operator.make();
  home = await mkdtemp(path.join(tmpdir(), "keygate-faults-"));
  await mkdir(path.join(home, "bin"));
  await symlink(KEYGATE, path.join(home, "bin", "keygate"));
  if (!noPreload) shim = await preload("kill_at", home);
});
after(async () => {
  await gate.remove();
  await rm(home, { recursive: true });
});

/** A key in one to four secret stores, a key store, and a fault. */
class World {
  static async make(seed) {
    const world = new World();
    world.random = seeded(seed);
    world.folder = await mkdtemp(path.join(home, `${seed}-`));
    world.at = (...names) => path.join(world.folder, ...names);
    world.api = await Cloudflare.start();
    world.old = issue();
    const set = world.api.entries.set.bind(world.api.entries);
    world.mostPending = 0;
    world.api.entries.set = (name, entry) => {
      set(name, entry);
      world.mostPending = Math.max(world.mostPending, world.records().filter(({ id, state }) => id !== world.old.id && state === "active").length);
      return world.api.entries;
    };
    const { subject, name, state, digest } = world.old.record;
    set(`key/${world.old.id}`, { key: `key/${world.old.id}`, value: JSON.stringify(world.old.record), metadata: { subject, name, state, not_after: null, pepper: digest.split(".")[1], rev: 1 } });
    await world.#stores();
    world.env = { ...cleanEnv(), ...world.api.env, PATH: [path.join(home, "bin"), PATH].join(path.delimiter), KEYGATE_PEPPER: PEPPER, KEYGATE_JOURNAL: world.at("journal"), KEYGATE_COMMAND_TIMEOUT: "1" };
    world.grace = world.random.from([[], ["--grace", "7d"], ["--now"]]);
    world.said = [];
    return world;
  }

  async #stores() {
    const count = 1 + this.random.below(4);
    this.stores = [];
    for (let nth = 0; nth < count; nth += 1) {
      const folder = this.at(`store${nth}`);
      await mkdir(folder);
      const file = path.join(folder, "key");
      await writeFile(file, this.old.key, { mode: 0o600 });
      const program = path.join(folder, "program");
      const isProgram = this.random.often(0.4);
      if (isProgram) {
        await writeFile(program, PROGRAM);
        await chmod(program, 0o700);
        await writeFile(`${program}.mode`, "takes");
      }
      this.stores.push({ folder, file, program, isProgram, uri: isProgram ? `exec:${program} ${file}` : `file:${file}` });
    }
  }

  records() {
    return [...this.api.entries.values()].map(({ value }) => JSON.parse(value));
  }

  /** The one fault: its name, how it begins, and how it ends where it does not end by itself. */
  fault() {
    const store = this.random.from(this.stores);
    const mode = (name) => ({
      name: `${store.uri} ${name}`,
      begin: () => writeFileSync(`${store.program}.mode`, name),
      end: () => writeFileSync(`${store.program}.mode`, "takes"),
    });
    const away = (what, name) => ({ name, begin: () => renameSync(what, `${what}.away`), end: () => renameSync(`${what}.away`, what) });
    const ofProgram = [
      away(store.program, `${store.uri} is missing`),
      ...["fails", "takes and fails", "is slow", "takes and is slow"].map(mode),
    ];
    const ofFile = [
      {
        name: `${store.uri} cannot be read`,
        begin: () => (renameSync(store.file, `${store.file}.away`), mkdirSync(store.file)),
        end: () => (rmdirSync(store.file), renameSync(`${store.file}.away`, store.file)),
      },
      { name: `${store.uri} cannot be written`, begin: () => mkdirSync(path.join(store.folder, ".key.keygate")), end: () => rmdirSync(path.join(store.folder, ".key.keygate")) },
      away(store.folder, `${store.uri} is not found`),
    ];
    const kills = [
      { name: "a kill at a change of a file", env: { LD_PRELOAD: shim, KILL_AT: String(1 + this.random.below(34)) } },
      { name: "a kill before a call of the key store", kill: "hang" },
      { name: "a kill after a call of the key store", kill: "done, hang" },
    ].filter(({ env }) => !env || shim);
    const others = [
      { name: "the key store refuses a call", refuses: true },
      { name: "the program of the pepper prints nothing", begin: () => void (this.pepper = "exec:true"), end: () => void (this.pepper = undefined), mended: true },
    ];
    const kind = this.random.below(10);
    if (kind < 6) return this.random.from(store.isProgram ? ofProgram : ofFile);
    return this.random.from(kind < 9 ? kills : others);
  }

  /** Runs a line of the shell to its end. */
  run(line, env = {}, started = () => {}) {
    const pepper = this.pepper && { KEYGATE_PEPPER: "", KEYGATE_PEPPER_FROM: this.pepper };
    return new Promise((resolve, reject) => {
      const child = spawn("sh", ["-c", `exec ${line}`], { cwd: gate.folder, env: { ...this.env, ...pepper, ...env }, stdio: ["ignore", "pipe", "pipe"] });
      const said = { stdout: "", stderr: "" };
      for (const name of ["stdout", "stderr"]) child[name].setEncoding("utf8").on("data", (text) => (said[name] += text));
      started(child);
      child.on("error", reject);
      child.on("close", (status, signal) => {
        this.said.push(`$ ${line}\n${said.stdout}${said.stderr}(${status ?? signal})`);
        resolve({ status, signal, ...said });
      });
    });
  }

  get isBegun() {
    return existsSync(this.at("journal", `${this.old.id}.json`));
  }

  get command() {
    const quoted = (text) => `'${text}'`;
    return ["keygate", "rotate", this.old.id, "--remote", ...this.grace, ...this.stores.flatMap(({ uri }) => ["--to", quoted(uri)])].join(" ");
  }

  async assertLedOut() {
    const records = this.records();
    const working = records.filter(({ state, replaced_by: by }) => state === "active" && (by ?? null) === null);
    assert.equal(working.length, 1, "one key works");
    assert.ok(this.mostPending <= 1, `${this.mostPending} new keys at once`);
    const said = this.said.join("\n");
    for (const { uri, file } of this.stores) {
      const key = (await readFile(file, "utf8")).trim();
      const holds = digestOf(PEPPER, key) === working[0].digest;
      const isNamed = ["not looked at: ", "left out: "].some((words) => said.includes(`${words}${uri} may hold`));
      assert.ok(holds || isNamed, `${uri} is left with another key, and nobody was told`);
      assert.ok(holds || uri.startsWith("exec:") || this.unmended, `${uri} can be read, and is left with another key`);
    }
    const left = (await readdir(this.folder, { recursive: true })).filter((name) => /\.keygate$|\.json$|\.lock$|\.new$/.test(name));
    assert.deepEqual(left, [], "nothing is left behind");
    for (const secret of [PEPPER, TOKEN]) assert.ok(!said.includes(secret), "a secret was said");
    assert.doesNotMatch(said, /acme_live_[0-9A-Za-z]{50}/);
  }
}

/** Rotates with the fault, then follows the messages to the end. */
async function follow(world, fault) {
  const { random, api } = world;
  const nth = random.below(9);
  let calls = 0;
  let hasBegun = false;
  let process;
  const begin = () => {
    if (!hasBegun) fault.begin?.();
    hasBegun = true;
  };
  api.fail = (call) => {
    calls += 1;
    if (calls !== nth) return undefined;
    if (fault.refuses) return refuse(403);
    if (!fault.kill) return begin();
    setImmediate(() => process.kill("SIGKILL"));
    return fault.kill;
  };
  if (nth === 0) begin();
  let ran = await world.run(world.command, fault.env, (child) => (process = child));
  api.fail = () => undefined;
  begin();
  const isMended = fault.mended || !fault.end || random.often(0.5);
  if (isMended) fault.end?.();
  world.unmended = !isMended;
  for (let steps = 0, waits = 0; ran.status !== 0; steps += 1) {
    assert.ok(steps < MOST_STEPS, "the messages lead nowhere");
    const named = [...ran.stderr.matchAll(/`(keygate rotate [^`]*)`/g)].map(([, command]) => command);
    let next;
    if (/wait until it has ended/.test(ran.stderr)) {
      assert.ok((waits += 1) < MOST_WAITS, "it never ends");
      steps -= 1;
      await new Promise((resolve) => setTimeout(resolve, 25));
      next = world.last;
    } else if (ran.signal) {
      // Nobody was told anything: the documents name these.
      const isOver = api.record(world.old.id).replaced_by;
      if (world.isBegun) next = random.from(["keygate rotate --resume", `keygate rotate --undo ${world.old.id}`]);
      else next = isOver ? "keygate rotate --resume" : world.command;
    } else if (!world.isBegun) {
      // Nothing was done, and what is to be mended was said.
      if (!isMended) break;
      next = world.command;
    } else {
      assert.ok(named.length > 0, "no command is named");
      const way = isMended ? ["--resume"] : ["--undo", "--to URI"];
      next = way.map((option) => named.find((command) => command.includes(option))).find(Boolean) ?? named[0];
      next = next.replace("--to URI", `--to 'exec:cat > ${world.at("instead")}'`);
    }
    world.last = next;
    ran = await world.run(next);
  }
  if (!isMended) fault.end();
}

describe("a rotation with one random fault", { timeout: 20 * 60_000 }, () => {
  test(`leads out by the commands that the messages name: ${RUNS} runs`, async () => {
    const names = new Map();
    const seeds = Array.from({ length: RUNS }, (_, nth) => FIRST + nth);
    const failures = [];
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
        const world = await World.make(seed);
        const fault = world.fault();
        const kind = fault.name.replace(/^(exec|file):\S+( \S+key)?/, "$1:");
        names.set(kind, (names.get(kind) ?? 0) + 1);
        try {
          await follow(world, fault);
          await world.assertLedOut();
        } catch (error) {
          failures.push(`seed ${seed}, ${fault.name}: ${error.message}\n${world.said.join("\n")}`);
        } finally {
          await world.api.stop();
        }
      }
    }));
    for (const [name, count] of [...names].sort()) console.log(`${String(count).padStart(4)}  ${name}`);
    assert.equal(failures.length, 0, `${failures.length} of ${RUNS} failed\n${failures.slice(0, 5).join("\n\n")}`);
    assert.ok(RUNS < 100 || names.size >= 12, `only ${names.size} kinds of faults`);
  });
});
