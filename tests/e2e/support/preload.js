// Libraries that a test preloads into keygate, of Linux's kind.

import assert from "node:assert/strict";
import path from "node:path";

import { run } from "./program.js";
import { ROOT } from "./project.js";

/** Why a test that needs one is left out; false where it is not. */
export const noPreload = process.platform !== "linux" && "preloads a library of Linux's kind";

/** Compiles `support/<name>.c` into the folder; returns the library's file. */
export async function preload(name, folder) {
  const library = path.join(folder, `${name}.so`);
  const cc = await run("cc", ["-shared", "-fPIC", "-o", library, path.join(ROOT, "tests/e2e/support", `${name}.c`), "-ldl"], {});
  assert.equal(cc.status, 0, cc.stderr);
  return library;
}
