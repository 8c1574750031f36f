// The Workers of an account, as wrangler uploads them and Cloudflare's API shows them.

import { LIVE } from "./cli.js";

const refusal = (status, code, message) => ({ status, errors: [{ code, message }] });
const NOT_FOUND = refusal(404, 10007, "This Worker does not exist on your account.");
const isSecret = ({ type }) => type === "secret_text";

export class DeployedWorkers {
  /** Name → { metadata, modules, subdomain }: what was uploaded last, modules as `FormData`. */
  #workers = new Map();
  /** The titles of the namespaces that were made; they are all the one of the tests. */
  namespaces = [];

  /** The answer to a call below the account, its path without that; `undefined` if it is about something else. */
  async answer(method, path, body, contentType) {
    if (path === "/storage/kv/namespaces") return this.#namespaces(method, body);
    if (path === "/workers/subdomain") return { result: { subdomain: "acme" } };
    const [, kind, name, rest] = /^\/workers\/(services|scripts|workers)\/([^/]+)\/?(.*)$/.exec(path) ?? [];
    if (kind === undefined) return undefined;
    const call = `${method} ${rest}`;
    if (call === "PUT " || call === "POST versions") return this.#upload(name, body, contentType);
    const worker = this.#workers.get(name);
    if (!worker) return NOT_FOUND;
    const { metadata, modules, subdomain } = worker;
    switch (call) {
      case "GET ":
        return { result: { id: name, name, subdomain, default_environment: { environment: "production", script: { tag: "t", last_deployed_from: "wrangler" } } } };
      case "GET settings":
        return { result: { bindings: metadata.bindings, compatibility_date: metadata.compatibility_date } };
      case "GET secrets":
        return { result: metadata.bindings.filter(isSecret).map(({ name, type }) => ({ name, type })) };
      case "PUT secrets": {
        const secret = JSON.parse(body);
        this.bind(name, secret);
        return { result: { name: secret.name, type: secret.type } };
      }
      case "GET subdomain":
        return { result: subdomain };
      case "POST subdomain":
        worker.subdomain = JSON.parse(body);
        return { result: worker.subdomain };
      case "GET deployments":
        return { result: { deployments: [] } };
      case "POST deployments":
        return { result: { id: "d" } };
      case "PUT schedules":
        worker.schedules = JSON.parse(body);
        return { result: { schedules: worker.schedules } };
      case "PATCH script-settings":
        return { result: {} };
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
    const namespace = (title) => ({ id: LIVE, title, supports_url_encoding: true });
    return { result: method === "POST" ? namespace(this.namespaces.at(-1)) : this.namespaces.map(namespace) };
  }

  async #upload(name, body, contentType) {
    const form = await new Response(body, { headers: { "Content-Type": contentType } }).formData();
    const metadata = JSON.parse(await form.get("metadata"));
    form.delete("metadata");
    const elsewhere = metadata.bindings.find(({ script_name: script }) => script !== undefined && !this.#workers.has(script));
    // What the real API says: https://github.com/huilang-me/CF-Server-Monitor/pull/55
    if (elsewhere) return refusal(400, 10061, `Cannot create binding for class in script '${elsewhere.script_name}' that does not exist.`);
    const { metadata: before, subdomain = { enabled: false, previews_enabled: false } } = this.#workers.get(name) ?? {};
    // Secrets stay where an upload does not set them.
    const isSet = ({ name }) => metadata.bindings.some((binding) => binding.name === name && binding.type !== "inherit");
    const kept = (before?.bindings ?? []).filter((binding) => isSecret(binding) && !isSet(binding));
    metadata.bindings = [...metadata.bindings.filter(({ type }) => type !== "inherit"), ...kept];
    this.#workers.set(name, { metadata, modules: form, subdomain });
    return { result: { id: name, tag: "t", etag: "e", deployment_id: "d", number: 1, metadata: {}, resources: { script: { etag: "e" } }, startup_time_ms: 1 } };
  }

  /** The names of all, in the order of their first upload. */
  get names() {
    return [...this.#workers.keys()];
  }

  /** What a Worker has bound by this name. */
  binding(name, binding) {
    return this.#workers.get(name).metadata.bindings.find((bound) => bound.name === binding);
  }

  /** Whether a Worker has a module with this name, before which wrangler writes a digest. */
  hasModule(name, module) {
    return [...this.#workers.get(name).modules.keys()].some((part) => part.endsWith(`-${module}`));
  }

  /** The cron expressions that start a Worker. */
  schedules(name) {
    return this.#workers.get(name).schedules?.map(({ cron }) => cron);
  }

  /** Binds something to a Worker, such as a secret. */
  bind(name, binding) {
    const { metadata } = this.#workers.get(name);
    metadata.bindings = [...metadata.bindings.filter((bound) => bound.name !== binding.name), binding];
  }

  /** Changes the bytes of the module whose name ends so. */
  async change(name, ending, change) {
    const { modules } = this.#workers.get(name);
    const [[part, file]] = [...modules].filter(([part]) => part.endsWith(ending));
    const bytes = change(Buffer.from(await file.arrayBuffer()));
    modules.set(part, new File([bytes], file.name, { type: file.type }));
  }
}
