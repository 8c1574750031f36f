// A Worker of the project in a process of its own, so that a test can kill it. Started by processes.js with its options as the argument.

import { createRequire } from "node:module";

import { readModules } from "./project.js";

const require = createRequire(import.meta.url);
const { convertV4MiniflareOptions, Log, LogLevel, Miniflare } = createRequire(require.resolve("wrangler"))("miniflare");

const { entry, folder, registry, ...options } = JSON.parse(process.argv[2]);
const runtime = new Miniflare(
  convertV4MiniflareOptions({
    workers: [{ ...options, modules: await readModules(entry), stripCfConnectingIp: false }],
    host: "127.0.0.1",
    port: 0,
    cf: false,
    log: new Log(LogLevel.NONE),
    logRequests: false,
    resourcePersistencePath: folder,
    unsafeDevRegistryPath: registry,
    handleStructuredLogs() {},
  }),
);
process.stdout.write(`${(await runtime.ready).origin}\n`);
