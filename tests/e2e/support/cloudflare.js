// Cloudflare's API, as much of it as keygate and wrangler ask for, in this process. wrangler's own client is run against it
// as well, so that it does not drift into answers that only keygate understands.

import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";

import { ACCOUNT, LIVE, TOKEN } from "./cli.js";
import { DeployedWorkers } from "./cloudflare_workers.js";
import { FaultyServer, readBody } from "./faulty_server.js";

const error = (status, code, message) => ({ status, errors: [{ code, message }] });

/**
 * Given a call and its body, `fail` may return { status, errors, headers, text } to answer it with, "hang" or "reset"; or "done, hang"
 * and "done, reset": what was asked is done, and no answer comes.
 */
export class Cloudflare extends FaultyServer {
  /** KV: name → { key, value, metadata }. */
  entries = new Map();
  /** `METHOD /path below the namespace or the API`, in order. */
  log = [];
  /** What a page of a listing holds; an empty page stands before each further one, as the real one may send. */
  page = 2;
  /** What `wrangler deploy` has uploaded. */
  workers = new DeployedWorkers();
  /** Answers of everything but KV: call → result, or the bytes of the whole answer. They precede what was uploaded. */
  results = {};

  /** With `tls`, a key and a certificate, over TLS. */
  static async start(tls) {
    const api = new Cloudflare();
    const answer = (request, response) => api.#answer(request, response);
    const address = await api.listen(tls ? createTlsServer(tls, answer) : createServer(answer));
    api.url = `${tls ? "https" : "http"}://${address}/client/v4`;
    return api;
  }

  /** The environment in which keygate and wrangler find this server. */
  get env() {
    return { CLOUDFLARE_API_BASE_URL: this.url, CLOUDFLARE_API_TOKEN: TOKEN };
  }

  record(id) {
    return JSON.parse(this.entries.get(`key/${id}`).value);
  }

  metadata(id) {
    return this.entries.get(`key/${id}`).metadata;
  }

  async #answer(request, response) {
    const body = await readBody(request);
    if (!body) return undefined;
    const url = new URL(request.url, "http://api");
    const path = url.pathname.replace("/client/v4", "").replace(`/accounts/${ACCOUNT}/storage/kv/namespaces/${LIVE}`, "");
    const call = `${request.method} ${path}`;
    this.log.push(call);
    const send = ({ status = 200, headers, text, ...json }) => {
      response.writeHead(status, { "Content-Type": "application/json", ...headers });
      response.end(text ?? JSON.stringify({ success: status < 300, errors: [], messages: [], result: null, ...json }));
    };
    const told = this.fail(call, body);
    if (told?.startsWith?.("done") && !this.#judged(request)) this.#kv(call, url, body);
    if (told?.endsWith?.("hang")) return undefined;
    if (told?.endsWith?.("reset")) return request.socket.destroy();
    if (told) return send(told);
    send(this.#judged(request) ?? this.#kv(call, url, body) ?? (await this.#other(call, request, body)));
    return undefined;
  }

  /** The refusals that the real API gives for each usual mistake. */
  #judged({ headers, url }) {
    const token = /^Bearer (\S+)$/.exec(headers.authorization ?? "")?.[1];
    if (!token || token.length < 20) {
      const chain = [{ code: 6111, message: "Invalid format for Authorization header" }];
      return { status: 400, errors: [{ code: 6003, message: "Invalid request headers", error_chain: chain }] };
    }
    if (token === `${TOKEN}-expired`) return error(401, 1000, "Invalid API Token");
    const [, account] = /\/accounts\/([^/]+)/.exec(url) ?? [];
    if (account !== undefined && !/^[0-9a-f]{32}$/.test(account)) return error(404, 7003, "Could not route to the path");
    if (token !== TOKEN || (account !== undefined && account !== ACCOUNT)) return error(403, 10000, "Authentication error");
    const [, namespace] = /\/storage\/kv\/namespaces\/([^/?]+)/.exec(url) ?? [];
    if (namespace !== undefined && namespace !== LIVE) return error(404, 10013, "get namespace: 'namespace not found'");
    return undefined;
  }

  #kv(call, url, body) {
    if (call === "PUT /bulk") {
      const entries = JSON.parse(body);
      if (entries.length > 10_000 || body.length > 100e6) return error(400, 10064, "too many or too large");
      for (const entry of entries) this.entries.set(entry.key, entry);
      return { result: { successful_key_count: entries.length, unsuccessful_keys: [] } };
    }
    if (call === "POST /bulk/get") {
      const { keys, withMetadata } = JSON.parse(body);
      if (keys.length > 100) return error(400, 10065, "more than 100 keys");
      const value = (entry) => (withMetadata ? { value: entry.value, metadata: entry.metadata ?? null } : entry.value);
      const found = (key) => [key, this.entries.has(key) ? value(this.entries.get(key)) : null];
      return { result: { values: Object.fromEntries(keys.map(found)) } };
    }
    if (call !== "GET /keys") return undefined;
    const prefix = url.searchParams.get("prefix") ?? "";
    const [at, empty] = (url.searchParams.get("cursor") ?? "0").split("e");
    if (at === "0") this.sorted = [...this.entries.keys()].filter((key) => key.startsWith(prefix)).sort();
    const names = empty === undefined ? this.sorted.slice(Number(at), Number(at) + this.page) : [];
    const next = Number(at) + names.length;
    const cursor = next < this.sorted.length ? `${next}${empty === undefined ? "e" : ""}` : "";
    const row = (name) => ({ name, metadata: this.entries.get(name).metadata });
    return { result: names.map(row), result_info: { count: names.length, cursor } };
  }

  async #other(call, { method, headers }, body) {
    const known = this.results[call];
    if (known !== undefined) return Buffer.isBuffer(known) ? { text: known } : { result: known };
    const path = call.replace(`${method} /accounts/${ACCOUNT}`, "");
    return (await this.workers.answer(method, path, body, headers["content-type"])) ?? error(404, 7003, `no route for ${call}`);
  }
}

/** An error answer, for `fail`. */
export const refuse = (status, { code = 10000, message = "refused", headers } = {}) => ({ ...error(status, code, message), headers });
