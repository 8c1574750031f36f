// The pictures of README.md: each is drawn anew from what it shows. `KEYGATE_WRITE_PICTURES=1` writes them.

import assert from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";

import { cleanEnv, KEYGATE } from "./support/cli.js";
import { CONTRACT } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { PEPPER } from "./support/keys.js";
import { run } from "./support/program.js";
import { ROOT, WRANGLER_TOML } from "./support/project.js";
import { pythonWithPackages } from "./support/python.js";
import { drawRequest, STEPS } from "./support/request_picture.js";

const TITLE = "A key is issued, works, is listed and rotated.";
const ADDRESS = "http://127.0.0.1:8787";
const SESSION = [
  'keygate issue --subject acme --name "Acme production" --expires 90d --key-out key.txt',
  `curl -si ${ADDRESS}/v1/reports | head -1`,
  `curl -si ${ADDRESS}/v1/reports -H "Authorization: Bearer $(cat key.txt)" | head -1`,
  "keygate list",
  'keygate rotate "$KEY_ID" --grace 24h --key-out new-key.txt',
];
const COLUMNS = 100;

const harness = await startGates(() => ({ gate: {} }));
const folder = await mkdtemp(path.join(tmpdir(), "keygate-picture-"));
after(() => rm(folder, { recursive: true }));

async function assertDrawn(file, svg) {
  const picture = path.join(ROOT, "docs", file);
  if (process.env.KEYGATE_WRITE_PICTURES) await writeFile(picture, svg);
  assert.equal(await readFile(picture, "utf8"), svg, "write it anew with KEYGATE_WRITE_PICTURES=1");
}

test("docs/request.svg has every code of the contract in its step", async () => {
  assert.deepEqual(new Set(STEPS.flatMap(([, , codes]) => codes)), new Set(Object.keys(CONTRACT)));
  await assertDrawn("request.svg", drawRequest());
});

test("docs/terminal.svg is what a terminal shows", async () => {
  await copyFile(WRANGLER_TOML, path.join(folder, "wrangler.toml"));
  await writeFile(path.join(folder, ".dev.vars"), `PEPPER="${PEPPER}"\n`);
  await mkdir(path.join(folder, ".wrangler"));
  await symlink(harness.folder, path.join(folder, ".wrangler", "state"));
  await symlink(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
  await mkdir(path.join(folder, "bin"));
  await symlink(KEYGATE, path.join(folder, "bin", "keygate"));
  const env = { ...cleanEnv(), PATH: [path.join(folder, "bin"), path.join(ROOT, "node_modules", ".bin"), process.env.PATH].join(path.delimiter) };
  const shown = [];
  for (const command of SESSION) {
    const { status, stdout, stderr } = await run("bash", ["-c", command.replace(ADDRESS, harness.gates.gate.url.replace(/\/$/, ""))], { cwd: folder, env });
    assert.equal(status, 0, stderr);
    if (env.KEY_ID === undefined) {
      const key = (await readFile(path.join(folder, "key.txt"), "utf8")).trim();
      harness.watch(key);
      env.KEY_ID = key.slice("acme_live_".length, "acme_live_".length + 12);
    }
    shown.push(`$ ${command}`, (stdout + stderr).trim());
  }
  const svg = await run(await pythonWithPackages(), [path.join(ROOT, "tests", "e2e", "support", "terminal_picture.py"), TITLE, String(COLUMNS)], { input: withoutChance(shown.join("\n")) });
  assert.equal(svg.status, 0, svg.stderr);
  await assertDrawn("terminal.svg", svg.stdout);
});

/** The same session whenever it is held: what is random, and the time, replaced by examples of the same length. */
function withoutChance(session) {
  const examples = ["4fTz0Qw9Lr2K", "8hWm3Xc5Tn7P"];
  const ids = [...new Set([...session.matchAll(/^(?:issued|made) (\w{12}) for/gm)].map(([, id]) => id))];
  assert.equal(ids.length, examples.length, session);
  return ids
    .reduce((text, id, at) => text.replaceAll(id, examples[at]), session)
    .replace(/(?<=stops working at )[\dT:-]{19}Z/, "2026-12-01T10:00:00Z")
    .replace(/(?<!stops working at )\b[\dT:-]{19}Z/g, "2027-02-28T10:00:00Z");
}
