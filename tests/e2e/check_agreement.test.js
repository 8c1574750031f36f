// `keygate check` and the gate agree: what makes the gate answer 503 to everything is an error of `check`, and nothing else is.
//
// Configurations are made by chance from a seed: a sound one, with up to three changes. Wrangler itself reads each for the runtime.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";

import { cleanEnv, KEYGATE, PATH } from "./support/cli.js";
import { issue, PEPPER } from "./support/keys.js";
import { run } from "./support/program.js";
import { quietly, readProject } from "./support/project.js";

const require = createRequire(import.meta.url);
const { experimental_readRawConfig, unstable_getMiniflareWorkerOptions } = require("wrangler");
const { convertV4MiniflareOptions, Log, LogLevel, Miniflare } = createRequire(require.resolve("wrangler"))("miniflare");

const SEED = Number(process.env.KEYGATE_AGREEMENT_SEED ?? 20261128);
const CONFIGURATIONS = 240;
/** Gates in one runtime; each is an isolate with its own copy of the wasm. */
const AT_ONCE = 60;
const RECORD = issue().record;

/** Mulberry32: a generator of numbers from 0 to 1. */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Values of variables that the gate may or may not take. */
const VALUES = {
  ORIGIN: ["https://api.example.com/v1", "zone", "service:API", "service:NOWHERE", "http://api.example.com", "http://127.0.0.1:9", "https://a@b.example", "", 7, ["zone"], undefined],
  KEY_PREFIX: ["acme_test", "a", "Acme", "acme__live", true, undefined],
  CREDENTIALS: [["bearer"], ["basic", "header:api-key"], ["authorization"], [], ["cookie:key"], ["bearer", "bearer"], "bearer", ["header:Host"]],
  METHODS: [["GET"], ["GET", "HEAD", "PURGE"], ["HEAD"], ["TRACE"], [], ["get"], "GET"],
  REALM: ["API of acme", "", "a\"b", 7],
  ERROR_FORMAT: ["openai", "problem", "xml", null],
  ALLOW_HTTP: [true, "true", "yes", 1],
  ALLOW_ENCODED_SLASH: [false, "false", "no"],
  CASE_INSENSITIVE_PATHS: [true, "TRUE"],
  FORMAT_EXTENSIONS: [true, "false", {}],
  FORWARD_HEADERS: [["x-user"], ["X-User"], ["host"], []],
  IMPORTED_KEYS: [true, null],
  CORS_ORIGINS: [["https://app.example.com"], ["*"], ["https://app.example.com/"], ["*", "https://a.example"]],
  PREFLIGHT: ["answer", "forward", "never"],
  KV_CACHE_TTL_SECONDS: [60, 60.0, "60", 10, 60.5],
  KV_TIMEOUT_MS: [100, 99, "1e3"],
  CACHE_ENTRIES: [0, -1],
  CACHE_SECONDS: [0, 3600, 3601, "30", " 30", [30]],
  STALE_SECONDS: [0, 86401],
  ORIGIN_TIMEOUT_SECONDS: [1, 0],
  MAX_CONNECTION_SECONDS: [0, 1e6],
  ACCESS_LOG_SAMPLE: [0.5, 1, "0.25", 1.5, 1e-7],
  REJECTION_LOGS_PER_MINUTE: [1, 0],
  PLANS: [{}, { free: { rate: { limiter: "FREE", period: 60 } } }, { free: { rate: { limiter: "NOWHERE", period: 10 } } }, { free: { rate: { limiter: "FREE", period: 30 } } }, { free: { rate: { limiter: "FREE" } } }, [], { "a b": { rate: { limiter: "FREE", period: 60 } } }, { free: { limiter: "FREE", period: 60 } }, { free: {} }, { paid: { quota: { limit: 10, period: "day" } } }, { paid: { quota: { limit: 0, period: "day" } } }, { paid: { quota: { limit: 10, period: "week" } } }],
};
const PATHS = [
  "/a", "/a/*", "/a/*/b", "/", "/*", "/caf\u00e9", "/x:cancel", "/a b", "/a+b", "/%7Bid%7D", "/%3Aid",
  "/admin/:id", "/users/{id}", "/v[0-9]/x", "/a/**", "/a*", "/<int:id>", "/a$", "/(a|b)", "/a/+/b", "/a/", "/a//b", "/../a", "a", "", "/a%20b", "/a?b", "/[...slug]", "/a\\b",
  "/admin/.+", "/@:user", "/v:version", "/docs/.../x", "/secret ",
];
const ROUTE_FIELDS = [
  {}, { access: "public" }, { access: "deny" }, { scopes: ["a"] }, { subjects: ["acme"] }, { methods: ["GET"] }, { origin: "service:API" }, { cache: true },
  { access: "open" }, { cost: 0 }, { cost: 7 }, { cost: -1 }, { access: "public", cost: 2 }, { access: "public", scopes: ["a"] }, { scopes: [] }, { scope: ["a"] }, { methods: ["TRACE"] }, { origin: "service:NOWHERE" }, { origin: "ftp://a.example" }, { access: null },
];
/** Names that bindings, variables and secrets get: other people's, the gate's own, and such that are nearly the gate's. */
const NAMES = [
  "DB", "SENTRY_DSN", "DENY_IDS", "CACHE_SECS", "ALLOWED_METHODS", "ORIGIN_AUTH", "CF_VERSION_METADATA", "environment",
  "USAGE", "KEY_USAGE", "QUOTA", "METHODS", "REALM", "PLANS", "PEPPER_PREVIOUS", "DENIED_IDS",
  "ORIGINS", "origin", "KEY-PREFIX", "ROUTE", "METHDOS", "PEPER", "DENIED_ID", "STATIC_KEY", "USAGES",
];
const WORKER = "export default { fetch() { return new Response(); } }; export class Objects {}";
/** Kinds of bindings, by what puts one under a name. */
const BINDINGS = {
  kv: (name) => ["kv_namespaces", { binding: name, id: "b".repeat(32) }],
  limiter: (name) => ["ratelimits", { name, namespace_id: "7", simple: { limit: 10, period: 60 } }],
  service: (name) => ["services", { binding: name, service: "backend" }],
  dataset: (name) => ["analytics_engine_datasets", { binding: name, dataset: "d" }],
  d1: (name) => ["d1_databases", { binding: name, database_name: "d", database_id: "d" }],
  r2: (name) => ["r2_buckets", { binding: name, bucket_name: "bucket" }],
  stored: (name) => ["secrets_store_secrets", { binding: name, store_id: "store", secret_name: name }],
  queue: (name) => ["queues", { binding: name, queue: "queue" }],
  objects: (name) => ["durable_objects", { name, class_name: "Objects", script_name: "backend" }],
  metadata: (name) => ["version_metadata", { binding: name }],
  assets: (name) => ["assets", { binding: name, directory: "./public" }],
  unsafeLimiter: (name) => ["unsafe", { name, type: "ratelimit", namespace_id: "8", simple: { limit: 10, period: 60 } }],
};
const SECRETS = {
  PEPPER_PREVIOUS: ["", "hunter2", PEPPER],
  STATIC_KEYS: ["[]", "{", JSON.stringify([RECORD]), JSON.stringify([{ ...RECORD, role: "root" }]), JSON.stringify([RECORD, RECORD])],
  DENIED_IDS: ["", RECORD.id, "not an id", "[]"],
  ORIGIN_AUTHORIZATION: ["", "Bearer x", "Bearer \u00e9"],
  ORIGIN_SIGNING_KEY: ["", "a:b"],
  PEPPER: ["hunter2", "a".repeat(64), `${PEPPER}x`],
  // As `.dev.vars` overrides variables.
  CACHE_SECONDS: ["5", "-5"],
  ORIGIN: ["http://127.0.0.1:9", "api.example.com"],
  USAGE: ["y"],
  METHDOS: ["GET"],
  SENTRY_DSN: ["https://x.example"],
};

