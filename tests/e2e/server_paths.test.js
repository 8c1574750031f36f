// Whatever a request path looks like, the resource that the application picks is under the rule that the gate applied, or the
// gate refuses the path. Where an application reads paths as no gate can know, docs/origins.md names it and the setting.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { rowsBelow } from "./support/documents.js";
import { startGates } from "./support/harness.js";
import { HOSTILE_PATHS } from "./support/hostile_paths.js";
import { startServers } from "./support/servers.js";

const ROUTES = [
  { path: "/public/*", access: "public" },
  { path: "/admin/*", scopes: ["admin"] },
  { path: "/closed/*", access: "deny" },
];
/** The rule that each resource of the applications is under. */
const RULES = { public: "public", admin: "admin", closed: "deny", items: "key" };

/** Those that believe headers read paths no differently. */
const SERVERS = ["gunicorn", "uWSGI", "waitress", "Flask", "Django", "Express 4", "Express 5"];

/** The settings that docs/origins.md names: with them, no path is read otherwise than it was judged. */
const SETTINGS = {
  "Django": { FORMAT_EXTENSIONS: true },
  "Express 4": { CASE_INSENSITIVE_PATHS: true },
  "Express 5": { CASE_INSENSITIVE_PATHS: true },
};

const TARGETS = [...new Set(Object.values(HOSTILE_PATHS).flat())];

const servers = await startServers(SERVERS);
const harness = await startGates(() => Object.fromEntries(SERVERS.flatMap((server) => {
  const gate = (name, vars) => [`${server}, ${name}`, { vars: { ORIGIN: servers[server], ROUTES, ...vars } }];
  return [
    gate("by default"),
    ...(server in SETTINGS ? [gate("set up", SETTINGS[server])] : []),
    gate("encoded slashes", { ALLOW_ENCODED_SLASH: true, ...SETTINGS[server] }),
    // What is denied never reaches the application; this gate shows what it would have picked.
    gate("open", { ROUTES: [], ALLOW_ENCODED_SLASH: true }),
  ];
})));
const holder = await harness.issue();
const admin = await harness.issue({ scopes: ["admin"] });

/** The resource that the application picked; `null` for none, as in a 404, a redirect or a server's own refusal. */
function resourceOf(answer) {
  // An application that fails has picked something that it cannot tell.
  assert.notEqual(answer.status, 500, answer.text);
  return answer.status === 200 ? answer.json.resource : null;
}

const codeOf = (answer) => (answer.header("content-type") === "application/problem+json" ? answer.json.code : undefined);

/**
 * The rule that the gate has judged by, found by who gets through, and the resource that the application picked. Without a rule
 * the request was refused as such.
 */
async function judge(server, gate, target) {
  const ask = (caller, name = gate) => harness.gates[`${server}, ${name}`].send({ target, key: caller?.key });
  for (const [rule, caller, refusal] of [
    ["public", undefined, "credential_missing"],
    ["key", holder, "scope_missing"],
    ["admin", admin, undefined],
  ]) {
    const answer = await ask(caller);
    const code = codeOf(answer);
    if (code === "route_denied") return { rule: "deny", resource: resourceOf(await ask(holder, "open")) };
    if (REFUSED.includes(code) || (code === undefined && isOfTheRuntime(answer))) return {};
    // A server that breaks off has picked nothing.
    if (code === undefined || code === "origin_unreachable") return { rule, resource: resourceOf(answer) };
    assert.equal(code, refusal, `${JSON.stringify(target.slice(0, 200))}: ${answer.status} ${answer.text}`);
  }
}

/** What the runtime takes for another host is not loopback's, and so it is refused as plain HTTP. */
const REFUSED = ["path_ambiguous", "https_required"];

/** The runtime refuses what is no HTTP before the gate is asked; an answer of an application's has a type. */
const isOfTheRuntime = (answer) => [400, 414].includes(answer.status) && answer.header("content-type") === undefined;

/** Every target whose resource is under another rule than the one that was judged: `[target, rule, resource]`. */
async function differences(server, gate, targets = TARGETS) {
  const found = [];
  const left = targets.values();
  await Promise.all(Array.from({ length: 12 }, async () => {
    for (const target of left) {
      const { rule, resource } = await judge(server, gate, target);
      if (rule !== undefined && resource !== null && RULES[resource] !== rule) found.push([target, rule, resource]);
    }
  }));
  return found.sort();
}

test("more than 200 paths are tried", () => {
  assert.ok(TARGETS.length > 200, String(TARGETS.length));
});

describe("the resource is under the rule that the gate applied:", () => {
  const DOCUMENTED = "| server | path | checked by the rule | answered as | setting |";
  const of = async (server) => (await rowsBelow("docs/origins.md", DOCUMENTED)).filter(([names]) => names.split(", ").includes(server));

  for (const server of SERVERS) {
    test(`${server}, but for what docs/origins.md lists`, async () => {
      const rows = await of(server);
      assert.deepEqual(await differences(server, "by default"), rows.map((row) => row.slice(1, 4)).sort());
    });
  }

  for (const [server, settings] of Object.entries(SETTINGS)) {
    test(`${server}, with ${Object.keys(settings)}`, async () => {
      assert.deepEqual(await differences(server, "set up"), []);
      const named = new Set((await of(server)).map(([, , , , setting]) => setting));
      assert.deepEqual([...named], Object.keys(settings), "the setting that docs/origins.md names");
    });
  }
});

describe("with ALLOW_ENCODED_SLASH the rules hold where docs/origins.md says so:", () => {
  const WITH_SLASH = TARGETS.filter((target) => /%2f/i.test(target));

  for (const server of SERVERS) {
    test(server, async () => {
      const rows = new Map(await rowsBelow("docs/origins.md", "| server | `ALLOW_ENCODED_SLASH` |"));
      const found = await differences(server, "encoded slashes", WITH_SLASH);
      assert.equal(rows.get(server), found.length === 0 ? "may be on" : "leave it off", JSON.stringify(found));
    });
  }
});
