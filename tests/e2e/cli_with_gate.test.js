// `keygate` writes to the local KV while the gate that reads it runs.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { copyFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { KEYGATE } from "./support/cli.js";
import { assertAccepted, assertRefused } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { PEPPER } from "./support/keys.js";
import { run } from "./support/program.js";
import { ROOT, WRANGLER_TOML } from "./support/project.js";

const harness = await startGates(() => ({ gate: { vars: { IMPORTED_KEYS: true } } }));
const { gate } = harness.gates;
// Not beside the developer's .dev.vars, which names another pepper.
const CONFIG = path.join(harness.folder, "wrangler.toml");
await copyFile(WRANGLER_TOML, CONFIG);

/** Runs `keygate` on the gate's KV; returns what it printed on standard output. */
async function keygate(args, { input, pepper = PEPPER } = {}) {
  const { status, stdout, stderr } = await run(KEYGATE, ["--config", CONFIG, ...args, "--persist-to", harness.folder], {
    cwd: ROOT,
    input,
    env: { ...process.env, KEYGATE_PEPPER: pepper, WRANGLER_SEND_METRICS: "false" },
  });
  assert.equal(status, 0, stderr);
  return stdout;
}

/** A key that the tool printed, alone on its line, as the tests know keys. */
function printed(stdout, record) {
  const key = stdout.trimEnd();
  assert.match(key, /^acme_live_[0-9A-Za-z]{50}$/);
  harness.watch(key);
  return { key, id: key.slice("acme_live_".length, "acme_live_".length + 12), record };
}

const use = ({ key }, target = "/v1/things") => ({ target, key });

test("a key that is issued works at once, with its subject and scopes", async () => {
  const issued = printed(await keygate(["issue", "--subject", "billing", "--name", "Billing", "--scope", "admin"]), {
    subject: "billing",
    scopes: ["admin"],
  });
  await assertAccepted(gate, use(issued, "/admin/users"), issued);
});

test("a key's address list and expiry are enforced", async () => {
  const issued = printed(await keygate(["issue", "--subject", "billing", "--ip", "203.0.113.0/24", "--expires", "90d"]), {
    subject: "billing",
  });
  const from = (address) => ({ ...use(issued), headers: { "CF-Connecting-IP": address } });
  await assertAccepted(gate, from("203.0.113.5"), issued);
  await assertRefused(gate, from("198.51.100.5"), "ip_not_allowed");
});

test("both keys of a rotation work in the grace", async () => {
  const old = printed(await keygate(["issue", "--subject", "acme"]), { subject: "acme" });
  const fresh = printed(await keygate(["rotate", old.id, "--grace", "1h"]), { subject: "acme" });
  assert.notEqual(fresh.id, old.id);
  await assertAccepted(gate, use(old), old);
  await assertAccepted(gate, use(fresh), fresh);
});

test("only the new key of a rotation without grace works", async () => {
  const old = printed(await keygate(["issue", "--subject", "acme"]), { subject: "acme" });
  await assertAccepted(gate, use(old), old);
  const fresh = printed(await keygate(["rotate", old.id, "--grace", "0"]), { subject: "acme" });
  await assertRefused(gate, use(old), "key_revoked", { log: { key_id: old.id, subject: "acme" } });
  await assertAccepted(gate, use(fresh), fresh);
});

test("the gate follows when a key is disabled, enabled, updated or revoked", async () => {
  const issued = printed(await keygate(["issue", "--subject", "acme"]), { subject: "acme" });
  await assertAccepted(gate, use(issued), issued);
  await keygate(["disable", issued.id]);
  await assertRefused(gate, use(issued), "key_disabled");
  await keygate(["enable", issued.id]);
  await assertAccepted(gate, use(issued), issued);
  await assertRefused(gate, use(issued, "/admin/users"), "scope_missing");
  await keygate(["update", issued.id, "--scope", "admin"]);
  await assertAccepted(gate, use(issued, "/admin/users"), { ...issued, record: { subject: "acme", scopes: ["admin"] } });
  await keygate(["revoke", issued.id]);
  await assertRefused(gate, use(issued), "key_revoked", { log: { key_id: issued.id, subject: "acme" } });
});

test("an imported key of another system works unchanged", async () => {
  const key = randomBytes(32).toString("hex");
  await keygate(["issue", "--subject", "legacy", "--import-stdin"], { input: key });
  const answer = await gate.get("/v1/things", { headers: { "X-API-Key": key } });
  assert.equal(answer.status, 200, answer.text);
});

test("a key that was issued with another pepper is refused", async () => {
  const pepper = "another-pepper-0123456789-abcdefghijklmnopqrstuvwxyz";
  const issued = printed(await keygate(["issue", "--subject", "acme"], { pepper }), {});
  await assertRefused(gate, use(issued), "key_invalid");
});
