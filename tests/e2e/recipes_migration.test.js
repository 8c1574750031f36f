// The recipes in `examples` that migrate from another system: every command of each README, in its order, with the files beside it. Old
// keys work at the gate after the import, and so does the key that takes the place of one.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, describe, test } from "node:test";

import { cleanEnv, KEYGATE, PATH } from "./support/cli.js";
import { assertRefusal } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { send } from "./support/http.js";
import { importedIdOf, PEPPER } from "./support/keys.js";
import { valuesOf } from "./support/origin.js";
import { run, serve } from "./support/program.js";
import { copyRecipes, INSTALLS, readRecipe, recipeEnv } from "./support/recipes.js";
import { READY } from "./support/servers.js";

/** The command with which each README ends, but for its id. */
const ROTATE = "keygate rotate ID --grace 30d --key-out acme.txt";

/**
 * For each recipe: the file with the old keys, and what finds them in it; the header, and the query parameter, in which they are sent;
 * the commands up to the one that rotates, with what it says if its exit code is 1; and the subjects of the keys.
 */
const MIGRATIONS = {
  "migrate-kong": {
    from: ["kong.yaml", /- key: (\w{32})$/gm],
    header: "apikey",
    query: "apikey",
    commands: [
      ["keygate import --format kong --dry-run kong.yaml", /has `rate-limiting`, which restricts the key/],
      ["keygate import --format kong kong.yaml", /^1 written .* 1 not taken$/m],
      ["keygate import --format kong --ignore rate-limiting --plan slow kong.yaml", /^1 written .* 1 there and different/m],
    ],
    subjects: ["acme", "beta"],
  },
  "migrate-apisix": {
    from: ["apisix.json", /"key": "(\w{32})"/g],
    header: "apikey",
    query: "apikey",
    commands: [
      ["(umask 077; python3 merge.py consumers.json credentials.json > apisix.json)"],
      ["keygate import --format apisix --scope reports:read --dry-run apisix.json"],
      ["keygate import --format apisix --scope reports:read apisix.json"],
    ],
    subjects: ["acme", "beta"],
  },
  "migrate-unkey": {
    from: ["unkey.json", /"plaintext": "(\w+)"/g],
    header: "authorization",
    commands: [["keygate import --format unkey --dry-run unkey.json"], ["keygate import --format unkey unkey.json"]],
    subjects: ["acme", "beta"],
  },
  "migrate-flask": {
    from: ["keys.txt", /^(\w{64})$/gm],
    header: "x-api-key",
    commands: [
      [`(umask 077; .venv/bin/python -c 'from before import valid_api_keys; print(*valid_api_keys, sep="\\n")' > keys.txt)`],
      ["keygate import --format keys --subject legacy --dry-run keys.txt"],
      ["keygate import --format keys --subject legacy keys.txt"],
    ],
    servers: { before: ".venv/bin/python before.py", after: ".venv/bin/python after.py" },
    subjects: ["legacy", "legacy"],
  },
};

const folder = await copyRecipes();
const recipes = Object.fromEntries(await Promise.all(Object.keys(MIGRATIONS).map(async (name) => [name, await readRecipe(name)])));
const { before, after: behind } = await startServers("migrate-flask");
const harness = await startGates(({ origin }) =>
  Object.fromEntries(Object.entries(recipes).map(([name, { settings: { vars, ratelimits = [] } }]) => {
    const limiters = Object.fromEntries(ratelimits.map(({ name: binding, simple }) => [binding, simple]));
    return [name, { vars: { ROUTES: [], ...vars, ORIGIN: name === "migrate-flask" ? behind : origin.url }, limiters }];
  })),
);
for (const [name, { settings }] of Object.entries(recipes)) await makeGateFolder(path.join(folder, name), settings);

/** Starts both versions of a recipe's API; resolves to their URLs. */
async function startServers(name) {
  const started = Object.entries(MIGRATIONS[name].servers).map(async ([version, command]) => {
    const { found, stop } = await serve("bash", ["-c", `exec ${command}`], READY, { cwd: path.join(folder, name), env: recipeEnv });
    after(stop);
    return [version, `http://${found[1]}`];
  });
  return Object.fromEntries(await Promise.all(started));
}

