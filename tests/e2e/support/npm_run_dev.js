// The gate of a folder that somebody made of the packages, as its user starts it.

import { spawn } from "node:child_process";
import { createServer } from "node:http";

/**
 * `npm run dev` in the folder, on a free port: `{ url, port, stop }`. `env` says in WRANGLER_REGISTRY_PATH which other Workers wrangler sees.
 */
export async function startDev(folder, env, ...options) {
  const free = createServer();
  const port = await new Promise((resolve) => free.listen(0, "127.0.0.1", () => resolve(free.address().port)));
  await new Promise((resolve) => free.close(resolve));
  const url = `http://127.0.0.1:${port}`;
  // A group of its own, as npm, wrangler and the runtime are processes of their own.
  const child = spawn("npm", ["run", "dev", "--", "--port", String(port), "--inspector-port", "0", ...options], { cwd: folder, env: { ...env, CI: "true" }, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, "SIGKILL");
    await exited;
  };
  let printed = "";
  try {
    await new Promise((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (text) => {
          printed += text;
          if (printed.includes(`Ready on ${url}`)) resolve();
        });
      }
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`npm run dev ended with ${code}:\n${printed}`)));
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, port, stop };
}
