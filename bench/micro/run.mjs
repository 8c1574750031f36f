// Times the core's steps in wasm, as V8 runs them: the median of rounds, in nanoseconds, and bytes allocated.

import { readFile } from "node:fs/promises";

const STEPS = [
  "ParseAndTag", "DigestAndCompare", "OneRoute", "ManyRoutes", "RecordParse", "WholeDecision", "Refusal", "LogLine",
];
const ROUNDS = 41;
const TIMES = 2000;
// V8 makes the fast form of a function beside its running, and is not done at once.
const WARM_UP_MS = 1000;

const { instance } = await WebAssembly.instantiate(await readFile(process.argv[2]), {});
const { take, allocated } = instance.exports;

STEPS.forEach((_, step) => {
  const until = performance.now() + WARM_UP_MS;
  while (performance.now() < until) run(step);
});

STEPS.forEach((name, step) => {
  const before = allocated();
  run(step);
  const bytes = (allocated() - before) / TIMES;
  const rounds = Array.from({ length: ROUNDS }, () => {
    const start = performance.now();
    run(step);
    return ((performance.now() - start) * 1e6) / TIMES;
  }).sort((a, b) => a - b);
  console.log(`${name.padEnd(18)} ${rounds[ROUNDS >> 1].toFixed(0).padStart(8)} ns ${bytes.toFixed(0).padStart(8)} bytes`);
});

function run(step) {
  if (take(step, TIMES) !== TIMES) throw new Error(`${STEPS[step]} went wrong`);
}