/** Makes the copy of a recipe's folder the folder of the gate that runs: its configuration, its pepper and its local KV. */
async function makeGateFolder(at, settings) {
  const configuration = { name: "gate", compatibility_date: "2026-11-17", kv_namespaces: [{ binding: "KEYS", id: "0".repeat(32) }], ...settings };
  await writeFile(path.join(at, "wrangler.jsonc"), JSON.stringify(configuration));
  await writeFile(path.join(at, ".dev.vars"), `PEPPER="${PEPPER}"\n`);
  await mkdir(path.join(at, ".wrangler"));
  await symlink(harness.folder, path.join(at, ".wrangler", "state"));
}

/** Runs a command as the reader's shell would, in the copy of the recipe's folder. */
function shell(name, command) {
  const env = { ...cleanEnv(), ...recipeEnv, PATH: [path.dirname(KEYGATE), PATH].join(path.delimiter), WRANGLER_SEND_METRICS: "false" };
  return run("bash", ["-c", command], { cwd: path.join(folder, name), env });
}

/** What the gate answers to a key that is sent as the other system's clients do. */
function ask(name, key) {
  const { header } = MIGRATIONS[name];
  return harness.gates[name].get("/v1/reports", { headers: { [header]: header === "authorization" ? `Bearer ${key}` : key } });
}

/** The subject that the origin is told for a key, which the gate must let through; an API of the recipe's own says it. */
async function callerOf(name, key) {
  harness.origin.clear();
  const answer = await ask(name, key);
  assert.equal(answer.status, 200, answer.text);
  const [seen] = harness.origin.requests;
  return seen === undefined ? answer.json.caller : valuesOf(seen, "x-keygate-subject")[0];
}

for (const [name, { from: [file, pattern], query, commands, servers = {}, subjects }] of Object.entries(MIGRATIONS)) {
  describe(`${name}:`, () => {
    const oldKeys = async () => [...(await readFile(path.join(folder, name, file), "utf8")).matchAll(pattern)].map(([, key]) => key);

    test("every command of the README is run, in its order", () => {
      const written = recipes[name].commands.filter((command) => !INSTALLS.includes(command) && !Object.values(servers).includes(command));
      assert.deepEqual(written, [...commands.map(([command]) => command), ROTATE]);
    });

    for (const [command, failure] of commands) {
      test(command, async () => {
        const { status, stderr } = await shell(name, command);
        assert.equal(status, failure === undefined ? 0 : 1, stderr);
        if (failure !== undefined) assert.match(stderr, failure);
        for (const key of await oldKeys()) {
          harness.watch(key);
          if (command.includes("--dry-run")) assertRefusal(await ask(name, key), "key_invalid");
        }
      });
    }

    test("every old key works, and an unknown key of the same form is refused", async () => {
      const keys = await oldKeys();
      const callers = [];
      for (const key of keys) callers.push(await callerOf(name, key));
      assert.deepEqual(callers, subjects);
      if (query !== undefined) assert.equal((await harness.gates[name].get(`/v1/reports?${query}=${keys[0]}`)).status, 200);
      assertRefusal(await ask(name, randomBytes(16).toString("hex")), "key_invalid");
    });

    test(ROTATE, async () => {
      const [old] = await oldKeys();
      const { status, stderr } = await shell(name, ROTATE.replace("ID", importedIdOf(old)));
      assert.equal(status, 0, stderr);
      const key = (await readFile(path.join(folder, name, "acme.txt"), "utf8")).trim();
      harness.watch(key);
      assert.match(key, /^acme_live_\w{50}$/);
      assert.deepEqual([await callerOf(name, key), await callerOf(name, old)], [subjects[0], subjects[0]]);
    });
  });
}

test("migrate-flask: the app before the change accepts the keys of its list alone", async () => {
  const [key] = (await readFile(path.join(folder, "migrate-flask", "before.py"), "utf8")).match(/\w{64}/);
  const status = async (headers) => (await send(before, { target: "/v1/reports", headers })).status;
  assert.deepEqual([await status({ "X-API-Key": key }), await status({ "X-API-Key": `${key}0` }), await status({})], [200, 401, 401]);
});
