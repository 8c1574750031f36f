#!/usr/bin/env node
// `npm create keygate@latest FOLDER -- [OPTIONS]`: `keygate init` with the same arguments, then `npm install` in the folder.

import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(import.meta.url);
const NO_INSTALL = "--no-install";

process.exitCode = create(process.argv.slice(2));

function create(args) {
  const needed = require("./package.json").engines.node.replace(">=", "");
  if (process.versions.node.localeCompare(needed, "en", { numeric: true }) < 0) {
    return fail(`Node.js ${process.versions.node} is too old for wrangler`, `install Node.js ${needed} or later, then run this again`);
  }
  const options = args.filter((arg) => arg !== NO_INSTALL);
  const [folder] = options;
  const asksForHelp = options.includes("--help") || options.includes("-h");
  if (!asksForHelp && (folder === undefined || folder.startsWith("-"))) {
    return fail("the first argument must be the folder", "run `npm create keygate@latest my-gate`; options follow after `--`");
  }
  const status = runScript(require.resolve("keygate/bin/keygate.js"), ["init", ...options]);
  if (status !== 0 || asksForHelp) return status;
  if (args.includes(NO_INSTALL)) return 0;
  if (install(folder) !== 0) {
    return fail("npm could not install the packages", "see what it said above, then run `npm install` in the folder");
  }
  console.log("\n`npm install` is done: in the folder, go on with `npm run dev`.\n");
  return 0;
}

/** With the package manager that runs this. */
function install(folder) {
  const manager = process.env.npm_execpath;
  // In a folder of an npm workspace, npm would put the packages elsewhere, where wrangler.jsonc does not name them.
  const args = /^npm\b/.test(path.basename(manager ?? "npm")) ? ["install", "--workspaces=false"] : ["install"];
  if (/\.[cm]?js$/.test(manager ?? "")) return runScript(manager, args, folder);
  return spawnSync(manager ?? "npm", args, { cwd: folder, stdio: "inherit", shell: process.platform === "win32" }).status ?? 1;
}

function runScript(script, args, cwd) {
  return spawnSync(process.execPath, [script, ...args], { cwd, stdio: "inherit" }).status ?? 1;
}

function fail(problem, remedy) {
  console.error(`error: ${problem}\n help: ${remedy}`);
  return 1;
}
