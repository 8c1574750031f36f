// The minimal filter once more, with a framework's router and its bearer-auth middleware, and the gate's log lines.

import { Hono } from "hono";
import { bearerAuth } from "hono/bearer-auth";
import { logAccepted, logRefused, requestIdOf } from "./lib/log.js";

const encoder = new TextEncoder();
const records = new Map();
const app = new Hono();

app.use(
  bearerAuth({
    async verifyToken(key, c) {
      const { KEYS, KEY_PREFIX, CACHE_SECONDS, CACHE_ENTRIES } = c.env;
      const id = key.substr(KEY_PREFIX.length + 1, 12);
      const hash = crypto.subtle.digest("SHA-256", encoder.encode(key));
      let record = records.get(id);
      if (record === undefined || Date.now() >= record.freshUntil) {
        const entry = await KEYS.get("minimal/" + id, "json");
        if (entry === null) return false;
        record = {
          subject: entry.subject,
          hash: Uint8Array.fromBase64(entry.hash, { alphabet: "base64url" }),
          freshUntil: Date.now() + CACHE_SECONDS * 1000,
        };
        records.delete(id);
        records.set(id, record);
        if (records.size > CACHE_ENTRIES) records.delete(records.keys().next().value);
      }
      c.set("id", id);
      c.set("subject", record.subject);
      return crypto.subtle.timingSafeEqual(await hash, record.hash);
    },
  }),
);

app.all("*", (c) => {
  const request = c.req.raw;
  const headers = new Headers(request.headers);
  headers.delete("authorization");
  headers.set("x-keygate-subject", c.get("subject"));
  logAccepted(request, c.get("id"), c.get("subject"));
  const url = request.url;
  const target = c.env.ORIGIN + url.slice(url.indexOf("/", 8));
  return fetch(target, { method: request.method, headers, body: request.body, redirect: "manual" });
});

app.onError((error, c) => {
  const response = error.getResponse?.() ?? new Response(null, { status: 500 });
  const request = c.req.raw;
  const { status } = response;
  const requestId = requestIdOf(request);
  logRefused(request, { event: "authn_login_fail", code: "key_invalid", reason: "", status, requestId });
  return response;
});

export default app;
