// A gate whose requests the control Worker counts, and the two ways in which keygate reads what was counted: of the local object and
// of the deployed control Worker.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";

import { LIVE } from "./cli.js";
import { startGates } from "./harness.js";
import { valid } from "./json_schema.js";
import { issue, now, PEPPER } from "./keys.js";
import { operator } from "./operator.js";
import { readProject, ROOT } from "./project.js";

export const HOUR = 3600;
export const DAY = 24 * HOUR;
const schema = JSON.parse(await readFile(path.join(ROOT, "docs", "cli-output.schema.json"), "utf8"));

/** Starts it, and the `configurations` of startGates besides; all is stopped after the tests of the file. */
export async function startCounted(configurations = {}) {
  const admin = issue({ subject: "ops", scopes: ["admin:read"] }, { prefix: "acme_admin" });
  /** An admin key without the scope that questions need. */
  const idle = issue({ subject: "ops" }, { prefix: "acme_admin" });
  const controlSecrets = { PEPPER, ADMIN_KEYS: JSON.stringify([admin.record, idle.record]) };
  const harness = await startGates(() => ({ gate: { keyUsage: "control", controlSecrets }, ...configurations }));
  harness.watch(admin.key);
  const { gate: operated, api } = await operator();
  await bindUsage(path.join(operated.folder, "wrangler.toml"));
  const urlOfControl = async (name) => (await harness.runtime.unsafeGetDirectURL(`${name}-usage`)).origin;
  const control = { KEYGATE_CONTROL_URL: await urlOfControl("gate"), KEYGATE_ADMIN_KEY: admin.key };

  /** The two places that usage is read from. */
  const sources = {
    local: (args, options) => operated.keygate([...args, "--persist-to", harness.folder], options),
    remote: (args, { env, ...options } = {}) =>
      operated.keygate([...args, "--remote"], { ...options, env: { ...api.env, KEYGATE_PEPPER: PEPPER, ...control, ...env } }),
  };

  /** The lines that a command prints with `--json`; each is as the schema says. */
  async function jsonOf(source, form, args, options) {
    const { stdout } = await sources[source]([...args, "--json"], options);
    const lines = stdout.trimEnd().split("\n").filter(Boolean).map((line) => JSON.parse(line));
    for (const line of lines) assert.ok(valid(line, schema.$defs[form], schema), JSON.stringify(line));
    return lines;
  }

  /** Issues a key, whose record is in both stores. */
  async function issued(fields) {
    const made = issue({ created: now() - 300 * DAY, ...fields });
    harness.watch(made.key);
    const { id, subject, name, state, not_after = null, created, replaced_by } = made.record;
    const metadata = { subject, name, state, created, not_after, ...(replaced_by ? { replaced_by } : {}) };
    const value = JSON.stringify(made.record);
    await (await harness.kv()).put(`key/${id}`, value, { metadata });
    api.entries.set(`key/${id}`, { key: `key/${id}`, value, metadata });
    return made;
  }

  const recordOf = async (source, id) => (source === "remote" ? api.record(id) : JSON.parse(await (await harness.kv()).get(`key/${id}`)));

  async function send(usage) {
    const body = JSON.stringify({ id: randomUUID(), made: now(), usage });
    const { status } = await (await harness.usage("gate")).fetch("https://usage/batches", { method: "POST", body });
    assert.equal(status, 204);
  }

  /** Sends counts as a gate does: `uses` are [key, seconds ago, accepted, refused by code]. */
  function count(uses, more = {}) {
    const keys = {};
    for (const [{ id }, ago, accepted = 1, refused = {}] of uses) {
      const at = now() - ago;
      keys[id] ??= { last: {}, hours: {} };
      const { last, hours } = keys[id];
      hours[Math.floor(at / HOUR)] = { accepted, refused };
      if (accepted) last.accepted = Math.max(at, last.accepted ?? 0);
      if (Object.keys(refused).length > 0) last.refused = Math.max(at, last.refused ?? 0);
    }
    return send({ keys, ...more });
  }

  return { harness, operated, api, admin, idle, control, urlOfControl, sources, schema, jsonOf, issued, recordOf, send, count };
}

/** Binds KEY_USAGE in a wrangler.toml to the harness' control Worker, and KEYS to its local namespace. */
async function bindUsage(toml) {
  const { kvNamespaces } = await readProject();
  const live = `id = "${LIVE}"`;
  const text = (await readFile(toml, "utf8")).replace(live, `${live}\npreview_id = "${kvNamespaces.KEYS.id ?? kvNamespaces.KEYS}"`);
  const binding = `
[[durable_objects.bindings]]
name = "KEY_USAGE"
class_name = "Usage"
script_name = "gate-usage"
`;
  await writeFile(toml, text + binding);
}
