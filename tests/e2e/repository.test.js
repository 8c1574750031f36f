// The npm lock files and .gitignore.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { run } from "./support/program.js";
import { ROOT } from "./support/project.js";

for (const lock of ["package-lock.json", "tests/e2e/registry/package-lock.json", "npm/deploy-button/package-lock.json"]) {
  test(`every package of ${lock} has a hash, and none names a registry`, async () => {
    const { lockfileVersion, packages } = JSON.parse(await readFile(path.join(ROOT, lock), "utf8"));
    assert.equal(lockfileVersion, 3);
    const installed = Object.entries(packages).filter(([name]) => name !== "");
    assert.ok(installed.length > 50, `${installed.length}`);
    // npm leaves out the hash of a package for another platform when it writes the file anew from what is installed: remove the
    // file and `node_modules`, then `npm install --package-lock-only`.
    assert.deepEqual(installed.filter(([, { integrity }]) => !/^sha512-[0-9A-Za-z+/]{86}==$/.test(integrity ?? "")).map(([name]) => name), [], "without integrity");
    assert.deepEqual(installed.filter(([, { resolved }]) => resolved !== undefined).map(([name]) => name), [], "with a registry");
  });
}

test("git ignores secrets, and keeps their examples", async () => {
  const ignored = [".dev.vars", ".dev.vars.staging", "examples/.dev.vars", ".env", ".env.local"];
  const input = [...ignored, ".dev.vars.example", ".env.example"].join("\n");
  const { stdout } = await run("git", ["check-ignore", "--no-index", "--stdin"], { cwd: ROOT, input });
  assert.deepEqual(stdout.trim().split("\n"), ignored);
});
