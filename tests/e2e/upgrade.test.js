// From one version to the next, as a user goes: a folder of the older version with keys and a policy of its owner's, and packages of both
// versions in a registry.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";

import { startDev } from "./support/npm_run_dev.js";
import { run } from "./support/program.js";
import { startRegistry, VERSION } from "./support/registry.js";

const OLDER = "0.0.9";
const root = await mkdtemp(path.join(tmpdir(), "keygate-upgrade-"));
const registry = await startRegistry({ versions: [OLDER, VERSION] });
const origin = createServer((request, response) => response.end(request.headers["x-keygate-subject"]));
await new Promise((resolve) => origin.listen(0, "127.0.0.1", resolve));
after(async () => {
  origin.close();
  origin.closeAllConnections();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

const folder = path.join(root, "my-gate");
const file = (name) => path.join(folder, name);
const text = (name) => readFile(file(name), "utf8");
const installed = async (name) => JSON.parse(await text(`node_modules/${name}/package.json`)).version;

/** Runs a program in the folder as its user; resolves to what it printed. */
async function user(command, { cwd = folder, status = 0 } = {}) {
  const [program, ...args] = command.split(" ");
  const ran = await run(program, args, { cwd, env: registry.env });
  assert.equal(ran.status, status, `${command}\n${ran.stdout}${ran.stderr}`);
  return ran;
}

/** Everything that an upgrade may change or must not. */
const state = async () => ({
  files: Object.fromEntries(await Promise.all(["package.json", "package-lock.json", "wrangler.jsonc", "control/wrangler.jsonc", ".dev.vars"].map(async (name) => [name, await text(name)]))),
  packages: await Promise.all(["keygate", "keygate-workers"].map(installed)),
});

const keys = [];

test("a folder of the older version, with keys and a policy that its owner has edited", async () => {
  const url = `http://127.0.0.1:${origin.address().port}`;
  await user(`npm create --yes keygate@${OLDER} -- my-gate --origin ${url} --prefix acme_live --yes --no-install`, { cwd: root });
  // The program of every version in the registry is this one, and writes its own version.
  await writeFile(file("package.json"), (await text("package.json")).replaceAll(`"${VERSION}"`, `"${OLDER}"`));
  await user("npm install");
  const policy = await text("wrangler.jsonc");
  const edited = policy.replace('"ROUTES": [', '// Ours: agreed with the monitoring team.\n\t\t"ROUTES": [\n\t\t\t{ "path": "/healthz", "access": "public" },');
  assert.notEqual(edited, policy);
  await writeFile(file("wrangler.jsonc"), edited);
  for (const subject of ["me", "you"]) keys.push([subject, (await user(`npx keygate issue --subject ${subject}`)).stdout.trim()]);
  assert.deepEqual((await state()).packages, [OLDER, OLDER]);
});

test("a policy that the new version refuses stops it with nothing changed", async () => {
  const policy = await text("wrangler.jsonc");
  await writeFile(file("wrangler.jsonc"), policy.replace('"access": "public"', '"access": "everybody"'));
  const before = await state();
  const { stdout, stderr } = await user("npx --yes keygate@latest upgrade", { status: 1 });
  assert.match(stdout, /^error: wrangler\.jsonc: vars\.ROUTES\[0\]\.access: /m);
  assert.match(stderr, /nothing was changed: version .* refuses the configuration/);
  assert.deepEqual(await state(), before);
  await writeFile(file("wrangler.jsonc"), policy);
});

test("one command brings the new version; keys and policy stay", async (t) => {
  const before = await state();
  const { stdout, stderr } = await user("npx --yes keygate@latest upgrade");
  assert.match(stdout, new RegExp(`^Changes from version ${OLDER} to ${VERSION}:`));
  assert.match(stderr, /nothing was deployed\nnext: `npm run dev` to try it, `npm run deploy:control` and `npm run deploy` to deploy it\n/);
  const { files, packages } = await state();
  assert.deepEqual(packages, [VERSION, VERSION]);
  const { "package-lock.json": lock, ...others } = files;
  const { "package-lock.json": _, "package.json": manifest, ...kept } = before.files;
  assert.deepEqual(others, { ...kept, "package.json": manifest.replaceAll(`"${OLDER}"`, `"${VERSION}"`) });
  assert.equal(JSON.parse(lock).packages["node_modules/keygate-workers"].version, VERSION);

  const dev = await startDev(folder, registry.env);
  t.after(dev.stop);
  const get = (target, key) => fetch(`${dev.url}${target}`, { headers: key ? { Authorization: `Bearer ${key}` } : {} });
  for (const [subject, key] of keys) {
    const answer = await get("/v1/reports", key);
    assert.deepEqual([answer.status, await answer.text()], [200, subject]);
  }
  assert.deepEqual([(await get("/healthz")).status, (await get("/v1/reports")).status], [200, 401]);

  const again = await user("npx --yes keygate@latest upgrade");
  assert.match(again.stderr, new RegExp(`the folder has version ${VERSION} already`));
});