function configuration(chance) {
  const one = (list) => list[Math.floor(chance() * list.length)];
  const vars = { ORIGIN: "https://api.example.com", KEY_PREFIX: "acme_live" };
  const secrets = { PEPPER };
  const bound = { kv_namespaces: [{ binding: "KEYS", id: "a".repeat(32) }], services: [{ binding: "API", service: "backend" }], ratelimits: [{ name: "FREE", namespace_id: "1", simple: { limit: 10, period: 60 } }] };
  let required;
  const free = (name) => !(name in vars) && !(name in secrets) && !JSON.stringify(bound).includes(`"${name}"`);
  const bind = (kind, name) => {
    const [setting, value] = BINDINGS[kind](name);
    if (setting === "version_metadata" || setting === "assets") bound[setting] = value;
    else if (setting === "queues") bound[setting] = { producers: [value] };
    else if (setting === "durable_objects" || setting === "unsafe") bound[setting] = { bindings: [value] };
    else (bound[setting] ??= []).push(value);
  };
  const changes = [
    () => {
      const name = one(Object.keys(VALUES));
      vars[name] = one(VALUES[name]);
    },
    () => {
      vars.ROUTES = Array.from({ length: 1 + Math.floor(chance() * 2) }, () => ({ path: one(PATHS), ...one(ROUTE_FIELDS) }));
    },
    () => {
      const name = one(NAMES);
      if (free(name)) vars[name] = one(["x", 7, true, { a: 1 }]);
    },
    () => {
      const name = one(NAMES);
      if (free(name)) bind(one(Object.keys(BINDINGS)), name);
    },
    () => {
      // What the gate needs is bound to something else, or not at all.
      const [setting, name] = one([["kv_namespaces", "KEYS"], ["services", "API"], ["ratelimits", "FREE"]]);
      bound[setting] = bound[setting].filter((entry) => (entry.binding ?? entry.name) !== name);
      // A Worker may stand in for a limiter.
      if (chance() < 0.7 && free(name)) bind(one(Object.keys(BINDINGS)), name);
    },
    () => {
      const name = one(Object.keys(SECRETS));
      if (name in vars || free(name) || name === "PEPPER") secrets[name] = one(SECRETS[name]);
    },
    () => {
      // PEPPER among them: what is deployed beside the configuration is not known to it. Each has a value.
      const names = [one(NAMES), one(NAMES)].filter(free);
      required = ["PEPPER", ...names];
      for (const name of names) secrets[name] = "x".repeat(5);
    },
  ];
  for (let number = Math.floor(chance() * 3.6); number > 0; number -= 1) one(changes)();
  if (required) required = [...new Set([...required, ...Object.keys(secrets)])].filter((name) => !(name in vars));
  const own = { vars, ...(required && { secrets: { required } }), ...bound };
  const top = { name: "gate", main: "worker.js", compatibility_date: "2026-11-01", workers_dev: false, preview_urls: false };
  const environment = chance() < 0.25 ? "test" : undefined;
  const whole = environment ? { ...top, vars: { KEY_PREFIX: "Wrong" }, env: { test: own } } : { ...top, ...own };
  // TOML has no null.
  const format = JSON.stringify(whole).includes("null") ? "jsonc" : one(["toml", "json", "jsonc"]);
  return { whole, environment, secrets, format };
}

