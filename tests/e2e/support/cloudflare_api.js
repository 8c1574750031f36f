// A stand-in for the part of Cloudflare's REST API that wrangler and `keygate --remote` use. It answers as the API's
// reference says, and remembers what it was told.

import http from "node:http";

export class CloudflareApi {
  namespaceId = "fedcba9876543210fedcba9876543210";
  /** KV entries: name → `{ key, value, metadata }`. */
  entries = new Map();
  /** Secrets that were put. */
  secrets = [];
  /** Bodies of uploaded Workers. */
  uploads = [];
  /** Requests that it did not know: `METHOD path`. */
  unknown = [];

  static async start() {
    const api = new CloudflareApi();
    api.server = http.createServer((request, response) => api.#serve(request, response));
    await new Promise((resolve) => api.server.listen(0, "127.0.0.1", resolve));
    api.url = `http://127.0.0.1:${api.server.address().port}/client/v4`;
    return api;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async #serve(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString("latin1");
    const { pathname, searchParams } = new URL(request.url, this.url);
    const resource = pathname.replace(/^\/client\/v4(\/accounts\/[0-9a-f]{32})?/, "");
    const [status, answer] = this.#answer(`${request.method} ${resource}`, searchParams, body);
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(answer));
  }

  #answer(what, query, body) {
    const ok = (result, more = {}) => [200, { success: true, errors: [], messages: [], result, ...more }];
    const missing = (code, message) => [404, { success: false, errors: [{ code, message }], messages: [], result: null }];
    const kv = `/storage/kv/namespaces/${this.namespaceId}`;
    switch (what) {
      case "POST /storage/kv/namespaces":
        return ok({ id: this.namespaceId, title: JSON.parse(body).title, supports_url_encoding: true });
      case "GET /storage/kv/namespaces":
        return ok([], { result_info: { page: 1, per_page: 100, count: 0, total_count: 0 } });
      case "PUT /workers/scripts/keygate/secrets":
        this.secrets.push(JSON.parse(body));
        return ok({ name: this.secrets.at(-1).name, type: "secret_text" });
      case "GET /workers/scripts/keygate/secrets":
        return ok(this.secrets.map(({ name }) => ({ name, type: "secret_text" })));
      case "GET /workers/services/keygate":
        return this.secrets.length > 0 ? ok({ default_environment: { environment: "production", script: { last_deployed_from: "wrangler", tag: "t" } } }) : missing(10090, "workers.api.error.service_not_found");
      case "PUT /workers/scripts/keygate":
      case "POST /workers/scripts/keygate/versions":
        this.uploads.push(body);
        return ok({ id: "keygate", tag: "t", etag: "e", deployment_id: "d", startup_time_ms: 1, metadata: {}, number: 1 });
      case `PUT ${kv}/bulk`:
        for (const entry of JSON.parse(body)) this.entries.set(entry.key, entry);
        return ok({ successful_key_count: this.entries.size, unsuccessful_keys: [] });
      case `POST ${kv}/bulk/get`:
        return ok({ values: Object.fromEntries(JSON.parse(body).keys.map((key) => [key, this.entries.get(key)?.value ?? null])) });
      case `GET ${kv}/keys`:
        return ok([...this.entries.values()].map(({ key, metadata }) => ({ name: key, metadata })), { result_info: { count: this.entries.size, cursor: "" } });
      default:
        this.unknown.push(what);
        return ok(what.startsWith("GET") ? [] : {});
    }
  }
}
