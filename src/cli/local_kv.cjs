// The local KV of `wrangler dev`, for one run of keygate: a question a line on standard input, an answer a line on standard output.
// Miniflare is what `wrangler dev` and `wrangler kv --local` keep it with. Arguments: wrangler's program, the store's folder, the namespace.

const { createRequire } = require("node:module");

const [wrangler, folder, namespace] = process.argv.slice(1);
const OLDEST_NODE = 22;

/** Runs in workerd, so that a question costs one request however many entries it is about. */
const worker = `export default {
  async fetch(request, { KEYS }) {
    const { get, put, list } = await request.json();
    const read = async (name) => {
      const { value, metadata } = await KEYS.getWithMetadata(name);
      return value === null ? null : { value, metadata };
    };
    if (get) return Response.json(await Promise.all(get.map(read)));
    if (put) return Response.json(await Promise.all(put.map(({ key, value, metadata }) => KEYS.put(key, value, { metadata }))));
    const found = [];
    for (let cursor; ; ) {
      const page = await KEYS.list({ prefix: list, cursor });
      found.push(...page.keys);
      if (page.list_complete) return Response.json(found);
      cursor = page.cursor;
    }
  },
};`;

function open() {
  const [major] = process.versions.node.split(".").map(Number);
  if (major < OLDEST_NODE) throw new Error(`Node.js ${OLDEST_NODE} or later is needed, and this is ${process.versions.node}`);
  // Wrangler's own copy, wherever the package manager put it.
  const ofWrangler = createRequire(createRequire(wrangler).resolve("wrangler"));
  const { Miniflare, NoOpLog, convertV4MiniflareOptions } = ofWrangler("miniflare");
  const options = { modules: true, script: worker, compatibilityDate: "2026-01-01", kvNamespaces: { KEYS: namespace }, resourcePersistencePath: folder, cf: false, log: new NoOpLog() };
  return new Miniflare(convertV4MiniflareOptions(options));
}

/** Not `node:readline`: to that, U+2028 ends a line too, and JSON may hold it. */
async function* lines(stream) {
  let pending = [];
  for await (const chunk of stream.setEncoding("utf8")) {
    const [end, ...starts] = chunk.split("\n");
    pending.push(end);
    for (const start of starts) {
      yield pending.join("");
      pending = [start];
    }
  }
}

async function main() {
  let miniflare;
  for await (const question of lines(process.stdin)) {
    let answer;
    try {
      miniflare ??= open();
      const response = await miniflare.dispatchFetch("http://keys.invalid/", { method: "POST", body: question });
      const text = await response.text();
      answer = response.ok ? `{"answer":${text}}` : JSON.stringify({ error: text });
    } catch (error) {
      answer = JSON.stringify({ error: error.message });
    }
    process.stdout.write(`${answer}\n`);
  }
  await miniflare?.dispose();
}

main();
