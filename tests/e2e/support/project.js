// The project under test: its wrangler.toml and what `cargo xtask build` made.

import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { devNull } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
export const WRANGLER_TOML = path.join(ROOT, "wrangler.toml");
export const CONTROL_TOML = path.join(ROOT, "src/control/wrangler.toml");

/** What a Worker's wrangler.toml says for Miniflare, and its modules. */
export async function readProject(config) {
  const { entry, options } = readOptions(config);
  return { ...options, modules: await readModules(entry) };
}

/** The same with the entry module's path in place of the modules. */
export function readOptions(config = WRANGLER_TOML) {
  // Not above: it takes a second to load, and most who import this file have no need of it.
  const { unstable_getMiniflareWorkerOptions } = require("wrangler");
  // Without an env file of ours the developer's .dev.vars would leak into the tests.
  const { workerOptions, main } = quietly(() => unstable_getMiniflareWorkerOptions(config, undefined, { envFiles: [devNull] }));
  // modulesRules tell a bundler what is what; here that is settled.
  const { modulesRules: _, ...options } = workerOptions;
  return { entry: path.resolve(path.dirname(config), main), options };
}

/** Keeps wrangler from telling of secrets that it misses: they are the tests' own. */
export function quietly(work) {
  const { WRANGLER_LOG } = process.env;
  process.env.WRANGLER_LOG = "error";
  try {
    return work();
  } finally {
    if (WRANGLER_LOG === undefined) delete process.env.WRANGLER_LOG;
    else process.env.WRANGLER_LOG = WRANGLER_LOG;
  }
}

const TYPES = { ".js": "ESModule", ".wasm": "CompiledWasm" };

/** The entry module first, as the runtime wants it; then every module below its folder, hidden files aside. */
export async function readModules(entry) {
  const folder = path.dirname(entry);
  let names;
  try {
    names = await readdir(folder, { recursive: true });
  } catch {
    throw new Error(`${folder} is not there; run \`cargo xtask build\` first`);
  }
  const visible = names.filter((name) => !/(^|\/)\./.test(name));
  const modules = visible.map((name) => path.join(folder, name)).filter((file) => file !== entry && path.extname(file) in TYPES);
  return Promise.all(
    [entry, ...modules].map(async (file) => ({
      type: TYPES[path.extname(file)],
      path: path.relative(folder, file),
      contents: await readFile(file, file.endsWith(".js") ? "utf8" : undefined),
    })),
  );
}
