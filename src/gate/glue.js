// The gate's hands: what has to be done on the JavaScript side, in as few crossings as the job allows. Nothing here
// decides. Texts cross in one string, their parts separated by line feeds, which no method, URL or header can hold.

let headerNames = [];
let originTimeoutMs;
let originFailed;
let dropped;

// The request headers that `read` reads, in its order.
export function readHeaders(names) {
  headerNames = names.split("\n");
}

// How long an origin may take to its response headers, and what is answered when it takes longer or fails.
export function onOriginFailure(timeoutMs, answer) {
  originTimeoutMs = timeoutMs;
  originFailed = answer;
}

// Which of a request's doubtful headers are dropped: from lines as `doubtful` makes them, to names.
export function onDoubtfulHeaders(decide) {
  dropped = decide;
}

// Method, URL, and the configured headers; an absent header is an empty part.
export function read(request) {
  const headers = request.headers;
  let text = request.method + "\n" + request.url;
  for (const name of headerNames) text += "\n" + (headers.get(name) ?? "");
  return text;
}

// What only the log needs: the request's id, the moment, and the client's name for itself.
export function describe(request) {
  const headers = request.headers;
  const ray = headers.get("cf-ray");
  const id = ray && /^[0-9A-Za-z-]{1,48}$/.test(ray) ? ray : crypto.randomUUID();
  return id + "\n" + new Date().toISOString() + "\n" + (headers.get("user-agent") ?? "");
}

// Names of headers that may have to stay here: those with another sign than a hyphen, which some origins read as one,
// those that begin as the gate's own do, and those for one hop only. Almost always none.
function doubtful(headers) {
  let names = "";
  for (const name of headers.keys()) {
    if (!DOUBTFUL.test(name)) continue;
    if (name === "connection" || name === "upgrade") {
      const value = headers.get(name);
      if (!ORDINARY_CONNECTION.test(value)) names += name + ":" + value + "\n";
    } else {
      names += name + "\n";
    }
  }
  return names;
}

const DOUBTFUL =
  /[^0-9a-z-]|^x-keygate-|^(?:connection|forwarded|keep-alive|proxy-authorization|proxy-connection|te|trailer|upgrade)$/;
const ORDINARY_CONNECTION = /^(?:keep-alive|close)$/i;

export function respond(status, headers, body) {
  const parts = headers.split("\n");
  const all = new Headers();
  for (let i = 0; i + 1 < parts.length; i += 2) all.append(parts[i], parts[i + 1]);
  return new Response(body, { status, headers: all });
}

// Sends the request on. `service` is a binding's name or empty; `plan` holds, in this order: URL, key id, subject,
// scopes, client address, host, scheme, Authorization, Access-Control-Allow-Origin, Signature-Input, Signature,
// Content-Digest; then the names of the headers that hold credentials. An empty part means: do not send that header; but without a
// signature the last three are the client's own.
export function forward(request, env, service, plan, keepAuthorization, noStore) {
  const [url, id, subject, scopes, ip, host, scheme, authorization, cors, input, signature, digest, ...drop] =
    plan.split("\n");
  const headers = new Headers(request.headers);
  for (const name of drop) headers.delete(name);
  const names = doubtful(headers);
  // Back into wasm only where there is something to decide on.
  if (names !== "") {
    for (const name of dropped(request.method, names).split("\n")) if (name !== "") headers.delete(name);
  }
  // What the client sent under these names is gone by now.
  if (id !== "") headers.set("x-keygate-key-id", id);
  if (subject !== "") headers.set("x-keygate-subject", subject);
  if (scopes !== "") headers.set("x-keygate-scopes", scopes);
  put(headers, "x-forwarded-for", ip);
  headers.set("x-forwarded-host", host);
  headers.set("x-forwarded-proto", scheme);
  if (!keepAuthorization) put(headers, "authorization", authorization);
  if (signature !== "") {
    headers.set("signature-input", input);
    headers.set("signature", signature);
    put(headers, "content-digest", digest);
  }
  const { method, body } = request;
  const init = { headers, redirect: "manual" };
  if (noStore) init.cache = "no-store";
  let target = url;
  if (body !== null && (method === "GET" || method === "HEAD")) {
    // Allowed in HTTP, but not in an init: such a request can only be made from another.
    target = new Request(url, request);
  } else {
    init.method = method;
    init.body = body;
  }

  return new Promise((resolve, reject) => {
    const fail = (reason) => {
      try {
        resolve(originFailed(request, id + "\n" + subject + "\n" + reason));
      } catch (error) {
        // The instance that made this promise is gone.
        reject(error);
      }
    };
    const timer = setTimeout(fail, originTimeoutMs, "");
    const settle = (response) => {
      clearTimeout(timer);
      resolve(cors === "" ? response : withCors(response, cors));
    };
    const refuse = (error) => {
      clearTimeout(timer);
      fail(String(error).replaceAll("\n", " "));
    };
    try {
      (service === "" ? fetch(target, init) : env[service].fetch(target, init)).then(settle, refuse);
    } catch (error) {
      refuse(error);
    }
  });
}

