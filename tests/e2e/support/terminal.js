// A program as a person at a terminal runs it.

import { run } from "./program.js";
import { pythonWithPackages } from "./python.js";

const SPAWN = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

/** Runs a program at a terminal of its own, at which `input` is typed; what the terminal shows is `stdout`. */
export async function runAtTerminal(program, args, { input = "", ...options }) {
  return run(await pythonWithPackages(), ["-c", SPAWN, program, ...args], { input, ...options });
}
