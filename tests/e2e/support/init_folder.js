// Folders that `keygate init` makes, with what `npm install` would bring into them.

import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after } from "node:test";

import { cleanEnv, KEYGATE } from "./cli.js";
import { codeBlocks } from "./documents.js";
import { run } from "./program.js";
import { ROOT } from "./project.js";

/** A folder for the folders of a test file, which is removed after it; `env` keeps wrangler's own files in it. */
export async function initFolders() {
  const root = await mkdtemp(path.join(tmpdir(), "keygate-init-"));
  after(() => rm(root, { recursive: true, force: true, maxRetries: 10 }));
  const env = { ...cleanEnv(), XDG_CONFIG_HOME: path.join(root, "config"), WRANGLER_REGISTRY_PATH: path.join(root, "registry"), WRANGLER_SEND_METRICS: "false" };
  delete env.NODE_TEST_CONTEXT;
  const keygate = (args, options) => run(KEYGATE, args, { cwd: root, env, ...options });

  /** Makes one; resolves to its path. */
  async function make(name, ...options) {
    const { status, stderr } = await keygate(["init", name, ...options, "--yes"]);
    assert.equal(status, 0, stderr);
    const modules = path.join(root, name, "node_modules");
    await mkdir(path.join(modules, ".bin"), { recursive: true });
    for (const worker of ["gate", "control"]) await cp(path.join(ROOT, "build", worker), path.join(modules, "keygate-workers", worker), { recursive: true });
    for (const linked of ["wrangler", ".bin/wrangler", ".bin/node"]) await symlink(path.join(ROOT, "node_modules", linked), path.join(modules, linked));
    await symlink(KEYGATE, path.join(modules, ".bin", "keygate"));
    return path.join(root, name);
  }

  return { root, env, keygate, make };
}

/** The commands in a folder's README, block by block. */
export async function readmeCommands(folder) {
  const text = await readFile(path.join(folder, "README.md"), "utf8");
  return codeBlocks(text, "sh").map((block) => block.trim().split("\n"));
}
