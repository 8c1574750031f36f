// The exchanges of transparency.test.js: requests of every shape that passes the gate, and answers of every shape.

import { brotliCompressSync, brotliDecompressSync, deflateSync, gunzipSync, gzipSync, inflateSync } from "node:zlib";

const ALL_BYTES = String.fromCharCode(...Array(256).keys());
const TEXT = "some text that compresses ".repeat(40);
const latin1 = (buffer) => buffer.toString("latin1");

export const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

const answer = (status, headers = "", body = "") => `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
const chunked = (headers, chunks, end = "0\r\n\r\n") => {
  const parts = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`);
  return `HTTP/1.1 200 OK\r\n${headers}Transfer-Encoding: chunked\r\n\r\n${parts.join("")}${end}`;
};

const header = (...pairs) => pairs.map(([name, value]) => ({ headers: [[name, value]] }));

/** Requests, by what is special about them; each is answered with a plain 200. */
export const REQUESTS = {
  "every method": METHODS.map((method) => ({ method })),
  "every method, with a body of stated length": METHODS.map((method) => ({ method, body: "name=value&x=%2f" })),
  "every method, with a body in chunks": METHODS.map((method) => ({ method, chunks: ["first ", "second"] })),
  "every byte in a body": [{ method: "POST", body: ALL_BYTES }, { method: "PUT", chunks: [ALL_BYTES, ALL_BYTES] }],
  "an empty body": [{ method: "POST", body: "" }, { method: "POST", chunks: [] }, { method: "DELETE", body: "" }],
  "a body of 300 KB": [{ method: "POST", body: ALL_BYTES.repeat(1200) }, { method: "POST", chunks: Array(40).fill(ALL_BYTES.repeat(30)) }],
  "trailers after the body": [{ method: "POST", chunks: ["first"], trailers: [["X-Checksum", "7"]], headers: [["Trailer", "X-Checksum"]] }],
  "paths": [
    "/", "/a", "/a/", "/a/b/c.html", "/~user/-_.", "/a;v=1/b", "/a,b=c:d@e!$&()*+", "/caf%C3%A9", "/caf%c3%a9", "/%20%22%3C%3E%60%7B%7D",
    "/a%3Fb%23c", "/100%25", `/${"long/".repeat(1000)}end`,
  ].map((target) => ({ target })),
  "unreserved characters that are encoded": ["/%61%62c", "/a%2Db%5F%7E%2e"].map((target) => ({ target })),
  "characters in a path that URLs encode": ['/a"b', "/a{b}", "/a^b", "/a|b", "/a'b"].map((target) => ({ target })),
  "queries": [
    "?a=1", "?a=1&a=2&b", "?a=%2f&b=+&c=%31", "?&&=&a==b", "?a?b", "?a=/../b//c", "?%", "?%zz", "?a=%00%0d%0a", "?a=1;b=2", "?a[]=1&a[b]=2",
    "?q=caf%C3%A9", "?a=|\\^`{}", "?json={%22a%22:1}", `?${"x=0123456789&".repeat(400)}`,
  ].map((query) => ({ target: `/v1/things${query}` })),
  "an apostrophe in a query": [{ target: "/v1/things?name='x'" }],
  "an empty query": [{ target: "/v1/things?" }],
  "ordinary headers": [
    {
      headers: [
        ["Accept", "*/*"], ["Accept-Language", "de, en;q=0.5"], ["User-Agent", "curl/8"], ["Referer", "https://a.example/b?c"],
        ["Cookie", "a=1; b=\"2\""],
      ],
    },
    {
      headers: [
        ["DNT", "1"], ["Sec-Fetch-Mode", "cors"], ["X-Requested-With", "XMLHttpRequest"], ["X-Request-Id", "7"], ["Priority", "u=1"],
      ],
    },
    {
      headers: [
        ["Via", "1.1 proxy"], ["Idempotency-Key", "7"], ["Traceparent", "00-1-2-01"], ["Max-Forwards", "3"], ["From", "a@b.example"],
      ],
    },
    {
      method: "POST",
      headers: [["Content-Type", "application/json; charset=utf-8"], ["Content-Encoding", "gzip"], ["Content-Language", "de"]],
      body: latin1(gzipSync("{}")),
    },
  ],
  "conditions and ranges": header(
    ["Range", "bytes=0-4"], ["If-None-Match", 'W/"a", "b"'], ["If-Match", "*"], ["If-Range", '"a"'],
    ["If-Modified-Since", "Sat, 01 Nov 2025 00:00:00 GMT"],
    ["If-Unmodified-Since", "Sat, 01 Nov 2025 00:00:00 GMT"],
  ),
  "encodings that are asked for": header(
    ["Accept-Encoding", "gzip, br"], ["Accept-Encoding", "identity"], ["Accept-Encoding", "zstd;q=1.0, *;q=0"],
  ),
  "cache headers of the client": header(["Cache-Control", "max-age=0"], ["Pragma", "no-cache"], ["Cache-Control", "only-if-cached"]),
  "odd but legal values": [
    {
      headers: [
        ["X-Empty", ""], ["X-Latin", "caf\xe9"], ["X-Quotes", 'a "b, c" d'], ["X-Signs", "!#$%&'*+-.^_`|~()<>@,;:\\/[]?={}"],
        ["X-Long", "v".repeat(8000)],
      ],
    },
    { headers: [["X-Tab", "a\tb"], ["x-lower", "1"], ["X-UPPER", "2"], ["X-Trimmed", "  a  "]] },
    { headers: Array.from({ length: 90 }, (_, at) => [`X-Number-${at}`, String(at)]) },
  ],
  "one header in several lines": [
    {
      headers: [
        ["X-Twice", "a"], ["X-Between", "b"], ["X-Twice", "c, d"], ["Cookie", "a=1"], ["Cookie", "b=2"], ["Accept", "a/b"],
        ["Accept", "c/d"],
      ],
    },
  ],
  "an Authorization of the origin's own": header(
    ["Authorization", "Basic dTpw"], ["Authorization", "Bearer of-the-origin"], ["Authorization", 'Digest username="u"'],
  ),
  "headers for one hop": [
    { headers: [["Connection", "close, X-Hop"], ["X-Hop", "1"]] },
    ...header(
      ["Keep-Alive", "timeout=5"], ["TE", "trailers"], ["Proxy-Authorization", "Basic dTpw"], ["Proxy-Connection", "keep-alive"],
      ["Upgrade", "h2c"], ["Trailer", "X-Checksum"],
    ),
  ],
  "headers by which clients claim who they are": [
    {
      headers: [
        ["X-Forwarded-For", "10.0.0.1"], ["X-Forwarded-Host", "evil.example"], ["X-Forwarded-Proto", "https"],
        ["Forwarded", "for=10.0.0.1"],
      ],
    },
    {
      headers: [
        ["X-Keygate-Subject", "root"], ["X-Keygate-Anything", "root"], ["X_Keygate_Scopes", "admin"], ["X_Api_Key", "1"],
        ["X_Forwarded_For", "10.0.0.1"],
      ],
    },
    { headers: [["X-Real-IP", "10.0.0.1"], ["X-Original-URL", "/admin"], ["X-HTTP-Method-Override", "PUT"], ["X-Forwarded-Port", "443"], ["X_Custom", "1"]] },
  ],
  "the address that the platform states": header(["CF-Connecting-IP", "203.0.113.7"]),
  "digests and signatures of the client": header(
    ["Content-Digest", "sha-256=:AAAA:"], ["Signature", "a=:AAAA:"], ["Signature-Input", "a=();created=1"],
  ),
  "a page of another site": header(["Origin", "https://app.example.com"], ["Origin", "null"]),
};

