// The gate's hands: what has to be done on the JavaScript side, in as few crossings as the job allows. Nothing here
// decides.
//
// wasm is asked, and asked again: `judge` answers a request at once or says what it has to know first, and is then asked
// from the start with what the store said. So nothing waits inside of wasm, and a request in flight outlives the instance.

import { guarded } from "./instance.js";
import { judge, misconfigured, originFailed, start } from "./keygate.js";

// The request that wasm is being asked about: set before each call, which ends before another begins.
let request;
// Its headers, and the moment that it is judged at, in milliseconds since 1970.
let received;
let nowMs;
let env;
let said;
let url;
let clientIp;
// Names the request in its answer and in the log; made when it is needed.
let requestId;
let answer;

// What is asked of every request, as the policy says.
let headerNamesThatDecide = [];
let readsOrigin = true;
let originTimeoutMs;
let base = "";

// What a store said. The numbers are those of lookup.rs.
const NOTHING = { kv: 0, limiter: 0 };
const FOUND = 1;
const ABSENT = 2;
const FAILED = 3;
const TIMED_OUT = 4;
const WITHIN = 1;
const EXCEEDED = 2;
const LIMITER_FAILED = 3;

// Answers a request with a Response, or with a promise of one.
export function answerTo(of, bindings, known = NOTHING) {
  const text = read(of, bindings, known);
  if (judge(text, nowMs, known.kv, known.entry, known.limiter, known.error)) return answer;
  return open(of, bindings, () => answerTo(of, bindings, known));
}

// Method, URL and the headers that decide, separated by line feeds, which none of them can hold; an absent header is an
// empty part.
function read(of, bindings, known) {
  request = of;
  env = bindings;
  said = known;
  answer = undefined;
  requestId = undefined;
  nowMs = Date.now();
  url = of.url;
  received = of.headers;
  const { method } = of;
  const isOptions = method === "OPTIONS";
  clientIp = received.get("cf-connecting-ip");
  const origin = (readsOrigin || isOptions) && received.get("origin");
  const preflight = isOptions && received.get("access-control-request-method");
  let text =
    method + "\n" + url + "\n" + (clientIp ?? "") + "\n" + (origin || "") + "\n" + (preflight || "") + "\n" +
    (received.get("authorization") ?? "");
  for (const name of headerNamesThatDecide) text += "\n" + (received.get(name) ?? "");
  return text;
}

const PEPPERS = ["PEPPER", "PEPPER_PREVIOUS"];

// Has wasm read what is configured, then asks again. A pepper from a Secrets Store has to be awaited.
function open(of, bindings, again) {
  const peppers = PEPPERS.map((name) => bindings[name]);
  if (!peppers.some(isObject)) {
    start(...peppers.map(textOf));
    return again();
  }
  const texts = PEPPERS.map((name, i) => (isObject(peppers[i]) ? fromStore(peppers[i], name) : textOf(peppers[i])));
  return Promise.all(texts).then(
    (texts) =>
      guarded(() => {
        env = bindings;
        start(...texts);
        return again();
      }),
    (error) =>
      guarded(() => {
        misconfigured(read(of, bindings, NOTHING), nowMs, error.message);
        return answer;
      }),
  );
}

const isObject = (value) => typeof value === "object" && value !== null;
const textOf = (value) => (typeof value === "string" ? value : undefined);

async function fromStore(secret, name) {
  try {
    return textOf(await secret.get());
  } catch (error) {
    throw new Error(`the Secrets Store binding ${name} failed: ${error}`);
  }
}

// What the policy says about reading and forwarding.
export function configure(names, asksOrigin, timeoutMs) {
  headerNamesThatDecide = names.split("\n");
  readsOrigin = asksOrigin;
  originTimeoutMs = timeoutMs;
}

// What only the log needs: the request's id, the moment, and the client's name for itself.
export function describe() {
  return idOfRequest() + "\n" + time() + "\n" + (received.get("user-agent") ?? "");
}

// The moment as RFC 3339 writes it. All but the milliseconds is written once a second.
let second;
let untilMillis;

function time() {
  const millis = nowMs % 1000;
  if (nowMs - millis !== second) {
    second = nowMs - millis;
    untilMillis = new Date(second).toISOString().slice(0, -4);
  }
  return untilMillis + String(millis).padStart(3, "0") + "Z";
}

function idOfRequest() {
  if (requestId === undefined) {
    const ray = received.get("cf-ray");
    requestId = ray !== null && /^[0-9A-Za-z-]{1,48}$/.test(ray) ? ray : crypto.randomUUID();
  }
  return requestId;
}

// The gate's own answers, by their kind: each is made once, for its Headers are copied faster than they are read from text.
const answers = [];

// `headers` holds names and values in turn; the request's id stands between the two parts of the body.
export function define(kind, status, headers, before, after) {
  answers[kind] = { init: { status, headers: headersFrom(headers) }, before, after };
}

