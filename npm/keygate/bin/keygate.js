#!/usr/bin/env node
// Starts the program, which a package for the platform has.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { optionalDependencies, repository, version } = require("../package.json");

const platform = `${process.platform}-${process.arch}`;
const packageName = `@keygate/${platform}`;
const program = findProgram();
if (program) run(program);

function findProgram() {
  if (!(packageName in optionalDependencies)) {
    const platforms = Object.keys(optionalDependencies).map((name) => name.replace("@keygate/", ""));
    fail(
      `there is no keygate for ${platform}, only for ${platforms.join(", ")}`,
      `build it with Rust: \`cargo install --locked --git ${repository.url.replace(/^git\+/, "")} keygate-cli\``,
    );
    return undefined;
  }
  try {
    return require.resolve(`${packageName}/bin/keygate${process.platform === "win32" ? ".exe" : ""}`);
  } catch {
    fail(
      `the package ${packageName}@${version}, which has the program, is not installed`,
      "run `npm install --include=optional`: npm leaves it out with `--omit=optional`, and if node_modules is from another platform",
    );
    return undefined;
  }
}

function fail(problem, remedy) {
  console.error(`error: ${problem}\n help: ${remedy}`);
  process.exitCode = 1;
}

function run(program) {
  // Before there is a program: a signal in between would end this process alone.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
  child.on("error", (error) => fail(`\`${program}\` does not start: ${error.message}`, "install the package again: `npm ci`"));
  child.on("exit", (code, signal) => {
    if (signal === null) {
      process.exitCode = code;
      return;
    }
    // End as the program did.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
