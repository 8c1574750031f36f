// keygate at a terminal: progress, and questions of exec: commands.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { KEYGATE, PATH, cleanEnv } from "./support/cli.js";
import { refuse } from "./support/cloudflare.js";
import { PEPPER, randomBase62 } from "./support/keys.js";
import { operator } from "./support/operator.js";
import { runAtTerminal } from "./support/terminal.js";

const { gate, api } = await operator();

const env = () => ({ ...cleanEnv(), PATH, ...api.env, KEYGATE_PEPPER: PEPPER, TERM: "xterm" });
const atTerminal = (args, options) => runAtTerminal(KEYGATE, args, { cwd: gate.folder, env: env(), ...options });

/** Runs `body` while the first call is told to come back in a second: long enough for whoever waits to be shown something. */
function slowly(body) {
  let calls = 0;
  return api.failing(() => (calls++ === 0 ? refuse(429, { headers: { "Retry-After": "1" } }) : undefined), body);
}

for (const [name, args, counted] of [
  ["import", ["import", "--format", "keys", "--remote", "keys"], /read \d+/],
  ["list", ["list", "--remote"], /listed \d+/],
  ["export", ["export", "--remote"], /exported \d+/],
]) {
  test(`${name} shows its progress only at a terminal`, async () => {
    await writeFile(path.join(gate.folder, "keys"), `${randomBase62(40)} s1\n${randomBase62(40)} s2\n`);
    const { status, stdout } = await slowly(() => atTerminal(args));
    assert.equal(status, 0, stdout);
    assert.match(stdout, counted);
    const plain = await slowly(() => gate.keygate(args, { env: env() }));
    assert.doesNotMatch(plain.stderr + plain.stdout, counted);
  });
}

test("an exec: command may ask at the terminal", async () => {
  const file = path.join(gate.folder, "delivered");
  const command = `exec:printf 'really? ' > /dev/tty; read answer < /dev/tty; [ "$answer" = yes ] && cat > ${file}`;
  const issue = ["issue", "--subject", "acme", "--remote", "--to", command];
  const { status, stdout } = await atTerminal(issue, { input: "yes\n" });
  assert.equal(status, 0, stdout);
  assert.match(await readFile(file, "utf8"), /^acme_live_[0-9A-Za-z]{50}$/);
});
