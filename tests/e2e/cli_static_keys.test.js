// A key that expires or is revoked in KV while its record is also in the secret STATIC_KEYS: the commands warn that the static record
// serves while KV fails.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { ACCOUNT, Operator, LIVE } from "./support/cli.js";
import { deliveries } from "./support/deliveries.js";
import { PEPPER, now } from "./support/keys.js";

describe("the local gate's STATIC_KEYS are in .dev.vars", () => {
  let gate;
  before(async () => (gate = await Operator.make()));
  after(() => gate.remove());

  const overridden = (id) => new RegExp(`warning: key ${id} has another record in STATIC_KEYS .*while KV fails.*take it out of STATIC_KEYS.*DENIED_IDS`);
  const keep = async (...ids) => {
    const records = [];
    for (const id of ids) records.push((await gate.json(["show", id])).record);
    await writeFile(path.join(gate.folder, ".dev.vars"), `PEPPER="${PEPPER}"\nSTATIC_KEYS='${JSON.stringify(records)}'\n`);
  };

  test("revoke, disable, rotate and doctor warn of a static record that still serves", async () => {
    const { id } = await gate.issue("--subject", "first");
    const other = await gate.issue("--subject", "second");
    const place = path.join(gate.folder, "place");
    await writeFile(place, other.key, { mode: 0o600 });
    await keep(id, other.id);
    assert.doesNotMatch((await gate.keygate(["update", other.id, "--expires", "never"])).stderr, /STATIC_KEYS/, "both say the same");
    assert.match((await gate.keygate(["disable", id])).stderr, overridden(id));
    assert.doesNotMatch((await gate.keygate(["enable", id])).stderr, /STATIC_KEYS/);
    assert.match((await gate.keygate(["rotate", id, "--dry-run", "--json"])).stderr, overridden(id));
    assert.match((await gate.keygate(["revoke", id, "--json"])).stderr, overridden(id));
    const delivered = ["rotate", other.id, "--to", `file:${place}`, "--journal", path.join(gate.folder, "journal")];
    assert.match((await gate.keygate(delivered)).stderr, overridden(other.id));
    const { findings } = JSON.parse((await gate.keygate(["doctor", "--json"])).stdout);
    const warned = findings.filter(({ problem }) => /STATIC_KEYS/.test(problem));
    assert.deepEqual(warned.map(({ level, field }) => [level, field]).sort(), [["warning", `key/${id}`], ["warning", `key/${other.id}`]].sort());
    assert.ok(warned.every(({ remedy }) => /take it out of STATIC_KEYS/.test(remedy)));
  });

  test("a key that has only a static record is not reported as unknown", async () => {
    const { id } = await gate.issue("--subject", "alone");
    const [record] = [(await gate.json(["show", id])).record];
    const alone = "0".repeat(12);
    await writeFile(path.join(gate.folder, ".dev.vars"), `PEPPER="${PEPPER}"\nSTATIC_KEYS='${JSON.stringify([{ ...record, id: alone }])}'\n`);
    const { stderr } = await gate.keygate(["revoke", alone], { status: 1 });
    assert.match(stderr, /there is no key 0{12} .*STATIC_KEYS in \.dev\.vars has a record of it.*\n help: .*take its record out of STATIC_KEYS/);
  });

  test("an unreadable STATIC_KEYS stops no revocation", async () => {
    const { id } = await gate.issue("--subject", "broken");
    await writeFile(path.join(gate.folder, ".dev.vars"), `PEPPER="${PEPPER}"\nSTATIC_KEYS='{'\n`);
    assert.match((await gate.keygate(["revoke", id])).stderr, /warning: it is not known whether STATIC_KEYS has a record of key/);
    assert.equal((await gate.json(["show", id])).state, "revoked");
  });
});

describe("the deployed gate's STATIC_KEYS cannot be read back", async () => {
  const { gate, api, at, put, remote, stored } = await deliveries();
  const hidden = (key) => new RegExp(`warning: STATIC_KEYS of the deployed gate cannot be read from here: if it has a record of ${key}, .*while KV fails; .*\`wrangler secret put STATIC_KEYS\`.*DENIED_IDS`);
  const configured = (args, options) => remote([...args, "--config", path.join(gate.folder, "static.toml")], options);
  before(async () => {
    const text = await readFile(path.join(gate.folder, "wrangler.toml"), "utf8");
    await writeFile(path.join(gate.folder, "static.toml"), `secrets = { required = ["PEPPER", "STATIC_KEYS"] }\n${text}`);
  });

  test("revoke, disable and rotate warn only where wrangler.toml names the secret", async () => {
    const keys = Array.from({ length: 5 }, (_, nth) => stored({ subject: `s${nth}`, created: now() - 100_000 }));
    await Promise.all(keys.map(({ key }, nth) => put(`s${nth}`, key)));
    assert.match((await configured(["revoke", keys[0].id])).stderr, hidden(`key ${keys[0].id}`));
    assert.match((await configured(["disable", keys[1].id])).stderr, hidden(`key ${keys[1].id}`));
    assert.doesNotMatch((await configured(["enable", keys[1].id])).stderr, /STATIC_KEYS/);
    assert.match((await configured(["rotate", keys[1].id])).stderr, hidden(`key ${keys[1].id}`));
    assert.match((await configured(["rotate", keys[2].id, "--to", `file:${at("s2")}`])).stderr, hidden(`key ${keys[2].id}`));
    const many = ["rotate", "--all-older-than", "1d", "--to", `file:${at("{subject}")}`];
    assert.match((await configured(many)).stderr, hidden("one of these keys"));
    assert.doesNotMatch((await configured(many)).stderr, /STATIC_KEYS/, "there was nothing to rotate");
    const last = stored();
    assert.doesNotMatch((await remote(["revoke", last.id])).stderr, /STATIC_KEYS/);
  });

  test("doctor says what to compare, and reports a secret that wrangler.toml does not name", async () => {
    const binding = (name, more) => ({ name, type: "secret_text", ...more });
    const script = `GET /accounts/${ACCOUNT}/workers/scripts/gate`;
    api.results = {
      [`${script}/settings`]: { compatibility_date: "2026-11-17", bindings: [binding("PEPPER"), binding("STATIC_KEYS"), binding("KEYS", { namespace_id: LIVE })] },
      [`${script}/subdomain`]: { enabled: false, previews_enabled: false },
    };
    const { stderr } = await configured(["doctor"]);
    assert.match(stderr, /not looked at: the deployed secret STATIC_KEYS, .*revoked, disabled or expired.*while KV fails/);
    const { stdout } = await remote(["doctor", "--json"]);
    const found = JSON.parse(stdout).findings.filter(({ field }) => field === "STATIC_KEYS");
    assert.deepEqual(found.map(({ level }) => level), ["warning"]);
  });
});
