// Workers that only forward: what they change, the runtime changes, and no Worker can help it.

import { createRequire } from "node:module";

import { readProject } from "./project.js";

const require = createRequire(import.meta.url);
const { convertV4MiniflareOptions, Log, LogLevel, Miniflare } = createRequire(require.resolve("wrangler"))("miniflare");

const MODULE = `export default {
  fetch(request, env) {
    return fetch(env.ORIGIN + request.url.slice(request.url.indexOf("/", 8)), request);
  },
};`;

/** One Worker before each origin of `origins`, a record of URLs: `{ urls, stop }`. */
export async function bootForwarders(origins) {
  const { compatibilityDate } = await readProject();
  const worker = ([name, origin]) => ({
    name,
    compatibilityDate,
    modules: [{ type: "ESModule", path: "forward.js", contents: MODULE }],
    bindings: { ORIGIN: origin },
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
    stripCfConnectingIp: false,
  });
  const runtime = new Miniflare(
    convertV4MiniflareOptions({
      workers: Object.entries(origins).map(worker),
      host: "127.0.0.1",
      cf: false,
      log: new Log(LogLevel.NONE),
      logRequests: false,
    }),
  );
  await runtime.ready;
  const url = async (name) => [name, (await runtime.unsafeGetDirectURL(name)).origin];
  return { urls: Object.fromEntries(await Promise.all(Object.keys(origins).map(url))), stop: () => runtime.dispose() };
}
