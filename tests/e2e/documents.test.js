// The documents as a whole: links lead somewhere, paths that they name exist, the index is complete.

import assert from "node:assert/strict";
import { access, readFile } from "node:fs/promises";
import path from "node:path";
import { before, describe, test } from "node:test";

import { CONTRACT } from "./support/contract.js";
import { rowsBelow } from "./support/documents.js";
import { run } from "./support/program.js";
import { ROOT } from "./support/project.js";

const read = (file) => readFile(path.join(ROOT, file), "utf8");

const exists = (file) => access(path.join(ROOT, file)).then(() => true, () => false);

/** Every document, with its text outside of code blocks. */
const documents = new Map();

before(async () => {
  const { stdout } = await run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"], { cwd: ROOT });
  for (const file of stdout.split("\0").filter(Boolean)) {
    if (await exists(file)) documents.set(file, (await read(file)).replace(/^ *```[\s\S]*?^ *```$/gm, ""));
  }
  assert.ok(documents.size > 15, `${documents.size} documents`);
});

/** The anchors of a document's headings, as the common Markdown hosts make them. */
const anchors = (text) =>
  new Set([...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")));

test("every link to a file or a heading of the project leads there", async () => {
  const broken = [];
  let links = 0;
  for (const [document, text] of documents) {
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      links += 1;
      const [file, anchor] = target.split("#");
      const linked = file === "" ? document : path.join(path.dirname(document), file);
      const leads = (await exists(linked)) && (anchor === undefined || anchors(documents.get(linked) ?? "").has(anchor));
      if (!leads) broken.push(`${document}: ${target}`);
    }
  }
  assert.ok(links > 50, `${links} links`);
  assert.deepEqual(broken, []);
});

test("docs/README.md names every document, and docs/recipes.md every recipe", async () => {
  const index = documents.get("docs/README.md") + documents.get("docs/recipes.md");
  const itself = ["docs/README.md", "SUMMARY.md"];
  const linked = new Set([...index.matchAll(/\]\(([^)#]+)\)/g)].map(([, target]) => path.join("docs", target)));
  // The READMEs in npm/ are for those who look at a package, not at the repository.
  const isNamed = (document) => itself.includes(document) || document.startsWith("npm/") || linked.has(document);
  assert.deepEqual([...documents.keys()].filter((document) => !isNamed(document)), []);
});

describe("every path that a document names exists:", () => {
  // ARCHITECTURE.md and CONTRIBUTING.md name the files of a crate without its folder.
  const FOLDERS = ["", "src/core", "src/gate", "src/control", "src/cli", "src/delivery"];
  for (const document of ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/README.md"]) {
    test(document, async () => {
      const text = documents.get(document);
      const spans = [...text.matchAll(/`([\w.-]+(?:\/[\w.-]*)*)`/g)].map(([, span]) => span).filter((span) => /\/|\.(rs|js|md|toml|json|py)$/.test(span));
      const tree = [...text.matchAll(/^ {4}(\S+) {2,}/gm)].map(([, file]) => file);
      const missing = [];
      for (const named of [...spans, ...tree].filter((named) => !/^(wrangler|build\/|dist\/|target\/|key\/)/.test(named))) {
        const found = await Promise.all(FOLDERS.map((folder) => exists(path.join(folder, named))));
        if (!found.includes(true)) missing.push(named);
      }
      assert.ok(spans.length > 10, `${spans.length} paths`);
      assert.deepEqual(missing, []);
    });
  }
});

test("docs/responses.md has the codes and statuses of the contract", async () => {
  const rows = await rowsBelow("docs/responses.md", "| code | status | title | when |");
  const documented = Object.fromEntries(rows.map(([code, status]) => [code, Number(status)]));
  // A test that provokes a panic holds the status of the first; no client gets the second.
  const { gate_failed: failed, client_disconnected: disconnected, ...others } = documented;
  assert.deepEqual([failed, disconnected], [503, 499]);
  assert.deepEqual(others, Object.fromEntries(Object.entries(CONTRACT).map(([code, { status }]) => [code, status])));
});

test("docs/log-events.md has the fields of the schema", async () => {
  const rows = await rowsBelow("docs/log-events.md", "| field | what it holds |");
  const documented = rows.flatMap(([names]) => names.split(", ").map((name) => name.replaceAll("`", "")));
  const { $defs } = JSON.parse(await read("docs/log-event.schema.json"));
  const fields = new Set(Object.values($defs).flatMap(({ properties = {} }) => Object.keys(properties)));
  assert.deepEqual(documented.sort(), [...fields].sort());
});

test("docs/warnings.md has the variables that the control Worker reads", async () => {
  const rows = await rowsBelow("docs/warnings.md", "| in `src/control/wrangler.toml` | form | default | what it is |");
  const [, names] = (await read("src/control/warning/object.rs")).match(/\[((?:"[A-Z_]+",? ?)+)\]/);
  assert.deepEqual(rows.map(([name]) => name).filter((name) => name !== "crons").sort(), names.match(/[A-Z_]+/g).sort());
});
