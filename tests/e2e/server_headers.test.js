// Whatever a client claims in a header, the application behind the gate sees what the gate has checked: each header that some server
// or framework trusts, on each server.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { rowsBelow } from "./support/documents.js";
import { startGates } from "./support/harness.js";
import { HOSTILE_HEADERS, NOT_IN_TABLE } from "./support/hostile_headers.js";
import { send } from "./support/http.js";
import { SERVERS, startServers } from "./support/servers.js";

const ROUTES = [
  { path: "/public/*", access: "public" },
  { path: "/admin/*", scopes: ["admin"] },
  { path: "/closed/*", access: "deny" },
];
const CLIENT = "203.0.113.9";
const isTrusting = (server) => server.endsWith("trusting");

const servers = await startServers(SERVERS);
const harness = await startGates(() => Object.fromEntries(SERVERS.map((name) => [name, { vars: { ORIGIN: servers[name], ROUTES } }])));
const issued = await harness.issue();

/** A public path that holds the one of another rule, and a path that needs a key. */
const TARGETS = [
  { target: "/public/admin/users?x=1", path: "/public/admin/users", resource: "public" },
  { target: "/api/items/7?x=1", path: "/api/items/7", resource: "items" },
];

/** What the application must see of a request, by the gate's own judgement. */
function judged(server, { path, resource }, { method = "GET", body = "" } = {}) {
  const gate = new URL(harness.gates[server].url);
  const origin = new URL(servers[server]);
  const seen = isTrusting(server) ? { host: gate.host, address: CLIENT } : { host: origin.host, address: "127.0.0.1" };
  const subject = resource === "public" ? null : issued.record.subject;
  return { resource, method, mount: "", path, query: "x=1", user: null, subject, scheme: "http", ...seen, body };
}

/** What the application sees: without the names of its headers, which are listed apart. */
async function ask(server, { target, resource }, headers, request) {
  const key = resource === "public" ? undefined : issued.key;
  const answer = await harness.gates[server].send({ target, key, ...request, headers: [["CF-Connecting-IP", CLIENT], ...headers] });
  // A server that refuses what it was sent answers without a report.
  if (answer.status !== 200 && !answer.text.includes('"resource"')) return { seen: { status: answer.status }, names: [] };
  const { headers: names, ...seen } = answer.json;
  return { seen, names };
}

/** Where two reports differ: `path: "/a" and not "/b"`. */
function differences(seen, expected) {
  if (seen.status !== undefined) return [`answered ${seen.status}`];
  return Object.keys(expected)
    .filter((field) => seen[field] !== expected[field])
    .map((field) => `${field}: ${JSON.stringify(seen[field])} and not ${JSON.stringify(expected[field])}`);
}

/** Calls `work` for all rows, some at a time. */
async function each(rows, work, atATime = 8) {
  const left = rows.values();
  await Promise.all(Array.from({ length: atATime }, async () => {
    for (const row of left) await work(row);
  }));
}

/** What is wrong when all of `names` come at once; then of each alone, so that the message names the culprit. */
async function wrongTogether(server, target, names, text, request, usual) {
  const problemsOf = async (list) => {
    const { seen, names: got } = await ask(server, target, list.map((name) => [name, text]), request);
    const added = got.filter((header) => !usual.includes(header)).map((header) => `gets there as ${header}`);
    return [...differences(seen, judged(server, target, request)), ...added];
  };
  const together = await problemsOf(names);
  if (together.length === 0) return [];
  const alone = [];
  for (const name of names) for (const problem of await problemsOf([name])) alone.push(`${target.path}, ${name}: ${problem}`);
  return alone.length > 0 ? alone : together.map((problem) => `${target.path}, ${names.join(" ")} together: ${problem}`);
}

/** The rows of docs/headers.md by what they would change; a row for all names that begin alike stands for one of them. */
async function tableByFamily() {
  const rows = await rowsBelow("docs/headers.md", "| header | what it would change | read by | source |");
  const families = Object.groupBy(rows, ([, family]) => family);
  return Object.entries(families).map(([family, list]) => [family, list.map(([name]) => name.replace(/\*$/, "anything"))]);
}

/** What a header of the table is sent with, by family. */
const TABLE_VALUES = {
  path: "/admin/users", method: "DELETE", host: "evil.example", identity: "root", address: "198.51.100.66", certificate: "SUCCESS",
  file: "/etc/passwd", proxy: "http://evil.example/", routing: "1",
};

for (const server of SERVERS) {
  describe(`${server}, behind the gate:`, () => {
    test("no header of docs/headers.md changes what the application sees", async () => {
      const families = await tableByFamily();
      assert.ok(families.flatMap(([, names]) => names).length > 100, "the table was not read");
      const wrong = [];
      for (const [family, names] of families) {
        assert.ok(family in TABLE_VALUES, family);
        const request = family === "method" ? { method: "POST", body: "name=value" } : undefined;
        for (const target of TARGETS) {
          const { names: usual } = await ask(server, target, [], request);
          // Not more at once: servers have limits, too.
          for (let at = 0; at < names.length; at += 40) {
            wrong.push(...(await wrongTogether(server, target, names.slice(at, at + 40), TABLE_VALUES[family], request, usual)));
          }
        }
      }
      assert.deepEqual(wrong, []);
    });

    for (const [kind, { value, request, names }] of Object.entries(HOSTILE_HEADERS)) {
      const cells = () => TARGETS.flatMap((target) => names.map((name) => [target, name, value(target.path)]));

      test(`no header tells the application ${kind}`, async () => {
        const wrong = [];
        await each(cells(), async ([target, name, text]) => {
          const { seen } = await ask(server, target, [[name, text]], request);
          for (const difference of differences(seen, judged(server, target, request))) wrong.push(`${target.path}, ${name}: ${difference}`);
        });
        assert.deepEqual(wrong.sort(), []);
      });

      test(`headers that would tell ${kind} are removed, except those that docs/headers.md does not list`, async () => {
        const wrong = [];
        const [target] = TARGETS;
        const { names: usual } = await ask(server, target, [], request);
        await each(names, async (name) => {
          const { names: got } = await ask(server, target, [[name, value(target.path)]], request);
          const added = got.filter((header) => !usual.includes(header));
          if (added.length > 0 !== NOT_IN_TABLE.includes(name)) wrong.push(`${name} as ${added}`);
        });
        assert.deepEqual(wrong.sort(), []);
      });
    }
  });
}

describe("without the gate the applications believe the headers of docs/origins.md:", () => {
  test("each listed header has its effect", async () => {
    for (const [server, header, effect] of await rowsBelow("docs/origins.md", "| server | believes | and then |")) {
      const [name, value] = header.split(": ");
      const [, field, expected] = /^the (\w+) (?:`[^`]+` )?is `([^`]+)`$/.exec(effect);
      const headers = { [name]: value };
      const answer = await send(servers[server], { method: "POST", body: "name=value", target: "/public/admin/users", headers });
      assert.equal(answer.json[field], expected, `${server}: ${header}`);
    }
  });
});

test("a method in a body is not checked, as docs/origins.md says", async () => {
  const rows = await rowsBelow("docs/origins.md", "| server | request | body | checked as | answered as |");
  for (const [server, request, body, judgedAs, answeredAs] of rows) {
    const [method, target] = request.split(" ");
    const answer = await harness.gates[server].send({ method, target, body });
    assert.deepEqual([method, answer.json.method], [judgedAs, answeredAs], request);
  }
});
