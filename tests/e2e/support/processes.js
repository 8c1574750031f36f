// Workers of the project in processes of their own, which find each other by a registry in a folder, as those of `wrangler dev` do.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

import { readOptions } from "./project.js";

const PROGRAM = fileURLToPath(new URL("worker_process.js", import.meta.url));

/** A folder for the processes of a test, which ends them. */
export async function startProcesses() {
  const folder = await mkdtemp(path.join(tmpdir(), "keygate-processes-"));
  const running = new Set();
  after(async () => {
    for (const one of running) await one.kill();
    await rm(folder, { recursive: true, force: true });
  });

  /** Starts the Worker of a wrangler.toml; `store` names the folder that it keeps between two starts, `bindings` are more of them. */
  async function start({ name, config, store, bindings }) {
    const { entry, options } = readOptions(config);
    const workerOptions = { ...options, name, bindings: { ...options.bindings, ...bindings } };
    const argument = JSON.stringify({ ...workerOptions, entry, folder: path.join(folder, store), registry: path.join(folder, "registry") });
    // A group of its own, as workerd is a child of the process.
    const child = spawn(process.execPath, [PROGRAM, argument], { detached: true, stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(child, "exit");
    const worker = {
      /** The memory of its runtime, in MB. */
      memory() {
        const children = execFileSync("ps", ["-o", "comm=,rss=", "--ppid", String(child.pid)], { encoding: "utf8" });
        const [, kilobytes] = /^workerd\s+(\d+)$/m.exec(children);
        return Math.round(Number(kilobytes) / 1024);
      },
      /** Ends it at once, as a crash does. */
      async kill() {
        running.delete(worker);
        if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, "SIGKILL");
        await exited;
      },
    };
    running.add(worker);
    const [line] = await Promise.race([once(createInterface({ input: child.stdout }), "line"), exited.then(() => [])]);
    if (line === undefined) throw new Error(`${name} did not start`);
    worker.url = line;
    return worker;
  }

  return { start };
}
