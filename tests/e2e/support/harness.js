// Starts what the gate's tests need: one workerd with the gate in several configurations, an origin, a local KV and a scripted
// one; and collects the runtime's logs.
//
// The gate's bindings come from the project's own wrangler.toml; a test overrides variables and secrets only.
// Not wrangler's createTestHarness: it sends the Worker's fetches through Node's fetch, which decodes bodies, follows its
// own rules for headers and statuses and has no WebSockets. It hides what these tests are about. Miniflare, the part of
// wrangler that starts workerd, gives each configuration a socket of its own, and lets fetches leave the runtime as they are.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after } from "node:test";

import { SCRIPTED_QUOTA } from "./entry_modules.js";
import { send } from "./http.js";
import { importKey, issue, PEPPER } from "./keys.js";
import { Logs } from "./logs.js";
import { Origin } from "./origin.js";
import { CONTROL_TOML, readProject } from "./project.js";
import { ScriptedStore } from "./scripted_store.js";

const require = createRequire(import.meta.url);
const { convertV4MiniflareOptions, Log, LogLevel, Miniflare } = createRequire(require.resolve("wrangler"))("miniflare");

/** The policy under test (docs/cases.md): `/public/*` is public, `/admin/*` needs the scope `admin`, the rest any key. */
export const BASE_VARS = {
  KEY_PREFIX: "acme_live",
  ALLOW_HTTP: true,
  // No isolate cache unless a test is about it: what a test stores is seen at once.
  CACHE_SECONDS: 0,
  REJECTION_LOGS_PER_MINUTE: 100_000,
  // As long as it may be: a machine under load is slow. A test of the time limit sets its own.
  KV_TIMEOUT_MS: 10_000,
  ROUTES: [
    { path: "/public/*", access: "public" },
    { path: "/closed/*", access: "deny" },
    { path: "/admin/*", scopes: ["admin"] },
    { path: "/acme-only/*", subjects: ["acme"] },
    { path: "/read-only/*", methods: ["GET"] },
  ],
};

/**
 * Starts every configuration of `configurations`, a function from `{ origin, store }` to named overrides, and stops them after the
 * tests of the file, or after the test that calls it:
 *
 * - `vars`: over BASE_VARS; `undefined` removes one
 * - `secrets`: over `{ PEPPER }`; `undefined` removes one
 * - `kv`: "local" (default, one namespace for all), "scripted" or "none"
 * - `usage`: true binds an Analytics Engine dataset, which replaces access lines
 * - `limiters`: rate limiters by binding name, `{ limit, period }`
 * - `services`: service bindings by name; the value is a Worker's module text
 * - `versionMetadata`: the name of a `[version_metadata]` binding
 * - `stored`: secrets that come from a local Secrets Store, by binding name
 * - `keyUsage`: "control" binds KEY_USAGE to the control Worker; "scripted" to an object that keeps what it is sent, and fails when told
 * - `controlEntry`: the same for the control Worker
 * - `controlSecrets`: the control Worker's secrets
 * - `quota`: true binds QUOTA to those of the control Worker, which also fail when told
 * - `entry`: an entry module around the gate's, of entry_modules.js
 * - `worker`: the module text of another Worker in the gate's stead; of the rest, it has `vars` alone
 */
export async function startGates(configurations = () => ({ gate: {} })) {
  const harness = new Harness();
  after(() => harness.stop());
  await harness.start(configurations);
  return harness;
}

class Harness {
  logs = new Logs();
  /** The configurations by name; each is a gate that listens on a socket of its own. */
  gates = {};
  #secrets = [];
  #answers = [];
  #settled = 0;

  async start(configurations) {
    this.origin = await Origin.start();
    this.store = await ScriptedStore.start();
    /** `keygate --persist-to` works on the local KV of this folder. */
    this.folder = await mkdtemp(path.join(tmpdir(), "keygate-e2e-"));
    const project = await readProject();
    const control = await readProject(CONTROL_TOML);
    const named = Object.entries(configurations(this));
    const workers = named.flatMap(([name, overrides]) => [this.#worker(name, overrides, project), ...backends(name, overrides, control)]);
    this.runtime = new Miniflare(
      convertV4MiniflareOptions({
        workers: [...workers, { ...SENTINEL, kvNamespaces: project.kvNamespaces }],
        host: "127.0.0.1",
        cf: false,
        log: new Log(LogLevel.NONE),
        logRequests: false,
        // The layout of `wrangler dev --persist-to`, so that wrangler's commands work on the same KV.
        resourcePersistencePath: path.join(this.folder, "v3"),
        handleStructuredLogs: (entry) => this.logs.add(entry),
      }),
    );
    await this.runtime.ready;
    for (const [name, { stored = {} }] of named) {
      for (const [binding, text] of Object.entries(stored)) {
        await (await this.runtime.getSecretsStoreSecretAPI(binding, name))().create(text);
      }
    }
    for (const [name] of named) {
      this.gates[name] = new Gate(this, name, (await this.runtime.unsafeGetDirectURL(name)).origin);
    }
  }

  #worker(name, { worker, ...overrides }, project) {
    const socket = { name, unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }], stripCfConnectingIp: false };
    if (worker === undefined) return { ...this.#gate(name, overrides, project), ...socket };
    const modules = [{ type: "ESModule", path: "worker.js", contents: worker }];
    return { compatibilityDate: project.compatibilityDate, modules, bindings: overrides.vars, ...socket };
  }

