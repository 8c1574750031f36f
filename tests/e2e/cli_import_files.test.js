// `keygate import` of the files that other systems write: what is read, what is refused, and that a refusal names its cause.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, beforeEach, describe, test } from "node:test";
import { gzipSync } from "node:zlib";

import { PEPPER, importedDigestOf, importedIdOf, randomBase62 } from "./support/keys.js";
import { operator } from "./support/operator.js";
import { ROOT } from "./support/project.js";

const { gate, api } = await operator();
const folder = await mkdtemp(path.join(tmpdir(), "keygate-import-"));
after(() => rm(folder, { recursive: true }));
beforeEach(() => api.entries.clear());

const remote = (args, options) => gate.keygate([...args, "--remote"], { ...options, env: { ...api.env, KEYGATE_PEPPER: PEPPER } });
const [a, b, c] = [0, 1, 2].map(() => randomBase62(32));
const hash = (text, encoding) => createHash("sha256").update(text).digest(encoding);
const HOUR = 3600;
const NOW = Math.floor(Date.now() / 1000);
const [ACME, OTHER] = ["8f1b6c3e-3b0a-4f0e-9f6d-0d6c2f8f7b11", "2d9c1f55-7a59-4d27-8f63-5a3c8ad6c0a2"];

/**
 * Imports `source` and checks the whole outcome: `keys` are the records that are there then, by the key, each with the fields that count;
 * `said` is what standard error has; nothing of a key is in it. The exit code is 0 only if every key was taken.
 */
async function check({ format, args = [], source, keys = {}, said = [] }) {
  const status = said.some((text) => !text.soft) ? 1 : 0;
  const outcome = await remote(["import", "--format", format, ...args], { input: source, status });
  const expected = Object.entries(keys).map(([key, fields]) => [importedIdOf(key), fields]);
  for (const [id, fields] of expected) {
    const record = api.record(id);
    const found = Object.fromEntries(Object.keys(fields).map((name) => [name, record[name] ?? null]));
    assert.deepEqual(found, fields);
  }
  assert.deepEqual([...api.entries.keys()].sort(), expected.map(([id]) => `key/${id}`).sort());
  for (const [key] of Object.entries(keys)) assert.equal(api.record(importedIdOf(key)).digest, importedDigestOf(PEPPER, key));
  for (const text of said) assert.match(outcome.stderr, text.soft ?? text);
  for (const key of [a, b, c]) assert.ok(!outcome.stderr.includes(key.slice(0, 8)), outcome.stderr);
}

/** Said, though every key was taken. */
const soft = (pattern) => ({ soft: pattern });

const rows = (title, all) => describe(title, () => {
  for (const [name, row] of Object.entries(all)) test(name, () => check(row));
});

const kong = { format: "kong" };
const consumers = `consumers:\n- {id: ${ACME}, username: acme, custom_id: "7", tags: ~}\n- {id: ${OTHER}, username: other}\n`;
const exported = `_format_version: "3.0"\n_transform: false\n${consumers}`;

