// As little as can be called an API-key filter: SHA-256 by WebCrypto, the record cached in the isolate, one header
// stripped and one set. No tag, so a forged key costs a read; no routes, scopes, path check, or origin timeout. Its log lines are
// the gate's.

import { logAccepted, logRefused, requestIdOf } from "./lib/log.js";

const encoder = new TextEncoder();
const CHALLENGE = new Headers({ "www-authenticate": "Bearer", "cache-control": "no-store" });
const records = new Map();

export default {
  async fetch(request, env) {
    const authorization = request.headers.get("authorization");
    if (authorization === null || !authorization.startsWith("Bearer ")) return refuse(request, "no key");
    const key = authorization.slice(7);
    const id = key.substr(env.KEY_PREFIX.length + 1, 12);
    const hash = crypto.subtle.digest("SHA-256", encoder.encode(key));
    const record = cached(id) ?? (await read(env, id));
    if (record === undefined) return refuse(request, "unknown key", id);
    if (!crypto.subtle.timingSafeEqual(await hash, record.hash)) return refuse(request, "wrong key", id);

    const headers = new Headers(request.headers);
    headers.delete("authorization");
    headers.set("x-keygate-subject", record.subject);
    logAccepted(request, id, record.subject);
    const url = request.url;
    const target = env.ORIGIN + url.slice(url.indexOf("/", 8));
    return fetch(target, { method: request.method, headers, body: request.body, redirect: "manual" });
  },
};

function cached(id) {
  const record = records.get(id);
  return record !== undefined && Date.now() < record.freshUntil ? record : undefined;
}

async function read(env, id) {
  const entry = await env.KEYS.get("minimal/" + id, "json");
  if (entry === null) return undefined;
  const hash = Uint8Array.fromBase64(entry.hash, { alphabet: "base64url" });
  const record = { subject: entry.subject, hash, freshUntil: Date.now() + env.CACHE_SECONDS * 1000 };
  records.delete(id);
  records.set(id, record);
  if (records.size > env.CACHE_ENTRIES) records.delete(records.keys().next().value);
  return record;
}

function refuse(request, reason, keyId) {
  const requestId = requestIdOf(request);
  logRefused(request, { event: "authn_login_fail", code: "key_invalid", reason, status: 401, requestId, keyId });
  return new Response('{"error":"Unauthorized access"}', { status: 401, headers: CHALLENGE });
}
