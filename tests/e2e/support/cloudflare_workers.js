// The Workers of an account, as the first `wrangler deploy` of each uploads it and Cloudflare's API shows it.

import { LIVE } from "./cli.js";

const SUBDOMAIN = { enabled: false, previews_enabled: false };
const NOT_FOUND = { status: 404, errors: [{ code: 10007, message: "This Worker does not exist on your account." }] };

export class DeployedWorkers {
  /** Name → { metadata, modules }: what was uploaded, modules as `FormData`. */
  #workers = new Map();
  /** The titles of the namespaces that were made; they are all the one of the tests. */
  namespaces = [];

  /** The answer to a call below the account, its path without that; `undefined` if it is about something else. */
  async answer(method, path, body, contentType) {
    const [, kind, name, rest] = /^\/workers\/(services|scripts|workers)\/([^/]+)\/?(.*)$/.exec(path) ?? [];
    if (path === "/storage/kv/namespaces") return this.#namespaces(method, body);
    if (kind === undefined) return undefined;
    if (`${method} ${rest}` === "PUT ") return this.#upload(name, body, contentType);
    const worker = this.#workers.get(name);
    if (!worker) return NOT_FOUND;
    const { metadata, modules } = worker;
    switch (`${method} ${rest}`) {
      case "GET ":
        return { result: { id: name, subdomain: SUBDOMAIN, default_environment: { environment: "production", script: {} } } };
      case "GET settings":
        return { result: { bindings: metadata.bindings, compatibility_date: metadata.compatibility_date } };
      case "GET subdomain":
      case "POST subdomain":
        return { result: SUBDOMAIN };
      case "GET content/v2": {
        const answer = new Response(modules);
        const headers = { "Content-Type": answer.headers.get("content-type"), "cf-entrypoint": metadata.main_module };
        return { headers, text: Buffer.from(await answer.arrayBuffer()) };
      }
      default:
        return undefined;
    }
  }

  #namespaces(method, body) {
    if (method === "POST") this.namespaces.push(JSON.parse(body).title);
    const namespace = (title) => ({ id: LIVE, title });
    return { result: method === "POST" ? namespace(this.namespaces.at(-1)) : this.namespaces.map(namespace) };
  }

  async #upload(name, body, contentType) {
    const form = await new Response(body, { headers: { "Content-Type": contentType } }).formData();
    const metadata = JSON.parse(await form.get("metadata"));
    form.delete("metadata");
    this.#workers.set(name, { metadata, modules: form });
    return { result: { id: name, tag: "t", etag: "e", deployment_id: "d", startup_time_ms: 1 } };
  }

  /** Binds something to a Worker, such as a secret. */
  bind(name, binding) {
    this.#workers.get(name).metadata.bindings.push(binding);
  }

  /** Changes the bytes of the module whose name ends so. */
  async change(name, ending, change) {
    const { modules } = this.#workers.get(name);
    const [[part, file]] = [...modules].filter(([part]) => part.endsWith(ending));
    const bytes = change(Buffer.from(await file.arrayBuffer()));
    modules.set(part, new File([bytes], file.name, { type: file.type }));
  }
}
