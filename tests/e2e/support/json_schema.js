// JSON Schema 2020-12, as far as the published schemas use it.

import assert from "node:assert/strict";

const characters = (text) => [...text].length;
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const TYPES = {
  array: Array.isArray,
  boolean: (value) => typeof value === "boolean",
  integer: Number.isInteger,
  null: (value) => value === null,
  object: isObject,
  string: (value) => typeof value === "string",
};

/** The keywords of JSON Schema 2020-12 that the schemas use; a keyword applies only to values of its own type. */
const KEYWORDS = {
  anyOf: (value, schemas, root) => schemas.some((schema) => valid(value, schema, root)),
  oneOf: (value, schemas, root) => schemas.filter((schema) => valid(value, schema, root)).length === 1,
  $ref: (value, ref, root) => valid(value, root.$defs[/^#\/\$defs\/(\w+)$/.exec(ref)[1]], root),
  type: (value, types) => [types].flat().some((type) => TYPES[type](value)),
  const: (value, constant) => value === constant,
  enum: (value, values) => values.includes(value),
  pattern: (value, pattern) => typeof value !== "string" || new RegExp(pattern, "u").test(value),
  minLength: (value, min) => typeof value !== "string" || characters(value) >= min,
  maxLength: (value, max) => typeof value !== "string" || characters(value) <= max,
  minimum: (value, min) => typeof value !== "number" || value >= min,
  maximum: (value, max) => typeof value !== "number" || value <= max,
  maxItems: (value, max) => !Array.isArray(value) || value.length <= max,
  items: (value, schema, root) => !Array.isArray(value) || value.every((item) => valid(item, schema, root)),
  required: (value, names) => !isObject(value) || names.every((name) => Object.hasOwn(value, name)),
  dependentRequired: (value, needs) =>
    !isObject(value) || Object.entries(needs).every(([name, names]) => !Object.hasOwn(value, name) || names.every((other) => Object.hasOwn(value, other))),
  maxProperties: (value, max) => !isObject(value) || Object.keys(value).length <= max,
  propertyNames: (value, schema, root) => !isObject(value) || Object.keys(value).every((name) => valid(name, schema, root)),
  properties: (value, schemas, root) =>
    !isObject(value) || Object.entries(schemas).every(([name, schema]) => !Object.hasOwn(value, name) || valid(value[name], schema, root)),
  additionalProperties: (value, schema, root, { properties = {} }) =>
    !isObject(value) || Object.entries(value).every(([name, item]) => Object.hasOwn(properties, name) || (schema && valid(item, schema, root))),
};
const ANNOTATIONS = new Set(["$schema", "$defs", "title", "description", "default", "format"]);

/** Whether `value` is what `schema` describes. A keyword that is not known here is an error, not an omission. */
export function valid(value, schema, root = schema) {
  return Object.entries(schema).every(([keyword, argument]) => {
    if (ANNOTATIONS.has(keyword)) return true;
    assert.ok(Object.hasOwn(KEYWORDS, keyword), `the tests do not know the keyword ${keyword}`);
    return KEYWORDS[keyword](value, argument, root, schema);
  });
}
