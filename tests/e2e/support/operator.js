// What an operator has: a folder with a wrangler.toml, and Cloudflare's API.

import { after } from "node:test";

import { Operator } from "./cli.js";
import { Cloudflare } from "./cloudflare.js";

/** Both, for the tests of one file. */
export async function operator() {
  const [gate, api] = [await Operator.make(), await Cloudflare.start()];
  after(async () => {
    await api.stop();
    await gate.remove();
  });
  return { gate, api };
}
