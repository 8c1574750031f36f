// Forwards as the gate does: without the headers of docs/headers.md, with the caller's identity, past shared caches, and
// with a time limit.

import { TimedOut, inTime } from "./in_time.js";
import { logAccepted } from "./log.js";
import { ORIGIN_TIMEOUT, ORIGIN_UNREACHABLE, refuse } from "./refuse.js";

const ORIGIN_TIMEOUT_MS = 100_000;

const HOP_BY_HOP = ["keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding"];
const CREDENTIALS = ["x-api-key"];

// The bench replaces STRIPPED_HEADERS by the names in the first column of docs/headers.md.
const isPrefix = (name) => name.endsWith("*");
const STRIPPED = new Set([...HOP_BY_HOP, ...CREDENTIALS, ...STRIPPED_HEADERS.filter((name) => !isPrefix(name))]);
const PREFIXES = ["x-keygate-", ...STRIPPED_HEADERS.filter(isPrefix).map((name) => name.slice(0, -1))];
// A name with another character than these, or with one of the prefixes.
const SUSPECT = new RegExp(`[^0-9a-z-]|^(?:${PREFIXES.join("|")})`);

const GRPC_METADATA = "grpc-metadata-";

function isStripped(name) {
  if (name.startsWith(GRPC_METADATA)) return isStripped(name.slice(GRPC_METADATA.length));
  return STRIPPED.has(name) || SUSPECT.test(name);
}

// `Connection` may name other headers that are for one hop only, but not those that frame or route the message.
const NOT_BY_CONNECTION = new Set(["content-length", "content-type", "host", "transfer-encoding", "upgrade"]);

function forwardedHeaders(request) {
  const headers = new Headers(request.headers);
  const connection = request.headers.get("connection");
  const nominated = connection === null ? [] : connection.toLowerCase().split(/[\s,]+/);
  for (const name of request.headers.keys()) {
    if (name === "upgrade") {
      const isWebSocket = request.method === "GET" && headers.get(name).toLowerCase() === "websocket";
      if (!isWebSocket) headers.delete(name);
    } else if (isStripped(name) || (nominated.includes(name) && !NOT_BY_CONNECTION.has(name))) {
      headers.delete(name);
    }
  }
  return headers;
}

// `holder` is undefined on public routes.
export async function forward(request, origin, holder, stripAuthorization) {
  const { url, method, body } = request;
  const hostAt = url.indexOf("://") + 3;
  const pathAt = url.indexOf("/", hostAt);
  const headers = forwardedHeaders(request);
  if (stripAuthorization) headers.delete("authorization");
  if (holder !== undefined) {
    headers.set("x-keygate-key-id", holder.id);
    headers.set("x-keygate-subject", holder.subject);
    if (holder.scopes.length > 0) headers.set("x-keygate-scopes", holder.scopes.join(" "));
  }
  const ip = request.headers.get("cf-connecting-ip");
  if (ip !== null) headers.set("x-forwarded-for", ip);
  headers.set("x-forwarded-host", url.slice(hostAt, pathAt));
  headers.set("x-forwarded-proto", url.slice(0, hostAt - 3));
  const init = { method, headers, body, redirect: "manual" };
  // Shared caches no longer see a credential: they must not give one caller's response to another.
  if (holder !== undefined) init.cache = "no-store";
  logAccepted(request, holder?.id, holder?.subject);
  try {
    return await inTime(fetch(origin + url.slice(pathAt), init), ORIGIN_TIMEOUT_MS);
  } catch (error) {
    return refuse(request, error instanceof TimedOut ? ORIGIN_TIMEOUT : ORIGIN_UNREACHABLE, String(error));
  }
}
