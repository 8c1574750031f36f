// The recipes in `examples` as folders: what their READMEs say of files and settings, and the packages that they need.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";

import { initFolders } from "./support/init_folder.js";
import { ROOT } from "./support/project.js";
import { parseJsonc, readRecipe, recipeNames } from "./support/recipes.js";

const read = (file) => readFile(path.join(ROOT, file), "utf8");
const lines = (text) => text.split("\n").filter((line) => line && !line.startsWith("#"));

const recipes = await Promise.all((await recipeNames()).map(readRecipe));
const { keygate, make } = await initFolders();
const folder = await make("gate", "--origin", "https://api.example.com");
const wranglerJsonc = path.join(folder, "wrangler.jsonc");
/** What `keygate init` has written, into which a reader puts the recipe's settings. */
const initial = parseJsonc(await readFile(wranglerJsonc, "utf8"));

for (const { name, files, listed, settings } of recipes) {
  describe(`${name}:`, () => {
    test("its README names every file, and each is there", () => {
      assert.deepEqual(listed, files);
    });

    test("`keygate check` says nothing about its settings, but that ORIGIN is on this machine", async () => {
      const vars = { ...initial.vars, ...settings.vars };
      await writeFile(wranglerJsonc, JSON.stringify({ ...initial, ...settings, vars }));
      const { status, stdout, stderr } = await keygate(["check"], { cwd: folder });
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
