// Programs that a test starts: run to their end, or kept until the test is over.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";

/** Runs a program to its end: `{ status, stdout, stderr }`, whatever the status. */
export function run(program, args, { input = "", ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { timeout: 120_000, ...options }, (error, stdout, stderr) => {
      // A number is an exit status; a text, such as ENOENT, says that it never ran.
      if (error && typeof error.code !== "number") reject(new Error(`${program}: ${error.message}\n${stderr}`));
      else resolve({ status: error?.code ?? 0, stdout, stderr });
    });
    // A program may end without having read its input; its status says whether that was right.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

/** Starts a server; resolves to `{ found, stop }` once `ready` (a regular expression) matches what it prints. */
export async function serve(program, args, ready, options) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  const exited = once(child, "exit");
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill();
    await exited;
  };
  let printed = "";
  try {
    const found = await new Promise((resolve, reject) => {
      const read = (chunk) => {
        printed += chunk;
        const match = ready.exec(printed);
        if (match) resolve(match);
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`${program} ended with ${code}:\n${printed}`)));
    });
    return { found, stop };
  } catch (error) {
    child.kill();
    throw error;
  }
}
