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

const account = `/accounts/${ACCOUNT}`;
/** What wrangler asks when it deploys a Worker. */
function deployable(name, secrets) {
  const script = `${account}/workers/scripts/${name}`;
  const version = { id: "v", number: 1, metadata: {}, resources: { script: { etag: "e" } }, startup_time_ms: 1 };
  return {
    [`GET ${account}/workers/services/${name}`]: { default_environment: { environment: "production", script: { tag: "t", last_deployed_from: "wrangler" } } },
    [`GET ${account}/workers/workers/${name}`]: { name, subdomain: { enabled: false, previews_enabled: false } },
    [`GET ${script}/secrets`]: secrets.map((secret) => ({ name: secret, type: "secret_text" })),
    [`PUT ${script}/secrets`]: { name: "PEPPER", type: "secret_text" },
    [`GET ${script}/settings`]: { bindings: [] },
    [`GET ${script}/deployments`]: { deployments: [] },
    [`POST ${script}/versions`]: version,
    [`PUT ${script}`]: version,
    [`POST ${script}/deployments`]: { id: "d" },
    [`PATCH ${script}/script-settings`]: {},
    [`POST ${script}/subdomain`]: { enabled: true, previews_enabled: false },
  };
}
api.results = {
  ...deployable("my-gate", ["PEPPER"]),
  ...deployable("my-gate-control", []),
  [`GET ${account}/workers/subdomain`]: { subdomain: "acme" },
  [`GET ${account}/storage/kv/namespaces`]: [],
  [`POST ${account}/storage/kv/namespaces`]: { id: LIVE, title: "my-gate-keys", supports_url_encoding: true },
};
const sent = new Map();
api.fail = (call, body) => {
  sent.set(call, body.toString("latin1"));
  return undefined;
};

const folder = await make("my-gate", "--origin", "https://api.example.com");
const [, commands] = await readmeCommands(folder);
/** Wrangler writes an id into its file only where somebody sits at a terminal. */
const terminal = { ...env, ...api.env, CLOUDFLARE_ACCOUNT_ID: ACCOUNT, TERM: "xterm", CI: undefined };

const UPLOADS = { gate: `POST ${account}/workers/scripts/my-gate/versions`, control: `PUT ${account}/workers/scripts/my-gate-control` };
const EXPECTED = [
  ["(umask 077; npx keygate pepper > pepper.txt)", async () => assert.equal((await stat(path.join(folder, "pepper.txt"))).mode & 0o777, 0o600)],
  ["npx wrangler secret put PEPPER < pepper.txt", async () => {
    const { name, text } = JSON.parse(sent.get(`PUT ${account}/workers/scripts/my-gate/secrets`));
    assert.deepEqual([name, `${text}\n`], ["PEPPER", await readFile(path.join(folder, "pepper.txt"), "utf8")]);
  }],
  ["npm run deploy:control", async () => assert.ok(sent.has(UPLOADS.control))],
  ["npm run deploy", async (said) => {
    const order = api.log.filter((call) => Object.values(UPLOADS).includes(call));
    assert.deepEqual(order, [UPLOADS.control, UPLOADS.gate], "the gate binds the control Worker's classes");
    for (const part of ["keygate_bg.wasm", '"KEYS"', LIVE, '"KEY_USAGE"', '"my-gate-control"']) assert.ok(sent.get(UPLOADS.gate).includes(part), part);
    assert.match(sent.get(UPLOADS.control), /keygate_control_bg\.wasm/);
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
    const { status, stdout } = await runAtTerminal("bash", ["-c", command], { cwd: folder, env: terminal });
    assert.equal(status, 0, stdout);
    await check(stdout);
  });
}
