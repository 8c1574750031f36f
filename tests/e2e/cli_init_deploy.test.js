// The second half of the README that `keygate init` writes: from a folder to a deployed gate, by the real wrangler at a terminal. Cloudflare's
// API is a stand-in.

import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { after, test } from "node:test";

import { ACCOUNT, LIVE } from "./support/cli.js";
import { Cloudflare } from "./support/cloudflare.js";
import { initFolders, readmeCommands } from "./support/init_folder.js";
import { runAtTerminal } from "./support/terminal.js";

const { env, make } = await initFolders();
const api = await Cloudflare.start();
after(() => api.stop());

const { workers } = api;

const folder = await make("my-gate", "--origin", "https://api.example.com");
const [, commands] = await readmeCommands(folder);
/** Wrangler writes an id into its file only where somebody sits at a terminal. */
const terminal = { ...env, ...api.env, CLOUDFLARE_ACCOUNT_ID: ACCOUNT, TERM: "xterm", CI: undefined };

const atTerminal = (command) => runAtTerminal("bash", ["-c", command], { cwd: folder, env: terminal });

const EXPECTED = [
  ["(umask 077; npx keygate pepper > pepper.txt)", async () => assert.equal((await stat(path.join(folder, "pepper.txt"))).mode & 0o777, 0o600)],
  ["npx wrangler secret put PEPPER < pepper.txt", async () => {
    assert.equal(`${workers.binding("my-gate", "PEPPER").text}\n`, await readFile(path.join(folder, "pepper.txt"), "utf8"));
    // Before the control Worker, the gate is refused, with the name of what it needs.
    const { status, stdout } = await atTerminal("npm run deploy");
    assert.notEqual(status, 0);
    assert.match(stdout, /script 'my-gate-control' that does not exist/);
  }],
  ["npm run deploy:control", async () => assert.ok(workers.hasModule("my-gate-control", "keygate_control_bg.wasm"))],
  ["npm run deploy", async (said) => {
    assert.ok(workers.hasModule("my-gate", "keygate_bg.wasm"));
    assert.equal(workers.binding("my-gate", "KEYS").namespace_id, LIVE);
    assert.equal(workers.binding("my-gate", "KEY_USAGE").script_name, "my-gate-control");
    assert.equal(workers.binding("my-gate", "PEPPER").type, "secret_text");
    assert.match(said, /https:\/\/my-gate\.acme\.workers\.dev/);
    assert.match(await readFile(path.join(folder, "wrangler.jsonc"), "utf8"), new RegExp(`"binding": "KEYS",\n\t\t\t"id": "${LIVE}"`));
  }],
  ["npx keygate issue --remote --pepper-file pepper.txt --subject me --key-out deployed-key.txt", async () => {
    const key = await readFile(path.join(folder, "deployed-key.txt"), "utf8");
    assert.match(key, /^my_gate_[0-9A-Za-z]{50}\n$/);
    assert.equal(api.record(key.slice("my_gate_".length, "my_gate_".length + 12)).subject, "me");
  }],
];

test("every command has a row here", () => assert.deepEqual(commands, EXPECTED.map(([command]) => command)));

for (const [command, check] of EXPECTED) {
  test(command, async () => {
    const { status, stdout } = await atTerminal(command);
    assert.equal(status, 0, stdout);
    await check(stdout);
  });
}
