// The published JSON Schema of the record says what the parser says, for every frozen record.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { ROOT } from "./support/project.js";

const read = async (...name) => JSON.parse(await readFile(path.join(ROOT, ...name), "utf8"));

const characters = (text) => [...text].length;
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const TYPES = {
  array: Array.isArray,
  integer: Number.isInteger,
  null: (value) => value === null,
  object: isObject,
  string: (value) => typeof value === "string",
};

/** The keywords of JSON Schema 2020-12 that the schema uses; a keyword applies only to values of its own type. */
const KEYWORDS = {
  $ref: (value, ref, root) => valid(value, root.$defs[/^#\/\$defs\/(\w+)$/.exec(ref)[1]], root),
  type: (value, types) => [types].flat().some((type) => TYPES[type](value)),
  const: (value, constant) => value === constant,
  enum: (value, values) => values.includes(value),
  pattern: (value, pattern) => typeof value !== "string" || new RegExp(pattern, "u").test(value),
  maxLength: (value, max) => typeof value !== "string" || characters(value) <= max,
  minimum: (value, min) => typeof value !== "number" || value >= min,
  maximum: (value, max) => typeof value !== "number" || value <= max,
  maxItems: (value, max) => !Array.isArray(value) || value.length <= max,
  items: (value, schema, root) => !Array.isArray(value) || value.every((item) => valid(item, schema, root)),
  required: (value, names) => !isObject(value) || names.every((name) => Object.hasOwn(value, name)),
  maxProperties: (value, max) => !isObject(value) || Object.keys(value).length <= max,
  propertyNames: (value, schema, root) => !isObject(value) || Object.keys(value).every((name) => valid(name, schema, root)),
  properties: (value, schemas, root) =>
    !isObject(value) || Object.entries(schemas).every(([name, schema]) => !Object.hasOwn(value, name) || valid(value[name], schema, root)),
  additionalProperties: (value, schema, root, { properties = {} }) =>
    !isObject(value) || Object.entries(value).every(([name, item]) => Object.hasOwn(properties, name) || (schema && valid(item, schema, root))),
};
const ANNOTATIONS = new Set(["$schema", "$defs", "title", "description"]);

function valid(value, schema, root) {
  return Object.entries(schema).every(([keyword, argument]) => {
    if (ANNOTATIONS.has(keyword)) return true;
    assert.ok(Object.hasOwn(KEYWORDS, keyword), `this test does not know the keyword ${keyword}`);
    return KEYWORDS[keyword](value, argument, root, schema);
  });
}

test("the schema accepts what the parser reads, and refuses what it refuses but for the rules that a schema cannot say", async () => {
  const schema = await read("docs", "record.schema.json");
  for (const { name, record, ok, beyond_schema: beyondSchema = false } of await read("tests", "vectors", "record.json")) {
    if (record !== undefined) assert.equal(valid(record, schema, schema), ok || beyondSchema, name);
  }
});
