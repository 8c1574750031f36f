// The end-to-end tests' stand-in for Cloudflare's API, for `cargo run -p keygate-bench -- scale`. Its first line says how to reach it; for each
// line that it is sent, it says which calls were made since the one before. It ends with its standard input.

import { createInterface } from "node:readline";

import { ACCOUNT, LIVE } from "../tests/e2e/support/cli.js";
import { Cloudflare } from "../tests/e2e/support/cloudflare.js";

const api = await Cloudflare.start();
api.page = 1000;
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
say({ env: api.env, account: ACCOUNT, namespace: LIVE });
const asked = createInterface({ input: process.stdin });
asked.on("line", () => {
  const calls = {};
  for (const call of api.log.splice(0)) calls[call] = (calls[call] ?? 0) + 1;
  say(calls);
});
asked.on("close", () => api.stop());
