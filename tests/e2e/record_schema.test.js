// The published JSON Schema of the record says what the parser says, for every frozen record.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { valid } from "./support/json_schema.js";
import { ROOT } from "./support/project.js";

const read = async (...name) => JSON.parse(await readFile(path.join(ROOT, ...name), "utf8"));

test("the schema accepts what the parser reads, and refuses what it refuses but for the rules that a schema cannot say", async () => {
  const schema = await read("docs", "record.schema.json");
  for (const { name, record, ok, beyond_schema: beyondSchema = false } of await read("tests", "vectors", "record.json")) {
    if (record !== undefined) assert.equal(valid(record, schema), ok || beyondSchema, name);
  }
});
