// keygate as an operator runs it: in a folder with a wrangler.toml.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { PEPPER } from "./keys.js";
import { run } from "./program.js";
import { ROOT } from "./project.js";

export const KEYGATE = process.env.KEYGATE_BIN ?? path.join(ROOT, "target", "debug", "keygate");
export const PATH = [path.join(ROOT, "node_modules", ".bin"), process.env.PATH].join(path.delimiter);
export const ACCOUNT = "a".repeat(32);
export const LIVE = "1".repeat(32);
const TEST = "2".repeat(32);
/** The API token of the tests' own server. */
export const TOKEN = "e2e-token-Zk3vQ9xLr2K7hVbT1mWcZk3vQ9xLr2";
const WRANGLER_TOML = `
name = "gate"
account_id = "${ACCOUNT}"
workers_dev = false
preview_urls = false
compatibility_date = "2026-11-17"

[vars]
ORIGIN = "https://api.example.com"
KEY_PREFIX = "acme_live"
IMPORTED_KEYS = true
[[vars.ROUTES]]
path = "/reports/*"
scopes = ["reports:read"]

[[kv_namespaces]]
binding = "KEYS"
id = "${LIVE}"

[env.test.vars]
ORIGIN = "https://api.example.com"
KEY_PREFIX = "acme_test"
[[env.test.kv_namespaces]]
binding = "KEYS"
id = "${TEST}"
`;

/** The environment without what names the developer's own gate and accounts. */
export const cleanEnv = () => Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(KEYGATE|CLOUDFLARE|CF|VAULT|BAO|AWS|AZURE)_/.test(name)));

/** A folder with a wrangler.toml, and keygate run in it. */
export class Operator {
  static async make() {
    const operator = new Operator();
    operator.folder = await mkdtemp(path.join(tmpdir(), "keygate-cli-"));
    await writeFile(path.join(operator.folder, "wrangler.toml"), WRANGLER_TOML);
    await writeFile(path.join(operator.folder, ".dev.vars"), `PEPPER="${PEPPER}"\n`);
    return operator;
  }

  remove() {
    return rm(this.folder, { recursive: true });
  }

  /** Runs keygate; asserts the exit code (any, where it is null) and that nothing secret was said to a reader. */
  async keygate(args, { env = {}, status = 0, ...options } = {}) {
    const ran = await run(KEYGATE, args, { cwd: this.folder, env: { ...cleanEnv(), PATH, ...env }, ...options });
    if (status !== null) assert.equal(ran.status, status, `keygate ${args.join(" ")}\n${ran.stdout}${ran.stderr}`);
    if (/^error: /m.test(ran.stderr)) assert.match(ran.stderr, /\n help: \S|For more information, try '--help'/, "an error without what to do");
    assert.ok(!ran.stderr.includes(PEPPER), "the pepper on standard error");
    assert.ok(!ran.stderr.includes(TOKEN), "the API token on standard error");
    assert.doesNotMatch(ran.stderr, /acme_\w+_[0-9A-Za-z]{50}/, "a key on standard error");
    return ran;
  }

  async json(args, options) {
    return JSON.parse((await this.keygate([...args, "--json"], options)).stdout);
  }

  /** Its version. */
  async version() {
    return /^keygate (\S+)\n$/.exec((await this.keygate(["--version"])).stdout)[1];
  }

  /** Issues a key and returns it with its id. */
  async issue(...args) {
    const { stdout } = await this.keygate(["issue", ...args]);
    return keyIn(stdout);
  }

  /** What the gate would answer: its code, or "permitted". */
  async verify(key, ...args) {
    const ran = await this.keygate(["verify", "--json", ...args], { input: `${key}\n`, status: null });
    const said = JSON.parse(ran.stdout);
    assert.equal(ran.status, said.permitted ? 0 : 1);
    return said.code ?? "permitted";
  }

  /** The same at a deployed gate: every command is `--remote`, at a stand-in for Cloudflare's API. */
  deployed(api) {
    return Object.assign(new RemoteOperator(), { folder: this.folder, api });
  }
}

class RemoteOperator extends Operator {
  keygate(args, { env, ...options } = {}) {
    return super.keygate([...args, "--remote"], { ...options, env: { ...this.api.env, KEYGATE_PEPPER: PEPPER, ...env } });
  }
}

export function keyIn(stdout) {
  const match = /^(acme_(?:live|test)_([0-9A-Za-z]{12})[0-9A-Za-z]{38})\n$/.exec(stdout);
  assert.ok(match, "standard output holds the key alone");
  return { key: match[1], id: match[2] };
}
