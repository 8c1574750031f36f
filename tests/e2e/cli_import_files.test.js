// `keygate import` of files with keys: what is read, what is refused, and that a refusal names its cause. `cli_import_gateways.test.js`
// has those of API gateways.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";

import { ACME, imports, soft } from "./support/imports.js";
import { ROOT } from "./support/project.js";

const { api, folder, remote, keys: [a, b, c], check, rows } = await imports();
const hash = (text, encoding) => createHash("sha256").update(text).digest(encoding);

rows("lines", {
  "NAME=value": { format: "keys", args: ["--subject", "x"], source: `API_KEY=${a}\nexport KEY=${b}\n${c}\n`, keys: { [c]: { subject: "x" } }, said: [/line 1: the key is of the form `NAME=value`/, /line 2: is of the form/] },
  "a key that ends with = is a key": { format: "keys", source: `${a}== s\n`, keys: { [`${a}==`]: { subject: "s" } } },
  "the output of sha256sum has file names": { format: "sha256", args: ["--subject", "x"], source: `${hash(a, "hex")}  acme.txt\n${hash(b, "hex")} *other.bin\n${hash(c, "hex")} s\n`, keys: { [a]: { subject: "x" }, [b]: { subject: "x" }, [c]: { subject: "s" } }, said: [soft(/file names, as `sha256sum` writes them, were passed over/)] },
  "a file name is no subject": { format: "sha256", source: `${hash(a, "hex")}  acme.txt\n`, said: [/line 1: has no `subject`/] },
  "digests of nothing": { format: "sha256", source: `${hash("", "hex")} s\n${"0".repeat(64)} s\n${hash(a, "hex")} s\n`, keys: { [a]: {} }, said: [/line 1: has the SHA-256 of an empty string/, /line 2: has a SHA-256 of zeros/] },
  "the output of openssl": { format: "sha256", source: `SHA2-256(stdin)= ${hash(a, "hex")}\n`, said: [/line 1: is the output of a program/] },
  "old line ends, a byte order mark, UTF-16": { format: "keys", source: Buffer.from(`\ufeff${a} s\r${b} s`, "utf16le"), keys: { [a]: { subject: "s" }, [b]: { subject: "s" } } },
  "CSV": { format: "keys", source: `key,subject\n${a},s\n`, said: [/the source is CSV.*\n help: use `--format csv`/] },
  "CSV without a heading": { format: "keys", source: `${a},s\n`, said: [/line 1: has a comma.*`--format csv`/] },
  "JSON": { format: "keys", source: `["${a}"]`, said: [/the source is JSON.*\n help: use `--format jsonl`/] },
  "YAML": { format: "keys", source: `_format_version: "3.0"\n`, said: [/the source is YAML/] },
  "masked keys": { format: "keys", source: `${a.slice(0, 4)}${"*".repeat(24)} s\n`, said: [/line 1: the key is masked with `\*`/] },
  "hashes of passwords": { format: "keys", source: `$2b$12$${a} s\n`, said: [/line 1: the key is a password hash/] },
  "hex digits that may be a digest are named": { format: "keys", source: `${hash(a, "hex")} s\n`, keys: { [hash(a, "hex")]: {} }, said: [soft(/64 hex digits were taken as a key; if they are a SHA-256/)] },
  "comments alone": { format: "keys", source: "# nothing\n", said: [/the source has no key/] },
});

