// A key store that does what a test tells it: it stands behind a real KV binding of the runtime, which reads it over HTTP
// as it reads Workers KV, so errors, hangs and garbage reach the gate just as they would from the platform.

import { once } from "node:events";
import http from "node:http";

export class ScriptedStore {
  entries = new Map();
  /** Every read since the last `clear`: `{ name, cacheTtl }`. */
  reads = [];
  /** "serve", "fail" (HTTP 500), "hang" (no answer), "hold" (an answer once `release` is called) or "reset". */
  mode = "serve";
  #held = [];
  #server = http.createServer((request, response) => this.#serve(request, response));

  static async start() {
    const store = new ScriptedStore();
    store.#server.listen(0, "127.0.0.1");
    await once(store.#server, "listening");
    return store;
  }

  get url() {
    return new URL(`http://127.0.0.1:${this.#server.address().port}/`);
  }

  /** Works again, and forgets its reads; the entries stay. */
  clear() {
    this.mode = "serve";
    this.reads = [];
    this.release();
  }

  /** How many reads are held. */
  get held() {
    return this.#held.length;
  }

  /** Answers the reads that are held. */
  release() {
    for (const answer of this.#held.splice(0)) answer();
  }

  /** Answers the read that came last. */
  releaseLast() {
    this.#held.pop()();
  }

  put(record) {
    this.entries.set(`key/${record.id}`, JSON.stringify(record));
  }

  async stop() {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  // The runtime's KV client asks for `/<name>?urlencoded=true&cache_ttl=<s>`; miniflare's proxy passes that on as a header.
  #serve(request, response) {
    const url = new URL(request.headers["mf-url"]);
    const name = decodeURIComponent(url.pathname.slice(1));
    this.reads.push({ name, cacheTtl: Number(url.searchParams.get("cache_ttl") ?? 0) });
    if (this.mode === "hang") return;
    if (this.mode === "reset") return void request.socket.resetAndDestroy();
    if (this.mode === "hold") this.#held.push(() => this.#answer(name, response));
    else this.#answer(name, response);
  }

  #answer(name, response) {
    const value = this.entries.get(name);
    const status = this.mode === "fail" ? 500 : value === undefined ? 404 : 200;
    response.writeHead(status);
    response.end(status === 200 ? value : "");
  }
}