  #gate(name, { vars, secrets, kv = "local", usage = false, limiters = {}, services = {}, stored = {}, entry, versionMetadata, keyUsage, quota = false }, project) {
    const namespace = project.kvNamespaces.KEYS;
    assert.ok(namespace, "wrangler.toml binds no KV namespace as KEYS");
    const namespaces = {
      local: { KEYS: namespace },
      scripted: { KEYS: { id: "scripted", remoteProxyConnectionString: this.store.url } },
      none: {},
    };
    return {
      ...project,
      modules: entry === undefined ? project.modules : withEntry(entry, project.modules),
      bindings: present({ ORIGIN: this.origin.url, ...BASE_VARS, ...vars, PEPPER, ...secrets }),
      kvNamespaces: namespaces[kv],
      analyticsEngineDatasets: usage ? { USAGE: { dataset: "keygate" } } : {},
      ratelimits: Object.fromEntries(
        Object.entries(limiters).map(([binding, simple], at) => [binding, { namespace_id: String(9000 + at), simple }]),
      ),
      serviceBindings: Object.fromEntries(Object.keys(services).map((binding) => [binding, `${name}-${binding}`])),
      secretsStoreSecrets: Object.fromEntries(
        Object.keys(stored).map((binding) => [binding, { store_id: "store", secret_name: `${name}-${binding}` }]),
      ),
      ...(versionMetadata ? { versionMetadata } : {}),
      durableObjects: {
        ...(keyUsage ? { KEY_USAGE: { className: "Usage", scriptName: `${name}-usage` } } : {}),
        ...(quota ? { QUOTA: { className: "Quota", scriptName: `${name}-quota` } } : {}),
      },
    };
  }

  /** The local KV, as `wrangler kv` and the running gates see it. */
  async kv() {
    return this.runtime.getKVNamespace("KEYS", SENTINEL.name);
  }

  /** The object that is bound to a gate as KEY_USAGE. */
  async usage(name) {
    const namespace = await this.runtime.getDurableObjectNamespace("KEY_USAGE", `${name}-usage`);
    return namespace.get(namespace.idFromName("usage"));
  }

  /** Sends a request to the control Worker of a gate. */
  async control(name, target, { key, headers = {} } = {}) {
    const url = await this.runtime.unsafeGetDirectURL(`${name}-usage`);
    const all = key === undefined ? headers : { ...headers, Authorization: `Bearer ${key}` };
    const answer = await send(url.origin, { target, headers: Object.entries(all) });
    this.remember(`${JSON.stringify(answer.headers)} ${answer.text.slice(0, 10_000)}`);
    return answer;
  }

  /** The object that counts a subject's quotas for a gate; told by PUT, it works, fails or hangs. */
  async quota(name, subject) {
    const namespace = await this.runtime.getDurableObjectNamespace("QUOTA", `${name}-quota`);
    return namespace.get(namespace.idFromName(subject));
  }

  /** Runs the cron of a gate's control Worker, and returns its outcome: "ok" or "exception". */
  async cron(name) {
    return (await (await this.runtime.getWorker(`${name}-usage`)).scheduled({ cron: "0 7 * * *" })).outcome;
  }

  /** Issues a key, stores its record in both stores and returns `{ key, id, record }`. */
  async issue(fields, options) {
    return this.#keep(issue(fields, options));
  }

  /** The same for a key of another system. */
  async import(key, fields) {
    return this.#keep(importKey(key, fields));
  }

  async #keep(issued) {
    this.watch(issued.key);
    await this.put(issued.record);
    return issued;
  }

  async put(record) {
    this.store.put(record);
    await (await this.kv()).put(`key/${record.id}`, JSON.stringify(record));
  }

  /** From now on `key` must not show up in a log line, an answer or a request to the origin. */
  watch(key) {
    this.#secrets.push(key.slice(-38, -8));
  }

  remember(answer) {
    this.#answers.push(answer);
  }

  /** Waits until the log holds all that was written before this call. */
  async settle() {
    const mark = `settled ${++this.#settled}`;
    await (await this.runtime.getWorker(SENTINEL.name)).fetch("http://sentinel/", { headers: { mark } });
    await this.logs.until((entry) => entry.message === mark);
  }

  /** Ends everything, and checks that no key went where it must not, and that every log line is one that is documented. */
  async stop() {
    await this.runtime?.dispose();
    await this.origin?.stop();
    await this.store?.stop();
    if (this.folder) await rm(this.folder, { recursive: true, force: true });
    for (const secret of this.#secrets) {
      assert.ok(!this.logs.entries.some(({ message }) => message.includes(secret)), "a log line holds a key");
      assert.ok(!this.origin.everything.some((head) => head.includes(secret)), "the origin saw a key");
      assert.ok(!this.#answers.some((text) => text.includes(secret)), "an answer holds a key");
    }
    assert.equal(this.logs.undocumented, undefined, "a log line is not as docs/log-event.schema.json says");
  }
}

