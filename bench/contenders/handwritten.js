// The gate's job, written by hand in JavaScript, as well as we can: tag and digest by HMAC with WebCrypto under keys
// that are imported once, the record cached in the isolate with its digest decoded, routes compiled once, the same
// headers stripped and set, the same refusals. Bindings and variables are the gate's own.

import { written } from "../time.js";

const encoder = new TextEncoder();
let gate; // what is configured, read at the first request
const records = new Map();

export default {
  fetch(request, env) {
    if (gate !== undefined) return handle(request, env);
    return start(env).then(() => handle(request, env));
  },
};

async function start(env) {
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const importKey = (bytes) => crypto.subtle.importKey("raw", bytes, hmac, false, ["sign"]);
  const root = await importKey(encoder.encode(env.PEPPER.trim()));
  const derive = async (label) => importKey(await crypto.subtle.sign("HMAC", root, encoder.encode(label)));
  const label = encoder.encode("keygate/v1/pepper-id\0" + env.PEPPER.trim());
  const pepperHash = new Uint8Array(await crypto.subtle.digest("SHA-256", label));
  gate = {
    origin: env.ORIGIN,
    tagKey: await derive("keygate/v1/tag"),
    digestKey: await derive("keygate/v1/digest"),
    digestStart: `hs256.${pepperHash.slice(0, 4).toHex()}.`,
    keyForm: new RegExp(`^${env.KEY_PREFIX}_[0-9A-Za-z]{50}$`),
    idAt: env.KEY_PREFIX.length + 1,
    denied: new Set((env.DENIED_IDS ?? "").split(/[\s,]+/)),
    routes: (env.ROUTES ?? []).map(compileRoute),
    cacheMs: env.CACHE_SECONDS * 1000,
    cacheEntries: env.CACHE_ENTRIES,
    usage: env.USAGE,
    logsPerMinute: env.REJECTION_LOGS_PER_MINUTE,
  };
}

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const ALLOW = [...METHODS].join(", ");

// A last `*` takes the rest; one trailing slash of a request does not matter. An exact path and a prefix need no regular
// expression.
function compileRoute({ path, access = "key", methods, scopes = [], subjects = [] }) {
  const below = path.endsWith("/*") ? path.slice(0, -1) : undefined;
  const exact = below === undefined ? path : below.slice(0, -1);
  if (path.slice(0, -1).includes("*")) throw new TypeError("a `*` inside a pattern is more than this bench needs");
  const refusal = scopeMissing(scopes);
  return { exact, below, access, scopes, subjects, scopeMissing: refusal, methods: methods && new Set(methods) };
}

function findRoute(path, method) {
  const bare = path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
  let pathMatched = false;
  for (const route of gate.routes) {
    if (bare !== route.exact && !(route.below !== undefined && path.startsWith(route.below))) continue;
    if (route.methods === undefined || route.methods.has(method === "HEAD" ? "GET" : method)) return route;
    pathMatched = true;
  }
  return pathMatched ? null : undefined;
}

// What a path holds that may have another reading: then it is looked at in full.
const UNUSUAL_PATH = /[^!$&-.0-9:=@A-Z_a-z~/]|\/\/|\/\.\.?(?:\/|$)/;
const BEARER = /^bearer /i;
const LOOPBACK = /^http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?\//;
// Header names that an origin could take for the gate's, and those for one hop only.
const DOUBTFUL =
  /[^0-9a-z-]|^x-keygate-|^(?:connection|forwarded|keep-alive|proxy-authorization|proxy-connection|te|trailer|upgrade)$/;
