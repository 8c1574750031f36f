// The error contract: what every refusal must look like, whatever caused it.

import assert from "node:assert/strict";

import { valuesOf } from "./origin.js";

const CHALLENGE = 'Bearer realm="api"';
const INVALID = `${CHALLENGE}, error="invalid_token"`;

/** code -> status, the exact `WWW-Authenticate`, and whether `Retry-After` comes with it. */
export const CONTRACT = {
  credential_missing: { status: 401, challenge: CHALLENGE },
  credential_malformed: { status: 401, challenge: INVALID },
  credential_ambiguous: { status: 400 },
  key_invalid: { status: 401, challenge: INVALID },
  key_expired: { status: 401, challenge: INVALID },
  key_not_yet_valid: { status: 401, challenge: INVALID },
  key_disabled: { status: 401, challenge: INVALID },
  key_revoked: { status: 401, challenge: INVALID },
  ip_not_allowed: { status: 403 },
  scope_missing: { status: 403, challenge: `${CHALLENGE}, error="insufficient_scope", scope="admin"` },
  subject_not_allowed: { status: 403 },
  route_denied: { status: 403 },
  https_required: { status: 403 },
  path_ambiguous: { status: 400 },
  method_ambiguous: { status: 400 },
  destination_not_allowed: { status: 403 },
  method_not_allowed: { status: 405 },
  rate_limited: { status: 429, retries: true },
  quota_exceeded: { status: 429, type: "https://iana.org/assignments/http-problem-types#quota-exceeded", more: ["violated-policies"] },
  loop_detected: { status: 508 },
  too_many_hops: { status: 400 },
  key_store_unavailable: { status: 503, retries: true },
  key_record_invalid: { status: 503, retries: true },
  quota_unavailable: { status: 503, retries: true },
  gate_misconfigured: { status: 503, retries: true },
  origin_unreachable: { status: 502 },
  origin_timeout: { status: 504 },
};

const MEMBERS = ["type", "title", "status", "detail", "code", "request_id"];

/** The answer alone: status, headers and body follow the table. */
export function assertRefusal(answer, code, { allow, hasBody = true } = {}) {
  const row = CONTRACT[code];
  assert.ok(row, `${code} is not in the contract`);
  const found = `${answer.status} ${answer.text.slice(0, 400)}`;
  assert.equal(answer.status, row.status, `expected ${row.status} ${code}, got ${found}`);
  assert.equal(answer.header("cache-control"), "no-store");
  assert.equal(answer.header("content-type"), "application/problem+json");
  assert.equal(answer.header("www-authenticate"), row.challenge);
  assert.equal(answer.header("allow"), allow);
  assert.equal(answer.header("x-origin"), undefined, "the answer is the origin's");
  assert.equal(answer.header("set-cookie"), undefined);
  if (row.retries) assert.match(answer.header("retry-after") ?? "", /^[1-9]\d*$/);
  else if (row.more === undefined) assert.equal(answer.header("retry-after"), undefined);
  if (!hasBody) return;
  const problem = answer.json;
  assert.deepEqual(Object.keys(problem).sort(), [...MEMBERS, ...(row.status === 401 ? ["error"] : []), ...(row.more ?? [])].sort());
  assert.equal(problem.type, row.type ?? `urn:problem-type:keygate:${code}`, found);
  assert.equal(problem.code, code);
  assert.equal(problem.status, row.status);
  if (row.status === 401) assert.equal(problem.error, "Unauthorized access");
  for (const member of ["title", "detail", "request_id"]) {
    assert.equal(typeof problem[member], "string");
    assert.notEqual(problem[member], "", member);
  }
}

/**
 * Sends `request` to `gate`, and holds the whole of the contract against what happens: the answer, no call of the origin
 * (unless it is the origin that fails, by `originAnswer`), and exactly one log record of the refusal, whose fields `log` lists.
 * Returns `{ answer, record }`.
 */
export async function assertRefused(gate, request, code, { allow, log = {}, originAnswer } = {}) {
  const { harness } = gate;
  harness.origin.clear(originAnswer);
  const answer = await gate.send(request);
  assertRefusal(answer, code, { allow });
  const calls = harness.origin.requests.length;
  // The runtime may try a GET again when its connection breaks.
  assert.ok(originAnswer ? calls > 0 : calls === 0, `${calls} calls of the origin`);
  harness.origin.clear();
  const requestId = answer.json.request_id;
  const isRefusal = ({ event }) => event !== "authn_login_success";
  await harness.logs.untilEvent((event) => event.request_id === requestId && isRefusal(event));
  await harness.settle();
  const all = harness.logs.of(requestId);
  const records = all.filter(isRefusal);
  assert.equal(records.length, 1, "log records of this refusal");
  // A request whose origin fails was let through before, under the same id.
  assert.equal(all.length - records.length, code.startsWith("origin_") ? 1 : 0, "records of its being let through");
  const [record] = records;
  assertRecord(record, code, gate.clockMs);
  assert.equal(record.method, request.method ?? "GET");
  for (const [field, value] of Object.entries(log)) assert.equal(record[field] ?? undefined, value, `log field ${field}`);
  return { answer, record };
}

const FIELDS = [
  ["time", "level", "event", "code", "reason", "status", "origin_ms", "request_id"],
  ["key_id", "subject", "method", "path", "client_ip", "user_agent", "suppressed"],
].flat();

/** `clockMs`: where the gate's clock stands, if a test has set it. */
function assertRecord(record, code, clockMs) {
  for (const field of Object.keys(record)) assert.ok(FIELDS.includes(field), `log field ${field} is not documented`);
  assert.match(record.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const elapsed = Math.abs(Date.parse(record.time) - (clockMs ?? Date.now()));
  assert.ok(clockMs === undefined ? elapsed < 60_000 : elapsed === 0, `the time ${record.time} is when it was judged`);
  assert.equal(record.code, code);
  assert.equal(record.status, CONTRACT[code].status);
  assert.equal(typeof record.reason, "string");
  assert.ok(record.path === undefined || !record.path.includes("?"), "the log has no query");
  assert.equal(record.level, CONTRACT[code].status >= 500 ? "error" : "warn");
}

/** What the gate tells the origin about the holder of a key; without a holder, nothing. */
export const identityOf = (issued) => ({
  "x-keygate-key-id": issued && [issued.id],
  "x-keygate-subject": issued && [issued.record.subject],
  "x-keygate-scopes": issued?.record.scopes?.length ? [issued.record.scopes.join(" ")] : undefined,
});

/**
 * Sends `request` and expects that the origin answered it: one call, in which `issued` is the holder (none on a public
 * route). Returns `{ answer, seen }`.
 */
export async function assertAccepted(gate, request, issued) {
  const { origin } = gate.harness;
  origin.clear();
  const answer = await gate.send(request);
  assert.equal(answer.status, 200, `${answer.status} ${answer.text.slice(0, 400)}`);
  assert.equal(answer.header("x-origin"), "yes");
  const seen = origin.only;
  assert.equal(seen.method, request.method ?? "GET");
  for (const [name, values] of Object.entries(identityOf(issued))) {
    assert.deepEqual(valuesOf(seen, name), values ?? [], name);
  }
  return { answer, seen };
}
