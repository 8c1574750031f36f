// The recipes in `examples`, each a folder with a README: its files, its settings and its commands, as they stand there.

import { cp, mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after } from "node:test";

import { codeBlocks, commandsOf } from "./documents.js";
import { ROOT } from "./project.js";
import { pythonWithPackages } from "./python.js";

const EXAMPLES = path.join(ROOT, "examples");

/** The names of all folders. */
export async function recipeNames() {
  const entries = await readdir(EXAMPLES, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** A recipe: `files` beside its README, `listed` in its table, `settings` for wrangler.jsonc, `commands`. */
export async function readRecipe(name) {
  const folder = path.join(EXAMPLES, name);
  const readme = await readFile(path.join(folder, "README.md"), "utf8");
  const files = (await readdir(folder)).filter((file) => file !== "README.md" && !file.startsWith(".") && file !== "__pycache__");
  return {
    name,
    readme,
    files: files.sort(),
    listed: [...readme.matchAll(/^\| `([^`/]+)` \|/gm)].map(([, file]) => file).sort(),
    settings: parseJsonc(`{${codeBlocks(readme, "jsonc").join("\n")}}`),
    commands: commandsOf(readme),
  };
}

/** JSON whose comments have lines of their own. */
export const parseJsonc = (text) => JSON.parse(text.replace(/^\s*\/\/.*$/gm, ""));

/** A copy of all recipes, with the packages that each would install; removed after the tests of the file. */
export async function copyRecipes() {
  const copy = await mkdtemp(path.join(tmpdir(), "keygate-recipes-"));
  after(() => rm(copy, { recursive: true, force: true }));
  const isSource = (file) => !["__pycache__", ".venv", "node_modules"].includes(path.basename(file));
  await cp(EXAMPLES, copy, { recursive: true, filter: isSource });
  const venv = path.dirname(path.dirname(await pythonWithPackages()));
  for (const name of await recipeNames()) {
    await symlink(venv, path.join(copy, name, ".venv"));
    await symlink(path.join(ROOT, "node_modules"), path.join(copy, name, "node_modules"));
  }
  return copy;
}

/** What a reader types first; the tests have the packages already. */
export const INSTALLS = [
  "python3 -m venv .venv",
  ".venv/bin/pip install -r requirements.txt",
  ".venv/bin/pip install -r ../flask/requirements.txt",
  "npm install",
];

/** Without buffers and caches of Python, and with servers on ports that are free. */
export const recipeEnv = { ...process.env, UVICORN_PORT: "0", PORT: "0", PYTHONUNBUFFERED: "1", PYTHONDONTWRITEBYTECODE: "1", NO_PROXY: "*" };
