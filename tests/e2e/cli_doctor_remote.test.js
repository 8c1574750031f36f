// `keygate doctor --remote`: what it finds in a deployment, by Cloudflare's REST API.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { before, test } from "node:test";

import { ACCOUNT, LIVE, keyIn } from "./support/cli.js";
import { refuse } from "./support/cloudflare.js";
import { PEPPER } from "./support/keys.js";
import { operator } from "./support/operator.js";

const { gate, api } = await operator();
const remote = (args, { env, ...options } = {}) =>
  gate.keygate([...args, "--remote"], { ...options, env: { ...api.env, KEYGATE_PEPPER: PEPPER, ...env } });
const issue = async (...args) => keyIn((await remote(["issue", ...args])).stdout);

const SCRIPT = `GET /accounts/${ACCOUNT}/workers/scripts/gate`;
let version;
const binding = (name, more) => ({ name, type: "secret_text", ...more });
const well = () => ({
  [`${SCRIPT}/settings`]: { compatibility_date: "2026-11-17", bindings: [binding("PEPPER"), binding("KEYS", { namespace_id: LIVE })] },
  [`${SCRIPT}/subdomain`]: { enabled: false, previews_enabled: false },
  [`${SCRIPT}/content/v2`]: Buffer.from(`keygate-version${version}\n`),
  "GET /zones": [{ id: "z" }],
  "GET /zones/z/workers/routes": [{ id: "r", pattern: "api.example.com/*", script: "gate", request_limit_fail_open: false }],
  "GET /zones/z/rulesets/phases/http_request_cache_settings/entrypoint": { rules: [] },
});
const toml = () => path.join(gate.folder, "doctor.toml");
const doctor = async (results, status, ...options) => {
  api.results = results;
  // A proxy that is not there: nothing leaves this machine.
  const env = { HTTPS_PROXY: "http://127.0.0.1:1" };
  const { stdout } = await remote(["doctor", "--json", "--config", toml(), ...options], { status, env });
  return JSON.parse(stdout).findings;
};
before(async () => {
  version = await gate.version();
  // The gate stands in front of another host than its own.
  const text = (await readFile(path.join(gate.folder, "wrangler.toml"), "utf8")).replaceAll("https://api.example.com", "https://origin.example.com");
  const routes = `routes = [{ pattern = "api.example.com/*", zone_name = "example.com" }]\nsecrets = { required = ["PEPPER"] }\n`;
  await writeFile(toml(), `${routes}observability = { logs = { invocation_logs = false } }\n${text}`);
  api.entries.clear();
});

test("a correctly deployed gate has no findings", async () => {
  await issue("--subject", "acme");
  assert.deepEqual(await doctor(well(), 0), []);
});

test("each mistake in a deployment is a finding with a remedy", async () => {
  const { id } = await issue("--subject", "acme", "--expires", "3d");
  api.entries.set("key/000000000000", { key: "key/000000000000", value: "{}" });
  const ill = well();
  ill[`${SCRIPT}/settings`] = { compatibility_date: "2025-01-01", bindings: [binding("PEPPER_PREVIOUS"), binding("KEYS", { namespace_id: "x" })] };
  ill[`${SCRIPT}/subdomain`] = { enabled: true, previews_enabled: true };
  ill["GET /zones/z/workers/routes"][0].request_limit_fail_open = true;
  ill["GET /zones/z/rulesets/phases/http_request_cache_settings/entrypoint"].rules = [
    { action: "set_cache_settings", enabled: true, description: "all", action_parameters: { cache: true } },
  ];
  const text = await readFile(toml(), "utf8");
  await writeFile(toml(), text.replace("observability = { ", "observability = { traces = { enabled = true }, "));
  const findings = await doctor(ill, 1);
  await writeFile(toml(), text);
  assert.deepEqual(
    findings.map(({ level, field }) => `${level} ${field}`).sort(),
    ["error KEYS", "error PEPPER", "error key/000000000000", "error preview_urls", "error routes", "error workers_dev",
      "warning PEPPER_PREVIOUS", "warning observability.traces.enabled", "warning cache rules", "warning compatibility_date", `warning key/${id}`].sort(),
  );
  assert.ok(findings.every(({ remedy }) => remedy));
});

for (const [settings, subdomain, expected] of [
  ["workers_dev = true", { enabled: true, previews_enabled: false }, []],
  ["workers_dev = true", { enabled: true, previews_enabled: true }, ["error preview_urls"]],
  ['workers_dev = false\nroutes = [{ pattern = "api.example.com", custom_domain = true }]', { enabled: false, previews_enabled: false }, []],
  ['workers_dev = false\nroutes = [{ pattern = "api.example.com", custom_domain = true, zone_name = "example.com" }]', { enabled: true, previews_enabled: false }, ["error workers_dev"]],
  ["workers_dev = false", { enabled: false, previews_enabled: false }, ["warning routes"]],
]) {
  test(`${settings.replaceAll("\n", "; ")} with ${JSON.stringify(subdomain)}: ${expected.join(", ") || "no finding"}`, async () => {
    api.entries.clear();
    const text = await readFile(toml(), "utf8");
    await writeFile(toml(), text.replace(/^routes = .*$/m, settings).replace(/^workers_dev = false$(?![\s\S]*^workers_dev)/m, ""));
    const findings = await doctor({ ...well(), [`${SCRIPT}/subdomain`]: subdomain }, expected.some((finding) => finding.startsWith("error")) ? 1 : 0);
    await writeFile(toml(), text);
    assert.deepEqual(findings.map(({ level, field }) => `${level} ${field}`), expected);
  });
}

test("an origin that leads back to the gate is an error, by the deployed routes and by --url too", async () => {
  api.entries.clear();
  const deployed = well();
  deployed["GET /zones/z/workers/routes"].push({ id: "s", pattern: "*.example.com/*", script: "gate", request_limit_fail_open: false });
  const said = (findings) => findings.map(({ level, field, problem }) => [level, field, /by (.*?);/.exec(problem)?.[1]]);
  assert.deepEqual(said(await doctor(deployed, 1)), [["error", "vars.ORIGIN", "the route `*.example.com/*`"]]);
  // Of the gate itself only its clock is asked for, and it does not answer.
  const clock = ["warning", "clock", undefined];
  assert.deepEqual(said(await doctor(well(), 1, "--url", "https://origin.example.com/v1")), [["error", "vars.ORIGIN", "`--url`"], clock]);
  assert.deepEqual(said(await doctor(well(), 0, "--url", "https://api.example.com")), [clock]);
});

test("what the token may not read is reported, and the rest is checked", async () => {
  api.entries.clear();
  const fail = (call) => (call.startsWith("GET /zones") ? refuse(403) : undefined);
  const [finding, ...others] = await api.failing(fail, () => doctor(well(), 0));
  assert.match(finding.problem, /not looked at: .*may not do this/);
  assert.match(finding.remedy, /Zone · Zone: Read/);
  assert.deepEqual(others, []);
});