/** Without tables: each setting is a line. */
function toToml(value) {
  if (Array.isArray(value)) return `[${value.map(toToml).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const pairs = Object.entries(value).filter(([, field]) => field !== undefined);
  return `{ ${pairs.map(([name, field]) => `${JSON.stringify(name)} = ${toToml(field)}`).join(", ")} }`;
}

const TEXTS = {
  toml: (whole) => Object.entries(whole).map(([name, value]) => `${name} = ${toToml(value)}\n`).join(""),
  json: (whole) => JSON.stringify(whole),
  jsonc: (whole) => `// The gate.\n${JSON.stringify(whole, null, 2).replace(/\n\}$/, ",\n}")}`,
};

const folder = await mkdtemp(path.join(tmpdir(), "keygate-agreement-"));
after(() => rm(folder, { recursive: true }));
const project = await readProject();

/** The configuration as files; what `check` says, and what wrangler makes of it for the runtime. */
async function prepare(at, chance) {
  const { whole, environment, secrets, format } = configuration(chance);
  const own = path.join(folder, String(at));
  const file = path.join(own, `wrangler.${format}`);
  await mkdir(path.join(own, "public"), { recursive: true });
  await writeFile(file, TEXTS[format](whole));
  await writeFile(path.join(own, "worker.js"), WORKER);
  await writeFile(path.join(own, ".dev.vars"), Object.entries(secrets).map(([name, value]) => `${name}='${value}'\n`).join(""));
  const options = environment ? ["--env", environment] : [];
  const { stdout, stderr } = await run(KEYGATE, ["check", "--json", "--config", file, ...options], { env: { ...cleanEnv(), PATH }, cwd: folder });
  const findings = stdout === "" ? assert.fail(stderr) : JSON.parse(stdout).findings;
  const { workerOptions } = quietly(() => unstable_getMiniflareWorkerOptions(file, environment));
  const { modulesRules: _, ...read } = workerOptions;
  const gate = { ...read, name: `gate-${at}`, modules: project.modules, compatibilityDate: project.compatibilityDate };
  const errors = findings.filter(({ level }) => level === "error").map(({ field, problem }) => `${field}: ${problem}`);
  return { name: `gate-${at}`, whole, secrets, environment, errors, gate };
}