/** The gate's modules behind an entry module of the tests' own, which finds the gate's as `./entry.js`; the runtime starts the first. */
function withEntry({ module, wasm }, modules) {
  const own = [{ type: "ESModule", path: "test_entry.js", contents: module }];
  if (wasm !== undefined) own.push({ type: "CompiledWasm", path: "test.wasm", contents: wasm });
  return [...own, ...modules];
}

/** The Workers behind a configuration's service bindings and its Durable Objects. */
function backends(name, { services = {}, keyUsage, controlEntry, controlSecrets = {}, quota = false }, control) {
  const workers = Object.entries(services).map(([binding, contents]) => ({
    name: `${name}-${binding}`,
    compatibilityDate: SENTINEL.compatibilityDate,
    modules: [{ type: "ESModule", path: "backend.js", contents }],
  }));
  const own = {
    control: {
      ...control,
      modules: controlEntry === undefined ? control.modules : withEntry(controlEntry, control.modules),
      bindings: { ...control.bindings, ALLOW_HTTP: "true", ...controlSecrets },
      durableObjects: { ...control.durableObjects, QUOTA: { className: "Quota", useSQLite: true } },
      unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
    },
    scripted: {
      compatibilityDate: SENTINEL.compatibilityDate,
      modules: [{ type: "ESModule", path: "usage.js", contents: USAGE_OBJECT }],
      durableObjects: { KEY_USAGE: { className: "Usage", useSQLite: true } },
    },
  };
  if (keyUsage) workers.push({ ...own[keyUsage], name: `${name}-usage` });
  if (quota) {
    const durableObjects = { QUOTA: { className: "Quota", useSQLite: true } };
    workers.push({ ...control, modules: withEntry(SCRIPTED_QUOTA, control.modules), durableObjects, name: `${name}-quota` });
  }
  return workers;
}

/** Keeps the batches that it is sent; told by PUT, it does so and fails, or does so and hangs. */
const USAGE_OBJECT = `
  import { DurableObject } from "cloudflare:workers";
  export class Usage extends DurableObject {
    batches = [];
    how = "work";
    async fetch(request) {
      if (request.method === "GET") return Response.json(this.batches);
      if (request.method === "PUT") return new Response((this.how = await request.text()));
      this.batches.push(await request.json());
      if (this.how === "hang") await new Promise(() => setTimeout(() => {}, 3_600_000));
      return new Response(null, { status: this.how === "fail" ? 503 : 204 });
    }
  }
  export default { fetch: () => new Response(null, { status: 404 }) };
`;

/** The tests' own Worker: it has the local KV, and writes a line into the runtime's log after all others. */
const SENTINEL = {
  name: "sentinel",
  compatibilityDate: "2026-11-01",
  modules: [
    {
      type: "ESModule",
      path: "sentinel.js",
      contents: `export default { fetch(request) { console.log(request.headers.get("mark")); return new Response(); } };`,
    },
  ],
};

class Gate {
  constructor(harness, name, url) {
    this.harness = harness;
    this.name = name;
    this.url = url;
  }

  /** Sends one request; `key` goes as a bearer token. */
  async send({ key, headers = {}, ...request } = {}) {
    const list = Array.isArray(headers) ? headers : Object.entries(headers);
    const all = key === undefined ? list : [["Authorization", `Bearer ${key}`], ...list];
    const answer = await send(this.url, { ...request, headers: all });
    this.harness.remember(`${JSON.stringify(answer.headers)} ${answer.text.slice(0, 10_000)}`);
    return answer;
  }

  get(target, options) {
    return this.send({ target, ...options });
  }

  /** Sets the clock of a gate that has the entry SETTABLE_CLOCK to `seconds` since 1970; it then stands still. */
  async setClock(seconds) {
    this.clockMs = seconds * 1000;
    await this.get("/", { headers: { "X-Test-Clock": String(seconds) } });
  }

  /** The same gate as the edge reaches it: over HTTPS, under a public name. */
  async fetchHttps(url, init) {
    return (await this.harness.runtime.getWorker(this.name)).fetch(url, init);
  }
}

const present = (bindings) => Object.fromEntries(Object.entries(bindings).filter(([, value]) => value !== undefined));
