// The workflows in .github pass their linters, and a broken workflow does not.

import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { run } from "./support/program.js";
import { ROOT } from "./support/project.js";

const CHECKOUT = "3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1";

/** A workflow, what is replaced in it and with what, and what the linters say. */
const BROKEN = [
  ["an action without a commit", "ci.yml", `actions/checkout@${CHECKOUT}`, "actions/checkout@v7", /unpinned/],
  ["an unknown key", "ci.yml", "timeout-minutes:", "timeout-minute:", /"timeout-minute"/],
  ["an unknown runner", "ci.yml", "ubuntu-24.04", "ubuntu-99.04", /ubuntu-99\.04/],
  ["an unknown variable of the matrix", "ci.yml", "runs-on: ${{ matrix.runner }}", "runs-on: ${{ matrix.system }}", /"system" is not defined/],
  ["every permission", "ci.yml", "permissions: {}", "permissions: write-all", /write-all/],
  ["credentials that stay in the checkout", "ci.yml", "persist-credentials: false", "clean: true", /persist-credentials/],
  ["the code of a stranger with a token", "ci.yml", "pull_request:", "pull_request_target:", /pull_request_target/],
  ["a name of somebody else in a script", "ci.yml", "run: .ci/run", "run: echo ${{ github.head_ref }}", /github\.head_ref/],
  ["a permission without its reason", "release.yml", "contents: write # To create the release.", "contents: write", /undocumented-permissions/],
  ["a job that needs one that is not there", "release.yml", "needs: [attest]", "needs: [attestation]", /attestation/],
];

let folder;

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "keygate-workflows-"));
});

after(() => rm(folder, { recursive: true }));

/** Runs the linters on the workflows of a folder. */
async function lint(at) {
  const { status, stdout, stderr } = await run("cargo", ["xtask", "workflows", "--folder", at], { cwd: ROOT });
  return { status, said: stdout + stderr };
}

test("the workflows of the project pass", async () => {
  const { status, said } = await lint(ROOT);
  assert.equal(status, 0, said);
});

describe("a workflow is refused with", () => {
  for (const [name, file, part, broken, message] of BROKEN) {
    test(name, async () => {
      await cp(path.join(ROOT, ".github"), path.join(folder, ".github"), { recursive: true });
      const workflow = path.join(folder, ".github/workflows", file);
      const text = await readFile(workflow, "utf8");
      assert.ok(text.includes(part), part);
      await writeFile(workflow, text.replace(part, () => broken));
      const { status, said } = await lint(folder);
      assert.notEqual(status, 0, said);
      assert.match(said, message);
    });
  }
});
