// What a search begins with: the frozen vectors of tests/vectors, as inputs of the targets, in fuzz/corpus.

import { mkdir, readFile, writeFile } from "node:fs/promises";

// The routes that paths are looked up in: those of the pieces that the vectors are made of.
const ROUTES = "p /public/*\nk02 /admin/*\nd /closed/*\nk0 /a/*/c\nk2 /a/b/*\np013 /a/b/c\nk /*/*/d\np0 /\nk /café";
const PEPPERS = "Zk9wVGVzdFBlcHBlck5vdEZvclVzZTAxMjM0NTY3ODkrLw\0T2xkUGVwcGVyRm9yVGVzdHNPbmx5QWJjZGVmZ2hpamtsbW4";
const SECRETS = "4fTz0Qw9Lr2K,000000000000\0Bearer provider\0" + "2026-11:Y2FuYXJ5Y2FuYXJ5MDEyMzQ1Njc4OWFiY2RlZmdoaWo=";

/** Numbers stay as they are spelt: some are too large for JavaScript. */
const asSpelt = (_, value, { source }) => (typeof value === "number" ? JSON.rawJSON(source) : value);
const vectors = async (name) => JSON.parse(await readFile(new URL(`../tests/vectors/${name}.json`, import.meta.url)), asSpelt);
const [keys, credentials, paths, records, policies] = await Promise.all(["key", "credential", "path", "record", "policy"].map(vectors));

/** A field: a text as it is, anything else as JSON, nothing where there is none. */
const text = (value) => (value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value));
const texts = (value) => (typeof value === "string" ? [value] : value instanceof Object ? Object.values(value).flatMap(texts) : []);
/** `@` has none of the bits. */
const flags = (...set) => String.fromCharCode(0x40 | set.reduce((bits, isSet, at) => bits | (isSet ? 1 << at : 0), 0));

const recordTexts = records.map((row) => text("json" in row ? row.json : row.record));

const seeds = {
  // Every text that is or could be a key, an id, a digest, a prefix or a pepper; then entropy for a whole key of its own.
  key: [...texts(keys), `\n${"0123456789abcdef".repeat(12)}`],
  credential: credentials.cases.map((row) => {
    const places = row.credentials ?? ["bearer", "header:x-api-key"];
    const mask = flags(...["bearer", "basic", "header:x-api-key", "header:x-key", "query:api_key"].map((place) => places.includes(place)));
    const lines = [row.authorization, row.headers?.["x-api-key"], row.headers?.["x-key"], row.query];
    return [mask, ...lines.map(text)].join("\n");
  }),
  route: paths.cases.map(({ path, rules = [] }) => {
    const mask = flags(rules.includes("allow_encoded_slash"), rules.includes("case_insensitive"));
    return [mask, path, ROUTES].join("\n");
  }),
  record: recordTexts,
  policy: policies.cases.map((row) => text(row.vars)),
  secrets: recordTexts.map((record) => [PEPPERS, `[${record}]`, SECRETS].join("\0")),
  gate: [
    ...paths.cases.map((row) => `GET\nhttps://gate.example${row.path}?a=%2f\n203.0.113.9\n\n\nBearer {key}\n`),
    ...credentials.cases.map((row) => {
      const url = `https://gate.example/read/x?${text(row.query)}`;
      return ["OPTIONS", url, "2001:db8::1", "https://app.example", "GET", text(row.authorization), text(row.headers?.["x-api-key"])].join("\n");
    }),
  ],
};

for (const [target, inputs] of Object.entries(seeds)) {
  const folder = new URL(`corpus/${target}/`, import.meta.url);
  await mkdir(folder, { recursive: true });
  await Promise.all(inputs.map((input, at) => writeFile(new URL(`vector-${at}`, folder), input)));
}