rows("Kong", {
  "entities of db_export name their consumer by id": {
    ...kong,
    source: `${exported}keyauth_credentials:\n- {consumer: ${ACME}, key: ${a}, created_at: 1700000000, ttl: ~, tags: ~, id: ${OTHER}}\n- {consumer: ${OTHER}, key: ${b}}\nacls:\n- {consumer: ${ACME}, group: read}\n- {consumer: ${ACME}, group: write}\n`,
    keys: { [a]: { subject: "acme", scopes: ["read", "write"], created: 1700000000, not_after: null, meta: { custom_id: "7" } }, [b]: { subject: "other", scopes: [] } },
  },
  "flat entities name their consumer by username": {
    ...kong,
    source: `${consumers}keyauth_credentials:\n- {consumer: acme, key: ${a}}\nacls:\n- {consumer: acme, group: read}\n`,
    keys: { [a]: { subject: "acme", scopes: ["read"] } },
  },
  "an object names the consumer by id or username": {
    ...kong,
    source: `${consumers}keyauth_credentials:\n- {consumer: {id: ${ACME}}, key: ${a}}\n- {consumer: {username: other}, key: ${b}}\nacls:\n- {consumer: {id: ${ACME}}, group: read}\n`,
    keys: { [a]: { subject: "acme", scopes: ["read"] }, [b]: { subject: "other", scopes: [] } },
  },
  "a consumer that is not in the file is an error of its line": {
    ...kong,
    source: `${consumers}keyauth_credentials:\n- {consumer: ${ACME}, key: ${a}}\n- {consumer: nobody, key: ${b}}\nacls:\n- {consumer: nobody, group: read}\n`,
    keys: { [a]: { subject: "acme" } },
    said: [/line 6: `consumer` in `keyauth_credentials` names no consumer of this file/, /line 8: `consumer` in `acls` names no/, /^1 written .* 2 not taken$/m],
  },
  "a ttl of db_export up to Kong 3.4.0 is refused: it is what remained at a time that is not in the file": {
    ...kong,
    source: `${exported}keyauth_credentials:\n- {consumer: ${ACME}, key: ${a}, created_at: 1700000000, ttl: 3600}\n- {consumer: ${ACME}, key: ${b}, created_at: 1700000000}\n`,
    keys: { [b]: { not_after: null } },
    said: [/line 7: has a `ttl` of seconds that remained .* `--exported-at`/],
  },
  "--exported-at says when that time was": {
    ...kong,
    args: ["--exported-at", "2027-01-31T00:00:00Z"],
    source: `${exported}keyauth_credentials:\n- {consumer: ${ACME}, key: ${a}, created_at: 1700000000, ttl: 3600}\n`,
    keys: { [a]: { not_after: Date.UTC(2027, 0, 31) / 1000 + HOUR } },
  },
  "a ttl of db_export from Kong 3.4.1 on is the time itself": {
    ...kong,
    source: `${exported}keyauth_credentials:\n- {consumer: ${ACME}, key: ${a}, created_at: 1700000000, ttl: ${NOW + HOUR}}\n`,
    keys: { [a]: { not_after: NOW + HOUR } },
  },
  "a ttl in a file for decK counts from created_at": {
    ...kong,
    source: `consumers:\n- username: acme\n  keyauth_credentials:\n  - {key: ${a}, created_at: ${NOW}, ttl: ${HOUR}}\n`,
    keys: { [a]: { not_after: NOW + HOUR } },
  },
  "a ttl without created_at is refused: decK's dump has what remained": {
    ...kong,
    source: `consumers:\n- username: acme\n  keyauth_credentials:\n  - {key: ${a}, ttl: ${HOUR}}\n`,
    said: [/line 4: has a `ttl`/, /^0 written/m],
  },
  "a plugin or a group of the consumer restricts its keys": {
    ...kong,
    source: `consumers:\n- username: acme\n  plugins: [{name: ip-restriction, config: {allow: [10.0.0.0/8]}}]\n  keyauth_credentials: [{key: ${a}}]\n- username: other\n  plugins: [{name: rate-limiting, enabled: false}]\n  keyauth_credentials: [{key: ${b}}]\n- username: third\n  groups: [{name: gold}]\n  keyauth_credentials: [{key: ${c}}]\n`,
    keys: { [b]: { subject: "other" } },
    said: [/line 4: has `ip-restriction`, which restricts the key .*`--ignore ip-restriction`/, /line 10: has `groups`/],
  },
  "a plugin that stands apart restricts its consumer too, unless it is ignored": {
    ...kong,
    source: `${consumers}plugins:\n- {name: rate-limiting, consumer: ${ACME}}\n- {name: request-termination, consumer: ${OTHER}}\nkeyauth_credentials:\n- {consumer: ${ACME}, key: ${a}}\n- {consumer: ${OTHER}, key: ${b}}\n`,
    args: ["--ignore", "rate-limiting"],
    keys: { [a]: { subject: "acme" } },
    said: [/line 9: has `request-termination`/],
  },
  "consumer groups restrict their consumers, and keys in them are refused": {
    ...kong,
    source: `${consumers}- {username: third}\nconsumer_groups:\n- name: gold\n  plugins: [{name: rate-limiting}]\n  consumers:\n  - {username: acme}\n  - username: other\n    keyauth_credentials: [{key: ${b}}]\nkeyauth_credentials:\n- {consumer: acme, key: ${a}}\n- {consumer: third, key: ${c}}\n`,
    keys: { [c]: { subject: "third" } },
    said: [/line 11: stands in `consumer_groups`/, /line 13: has `consumer_groups`, which restricts the key .*`--ignore consumer_groups`/],
  },
  "members of a consumer group in db_export": { ...kong, source: `${exported}consumer_group_consumers:\n- {consumer: ${ACME}, consumer_group: ${OTHER}}\nkeyauth_credentials:\n- {consumer: ${ACME}, key: ${a}}\n- {consumer: ${OTHER}, key: ${b}}\n`, keys: { [b]: {} }, said: [/line 9: has `consumer_groups`/] },
  "plugins of services and routes restrict their consumer": {
    ...kong,
    source: `consumers:\n- {username: acme, keyauth_credentials: [{key: ${a}}]}\n- {username: other, keyauth_credentials: [{key: ${b}}]}\n- {username: third, keyauth_credentials: [{key: ${c}}]}\nservices:\n- plugins: [{name: rate-limiting, consumer: acme}, {name: cors}]\n  routes:\n  - plugins: [{name: request-size-limiting, consumer: {username: other}}]\nroutes:\n- {name: x, plugins: [{name: acl, consumer: third}]}\n`,
    said: [/line 2: has `rate-limiting`/, /line 3: has `request-size-limiting`/, /line 4: has `acl`/],
  },
  "a plugin for a consumer that is not in the file": { ...kong, source: `consumers:\n- {username: acme, keyauth_credentials: [{key: ${a}}]}\nplugins:\n- {name: rate-limiting, consumer: nobody}\n`, keys: { [a]: {} }, said: [/line 4: `consumer` in `plugins` names no consumer of this file/] },
  "an id and a username are not mixed up": {
    ...kong,
    source: `consumers:\n- {id: c1, username: alice}\n- {id: c2, username: c1}\nkeyauth_credentials:\n- {consumer: {username: c1}, key: ${a}}\n- {consumer: {id: c1}, key: ${b}}\n- {consumer: c1, key: ${c}}\n`,
    keys: { [a]: { subject: "c1" }, [b]: { subject: "alice" } },
    said: [/line 7: `consumer` in `keyauth_credentials` names more than one consumer of this file; name it by id/],
  },
  "consumers with one name do not become one subject": {
    ...kong,
    source: `consumers:\n- {username: x, keyauth_credentials: [{key: ${a}}]}\n- {custom_id: x, keyauth_credentials: [{key: ${b}}]}\n- {username: z, keyauth_credentials: [{key: ${c}}]}\n`,
    keys: { [c]: { subject: "z" } },
    said: [/line 2: belongs to a consumer whose name.* another consumer of this file has too/, /line 3: belongs to a consumer whose name/],
  },
  "an entity below a consumer that names another one": {
    ...kong,
    source: `consumers:\n- {username: bob}\n- username: x\n  acls:\n  - {group: read, consumer: bob}\n  keyauth_credentials:\n  - {key: ${a}, consumer: bob}\n  - {key: ${b}, consumer: nobody}\n- username: third\n  keyauth_credentials: [{key: ${c}, consumer: third}]\n`,
    keys: { [c]: { subject: "third" } },
    said: [/line 5: `consumer` in `acls` names another consumer than the one it stands below/, /line 7: `consumer` in `keyauth_credentials` names another/, /line 8: .*names no consumer/],
  },
  "a consumer that is no string in YAML": { ...kong, source: `consumers:\n- {username: "y"}\n- {username: acme}\nkeyauth_credentials:\n- {consumer: y, key: ${a}}\n- {consumer: acme, key: ${b}}\n`, keys: { [b]: {} }, said: [/line 5: .*names no consumer of this file; .*such as `y` or `42`, in quotes/] },
  "a ttl of 0 is refused": { ...kong, source: `consumers:\n- {username: acme, keyauth_credentials: [{key: ${a}, created_at: ${NOW}, ttl: 0}]}\n`, said: [/line 2: has the `ttl` 0: .*`--exported-at`/] },
  "a ttl of 0 ends with the export": { ...kong, args: ["--exported-at", "2027-01-31T00:00:00Z"], source: `${exported}keyauth_credentials:\n- {consumer: ${ACME}, key: ${a}, ttl: 0}\n`, keys: { [a]: { not_after: Date.UTC(2027, 0, 31) / 1000 } } },
  "a field of a key that Kong does not document": { ...kong, source: `consumers:\n- username: acme\n  keyauth_credentials:\n  - {key: ${a}, enabled: false}\n`, said: [/a key has the field `enabled`, which Kong does not document \(line 4\)/] },
  "a name that is no string: username: yes": { ...kong, source: `consumers:\n- {username: acme}\n- {username: yes, keyauth_credentials: [{key: ${a}}]}\n`, said: [/a value that has to be a string is none without quotes.*\(line 3\)\n help: write it in quotes/] },
  "a name that is no string: username: No": { ...kong, source: `consumers:\n- {username: acme}\n- {username: No, keyauth_credentials: [{key: ${a}}]}\n`, said: [/a value that has to be a string is none without quotes.*\(line 3\)\n help: write it in quotes/] },
  "a name that is no string: custom_id: on": { ...kong, source: `consumers:\n- {username: acme}\n- {custom_id: on, keyauth_credentials: [{key: ${a}}]}\n`, said: [/a value that has to be a string is none without quotes.*\(line 3\)\n help: write it in quotes/] },
  "a name that is no string: username: OFF": { ...kong, source: `consumers:\n- {username: acme}\n- {username: OFF, keyauth_credentials: [{key: ${a}}]}\n`, said: [/a value that has to be a string is none without quotes.*\(line 3\)\n help: write it in quotes/] },
  "a name that is no string: username: 42": { ...kong, source: `consumers:\n- {username: acme}\n- {username: 42, keyauth_credentials: [{key: ${a}}]}\n`, said: [/a value that has to be a string is none without quotes.*\(line 3\)\n help: write it in quotes/] },
  "a name that is no string: username: 1e3": { ...kong, source: `consumers:\n- {username: acme}\n- {username: 1e3, keyauth_credentials: [{key: ${a}}]}\n`, said: [/a value that has to be a string is none without quotes.*\(line 3\)\n help: write it in quotes/] },
  "a name that is no string: username: true": { ...kong, source: `consumers:\n- {username: acme}\n- {username: true, keyauth_credentials: [{key: ${a}}]}\n`, said: [/a value that has to be a string is none without quotes.*\(line 3\)\n help: write it in quotes/] },
  "a name in quotes is a string": { ...kong, source: `consumers:\n- {username: "yes", keyauth_credentials: [{key: ${a}, tags: [no]}]}\n- {username: 'off', custom_id: "42", acls: [{group: "no"}], keyauth_credentials: [{key: ${b}}]}\n`, keys: { [a]: { subject: "yes" }, [b]: { subject: "off", scopes: ["no"] } } },
  "a group or a key that is no string": { ...kong, source: `consumers:\n- username: acme\n  acls:\n  - group: no\n  keyauth_credentials: [{key: ${a}}]\n`, said: [/none without quotes.*\(line 4\)/] },
  "a misspelt list of keys at a consumer": {
    ...kong,
    source: `consumers:\n- username: acme\n  keyauth_credential:\n  - {key: ${a}}\n- {username: other, keyauth_credentails: [{key: ${b}}], tags: [x], jwt_secrets: []}\n- {username: third, keyauth_credentials: [{key: ${c}}]}\nconsumer_groups:\n- {name: gold, consumers: [{username: fourth, key-auth: []}]}\n`,
    keys: { [c]: {} },
    said: [/line 2: the consumer has `keyauth_credential`, which Kong does not document; its list of keys is `keyauth_credentials`/, /line 5: the consumer has `keyauth_credentails`/, /line 8: the consumer has `key-auth`/, /^1 written .* 3 not taken$/m],
  },
  "a field of a consumer that is ignored": { ...kong, args: ["--ignore", "x_entities"], source: `consumers:\n- {username: acme, x_entities: [], keyauth_credentials: [{key: ${a}}]}\n`, keys: { [a]: {} } },
  "a misspelt list of keys that stands apart": { ...kong, source: `${consumers}upstreams: []\nkeyauth_credential:\n- {consumer: acme, key: ${a}}\nkeyauth_credentials:\n- {consumer: acme, key: ${b}}\n`, said: [/the source has a list `keyauth_credential`, which Kong does not document\n help: name it `keyauth_credentials`/] },
  "a key that is not there": { ...kong, source: "consumers:\n- username: acme\n  keyauth_credentials:\n  - {id: x}\n", said: [/an entry has no `key` \(line 4\)/] },
  "two YAML documents": { ...kong, source: `${consumers}---\nconsumers: []\n`, said: [/more than one YAML document/] },
  "a reference that makes the file no YAML": { ...kong, source: `consumers:\n- username: acme\n  keyauth_credentials:\n  - {key: \${{ env "K" }}}\n`, said: [/\(line 4\)\n help: resolve the references `\$\{\{ … \}\}` first/] },
  "a value with a tag": { ...kong, source: `consumers:\n- username: acme\n  keyauth_credentials:\n  - {key: !vault ${a}}\n`, said: [/a value has a tag, such as `!vault`, .* \(line 4\)/] },
  "references to secrets": {
    ...kong,
    source: `consumers:\n- username: acme\n  keyauth_credentials:\n  - {key: '\${{ env "DECK_KEY" }}'}\n  - {key: '{vault://env/key}'}\n  - {key: '\${KEY}'}\n  - {key: ${a}}\n`,
    keys: { [a]: {} },
    said: [/line 4: the key is a reference to a secret \(`\$\{\{ env "NAME" \}\}` of decK\), not a key; resolve it first/, /line 5: .*of Kong/, /line 6: .*a variable/],
  },
  "keys that may be encrypted": { ...kong, source: `consumers:\n- username: acme\n  keyauth_enc_credentials:\n  - {key: ${a}}\n- username: other\n  keyauth_credentials: [{key: ${b}}]\n`, keys: { [b]: {} }, said: [/line 4: has `keyauth_enc_credentials`/] },
  "a page of the Admin API": { ...kong, source: JSON.stringify({ data: [{ id: OTHER, key: a, consumer: { id: ACME }, created_at: 1, ttl: null }], next: null }), said: [/a dump of Kong's Admin API.*\n help: export with `deck gateway dump`/] },
  "a list of Kubernetes": { ...kong, source: JSON.stringify({ apiVersion: "v1", kind: "List", items: [{ kind: "Secret", data: { key: Buffer.from(a).toString("base64") } }] }), said: [/a list or an object of Kubernetes/] },
  "a list of Secrets": { ...kong, source: `apiVersion: v1\nkind: SecretList\nitems:\n- {kind: Secret}\n`, said: [/a list or an object of Kubernetes/] },
  "consumers without keys": { ...kong, source: consumers, said: [/the source has no key of Kong's key-auth/] },
  "a dump of APISIX": { ...kong, source: '{"list":[{"value":{"username":"jack"}}],"total":1}', said: [/a dump of APISIX's Admin API.*\n help: use `--format apisix`/] },
  "another YAML file": { ...kong, source: "services: []\n", said: [/no key of Kong's key-auth/] },
});

const apisix = { format: "apisix" };
rows("APISIX", {
  "consumers and credentials of the Admin API": {
    ...apisix,
    source: JSON.stringify({ total: 3, list: [
      { key: "/apisix/consumers/jill", value: { username: "jill", plugins: {} } },
      { key: "/apisix/consumers/jack", createdIndex: 5, value: { username: "jack", plugins: { "key-auth": { key: a } }, create_time: 1 } },
      { key: "/apisix/consumers/jill/credentials/one", value: { id: "one", plugins: { "key-auth": { key: b } } } },
    ] }),
    keys: { [a]: { subject: "jack" }, [b]: { subject: "jill" } },
  },
  "plugins and groups of the consumer restrict its keys": {
    ...apisix,
    source: `consumers:\n- username: jack\n  plugins: {limit-count: {count: 2}, jwt-auth: {key: x}}\n- id: jack/credentials/one\n  plugins: {key-auth: {key: ${a}}}\n- username: jill\n  plugins: {key-auth: {key: ${b}}, ip-restriction: {_meta: {disable: true}}}\n- {username: joe, group_id: gold, plugins: {key-auth: {key: ${c}}}}\n`,
    keys: { [b]: { subject: "jill" } },
    said: [/line 5: has `limit-count`, which restricts the key/, /line 8: has `group_id`/],
  },
  "one page of a list": {
    ...apisix,
    source: JSON.stringify({ total: 250, list: [{ key: "/apisix/consumers/jack", value: { username: "jack", plugins: { "key-auth": { key: a } } } }] }),
    keys: { [a]: { subject: "jack" } },
    said: [/line 1: is one page of a list of 250, and the other pages are not in it; import each page/],
  },
  "credentials without their consumer": {
    ...apisix,
    source: JSON.stringify({ total: 1, list: [{ key: "/apisix/consumers/jack/credentials/one", value: { id: "one", plugins: { "key-auth": { key: a } } } }] }),
    said: [/line 1, column 117: belongs to a consumer that is not in the source and may have plugins; .*`--ignore consumers`/],
  },
  "credentials without their consumer, which is ignored": { ...apisix, args: ["--ignore", "consumers"], source: `consumers:\n- {id: jack/credentials/one, plugins: {key-auth: {key: ${a}}}}\n`, keys: { [a]: { subject: "jack" } } },
  "a consumer group of ADC restricts its consumers": {
    ...apisix,
    source: `consumer_groups:\n- name: gold\n  plugins: {limit-count: {count: 2}}\n  consumers:\n  - {username: jack, credentials: [{type: key-auth, config: {key: ${a}}}]}\n  - {username: jill}\nconsumers:\n- {username: jill, plugins: {key-auth: {key: ${b}}}}\n- {username: joe, plugins: {key-auth: {key: ${c}}}}\n`,
    keys: { [c]: { subject: "joe" } },
    said: [/line 5: has `consumer_groups`, which restricts the key .*`--ignore consumer_groups`/, /line 8: has `consumer_groups`/],
  },
  "a consumer group that is ignored": { ...apisix, args: ["--ignore", "consumer_groups"], source: `consumer_groups:\n- consumers:\n  - {username: jack, credentials: [{type: key-auth, config: {key: ${a}}}]}\n`, keys: { [a]: { subject: "jack" } } },
  "a plugin of a nested credential restricts its key": {
    ...apisix,
    source: `consumers:\n- username: jack\n  credentials:\n  - plugins: {key-auth: {key: ${a}}, ip-restriction: {whitelist: [10.0.0.0/8]}}\n  - plugins: {key-auth: {key: ${b}}}\n`,
    keys: { [b]: { subject: "jack" } },
    said: [/line 4: has `ip-restriction`, which restricts the key/],
  },
  "a name that is no string": { ...apisix, source: `consumers:\n- {username: yes, plugins: {key-auth: {key: ${a}}}}\n`, said: [/none without quotes.*\(line 2\)/] },
  "a Secret of Kubernetes": { ...apisix, source: "apiVersion: v1\nkind: Secret\ndata: {key: x}\n", said: [/a list or an object of Kubernetes/] },
  "references to secrets": { ...apisix, source: `consumers:\n- {username: jack, plugins: {key-auth: {key: $ENV://KEY}}}\n- {username: jill, plugins: {key-auth: {key: $secret://vault/1/jill/key}}}\n`, said: [/line 2: .*`\$ENV:\/\/…` of APISIX/, /line 3: .*`\$secret:\/\/…` of APISIX/] },
  "a file of Kong": { ...apisix, source: exported, said: [/a declarative file of Kong.*\n help: use `--format kong`/] },
  "an empty list of the Admin API": { ...apisix, source: '{"list":[],"total":0}', said: [/the source has no key of APISIX's key-auth/] },
});

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
  "are refused, with the remedy": { ...kong, source: names, keys: { [c]: {} }, said: [/line 2: `subject` is not a subject: 1 to 128 visible ASCII characters .*`--subject-map`/, /line 3: `subject` is not/] },
  "are mapped by CSV": { ...kong, args: ["--subject-map", await map("map.csv", "\ufeff\"Müller & Söhne\",mueller\nacme corp, acme\n")], source: names, keys: mapped },
  "are mapped by JSON": { ...kong, args: ["--subject-map", await map("map.json", JSON.stringify({ "Müller & Söhne": "mueller", "acme corp": "acme" }))], source: names, keys: mapped },
  "are not mapped to what is no subject": { ...kong, args: ["--subject-map", await map("bad.csv", "acme corp,a b\n")], source: names, said: [/--subject-map .*bad\.csv: the subject of name 1 is not a subject/] },
  "are not mapped twice": { ...kong, args: ["--subject-map", await map("twice.csv", "acme corp,a\nacme corp,b\n")], source: names, said: [/name 2 is there twice/] },
  "a map that is no map": { ...kong, args: ["--subject-map", await map("one.csv", "acme\n")], source: names, said: [/--subject-map .*one\.csv: line 1 has not two columns/] },
  "a JSON map with a name twice": { ...kong, args: ["--subject-map", await map("twice.json", '{"a":"b","a":"c"}')], source: names, said: [/twice\.json: has a field twice/] },
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
  "kong.yaml": `${exported}keyauth_credentials:\n- {consumer: ${ACME}, key: ${a}}\n`,
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