export function respond(kind) {
  const { init, before, after } = answers[kind];
  answer = new Response(before + idOfRequest() + after, init);
}

export function respondToPreflight(headers) {
  answer = new Response(null, { status: 204, headers: headersFrom(headers) });
}

function headersFrom(text) {
  const parts = text.split("\n");
  const headers = new Headers();
  for (let i = 0; i + 1 < parts.length; i += 2) headers.append(parts[i], parts[i + 1]);
  return headers;
}

// Asks KV for the entry `name`, then wasm again.
export function lookUp(name, cacheTtl, timeoutMs) {
  const [of, bindings, known] = [request, env, said];
  const again = (kv, entry) => answerTo(of, bindings, { ...known, kv, entry });
  answer = inTime(
    timeoutMs,
    () => bindings.KEYS.get(name, { cacheTtl }),
    (entry) => (entry === null ? again(ABSENT) : again(FOUND, entry)),
    (error) => (error === undefined ? again(TIMED_OUT) : again(FAILED, error)),
  );
}

// What becomes of what is asked for: `answered` is called with the answer, or `failed` with the error's text, which is
// undefined when the time is over; whichever comes first, and once. Should that call itself go wrong, the answer is a 503.
function inTime(timeoutMs, ask, answered, failed) {
  return new Promise((resolve) => {
    let isOpen = true;
    const settle = (then, value) => {
      if (!isOpen) return;
      isOpen = false;
      resolve(guarded(then, value));
    };
    // Ends with the request, so there is nothing to clear. Not `scheduler.wait`: its promise is most of what it costs.
    setTimeout(settle, timeoutMs, failed);
    const refuse = (error) => settle(failed, String(error));
    try {
      ask().then((value) => settle(answered, value), refuse);
    } catch (error) {
      refuse(error);
    }
  });
}

// Asks the limiter whether one more request of `counted` is within the limit, then wasm again.
export function askLimiter(limiter, counted) {
  const [of, bindings, known] = [request, env, said];
  const again = (limiter, error) => guarded(() => answerTo(of, bindings, { ...known, limiter, error }));
  try {
    answer = bindings[limiter].limit({ key: counted }).then(
      (outcome) => again(outcome.success === true ? WITHIN : EXCEEDED),
      (error) => again(LIMITER_FAILED, String(error)),
    );
  } catch (error) {
    answer = Promise.resolve(String(error)).then((error) => again(LIMITER_FAILED, error));
  }
}

// Whom the origin is told of; wasm keeps it with the record.
export function holder(id, subject, scopes) {
  return { id, subject, scopes };
}

// What stands before the path of every URL that is forwarded without a plan of its own; empty: what stood there.
export function setBase(text) {
  base = text;
}

const KEEP_AUTHORIZATION = 1;
const NO_STORE = 2;
const KNOWN_CLIENT = 4;
const VARIES = 8;
const NO_BODY = 16;

// Sends the request on. `service` is a binding's name, if the origin is behind one; `stripped` holds the names of the headers
// that stay here, one a line; what comes back lasts `maxSecs` at most, if that is not 0. `plan` is there for what is out of the
// ordinary; it holds, in this order: URL, host, scheme, Authorization, Access-Control-Allow-Origin, Signature-Input,
// Signature, Content-Digest. An empty part means: do not send that header; but without a signature the last three are the
// client's own.
export function forward(service, of, flags, maxSecs, stripped, pathAt, plan) {
  const [sent, bindings, id] = [request, env, requestId];
  const { method } = sent;
  const body = (flags & NO_BODY) === 0 ? sent.body : null;
  const headers = new Headers(received);
  if (stripped !== "") for (const name of stripped.split("\n")) headers.delete(name);
  // What the client sent under these names is gone by now.
  if (of !== undefined) {
    headers.set("x-keygate-key-id", of.id);
    headers.set("x-keygate-subject", of.subject);
    if (of.scopes !== "") headers.set("x-keygate-scopes", of.scopes);
  }
  put(headers, "x-forwarded-for", (flags & KNOWN_CLIENT) === 0 ? "" : clientIp);

  let target, host, scheme, authorization, cors, input, signature, digest;
  if (plan === undefined) {
    scheme = url.slice(0, url.indexOf(":"));
    host = url.slice(scheme.length + 3, pathAt);
    target = base === "" ? url : base + url.slice(pathAt);
    authorization = cors = signature = "";
  } else {
    [target, host, scheme, authorization, cors, input, signature, digest] = plan.split("\n");
  }
  headers.set("x-forwarded-host", host);
  headers.set("x-forwarded-proto", scheme);
  if ((flags & KEEP_AUTHORIZATION) === 0) put(headers, "authorization", authorization);
  if (signature !== "") {
    headers.set("signature-input", input);
    headers.set("signature", signature);
    put(headers, "content-digest", digest);
  }
  const init = { headers, redirect: "manual" };
  if ((flags & NO_STORE) !== 0) init.cache = "no-store";
  if (body !== null && (method === "GET" || method === "HEAD")) {
    // Allowed in HTTP, but not in an init: such a request can only be made from another.
    target = new Request(target, sent);
  } else {
    init.method = method;
    init.body = body;
  }

  answer = inTime(
    originTimeoutMs,
    () => (service === undefined ? fetch(target, init) : bindings[service].fetch(target, init)),
    (response) => {
      const answer = maxSecs === 0 ? response : endedAfter(maxSecs * 1000, response);
      return cors === "" && (flags & VARIES) === 0 ? answer : withCors(answer, cors);
    },
    // Some messages quote the URL, and with it the query.
    (error = "") => failed(sent, bindings, id, of, error.replace(/\w+:\/\/\S*/g, "[URL]")),
  );
}