const object = (key, fields) => JSON.stringify({ key, subject: "s", ...fields });
rows("JSON", {
  "an array on one line": { format: "jsonl", source: `[${object(a)},${object(b)}]`, keys: { [a]: {}, [b]: {} } },
  "an array over several lines, with a bad element": { format: "jsonl", source: JSON.stringify([{ key: a, subject: "s" }, { key: b, owner: "s" }], null, 2), keys: { [a]: {} }, said: [/line 6: has the field `owner`, which is none of key, .*`--rename`.*`--ignore`/] },
  "objects over several lines": { format: "jsonl", source: `${JSON.stringify({ key: a, subject: "s" }, null, 2)}\n${JSON.stringify({ key: b, subject: "s" }, null, 2)}`, keys: { [a]: {}, [b]: {} } },
  "a row with a field that files of other systems have": { format: "jsonl", args: ["--ignore", "message", "--ignore", "data", "--rename", "token=key"], source: [{ token: a, subject: "s", message: "hi", data: [] }, { token: b, subject: "s", items: [1] }].map((row) => JSON.stringify(row)).join("\n"), keys: { [a]: {} }, said: [/line 2: has the field `items`, which is none of/] },
  "no record repeats a key": { format: "jsonl", source: `{"v":1,"${a}":1}\n{"v":1,"id":"4fTz0Qw9Lr2K","subject":"${b} ,"}\n`, said: [/line 1: is not a record: its field of 32 characters is unknown, missing or wrong/, /line 2: is not a record: its field `subject`/] },
  "a field twice within a field": { format: "jsonl", source: `{"key":"${a}","subject":"s","meta":{"x":"1","x":"2"}}`, said: [/line 1: has a field twice/] },
  "what follows an array": { format: "jsonl", source: `[${object(a)}]\n[${object(b)}]`, said: [/from line 2 on something follows the array/] },
  "an array that breaks off": { format: "jsonl", source: `[${object(a)},\n${object(b)}`, said: [/not JSON from line 2 on/] },
  "other names of fields": { format: "jsonl", args: ["--rename", "owner=subject", "--rename", "token=key", "--ignore", "note"], source: JSON.stringify({ token: a, owner: "s", note: "x" }), keys: { [a]: { subject: "s" } } },
  "two fields for one": { format: "jsonl", args: ["--rename", "owner=subject"], source: `${object(a, { owner: "t" })}\n${object(b)}`, keys: { [b]: { subject: "s" } }, said: [/line 1: has two values for `subject`/] },
  "enabled": { format: "jsonl", source: object(a, { enabled: false }), keys: { [a]: { state: "disabled" } } },
  "a file of Kong": { format: "jsonl", source: JSON.stringify({ _format_version: "3.0", consumers: [] }), said: [/a declarative file of Kong/] },
  "a list of AWS": { format: "jsonl", source: JSON.stringify({ items: [{ id: "x", value: a }] }), said: [/AWS API Gateway/] },
  "a list of Tyk": { format: "jsonl", source: JSON.stringify({ keys: [a] }), said: [/a list of Tyk's/] },
  "a list of Azure API Management": { format: "jsonl", source: JSON.stringify({ value: [{ properties: { state: "active" } }] }), said: [/Azure API Management/] },
  "an error message": { format: "jsonl", source: '{"message":"Unauthorized"}', said: [/an error message of a server/] },
});

rows("CSV", {
  "semicolons, capitals, blanks, empty rows, CRLF": { format: "csv", source: `\ufeffKEY; Subject ;Not After;Scopes\r\n${a};s;2027-01-31;"x, y"\r\n;;;\r\n${b};s;;x;\r\n`, keys: { [a]: { subject: "s", scopes: ["x", "y"], not_after: Date.UTC(2027, 0, 31) / 1000 } }, said: [/line 4: has 5 columns, the heading 4/] },
  "sep=; and lists": { format: "csv", source: `sep=;\nkey;subject;scopes;ips\n${a};s;"x;y\nz";"10.0.0.0/8, ::1"\n`, keys: { [a]: { scopes: ["x", "y", "z"], ips: ["10.0.0.0/8", "::1"] } } },
  "columns without a name are empty": { format: "csv", source: `key,subject,,\n${a},s,,\n${b},s,x,\n`, keys: { [a]: {} }, said: [/line 3: has a value in a column without a name/] },
  "tabs": { format: "csv", source: `key\tsubject\n${a}\ts\n`, keys: { [a]: { subject: "s" } } },
  "a quoted line break in a name": { format: "csv", source: `key,subject,name\n${a},s,"two\nlines"\n${b},s,one\n`, keys: { [b]: { name: "one" } }, said: [/line 2: has a line break in `name`, which a record cannot hold/] },
  "a quote that is left open in scopes": { format: "csv", source: `key,subject,scopes\n${a},acme,"read\n${b},beta,write\n`, said: [/line 2: a quote is not closed at the end of its cell/] },
  "a quote that is left open in a column that is passed over": { format: "csv", args: ["--ignore", "description"], source: `key,subject,description\n${a},acme,"open\n${b},beta,x\n`, said: [/line 2: a quote is not closed/] },
  "a quote that another row closes": { format: "csv", args: ["--ignore", "Notes"], source: `key,subject,Notes,scopes\n${a},a,"x,read\n${b},b,"y",write\n`, said: [/line 2: a quote is not closed/] },
  "a quote that another row closes at the end of a cell": { format: "csv", args: ["--ignore", "Notes"], source: `key,subject,Notes,scopes\n${a},a,"x,read\n${b},b,",write\n${c},c,"two\nlines",read\n`, keys: { [c]: { scopes: ["read"] } }, said: [/line 2: has in column 3 a line break and what could be a key/] },
  "a key that begins in quotes": { format: "csv", source: `key,subject\n"${a.slice(0, 12)}"${a.slice(12)},acme\n`, said: [/line 2: a quote is not closed/] },
  "times are absolute": {
    format: "csv",
    source: `key,subject,not_before,not_after\n${a},s,,90d\n${a},s,20270131,\n${a},s,,46418\n${a},s,never,\n${b},s,2020-01-31,never\n`,
    keys: { [b]: { not_before: Date.UTC(2020, 0, 31) / 1000, not_after: null } },
    said: [/line 2: `not_after` is neither a date/, /line 3: `not_before` is no time in Unix seconds, 1973 or later/, /line 4: `not_after` is no time/, /line 5: `not_before` is neither .*only `not_after` may be `never`/],
  },
  "a file of AWS API Gateway": {
    format: "csv",
    args: ["--rename", "Name=subject", "--rename", "usageplanIds=plan", "--ignore", "description"],
    source: `Name,key,description,Enabled,usageplanIds\nacme,${a},An imported key,TRUE,c7y23b\nother,${b},,false,\nthird,${c},,true,"c7y23b,glvrsr"\n`,
    keys: { [a]: { subject: "acme", plan: "c7y23b", state: "active" }, [b]: { subject: "other", plan: null, state: "disabled" } },
    said: [/line 4: `plan` has not the form/],
  },
  "a column that is no field": { format: "csv", source: `Name,key,Enabled,usageplanIds\nacme,${a},TRUE,x\n`, said: [/the first line names a column that is no field: `usageplanIds`\n help: .*`--rename OLD=FIELD`.*`--ignore NAME`/] },
  "JSON": { format: "csv", source: object(a), said: [/the source is JSON\n help: use `--format jsonl`/] },
  "CSV, where JSON is expected": { format: "better-auth", source: `id,key\n1,${a}\n`, said: [/the source is CSV\n help: use `--format csv`/] },
  "no column of keys": { format: "csv", source: "name,subject\nx,y\n", said: [/neither `key` nor `sha256`/] },
});

const oneLine = (format, value, expected) => {
  const source = JSON.stringify(value);
  return { format, source, said: expected.map(([text, problem]) => new RegExp(`line 1, column ${source.indexOf(text) + 1}(: |\\))?.*${problem}`)) };
};
rows("a place in a source of one line has its column", {
  "an array of objects": { ...oneLine("jsonl", [{ key: a, subject: "s" }, { subject: "s", key: a }, { key: b, owner: "s" }], [['{"subject', "is the same key as line 1, column 2"], [`{"key":"${b}`, "has the field `owner`"]]), keys: { [a]: {} } },
  "an array that is broken": { format: "jsonl", source: `[${object(a)} ${object(b)}]`, said: [/the source is not JSON from line 1, column 2 on/] },
  "Kong": { ...oneLine("kong", { consumers: [{ username: "acme", keyauth_credentials: [{ key: a, ttl: 5 }, { key: b }] }] }, [[`"${a}`, "has a `ttl`"]]), keys: { [b]: {} } },
  "Kong, a field that is not documented": oneLine("kong", { consumers: [{ username: "acme", keyauth_credentials: [{ key: a, enabled: false }] }] }, [['"enabled"', ""]]),
  "APISIX": oneLine("apisix", { consumers: [{ username: "jack", plugins: { "key-auth": { key: a }, "limit-count": {} } }] }, [[`"${a}`, "has `limit-count`"]]),
  "pages of Unkey, one a line": {
    format: "unkey",
    source: [a, b].map((key) => JSON.stringify({ data: [{ plaintext: key, externalId: "s" }, { plaintext: key, roles: ["x"] }] })).join("\n"),
    keys: { [a]: {}, [b]: {} },
    said: [/line 1, column 76: has `roles`/, /line 2, column 76: has `roles`/],
  },
});

const map = async (name, text) => {
  const file = path.join(folder, name);
  await writeFile(file, text);
  return file;
};
const names = `consumers:\n- {username: "Müller & Söhne", keyauth_credentials: [{key: ${a}}]}\n- {username: "acme corp", keyauth_credentials: [{key: ${b}}]}\n- {username: third, keyauth_credentials: [{key: ${c}}]}\n`;
const mapped = { [a]: { subject: "mueller" }, [b]: { subject: "acme" }, [c]: { subject: "third" } };
rows("names that are no subjects", {
  "are refused, with the remedy": { format: "kong", source: names, keys: { [c]: {} }, said: [/line 2: `subject` is not a subject: 1 to 128 visible ASCII characters .*`--subject-map`/, /line 3: `subject` is not/] },
  "are mapped by CSV": { format: "kong", args: ["--subject-map", await map("map.csv", "\ufeff\"Müller & Söhne\",mueller\nacme corp, acme\n")], source: names, keys: mapped },
  "are mapped by JSON": { format: "kong", args: ["--subject-map", await map("map.json", JSON.stringify({ "Müller & Söhne": "mueller", "acme corp": "acme" }))], source: names, keys: mapped },
  "are not mapped to what is no subject": { format: "kong", args: ["--subject-map", await map("bad.csv", "acme corp,a b\n")], source: names, said: [/--subject-map .*bad\.csv: the subject of name 1 is not a subject/] },
  "are not mapped twice": { format: "kong", args: ["--subject-map", await map("twice.csv", "acme corp,a\nacme corp,b\n")], source: names, said: [/name 2 is there twice/] },
  "a map that is no map": { format: "kong", args: ["--subject-map", await map("one.csv", "acme\n")], source: names, said: [/--subject-map .*one\.csv: line 1 has not two columns/] },
  "a JSON map with a name twice": { format: "kong", args: ["--subject-map", await map("twice.json", '{"a":"b","a":"c"}')], source: names, said: [/twice\.json: has a field twice/] },
});

const unkey = (fields) => ({ keyId: "key_1", start: "3ZdH", createdAt: 1700000000123, enabled: true, ...fields });
rows("Unkey", {
  "an answer of the API, with recovered keys": {
    format: "unkey",
    source: JSON.stringify({ meta: { requestId: "req_1" }, data: [
      unkey({ plaintext: a, externalId: "acme", name: "one", permissions: ["x.read"], expires: 1800000000999, roles: [], meta: { plan: "pro" }, updatedAt: 1700000000123 }),
      unkey({ plaintext: b, identity: { id: "id_1", externalId: "other" }, enabled: false }),
    ], pagination: { hasMore: false } }, null, 2),
    keys: { [a]: { subject: "acme", name: "one", scopes: ["x.read"], created: 1700000000, not_after: 1800000000, state: "active" }, [b]: { subject: "other", state: "disabled" } },
  },
  "lines with digests": {
    format: "unkey",
    source: [unkey({ hash: { value: hash(a, "base64"), variant: "sha256_base64" }, ownerId: "acme" }), unkey({ hash: hash(b, "base64"), owner_id: "other", deleted_at_m: null })].map((row) => JSON.stringify(row)).join("\n"),
    keys: { [a]: { subject: "acme" }, [b]: { subject: "other" } },
    said: [soft(/of 2 keys the source has digests alone/)],
  },
  "pages of an answer are read, and one of several says so": {
    format: "unkey",
    source: [{ data: [unkey({ plaintext: a, externalId: "s" })], pagination: { cursor: "abc", hasMore: true } }, { data: [unkey({ plaintext: b, externalId: "s" })], pagination: { hasMore: false } }].map((page) => JSON.stringify(page, null, 1)).join("\n"),
    keys: { [a]: {}, [b]: {} },
    said: [/line 1: is one page of Unkey's answer, and the keys of the other pages are not in it; import each page/, /^2 written .* 1 not taken$/m],
  },
  "an answer of version 1": { format: "unkey", source: JSON.stringify({ keys: [unkey({ plaintext: a, ownerId: "s" })], total: 1, cursor: "key_1" }), keys: { [a]: {} } },
  "a page of version 1": { format: "unkey", source: JSON.stringify({ keys: [unkey({ plaintext: a, ownerId: "s" })], total: 2 }), keys: { [a]: {} }, said: [/line 1: is one page/] },
  "an answer of Unkey in lines of objects": { format: "jsonl", source: JSON.stringify({ meta: {}, data: [] }), said: [/an answer of Unkey's API\n help: use `--format unkey`/] },
  "an identity restricts its keys, and names its subject": {
    format: "unkey",
    args: ["--subject", "dflt"],
    source: [
      unkey({ plaintext: a, identity: { id: "id_1", externalId: "u1", ratelimits: [{ limit: 1 }] } }), unkey({ plaintext: a, identity: { id: "id_1", externalId: 42 } }), unkey({ plaintext: a, identity: "u7" }),
      unkey({ plaintext: b, identity: { id: "id_1", externalId: "u1", meta: { x: 1 }, ratelimits: [] } }),
    ].map((row) => JSON.stringify(row)).join("\n"),
    keys: { [b]: { subject: "u1" } },
    said: [/line 1: has `identity\.ratelimits`, which restricts.*`--ignore identity\.ratelimits`/, /line 2: `identity\.externalId` is not a string/, /line 3: `identity` is not an object/],
  },
  "limits of an identity that are ignored": { format: "unkey", args: ["--ignore", "identity.ratelimits"], source: JSON.stringify(unkey({ plaintext: a, identity: { externalId: "u1", ratelimits: [{ limit: 1 }] } })), keys: { [a]: { subject: "u1" } } },
  "an unknown field says something unless it is null": {
    format: "unkey",
    args: ["--subject", "s"],
    source: [unkey({ plaintext: a, isActive: false }), unkey({ plaintext: a, allowed: [] }), unkey({ plaintext: a, allowed: "" }), unkey({ plaintext: a, allowed: {} }), unkey({ plaintext: b, allowed: null, ratelimit_async: 0, last_used_at: 0, remaining: null })].map((row) => JSON.stringify(row)).join("\n"),
    keys: { [b]: {} },
    said: [/line 1: has the field `isActive`/, /line 2: has the field `allowed`/, /line 3: has/, /line 4: has/],
  },
  "what restricts a key, or is not understood, refuses it": {
    format: "unkey",
    args: ["--subject", "s"],
    source: [
      unkey({ plaintext: a, ratelimits: [{ limit: 1 }] }), unkey({ plaintext: a, credits: { remaining: 3 } }), unkey({ plaintext: a, roles: ["admin"] }), unkey({ plaintext: a, ipWhitelist: "10.0.0.1" }),
      unkey({ hash: hash(a, "hex") }), unkey({ hash: { value: "x", variant: "bcrypt" } }), unkey({ hash: hash(a, "base64"), start: "acme_live_3Zd" }), unkey({ plaintext: a, expires: 1800000000 }),
      unkey({ plaintext: a, deletedAtM: 1700000000123 }), unkey({}), unkey({ plaintext: b }),
    ].map((row) => JSON.stringify(row)).join("\n"),
    keys: { [b]: {} },
    said: [
      /line 1: has `ratelimits`, which restricts.*`--ignore ratelimits`/, /line 2: has `credits`/, /line 3: has `roles`/, /line 4: has the field `ipWhitelist`/, /line 5: `hash` is not a SHA-256 in base64/,
      /line 6: `hash\.variant` is not/, /line 7: begins with this gate's own prefix/, /line 8: `expires` is neither a time in milliseconds/, /line 9: .*the key is deleted/, /line 10: has neither `plaintext` nor `hash`/,
    ],
  },
});

const better = (key, fields) => ({ id: "1", configId: "default", name: "one", start: "abc", prefix: null, key: hash(key, "base64url"), referenceId: "u1", enabled: true, rateLimitEnabled: false, rateLimitMax: 10, rateLimitTimeWindow: 86400000, requestCount: 3, remaining: null, createdAt: "2026-01-01T00:00:00.000Z", updatedAt: "2026-01-01T00:00:00.000Z", expiresAt: null, permissions: null, metadata: null, ...fields });
rows("better-auth", {
  "rows of the table": {
    format: "better-auth",
    source: JSON.stringify([
      better(a, { permissions: JSON.stringify({ files: ["read", "write"], users: ["read"] }), expiresAt: "2027-01-31T00:00:00.000Z" }),
      better(b, { enabled: 0, referenceId: undefined, userId: "u2", rateLimitEnabled: 0, expiresAt: 1800000000000 }),
      better(c, { enabled: null, permissions: "null" }),
    ]),
    keys: {
      [a]: { subject: "u1", name: "one", scopes: ["files:read", "files:write", "users:read"], not_after: Date.UTC(2027, 0, 31) / 1000, created: Date.UTC(2026, 0, 1) / 1000 },
      [b]: { subject: "u2", state: "disabled", not_after: 1800000000 },
      [c]: { state: "active", scopes: [], not_after: null },
    },
    said: [soft(/of 3 keys the source has digests alone/)],
  },
  "what restricts a key, or is not understood, refuses it": {
    format: "better-auth",
    source: [
      better(a, { rateLimitEnabled: true }), better(a, { remaining: 5 }), better(a, { allowedIps: "10.0.0.1" }), better(a, { key: a }), better(a, { prefix: "acme_live_" }),
      better(a, { expiresAt: "2027-01-31 00:00:00" }), better(a, { permissions: '"all"' }), better(a, { userId: "u2" }), Object.fromEntries(Object.entries(better(a, { prefix: "acme_live_", start: "acme_l" })).reverse()), better(b),
    ].map((row) => JSON.stringify(row)).join("\n"),
    keys: { [b]: {} },
    said: [
      /line 1: has `rateLimitMax`, which restricts.*`--ignore rateLimitMax`/, /line 2: has `remaining`/, /line 3: has the field `allowedIps`/, /line 4: `key` is not a SHA-256 in base64url; .*`disableKeyHashing`/,
      /line 5: begins with this gate's own prefix/, /line 6: `expiresAt` is neither/, /line 7: `permissions` is not/, /line 8: has `referenceId` and `userId`/, /line 9: begins with this gate's own prefix/,
    ],
  },
  "an unknown field says something unless it is null, and no field counts twice": {
    format: "better-auth",
    source: [
      better(a, { active: false }), better(a, { rateLimitEnabled: false, rate_limit_enabled: true }), JSON.stringify(better(a)).replace('"permissions":null', '"permissions":{"files":["read"],"files":["write"]}'),
      better(a, { permissions: '{"files":["read"],"files":["write"]}' }), better(b, { active: null }),
    ].map((row) => (typeof row === "string" ? row : JSON.stringify(row))).join("\n"),
    keys: { [b]: {} },
    said: [/line 1: has the field `active`/, /line 2: has `rate_limit_enabled` in two spellings/, /line 3: has a field twice/, /line 4: `permissions` is not an object of arrays of strings, each name once/, /note: each `key` was taken as a SHA-256; .*`disableKeyHashing`/],
  },
  "a limit that is ignored": { format: "better-auth", args: ["--ignore", "rateLimitMax", "--plan", "free"], source: JSON.stringify(better(a, { rateLimitEnabled: true })), keys: { [a]: { plan: "free" } } },
});

/** A file for each command of docs/migration.md, with one key, as the other system writes it. */
const SAMPLES = {
  "kong.yaml": `consumers:\n- {id: ${ACME}, username: acme}\nkeyauth_credentials:\n- {consumer: ${ACME}, key: ${a}}\n`,
  "secrets.txt": `${a} key of acme\n`,
  "subjects.csv": "key of acme,acme\n",
  "consumers.json": JSON.stringify({ list: [{ key: "/apisix/consumers/jack", value: { username: "jack", plugins: { "key-auth": { key: a } } } }] }),
  "unkey.json": JSON.stringify({ meta: {}, data: [unkey({ plaintext: a, externalId: "acme" })] }),
  "apikey.json": JSON.stringify([better(a, { rateLimitEnabled: 1 })]),
  "api-keys.csv": `Name,key,description,Enabled,usageplanIds\nacme,${a},An imported key,TRUE,c7y23b\n`,
  "keys.json": JSON.stringify([{ key: a, subject: "acme", enabled: true }], null, 4),
  "credentials.json": JSON.stringify([{ key: a, client: "acme" }]),
  "table.csv": `Token;Owner;Notes\n${a};acme;x\n`,
  "keys.txt": `${a}\n`,
  "digests.txt": `${hash(a, "hex")}\n`,
};

test("the commands of docs/migration.md import what they are for", async () => {
  for (const [name, text] of Object.entries(SAMPLES)) await writeFile(path.join(folder, name), text);
  const commands = (await readFile(path.join(ROOT, "docs/migration.md"), "utf8")).match(/^keygate import .*/gm);
  const unused = new Set(Object.keys(SAMPLES));
  for (const command of commands) {
    api.entries.clear();
    const [, ...words] = command.split(" ").filter((word) => word !== "<");
    const args = words.map((word) => {
      if (!(word in SAMPLES)) return word;
      unused.delete(word);
      return path.join(folder, word);
    });
    assert.match((await remote(args)).stderr, /^1 (would be )?written/m, command);
  }
  assert.deepEqual([...unused], []);
});

test("the fields that the SQL of docs/migration.md selects are all known", async () => {
  const sql = (await readFile(path.join(ROOT, "docs/migration.md"), "utf8")).match(/^SELECT JSON_OBJECT\([^;]*/m)[0];
  const fields = [...sql.matchAll(/'(\w+)', (?!AS)/g)].map(([, name]) => name);
  // What MySQL makes of the columns: UNIX_TIMESTAMP of a datetime(3) alone is a DECIMAL, `1800000000000.000`.
  const expires = sql.includes("CAST(UNIX_TIMESTAMP(expires) * 1000 AS UNSIGNED)") ? "1800000000000" : "1800000000000.000";
  const row = (key, values) => `{${fields.map((name) => `"${name}": ${{ hash: `"${hash(key, "base64")}"`, ownerId: '"acme"', enabled: "1", expires, ...values }[name] ?? "null"}`).join(", ")}}`;
  assert.ok(["hash", "ratelimit_limit"].every((name) => fields.includes(name)), fields.join());
  await check({
    format: "unkey",
    source: `${row(a)}\n${row(b, { ratelimit_limit: 5 })}\n`,
    keys: { [a]: { subject: "acme", not_after: 1800000000, state: "active" } },
    said: [/line 2: has `ratelimit_limit`, which restricts/],
  });
});

const utf8 = (text) => Buffer.from(text);
const OTHER_FILES = {
  "an empty file": [utf8(""), /the source is empty/],
  "blank lines": [utf8("\n \r\n"), /the source is empty/],
  "a workbook of Excel": [utf8("PK\x03\x04rest"), /an Excel workbook \(\.xlsx\)/],
  "an old workbook of Excel": [Buffer.from("d0cf11e0a1b11ae100", "hex"), /an Excel workbook \(\.xls\)/],
  "a compressed file": [gzipSync(`${a} s\n`), /compressed \(gzip\)/],
  "a page of HTML": [utf8("<!DOCTYPE html><html><title>Sign in</title>"), /HTML or XML, perhaps a login/],
  "an answer with its headers": [utf8("HTTP/2 200\r\ncontent-type: application/json\r\n\r\n{}"), /an HTTP response with its headers/],
  "a database": [utf8("SQLite format 3\0rest"), /a SQLite database/],
  "a dump of a database": [utf8("-- PostgreSQL database dump\n"), /a dump of a PostgreSQL database/],
  "an encrypted file": [utf8("$ANSIBLE_VAULT;1.1;AES256\n3132\n"), /encrypted \(Ansible Vault\)/],
  "a binary": [Buffer.from([1, 0, 2, 0, 3]), /the source is binary/],
};
describe("a file of another kind is named, whatever the format", () => {
  for (const [name, [source, said]] of Object.entries(OTHER_FILES)) {
    test(name, async () => {
      for (const format of ["keys", "sha256", "csv", "jsonl", "kong", "apisix", "unkey", "better-auth"]) await check({ format, source, said: [said] });
    });
  }

  test("a folder, and a file that is not there", async () => {
    for (const [file, said] of [[folder, /is a folder/], [path.join(folder, "none"), /cannot read .*none/]]) {
      assert.match((await remote(["import", "--format", "keys", file], { status: 1 })).stderr, said);
    }
  });
});

test("issue --import-stdin names what is no key, too", async () => {
  for (const [input, said] of [[`API_KEY=${a}`, /of the form `NAME=value`/], ["$ENV://KEY", /a reference to a secret/], [`$2b$12$${a}`, /a password hash/]]) {
    const { stderr } = await remote(["issue", "--subject", "s", "--import-stdin"], { input, status: 1 });
    assert.match(stderr, said);
    assert.ok(!stderr.includes(a.slice(0, 8)));
  }
  assert.equal(api.entries.size, 0);
});

test("options that a format does not have, and names that are no fields, are refused", async () => {
  for (const [args, said] of [
    [["--format", "kong", "--rename", "a=key"], /--rename is for/],
    [["--format", "csv", "--exported-at", "2027-01-31"], /--exported-at is for/],
    [["--format", "csv", "--rename", "a=b"], /FIELD is none of key, /],
    [["--format", "csv", "--rename", "key"], /OLD=FIELD/],
    [["--format", "kong", "--exported-at", "1h"], /give a date/],
  ]) {
    assert.match((await remote(["import", ...args], { input: "", status: 2 })).stderr, said);
  }
});
