// The rows of docs/transparency.md as rules: which difference is an instance of which row.

const BASE = "/base";
export const APP = "https://app.example.com";
export const PROVIDER = "Bearer of-the-provider";

/** What the runtime's `fetch` writes for the characters of a URL that URLs encode. */
function encoded(start) {
  const [method, target, version] = start.split(" ");
  const [path, ...query] = target.split("?");
  const hex = (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  const parts = [path.replace(/["{}^]/g, hex), ...query.map((part) => part.replace(/'/g, hex))];
  return `${method} ${parts.join("?")} ${version}`;
}

const decoded = (start) =>
  start.replace(/%([0-9a-f]{2})/gi, (escape, digits) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : escape;
  });

const isGone = (to) => to === undefined;
const isOne = (to, value) => to?.length === 1 && to[0] === value;
const nameOf = (what) => /^header (.+)$/.exec(what)?.[1];
const isHop = (name) => ["connection", "keep-alive", "te", "trailer", "upgrade"].includes(name);
const hasBodyByNature = (method) => !["GET", "HEAD"].includes(method);

/**
 * By the row's name: whose message it is, who changes it, and whether a difference (`{ what, from, to }`) is such a change, in a
 * context of `{ request, gate, host, issued }`.
 */
export const RULES = {
  "connection": { side: "request", by: "runtime", is: ({ what, to }) => isHop(nameOf(what)) && isGone(to) },
  "empty body": {
    side: "request",
    by: "runtime",
    is: ({ what, from, to }, { request }) =>
      hasBodyByNature(request.method ?? "GET") &&
      ((what === "framing" && from === "none" && to === "length") || (nameOf(what) === "content-length" && isGone(from) && isOne(to, "0"))),
  },
  "unsized body": {
    side: "request",
    by: "runtime",
    is: ({ what, to }, { request }) =>
      request.chunks !== undefined &&
      !hasBodyByNature(request.method) &&
      ((what === "body" && to === "") || (what === "framing" && to === "none") || (nameOf(what) === "transfer-encoding" && isGone(to))),
  },
  "request trailers": { side: "request", by: "runtime", is: ({ what, to }) => what === "trailers" && to.length === 0 },
  "request lines": { side: "request", by: "runtime", is: ({ what }) => ["lines of accept", "lines of cookie"].includes(what) },
  "request order": { side: "request", by: "runtime", is: ({ what }) => what === "order" },
  "encoded characters": { side: "request", by: "runtime", is: ({ what, from, to }) => what === "start" && encoded(from) === to },

  "answer connection": { side: "answer", by: "runtime", is: ({ what, to }) => isHop(nameOf(what)) && (isGone(to) || isOne(to, "close")) },
  "answer framing": {
    side: "answer",
    by: "runtime",
    is: ({ what, from, to }) =>
      (what === "framing" && from === "close" && to === "chunked") ||
      (nameOf(what) === "transfer-encoding" && isGone(from) && isOne(to, "chunked")),
  },
  "framing of no body": {
    side: "answer",
    by: "runtime",
    is: ({ what, to }, { request }) => request.method === "HEAD" && nameOf(what) === "transfer-encoding" && isGone(to),
  },
  "interim answers": { side: "answer", by: "runtime", is: ({ what, to }) => what === "interim" && to.length === 0 },
  "answer trailers": { side: "answer", by: "runtime", is: ({ what, to }) => what === "trailers" && to.length === 0 },
  "answer lines": { side: "answer", by: "runtime", is: ({ what }) => /^lines of (vary|link|www-authenticate|content-type)$/.test(what) },
  "answer order": { side: "answer", by: "runtime", is: ({ what }) => what === "order" },
  "answer spelling": { side: "answer", by: "runtime", is: ({ what, from, to }) => what === "spelling" && from.length === to.length },
  "version": { side: "answer", by: "runtime", is: ({ what, from, to }) => what === "start" && from.replace("HTTP/1.0", "HTTP/1.1") === to },

  "credential": {
    side: "request",
    by: "gate",
    is: ({ what, from, to }, { gate, issued }) =>
      (["x-api-key", "x_api_key"].includes(nameOf(what)) && isGone(to)) ||
      (nameOf(what) === "authorization" && isOne(from, `Bearer ${issued.key}`) && isGone(to)) ||
      (gate === "query" && what === "start" && from.replace(`api_key=${issued.key}&`, "") === to),
  },
  "identity": {
    side: "request",
    by: "gate",
    is: ({ what, from, to }, { issued }) => {
      if (
        what === "spelling") return from.every((name, at) => name === to[at] || (/^X-Keygate-/.test(name) && name.toLowerCase() === to[at]),
      );
      const { id, record } = issued;
      const ours = { "x-keygate-key-id": id, "x-keygate-subject": record.subject, "x-keygate-scopes": record.scopes.join(" ") };
      const name = nameOf(what);
      return name in ours ? isOne(to, ours[name]) : /^x[-_]keygate[-_]/.test(name) && isGone(to);
    },
  },
  "forwarded": {
    side: "request",
    by: "gate",
    is: ({ what, to }, { request, host }) => {
      const address = request.headers?.find(([name]) => name === "CF-Connecting-IP")?.[1];
      const name = nameOf(what);
      if (name === "x-forwarded-for") return address === undefined ? isGone(to) : isOne(to, address);
      const ours = { "x-forwarded-host": host, "x-forwarded-proto": "http" };
      return name in ours ? isOne(to, ours[name]) : ["forwarded", "x_forwarded_for", "x-forwarded-port"].includes(name) && isGone(to);
    },
  },
  "loop mark": {
    side: "request",
    by: "gate",
    is: ({ what, from, to }) => nameOf(what) === "keygate-via" && isGone(from) && to.length === 1 && /^[0-9a-f]{16}$/.test(to[0]),
  },
  "hop headers": {
    side: "request",
    by: "gate",
    is: ({ what, to }) => ["proxy-authorization", "proxy-connection", "x-hop"].includes(nameOf(what)) && isGone(to),
  },
  "overrides": {
    side: "request",
    by: "gate",
    is: ({ what, to }) => ["x-original-url", "x-http-method-override", "x-real-ip", "x_custom"].includes(nameOf(what)) && isGone(to),
  },
  "no-store": {
    side: "request",
    by: "gate",
    is: (
      { what, from, to }, { gate }) => gate !== "cached" && ["cache-control", "pragma"].includes(nameOf(what)) && isGone(from) && isOne(to,
      "no-cache",
    ),
  },
  "unreserved characters": { side: "request", by: "gate", is: ({ what, from, to }) => what === "start" && decoded(from) === to },
  "base path": {
    side: "request",
    by: "gate",
    is: ({ what, from, to }, { gate }) => gate === "based" && what === "start" && from.replace(" /", ` ${BASE}/`) === to,
  },
  "provider": {
    side: "request",
    by: "gate",
    is: ({ what, to }, { gate }) => gate === "provider" && nameOf(what) === "authorization" && isOne(to, PROVIDER),
  },
  "signature": {
    side: "request",
    by: "gate",
    is: ({ what, to }, { gate }) =>
      gate === "signed" &&
      ((/^header signature(-input)?$/.test(what) && to?.length === 1 && to[0].startsWith("keygate=")) ||
        (nameOf(what) === "content-digest" && isGone(to))),
  },
  "cors": {
    side: "answer",
    by: "gate",
    is: ({ what, from, to }, { gate }) =>
      gate === "cors" &&
      ((nameOf(what) === "access-control-allow-origin" && isGone(from) && isOne(to, APP)) ||
        (nameOf(what) === "vary" && [...(from ?? []), "Origin"].join(", ") === to?.join(", "))),
  },
};

/** The names of the rows that a difference is an instance of. */
export const rowsOf = (difference, context) =>
  Object.entries(RULES)
    .filter(
      ([, { side, by, is }]) => side === difference.side && (by === "runtime" || context.gate !== undefined) && is(difference, context),
    )
    .map(([name]) => name);
