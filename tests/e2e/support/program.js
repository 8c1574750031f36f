// Programs that a test starts: run to their end, or kept until the test is over.

import { spawn } from "node:child_process";

/** What hangs ends; a machine under load has many times what it needs. */
const LIMIT_MS = 10 * 60_000;

/**
 * Runs a program to its end: `{ status, stdout, stderr }`, whatever the status; null for one that was killed. Without `input` its
 * standard input is empty; `stdout` may be a file to write to.
 */
export function run(program, args, { input, stdout = "pipe", ...options } = {}) {
  return new Promise((resolve, reject) => {
    const stdin = input === undefined ? "ignore" : "pipe";
    const child = spawn(program, args, { timeout: LIMIT_MS, stdio: [stdin, stdout, "pipe"], ...options });
    const said = { stdout: "", stderr: "" };
    child.stdout?.setEncoding("utf8").on("data", (text) => (said.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (said.stderr += text));
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, ...said }));
    // A program may end before it has read what it was sent; its status says whether that was right.
    child.stdin?.on("error", () => {}).end(input);
  });
}

/** Servers that have not been stopped: they end with this process, even if it fails before its tests begin. */
const running = new Set();
const endAll = () => running.forEach((child) => child.kill());
process.once("exit", endAll);
// What fails before the tests begin ends the process without `exit`: the test runner throws it again.
process.once("uncaughtExceptionMonitor", endAll);

/** Starts a server; resolves to `{ found, stop }` once `ready` (a regular expression) matches what it prints. */
export async function serve(program, args, ready, options) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  running.add(child);
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.once("exit", () => running.delete(child));
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
      for (const stream of [child.stdout, child.stderr]) stream.on("data", read);
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`${program} ended with ${code}:\n${printed}`)));
    });
    // What it prints from now on has to be read, and nobody needs it.
    for (const stream of [child.stdout, child.stderr]) stream.removeAllListeners("data").resume();
    return { found, stop };
  } catch (error) {
    child.kill();
    throw error;
  }
}
