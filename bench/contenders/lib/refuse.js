// Refusals with the gate's statuses, headers and bodies.

import { logRefused, requestIdOf } from "./log.js";

export function refusal(status, event, code, title, detail, headers = {}) {
  const type = "urn:problem-type:keygate:" + code;
  const problem = { type, title, status, detail, code, request_id: "" };
  if (status === 401) problem.error = "Unauthorized access";
  // The request's id is all that differs between two answers.
  const [before, after] = JSON.stringify(problem).split('"request_id":""');
  const all = {
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...headers,
  };
  return { status, event, code, headers: new Headers(all), before: before + '"request_id":"', after: '"' + after };
}

export function refuse(request, { status, event, code, headers, before, after }, reason = "", keyId, subject) {
  const requestId = requestIdOf(request);
  logRefused(request, { event, code, reason, status, requestId, keyId, subject });
  return new Response(before + requestId + after, { status, headers });
}

const RETRY = { "retry-after": "5" };

export const CREDENTIAL_MISSING = refusal(
  401,
  "authn_login_fail",
  "credential_missing",
  "No API key",
  "Send an API key, for example as `Authorization: Bearer <key>`.",
  { "www-authenticate": 'Bearer realm="api"' },
);
export const KEY_INVALID = refusal(
  401,
  "authn_login_fail",
  "key_invalid",
  "API key not valid",
  "The API key is not valid here. Check that it was copied whole and belongs to this environment.",
  { "www-authenticate": 'Bearer realm="api", error="invalid_token"' },
);
export const KEY_STORE_UNAVAILABLE = refusal(
  503,
  "sys_gate_fail",
  "key_store_unavailable",
  "Key store unavailable",
  "The API key could not be checked. Try again after the time in Retry-After.",
  RETRY,
);
export const ORIGIN_UNREACHABLE = refusal(
  502,
  "sys_origin_fail",
  "origin_unreachable",
  "Origin unreachable",
  "The gate accepted the request, but could not reach the API behind it.",
);
export const ORIGIN_TIMEOUT = refusal(
  504,
  "sys_origin_fail",
  "origin_timeout",
  "Origin timeout",
  "The gate accepted the request, but the API behind it did not respond in time.",
);
