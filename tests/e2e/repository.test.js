// What git is told about this repository.

import assert from "node:assert/strict";
import { test } from "node:test";

import { run } from "./support/program.js";
import { ROOT } from "./support/project.js";

test("git ignores secrets, and keeps their examples", async () => {
  const ignored = [".dev.vars", ".dev.vars.staging", "examples/.dev.vars", ".env", ".env.local"];
  const input = [...ignored, ".dev.vars.example", ".env.example"].join("\n");
  const { stdout } = await run("git", ["check-ignore", "--no-index", "--stdin"], { cwd: ROOT, input });
  assert.deepEqual(stdout.trim().split("\n"), ignored);
});