/** Which of the gates answer 503 for their configuration; a method that none accepts keeps a sound one from forwarding. */
async function misconfigured(gates) {
  const backend = { name: "backend", durableObjects: { OBJECTS: { className: "Objects", useSQLite: true } }, compatibilityDate: project.compatibilityDate, modules: [{ type: "ESModule", path: "backend.js", contents: WORKER }] };
  const runtime = new Miniflare(convertV4MiniflareOptions({ workers: [backend, ...gates], host: "127.0.0.1", cf: false, log: new Log(LogLevel.NONE), logRequests: false, handleStructuredLogs() {} }));
  try {
    await runtime.ready;
    const answers = await Promise.all(
      gates.map(async ({ name }) => {
        const answer = await (await runtime.getWorker(name)).fetch("https://gate.example/x", { method: "PROPFIND" });
        const { code, error } = await answer.json();
        return [name, (code ?? error.code) === "gate_misconfigured"];
      }),
    );
    return Object.fromEntries(answers);
  } finally {
    await runtime.dispose();
  }
}

test(`check and the gate agree on ${CONFIGURATIONS} configurations`, async (t) => {
  const chance = random(SEED);
  const all = [];
  for (let at = 0; at < CONFIGURATIONS; at += 1) all.push(await prepare(at, chance));
  const refused = {};
  for (let from = 0; from < all.length; from += AT_ONCE) {
    Object.assign(refused, await misconfigured(all.slice(from, from + AT_ONCE).map(({ gate }) => gate)));
  }
  const different = all.filter(({ name, errors }) => refused[name] !== errors.length > 0);
  const told = different.map(({ name, errors, whole, secrets, environment }) => ({ refused: refused[name], errors, environment, whole: JSON.stringify(whole), secrets: JSON.stringify(secrets) }));
  assert.deepEqual(told, [], `seed ${SEED}`);
  const number = Object.values(refused).filter(Boolean).length;
  t.diagnostic(`${number} refused by both, ${all.length - number} by neither`);
  assert.ok(number >= CONFIGURATIONS / 4 && number <= (CONFIGURATIONS * 3) / 4, "the generator makes both kinds");
});

test("check refuses the values of a wrangler.toml that wrangler refuses", async () => {
  const rows = [
    ["9007199254740991", true], ["9007199254740992", false], ["-9007199254740991", true], ["-9007199254740992", false], ["0x20000000000001", false],
    ["[1, { b = 9007199254740993 }]", false], ["1e300", true], ['"9007199254740993"', true], ['"a\tb"', true], ["'a\tb'", true], ['"""a\tb"""', true], ['"a\u0001b"', false],
  ];
  const file = path.join(folder, "numbers.toml");
  for (const [value, isTaken] of rows) {
    await writeFile(file, `name = "gate"\n[vars]\nA = ${value}\n`);
    const read = () => quietly(() => experimental_readRawConfig({ config: file }));
    if (isTaken) await read();
    else await assert.rejects(async () => read(), value);
    const { stdout, stderr } = await run(KEYGATE, ["check", "--config", file], { cwd: folder, env: { ...cleanEnv(), PATH } });
    assert.equal(/numbers\.toml (is refused by wrangler: `vars\.A(\.b)?` is a whole number|is not TOML)/.test(stdout + stderr), !isTaken, `${value}: ${stdout}${stderr}`);
  }
});