// The answer for an origin that failed for this reason; an empty one is a timeout.
function failed(of, bindings, id, to, reason) {
  const text = read(of, bindings, NOTHING);
  // The one that its line in the log has, if it was logged when it was let through.
  requestId = id;
  if (originFailed(text, nowMs, to?.id, to?.subject, reason)) return answer;
  return open(of, bindings, () => failed(of, bindings, id, to, reason));
}

// The response, whose web socket or body ends after `ms`. A body of stated length ends by itself.
function endedAfter(ms, response) {
  if (response.webSocket !== null) return relayed(ms, response);
  if (response.body === null || response.headers.has("content-length") || !isRebuildable(response)) return response;
  const { readable, writable } = new IdentityTransformStream();
  // Event streams are made to be begun again; of any other body the client has to see that it is not whole.
  const isEvents = /^text\/event-stream\b/i.test(response.headers.get("content-type") ?? "");
  const end = () => (isEvents ? writable.close() : undefined);
  response.body.pipeTo(writable, { signal: AbortSignal.timeout(ms), preventAbort: isEvents }).catch(end).catch(() => {});
  return new Response(readable, response);
}

// The runtime's own passing on of a web socket cannot be ended, so the messages are passed on here.
function relayed(ms, response) {
  const origin = response.webSocket;
  const { 0: client, 1: gate } = new WebSocketPair();
  origin.binaryType = gate.binaryType = "arraybuffer";
  const close = (socket, code, reason) => {
    try {
      // 1005 and 1006 stand for "no code" and "no close frame" (RFC 6455, section 7.4.1), and cannot be sent.
      if (code === 1005 || code === 1006) socket.close();
      else socket.close(code, reason);
    } catch {
      // It is closed.
    }
  };
  const timer = setTimeout(() => {
    for (const socket of [gate, origin]) close(socket, 1013, "MAX_CONNECTION_SECONDS is over; connect again");
  }, ms);
  const pass = (from, to) => {
    from.addEventListener("message", ({ data }) => {
      try {
        to.send(data);
      } catch {
        close(from, 1011);
      }
    });
    from.addEventListener("close", ({ code, reason }) => {
      clearTimeout(timer);
      close(to, code, reason);
    });
    from.addEventListener("error", () => close(to, 1011));
  };
  pass(origin, gate);
  pass(gate, origin);
  origin.accept();
  gate.accept();
  return new Response(null, { status: 101, headers: response.headers, webSocket: client });
}

const isRebuildable = ({ status }) => status >= 200 && status <= 599;

function put(headers, name, value) {
  if (value === "") headers.delete(name);
  else headers.set(name, value);
}

// An origin that sets its own CORS headers keeps them; a WebSocket or an unusual status cannot be rebuilt. An answer that a
// shared cache may keep says that others differ by `Origin`, though this one is for none that is allowed.
function withCors(response, allowOrigin) {
  if (response.webSocket !== null || !isRebuildable(response)) return response;
  if (response.headers.has("access-control-allow-origin")) return response;
  const answer = new Response(response.body, response);
  if (allowOrigin !== "") answer.headers.set("access-control-allow-origin", allowOrigin);
  answer.headers.append("vary", "Origin");
  return answer;
}

// The plain values among the bindings, as JSON; `secrets` are left out, and so is every binding that is an object of
// the platform's.
export function variables(secrets) {
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

// A secret's text; undefined where it is not set, or is no text.
export function text(name) {
  return textOf(env[name]);
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

export function header(name) {
  return received.get(name) ?? undefined;
}

export function headerNames() {
  return Array.from(received.keys()).join("\n");
}

// Whether a binding is there and has the method that the gate calls.
export function can(name, method) {
  return typeof env[name]?.[method] === "function";
}

export function has(name) {
  return env[name] !== undefined && env[name] !== null;
}

export function usage(parts) {
  const [id, ...blobs] = parts.split("\n");
  env.USAGE.writeDataPoint({ indexes: [id], blobs, doubles: [1] });
}

export function now() {
  return new Date().toISOString();
}

export function log(line) {
  console.log(line);
}