const HOP_BY_HOP = new Set(["forwarded", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer"]);

async function handle(request, env) {
  const url = request.url;
  if (!url.startsWith("https://") && !LOOPBACK.test(url)) return refuse(request, HTTPS_REQUIRED);
  const method = request.method;
  if (!METHODS.has(method)) return refuse(request, METHOD_NOT_ALLOWED);
  const pathAt = url.indexOf("/", 8);
  const queryAt = url.indexOf("?", pathAt);
  const path = queryAt < 0 ? url.slice(pathAt) : url.slice(pathAt, queryAt);
  if (UNUSUAL_PATH.test(path)) return refuse(request, PATH_AMBIGUOUS);
  const route = findRoute(path, method);
  if (route === null) return refuse(request, METHOD_NOT_ALLOWED);
  if (route?.access === "deny") return refuse(request, ROUTE_DENIED);
  if (route?.access === "public") return forward(request, url.slice(pathAt), undefined, true);

  const inHeaders = request.headers;
  const authorization = inHeaders.get("authorization");
  const apiKey = inHeaders.get("x-api-key");
  let key = apiKey;
  // An Authorization of another scheme belongs to the origin.
  const isBearer = authorization !== null && BEARER.test(authorization);
  if (isBearer) {
    key = authorization.slice(7);
    if (apiKey !== null && apiKey !== key) return refuse(request, CREDENTIAL_AMBIGUOUS);
  }
  if (!key) return refuse(request, CREDENTIAL_MISSING);
  if (!gate.keyForm.test(key)) return refuse(request, KEY_INVALID, "another shape");

  const bytes = encoder.encode(key);
  const tag = await crypto.subtle.sign("HMAC", gate.tagKey, bytes.subarray(0, -8));
  if (!isTag(bytes, new DataView(tag))) return refuse(request, KEY_INVALID, "the tag does not match");

  const id = key.substr(gate.idAt, 12);
  let record = records.get(id);
  const now = Date.now();
  if (record === undefined || now >= record.freshUntil) {
    try {
      record = await readRecord(env, id);
    } catch (error) {
      return refuse(request, KEY_STORE_UNAVAILABLE, String(error), id);
    }
    if (record === undefined) return refuse(request, KEY_INVALID, "unknown id", id);
  }
  const digest = await crypto.subtle.sign("HMAC", gate.digestKey, bytes);
  if (!crypto.subtle.timingSafeEqual(digest, record.digest)) return refuse(request, KEY_INVALID, "wrong digest", id);

  const { subject } = record;
  if (gate.denied.has(id) || record.state === "revoked") return refuse(request, KEY_REVOKED, "", id, subject);
  if (record.state !== "active") return refuse(request, KEY_DISABLED, "", id, subject);
  const seconds = now / 1000;
  if (record.not_after !== null && seconds >= record.not_after) return refuse(request, KEY_EXPIRED, "", id, subject);
  if (record.not_before !== null && seconds < record.not_before) return refuse(request, KEY_TOO_NEW, "", id, subject);
  if (route !== undefined) {
    if (route.subjects.length > 0 && !route.subjects.includes(subject)) {
      return refuse(request, SUBJECT_NOT_ALLOWED, "", id, subject);
    }
    for (const scope of route.scopes) {
      if (!record.scopes.includes(scope)) return refuse(request, route.scopeMissing, scope, id, subject);
    }
  }
  return forward(request, url.slice(pathAt), record, isBearer);
}

// The tag is 64 bits of the MAC modulo 62^8, in base62; its last digit comes first. The long division by 62 is done in
// two halves, each within what a double holds exactly.
function isTag(key, mac) {
  let high = mac.getUint32(0);
  let low = mac.getUint32(4);
  let different = 0;
  for (let at = key.length - 1; at >= key.length - 8; at--) {
    const rest = (high % 62) * 4294967296 + low;
    high = Math.floor(high / 62);
    low = Math.floor(rest / 62);
    const digit = rest % 62;
    different |= key[at] ^ (digit + (digit < 10 ? 48 : digit < 36 ? 55 : 61));
  }
  return different === 0;
}

async function readRecord(env, id) {
  const entry = await inTime(env.KEYS.get("key/" + id, { type: "json", cacheTtl: 30 }));
  if (entry === null) return undefined;
  if (entry.v !== 1 || entry.id !== id || !entry.digest.startsWith(gate.digestStart)) throw new TypeError("bad record");
  const record = {
    id,
    subject: entry.subject,
    digest: Uint8Array.fromBase64(entry.digest.slice(gate.digestStart.length), { alphabet: "base64url" }),
    state: entry.state,
    not_after: entry.not_after ?? null,
    not_before: entry.not_before ?? null,
    scopes: entry.scopes ?? [],
    scopesHeader: (entry.scopes ?? []).join(" "),
    freshUntil: Date.now() + gate.cacheMs,
  };
  if (gate.cacheMs > 0) {
    records.delete(id);
    records.set(id, record);
    if (records.size > gate.cacheEntries) records.delete(records.keys().next().value);
  }
  return record;
}

const KV_TIMEOUT_MS = 2000;

function inTime(answer) {
  return new Promise((resolve, reject) => {
    // Ends with the request, so there is nothing to clear.
    setTimeout(() => reject(new Error("KV did not answer in time")), KV_TIMEOUT_MS);
    answer.then(resolve, reject);
  });
}

const ORIGIN_TIMEOUT_MS = 100_000;

function forward(request, target, record, stripAuthorization) {
  const inHeaders = request.headers;
  const headers = new Headers(inHeaders);
  for (const name of inHeaders.keys()) {
    if (DOUBTFUL.test(name)) dropDoubtful(headers, name);
  }
  if (stripAuthorization) headers.delete("authorization");
  headers.delete("x-api-key");
  if (record !== undefined) {
    headers.set("x-keygate-key-id", record.id);
    headers.set("x-keygate-subject", record.subject);
    if (record.scopesHeader !== "") headers.set("x-keygate-scopes", record.scopesHeader);
    gate.usage?.writeDataPoint({ indexes: [record.id], blobs: [record.subject, request.method], doubles: [1] });
  }
  const ip = inHeaders.get("cf-connecting-ip");
  if (ip !== null) headers.set("x-forwarded-for", ip);
  else headers.delete("x-forwarded-for");
  const url = request.url;
  const schemeEnd = url.indexOf(":");
  headers.set("x-forwarded-host", url.slice(schemeEnd + 3, url.indexOf("/", schemeEnd + 3)));
  headers.set("x-forwarded-proto", url.slice(0, schemeEnd));
  const init = { method: request.method, headers, body: request.body, redirect: "manual" };
  if (record !== undefined) init.cache = "no-store";

  return new Promise((resolve) => {
    let isOpen = true;
    const settle = (answer) => {
      if (isOpen) resolve(answer());
      isOpen = false;
    };
    setTimeout(settle, ORIGIN_TIMEOUT_MS, () => refuse(request, ORIGIN_TIMEOUT));
    fetch(gate.origin + target, init).then(
      (response) => settle(() => response),
      (error) => settle(() => refuse(request, ORIGIN_UNREACHABLE, String(error))),
    );
  });
}

function dropDoubtful(headers, name) {
  if (name === "connection") return;
  if (name === "upgrade") {
    if (headers.get(name)?.toLowerCase() !== "websocket") headers.delete(name);
    return;
  }
  const plain = name.replaceAll(/[^0-9a-z]/g, "-");
  if (plain.startsWith("x-keygate-") || plain === "x-api-key" || HOP_BY_HOP.has(name)) headers.delete(name);
}

function refusal(status, code, title, detail, headers = {}) {
  const type = "urn:problem-type:keygate:" + code;
  const problem = { type, title, status, detail, code, request_id: "" };
  if (status === 401) problem.error = "Unauthorized access";
  // The request's id is all that differs from answer to answer.
  const [before, after] = JSON.stringify(problem).split('"request_id":""');
  const all = {
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...headers,
  };
  // Made once: the runtime copies it faster than it reads an object.
  return { status, code, headers: new Headers(all), before: before + '"request_id":"', after: '"' + after };
}

const BAD_TOKEN = { "www-authenticate": 'Bearer realm="api", error="invalid_token"' };
const RETRY = { "retry-after": "5" };
const CREDENTIAL_MISSING = refusal(
  401,
  "credential_missing",
  "No API key",
  "Send an API key, for example as `Authorization: Bearer <key>`.",
  { "www-authenticate": 'Bearer realm="api"' },
);
const CREDENTIAL_AMBIGUOUS = refusal(
  400,
  "credential_ambiguous",
  "More than one credential",
  "Send exactly one API key, once.",
);
const KEY_INVALID = refusal(
  401,
  "key_invalid",
  "API key not valid",
  "The API key is not valid here. Check that it was copied whole and belongs to this environment.",
  BAD_TOKEN,
);
const KEY_EXPIRED = refusal(401, "key_expired", "API key expired", "Ask for a new one.", BAD_TOKEN);
const KEY_TOO_NEW = refusal(401, "key_not_yet_valid", "API key not valid yet", "Try again later.", BAD_TOKEN);
const KEY_DISABLED = refusal(401, "key_disabled", "API key disabled", "Ask whoever issued it.", BAD_TOKEN);
const KEY_REVOKED = refusal(401, "key_revoked", "API key revoked", "Ask for a new one.", BAD_TOKEN);
const scopeMissing = (scopes) =>
  refusal(403, "scope_missing", "Scope missing", "The API key lacks a scope that this resource needs.", {
    "www-authenticate": `Bearer realm="api", error="insufficient_scope", scope="${scopes.join(" ")}"`,
  });
const SUBJECT_NOT_ALLOWED = refusal(403, "subject_not_allowed", "Holder not allowed", "This resource is not for you.");
const ROUTE_DENIED = refusal(403, "route_denied", "Closed", "This resource is closed to everybody.");
const HTTPS_REQUIRED = refusal(403, "https_required", "HTTPS required", "Use https.");
const PATH_AMBIGUOUS = refusal(
  400,
  "path_ambiguous",
  "Ambiguous path",
  "The path has more than one reading. Send it in canonical form.",
);
const METHOD_NOT_ALLOWED = refusal(
  405,
  "method_not_allowed",
  "Method not allowed",
  "The methods that are allowed here stand in the Allow header.",
  { allow: ALLOW },
);
const KEY_STORE_UNAVAILABLE = refusal(503, "key_store_unavailable", "Key store unavailable", "Try again.", RETRY);
const ORIGIN_UNREACHABLE = refusal(502, "origin_unreachable", "Origin unreachable", "Try again.");
const ORIGIN_TIMEOUT = refusal(504, "origin_timeout", "Origin too slow", "Try again.");

// A flood of refusals must not become a flood of lines.
let minuteEnd = 0;
let logged = 0;
let suppressed = 0;

function mayLog(now) {
  if (now >= minuteEnd) {
    if (suppressed > 0) console.log(JSON.stringify({ time: written(now), event: "suppressed", suppressed }));
    minuteEnd = now + 60_000;
    logged = suppressed = 0;
  }
  if (logged >= gate.logsPerMinute) {
    suppressed++;
    return false;
  }
  logged++;
  return true;
}

function refuse(request, kind, reason = "", keyId = undefined, subject = undefined) {
  const headers = request.headers;
  const requestId = headers.get("cf-ray") ?? crypto.randomUUID();
  const now = Date.now();
  if (mayLog(now)) {
    const url = request.url;
    const pathAt = url.indexOf("/", 8);
    const queryAt = url.indexOf("?", pathAt);
    const line = {
      time: written(now),
      level: "warn",
      event: "refused",
      code: kind.code,
      reason,
      status: kind.status,
      request_id: requestId,
      key_id: keyId,
      subject,
      method: request.method,
      path: (queryAt < 0 ? url.slice(pathAt) : url.slice(pathAt, queryAt)).slice(0, 512),
      client_ip: headers.get("cf-connecting-ip") ?? undefined,
      user_agent: headers.get("user-agent")?.slice(0, 256),
    };
    console.log(JSON.stringify(line));
  }
  return new Response(kind.before + requestId + kind.after, { status: kind.status, headers: kind.headers });
}
