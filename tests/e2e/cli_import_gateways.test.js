// `keygate import` of what the API gateways Kong and APISIX export.

import { ACME, OTHER, imports } from "./support/imports.js";

const { keys: [a, b, c], rows } = await imports();
const HOUR = 3600;
const NOW = Math.floor(Date.now() / 1000);

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
