// The recipes in `examples` as folders: what their READMEs say of files and settings, and the packages that they need.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";

import { cleanEnv, KEYGATE } from "./support/cli.js";
import { run } from "./support/program.js";
import { ROOT } from "./support/project.js";
import { readRecipe, recipeNames } from "./support/recipes.js";

const read = (file) => readFile(path.join(ROOT, file), "utf8");
const lines = (text) => text.split("\n").filter((line) => line && !line.startsWith("#"));

const recipes = await Promise.all((await recipeNames()).map(readRecipe));
const folder = await mkdtemp(path.join(tmpdir(), "keygate-settings-"));
after(() => rm(folder, { recursive: true }));

/** A gate's configuration without anything to say about, but for the recipe's settings. */
const CONFIGURATION = {
  name: "gate",
  workers_dev: false,
  preview_urls: false,
  compatibility_date: "2026-11-17",
  observability: { enabled: true, logs: { invocation_logs: false } },
  kv_namespaces: [{ binding: "KEYS", id: "1".repeat(32) }],
};

for (const { name, files, listed, settings } of recipes) {
  describe(`${name}:`, () => {
    test("its README names every file, and each is there", () => {
      assert.deepEqual(listed, files);
    });

    test("`keygate check` says nothing about its settings, but that ORIGIN is on this machine", async () => {
      await writeFile(path.join(folder, "wrangler.jsonc"), JSON.stringify({ ...CONFIGURATION, ...settings }));
      const { status, stdout, stderr } = await run(KEYGATE, ["check"], { cwd: folder, env: cleanEnv() });
      assert.equal(status, 0, stderr);
      const found = `${stdout}${stderr}`.split("\n").filter((line) => /^(error|warning|note):/.test(line));
      const isLocal = new URL(settings.vars.ORIGIN).hostname === "127.0.0.1";
      assert.deepEqual(found, isLocal ? ["warning: wrangler.jsonc: vars.ORIGIN: is on this machine, where a deployed gate cannot reach it"] : []);
    });
  });
}

test("what the recipes need from PyPI and npm is what the tests run", async () => {
  const installed = lines(`${await read("tests/e2e/requirements.txt")}\n${await read("examples/flask/requirements.txt")}`);
  const { devDependencies } = JSON.parse(await read("package.json"));
  const missing = [];
  for (const { name, files } of recipes) {
    if (files.includes("requirements.txt")) missing.push(...lines(await read(`examples/${name}/requirements.txt`)).filter((line) => !installed.includes(line)));
    if (!files.includes("package.json")) continue;
    const { dependencies } = JSON.parse(await read(`examples/${name}/package.json`));
    missing.push(...Object.entries(dependencies).filter(([dependency, version]) => devDependencies[dependency] !== version));
  }
  assert.deepEqual(missing, []);
});
