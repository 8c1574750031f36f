// The gate's job, written by hand in JavaScript as a competent developer would write it: tag and digest by HMAC with WebCrypto
// under keys that are imported once, the record cached in the isolate, routes compiled once, and the same headers stripped and
// set, the same refusals and the same log lines as the gate's. Bindings and variables are the gate's own. Left out is what the
// bench does not configure: IP rules, plans, CORS, signing, and methods that a header or the query names.

import { forward } from "./lib/forward.js";
import { inTime } from "./lib/in_time.js";
import { CREDENTIAL_MISSING, KEY_INVALID, KEY_STORE_UNAVAILABLE, refusal, refuse } from "./lib/refuse.js";

const encoder = new TextEncoder();
let gate; // what is configured, read at the first request
const records = new Map();

export default { fetch: handle };

async function start(env) {
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const importKey = (bytes) => crypto.subtle.importKey("raw", bytes, hmac, false, ["sign"]);
  const root = await importKey(encoder.encode(env.PEPPER.trim()));
  const derive = async (label) => importKey(await crypto.subtle.sign("HMAC", root, encoder.encode(label)));
  const label = encoder.encode("keygate/v1/pepper-id\0" + env.PEPPER.trim());
  const pepperHash = new Uint8Array(await crypto.subtle.digest("SHA-256", label));
  return {
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
  };
}

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const ALLOW = [...METHODS].join(", ");

// A final `*` matches the rest; a trailing slash of the request is ignored.
function compileRoute({ path, access = "key", methods, scopes = [], subjects = [] }) {
  const below = path.endsWith("/*") ? path.slice(0, -1) : undefined;
  const exact = below === undefined ? path : below.slice(0, -1);
  return { exact, below, access, scopes, subjects, scopeMissing: scopeMissing(scopes), methods: methods && new Set(methods) };
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

// A path with one of these may have more than one reading.
const UNUSUAL_PATH = /[^!$&-.0-9:=@A-Z_a-z~/]|\/\/|\/\.\.?(?:\/|$)/;
const BEARER = /^bearer /i;
const LOOPBACK = /^http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?\//;

async function handle(request, env) {
  gate ??= await start(env);
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
  if (route?.access === "public") return forward(request, gate.origin, undefined, true);

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
  return forward(request, gate.origin, record, isBearer);
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

const KV_TIMEOUT_MS = 2000;

async function readRecord(env, id) {
  const entry = await inTime(env.KEYS.get("key/" + id, { type: "json", cacheTtl: 30 }), KV_TIMEOUT_MS);
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
    freshUntil: Date.now() + gate.cacheMs,
  };
  if (gate.cacheMs > 0) {
    records.delete(id);
    records.set(id, record);
    if (records.size > gate.cacheEntries) records.delete(records.keys().next().value);
  }
  return record;
}

const BAD_TOKEN = { "www-authenticate": 'Bearer realm="api", error="invalid_token"' };
const noLogin = (code, title, detail) => refusal(401, "authn_login_fail", code, title, detail, BAD_TOKEN);
const KEY_EXPIRED = noLogin("key_expired", "API key expired", "The API key has expired. Ask for a new one.");
const KEY_TOO_NEW = noLogin("key_not_yet_valid", "API key not valid yet", "Try again later.");
const KEY_DISABLED = noLogin("key_disabled", "API key disabled", "The API key is disabled. Ask its issuer.");
const KEY_REVOKED = noLogin("key_revoked", "API key revoked", "Ask for a new one.");

const forbidden = (code, title, detail, headers) => refusal(403, "authz_fail", code, title, detail, headers);
const scopeMissing = (scopes) =>
  forbidden("scope_missing", "Scope missing", "The API key lacks a scope that this resource needs.", {
    "www-authenticate": `Bearer realm="api", error="insufficient_scope", scope="${scopes.join(" ")}"`,
  });
const SUBJECT_NOT_ALLOWED = forbidden("subject_not_allowed", "Holder not allowed", "This resource is not for you.");
const ROUTE_DENIED = forbidden("route_denied", "Route denied", "No API key gives access to this resource.");
const HTTPS_REQUIRED = forbidden("https_required", "HTTPS required", "Use https.");

const unclear = (status, code, title, detail, headers) =>
  refusal(status, "input_validation_fail", code, title, detail, headers);
const CREDENTIAL_AMBIGUOUS = unclear(
  400,
  "credential_ambiguous",
  "More than one credential",
  "Send exactly one API key, once.",
);
const PATH_AMBIGUOUS = unclear(
  400,
  "path_ambiguous",
  "Ambiguous path",
  "The path is ambiguous. Send it in canonical form.",
);
const METHOD_NOT_ALLOWED = unclear(
  405,
  "method_not_allowed",
  "Method not allowed",
  "The Allow header lists the allowed methods.",
  { allow: ALLOW },
);