function put(headers, name, value) {
  if (value === "") headers.delete(name);
  else headers.set(name, value);
}

// An origin that sets its own CORS headers keeps them; a WebSocket or an unusual status cannot be rebuilt.
function withCors(response, allowOrigin) {
  const rebuildable = response.webSocket === null && response.status >= 200 && response.status <= 599;
  if (!rebuildable || response.headers.has("access-control-allow-origin")) return response;
  const answer = new Response(response.body, response);
  answer.headers.set("access-control-allow-origin", allowOrigin);
  answer.headers.append("vary", "Origin");
  return answer;
}

// The plain values among the bindings, as JSON; `secrets` are left out, and so is every binding that is an object of
// the platform's.
export function variables(env, secrets) {
  const hidden = new Set(secrets.split("\n"));
  const plain = Object.entries(env).filter(([name, value]) => !hidden.has(name) && isPlain(value));
  return JSON.stringify(Object.fromEntries(plain));
}

function isPlain(value) {
  if (typeof value !== "object" || value === null) return typeof value !== "function" && value !== undefined;
  if (Array.isArray(value)) return true;
  // The local simulation of some bindings is an object literal with methods.
  const isLiteral = Object.getPrototypeOf(value) === Object.prototype;
  return isLiteral && !Object.values(value).some((member) => typeof member === "function");
}

// A secret's text; undefined where it is not set, or is an object such as a Secrets Store binding.
export function text(env, name) {
  const value = env[name];
  return typeof value === "string" ? value : undefined;
}

// A secret's text from a Secrets Store binding.
export function textFromStore(env, name) {
  return env[name].get();
}

// The entry `name`: its text, null where there is none, or undefined if KV did not answer in time.
export function readKv(env, binding, name, cacheTtl, timeoutMs) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, timeoutMs);
    const settle = (finish) => (value) => {
      clearTimeout(timer);
      finish(value);
    };
    env[binding].get(name, { cacheTtl }).then(settle(resolve), settle(reject));
  });
}

// Whether one more request of `counted` is within the limit.
export function withinLimit(env, limiter, counted) {
  return env[limiter].limit({ key: counted }).then((outcome) => outcome.success === true);
}

// The URL as `fetch` writes it, which encodes characters that a request's own URL may hold, such as `{` and `'`.
export function written(url) {
  try {
    return new URL(url).href;
  } catch {
    return undefined;
  }
}

export function fillRandom(bytes) {
  crypto.getRandomValues(bytes);
}

export function header(request, name) {
  return request.headers.get(name) ?? undefined;
}

// Whether a binding is there and has the method that the gate calls.
export function can(env, name, method) {
  return typeof env[name]?.[method] === "function";
}

export function has(env, name) {
  return env[name] !== undefined && env[name] !== null;
}

export function usage(env, parts) {
  const [id, ...blobs] = parts.split("\n");
  env.USAGE.writeDataPoint({ indexes: [id], blobs, doubles: [1] });
}

// Marks a promise that only a living wasm instance can settle; the entry module gives it up when that one dies.
export function mortal(promise) {
  promise.mortal = true;
  return promise;
}

export function now() {
  return new Date().toISOString();
}

export function log(line) {
  console.log(line);
}
