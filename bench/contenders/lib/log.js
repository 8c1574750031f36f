// The log lines of the contenders, with the gate's fields (docs/log-events.md) and its default configuration: a line for each
// accepted request, and a cap on the lines for rejections.

import { env } from "cloudflare:workers";

const { REJECTION_LOGS_PER_MINUTE = 600 } = env;

// No path and no user agent needs such a run of characters in a log; a key is one.
const KEY_LIKE = /[0-9A-Za-z]{40,}/g;

export function requestIdOf(request) {
  return request.headers.get("cf-ray") ?? crypto.randomUUID();
}

export function logAccepted(request, keyId, subject) {
  write(request, { level: "info", event: "authn_login_success", requestId: requestIdOf(request), keyId, subject });
}

export function logRefused(request, { event, code, reason, status, requestId, keyId, subject }) {
  if (mayLogRefusal()) write(request, { level: "warn", event, code, reason, status, requestId, keyId, subject });
}

function write(request, { level, event, code, reason, status, requestId, keyId, subject }) {
  const { url, method, headers } = request;
  const pathAt = url.indexOf("/", 8);
  const queryAt = url.indexOf("?", pathAt);
  const path = queryAt < 0 ? url.slice(pathAt) : url.slice(pathAt, queryAt);
  const line = {
    time: new Date().toISOString(),
    level,
    event,
    code,
    reason,
    status,
    request_id: requestId,
    key_id: keyId,
    subject,
    method,
    path: scrub(path, 512),
    client_ip: headers.get("cf-connecting-ip") ?? undefined,
    user_agent: scrub(headers.get("user-agent") ?? undefined, 256),
  };
  console.log(JSON.stringify(line));
}

function scrub(text, maxLength) {
  return text?.replace(KEY_LIKE, "[redacted]").slice(0, maxLength);
}

// A flood of bad requests must not become a flood of lines.
let minute = 0;
let logged = 0;
let suppressed = 0;

function mayLogRefusal() {
  const now = Date.now();
  const current = Math.floor(now / 60_000);
  if (current !== minute) {
    minute = current;
    logged = 0;
  }
  if (logged >= REJECTION_LOGS_PER_MINUTE) {
    suppressed++;
    return false;
  }
  if (suppressed > 0) {
    const time = new Date(now).toISOString();
    console.log(JSON.stringify({ time, level: "warn", event: "sys_log_suppressed", suppressed }));
    suppressed = 0;
  }
  logged++;
  return true;
}