const status = (line, ...rest) => [line, answer(line, ...rest)];

/** Answers, by what is special about them. */
export const ANSWERS = Object.fromEntries([
  ...[
    "200 OK", "201 Created", "202 Accepted", "203 Non-Authoritative Information", "206 Partial Content", "207 Multi-Status", "226 IM Used",
    "299 Odd",
  ].map((line) => status(line, "", "body")),
  ...[
    "300 Multiple Choices", "301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect",
  ].map((line) => status(line, "Location: /elsewhere?a=1\r\n", "moved")),
  ...[
    "400 Bad Request", "402 Payment Required", "404 Not Found", "405 Method Not Allowed", "409 Conflict", "410 Gone", "418 I'm a teapot",
    "422 Unprocessable Content", "429 Too Many Requests", "451 Unavailable For Legal Reasons", "499 Odd", "500 Internal Server Error",
    "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout", "599 Odd", "600 Odder", "999 Oddest",
  ].map((line) => status(line, "", "failed")),
  ["204", "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"],
  ["205", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"],
  ["304", 'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\nCache-Control: max-age=60\r\n\r\n'],
  [
    "401 of the origin's own",
    answer("401 Unauthorized", 'WWW-Authenticate: Basic realm="a"\r\nWWW-Authenticate: Digest realm="b"\r\n', "no"),
  ],
  ["a reason of the origin's own", answer("200 Quite All Right", "", "a")],
  ["no reason", answer("200 ", "", "a")],
  ["a range", answer("206 Partial Content", "Content-Range: bytes 0-4/10\r\nAccept-Ranges: bytes\r\n", "hello")],
  ["an empty body", answer("200 OK")],
  ["a body of every byte", answer("200 OK", "Content-Type: application/octet-stream\r\n", ALL_BYTES)],
  ["a body of 300 KB", answer("200 OK", "", ALL_BYTES.repeat(1200))],
  ["chunks", chunked("Content-Type: text/plain\r\n", ["one ", "two ", ALL_BYTES])],
  ["no chunk", chunked("", [])],
  ["chunks with extensions", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\none\r\n0;c\r\n\r\n"],
  [
    "server-sent events",
    chunked("Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n", ["data: one\n\n", "event: x\ndata: two\n\n"]),
  ],
  ["trailers", chunked("Trailer: X-Checksum\r\n", ["one"], "0\r\nX-Checksum: 7\r\n\r\n")],
  ["a body that ends with the connection", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end"],
  ["HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end"],
  ["gzip", answer("200 OK", "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n", latin1(gzipSync(TEXT)))],
  ["br", answer("200 OK", "Content-Encoding: br\r\n", latin1(brotliCompressSync(TEXT)))],
  ["deflate", answer("200 OK", "Content-Encoding: deflate\r\n", latin1(deflateSync(TEXT)))],
  ["an encoding that nobody knows", answer("200 OK", "Content-Encoding: rot13\r\n", "grkg")],
  ["gzip in chunks", chunked("Content-Encoding: gzip\r\n", [latin1(gzipSync(TEXT)).slice(0, 20), latin1(gzipSync(TEXT)).slice(20)])],
  ["two cookies", answer("200 OK", "Set-Cookie: a=1; Path=/; Expires=Sat, 01 Nov 2025 00:00:00 GMT\r\nSet-Cookie: b=2; HttpOnly\r\n", "a")],
  [
    "one header in several lines",
    answer("200 OK", "Vary: Accept\r\nLink: </a>; rel=next\r\nVary: Cookie\r\nLink: </b>; rel=prev\r\nX-Twice: 1\r\nX-Twice: 2\r\n", "a"),
  ],
  [
    "headers for caches",
    answer(
      "200 OK",
      "Cache-Control: public, max-age=60\r\nExpires: 0\r\nAge: 5\r\nETag: W/\"a\"\r\n" +
        "Last-Modified: Sat, 01 Nov 2025 00:00:00 GMT\r\nDate: Sat, 01 Nov 2025 00:00:00 GMT\r\nPragma: x\r\n",
      "a",
    ),
  ],
  [
    "headers about the server",
    answer(
      "200 OK",
      "Server: odd/1\r\nVia: 1.1 a\r\nX-Powered-By: b\r\nAlt-Svc: h3=\":443\"\r\nCF-Ray: 7\r\nStrict-Transport-Security: max-age=1\r\n",
      "a",
    ),
  ],
  [
    "headers for one hop",
    answer(
      "200 OK", "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nTE: x\r\n", "a",
    ),
  ],
  ["CORS headers of the origin's own", answer("200 OK", "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: X-A\r\n", "a")],
  [
    "odd but legal values",
    answer(
      "200 OK",
      `X-Empty: \r\nX-Latin: caf\xe9\r\nX-Quotes: a "b, c"\r\nX_Under: 1\r\nX.Dot~: 2\r\n` +
        `X-Tab: a\tb\r\nx-lower: 3\r\nX-Long: ${"v".repeat(8000)}\r\n`,
      "a",
    ),
  ],
  ["many headers", answer("200 OK", Array.from({ length: 90 }, (_, at) => `X-Number-${at}: ${at}\r\n`).join(""), "a")],
  ["early hints", `HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n${answer("200 OK", "", "a")}`],
  ["processing", `HTTP/1.1 102 Processing\r\n\r\n${answer("200 OK", "", "a")}`],
]);

/**
 * The endpoints of httpbin whose answer is a function of the request; `echoes`: it repeats the request's headers, `encoded`: in a
 * body that this decodes. Not here: what is made up anew each time (uuid, bytes without a seed, digest challenges, the dates of /cache).
 */
export const ENDPOINTS = [
  ["/"], ["/absolute-redirect/2"], ["/anything", { echoes: true }], ["/anything/a/b%20c?x=1&x=2&y=%2f", { echoes: true }],
  ["/base64/aGVsbG8%3D"],
  ["/basic-auth/u/p"], ["/basic-auth/u/p", { headers: [["Authorization", "Basic dTpw"]] }], ["/bearer"],
  ["/bearer", { headers: [["Authorization", "Bearer of-the-origin"]] }],
  ["/brotli", { echoes: true, encoded: brotliDecompressSync }], ["/bytes/100?seed=7"], ["/cache", { headers: [["If-None-Match", '"a"']] }],
  ["/cache/60", { echoes: true }], ["/cookies", { headers: [["Cookie", "a=1; b=2"]] }],
  ["/cookies/delete?a"], ["/cookies/set?a=1&b=2"], ["/cookies/set/a/1"], ["/deflate", { echoes: true, encoded: inflateSync }],
  ["/delay/0", { echoes: true }], ["/delete", { echoes: true }], ["/deny"],
  ["/drip?duration=0&numbytes=5&delay=0&code=299"], ["/encoding/utf8"], ["/etag/abc", { echoes: true }],
  ["/etag/abc", { headers: [["If-None-Match", "abc"]] }], ["/etag/abc", { headers: [["If-Match", "xyz"]] }],
  ["/forms/post"], ["/get?a=1&b=%26", { echoes: true }], ["/gzip", { echoes: true, encoded: gunzipSync }], ["/headers", { echoes: true }],
  ["/hidden-basic-auth/u/p"], ["/hidden-basic-auth/u/p", { headers: [["Authorization", "Basic dTpw"]] }],
  ["/html"], ["/image", { headers: [["Accept", "image/webp"]] }], ["/image"], ["/image/jpeg"], ["/image/png"], ["/image/svg"],
  ["/image/webp"], ["/ip"], ["/json"], ["/links/3"], ["/links/3/1"],
  ["/patch", { echoes: true }], ["/post", { echoes: true }], ["/put", { echoes: true }], ["/range/100"],
  ["/range/100", { headers: [["Range", "bytes=10-19"]] }], ["/range/100", { headers: [["Range", "bytes=200-"]] }],
  ["/redirect-to?url=https%3A%2F%2Fa.example%2F&status_code=307"], ["/redirect/1"], ["/relative-redirect/3"],
  ["/response-headers?X-A=1&X-A=2&Content-Type=text/plain"], ["/robots.txt"], ["/static/favicon.ico"],
  ...[
    200, 201, 204, 205, 206, 299, 300, 301, 302, 304, 400, 401, 402, 404, 406, 407, 418, 429, 451, 500, 503,
    599].map((code) => [`/status/${code}`,
  ]),
  ["/stream-bytes/1000?seed=7&chunk_size=100"], ["/stream/3", { echoes: true }],
  ["/user-agent", { headers: [["User-Agent", "transparency/1"]] }], ["/xml"], ["/no/such/page"],
];
