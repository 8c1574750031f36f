// An HTTP/1.1 client that sends exactly what it is told: raw paths, repeated headers, odd bytes, unknown methods.
// A polite client would repair half of what these tests are about.

import net from "node:net";

const LIMIT_MS = 30_000;

/** An answer; header names keep no case, values keep their bytes. */
export class Answer {
  constructor(head, body) {
    const [statusLine, ...lines] = head.split("\r\n");
    const [, status, reason] = /^HTTP\/1\.1 (\d{3}) ?(.*)$/.exec(statusLine) ?? [];
    if (status === undefined) throw new Error(`not an HTTP answer: ${JSON.stringify(statusLine)}`);
    this.status = Number(status);
    this.reason = reason;
    this.headers = lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    });
    this.bytes = body;
  }

  all(name) {
    return this.headers.filter(([n]) => n === name).map(([, value]) => value);
  }

  /** The header's one value; `undefined` when it is absent. */
  header(name) {
    const values = this.all(name);
    if (values.length > 1) throw new Error(`${name} came ${values.length} times: ${values.join(" | ")}`);
    return values[0];
  }

  get text() {
    return this.bytes.toString("utf8");
  }

  get json() {
    try {
      return JSON.parse(this.text);
    } catch {
      throw new Error(`not JSON (${this.status}): ${this.text.slice(0, 300)}`);
    }
  }
}

/** Headers as an object, or as a list of pairs where a name repeats. */
const pairs = (headers) => (Array.isArray(headers) ? headers : Object.entries(headers));

/**
 * Sends one request and reads the answer. `target` goes out byte for byte (Latin-1), and so do names and values of headers.
 * `Host` and `Content-Length` are added unless given; `body` is a string or a Buffer.
 */
export async function send(base, { method = "GET", target = "/", headers = {}, body } = {}) {
  const { hostname, port } = new URL(base);
  const list = pairs(headers);
  const has = (name) => list.some(([n]) => n.toLowerCase() === name);
  const lines = [`${method} ${target} HTTP/1.1`];
  if (!has("host")) lines.push(`Host: ${hostname}:${port}`);
  for (const [name, value] of list) lines.push(`${name}: ${value}`);
  const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from(body);
  if (body !== undefined && !has("content-length") && !has("transfer-encoding")) {
    lines.push(`Content-Length: ${bytes.length}`);
  }
  if (!has("connection")) lines.push("Connection: close");
  return exchange(base, Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), bytes]), method === "HEAD");
}

/** Sends raw bytes, and reads one answer until it is whole or the connection ends. */
export async function exchange(base, bytes, headOnly = false) {
  const { hostname, port } = new URL(base);
  const socket = net.connect({ host: hostname, port: Number(port) });
  try {
    return await new Promise((resolve, reject) => {
      let received = Buffer.alloc(0);
      socket.setTimeout(LIMIT_MS, () => reject(new Error("no answer in time")));
      const finish = (ended) => {
        try {
          const answer = parse(received, ended, headOnly);
          if (answer !== undefined) resolve(answer);
          else if (ended) reject(new Error(`the connection ended early: ${received.toString("latin1").slice(0, 200)}`));
        } catch (error) {
          reject(error);
        }
      };
      socket.on("data", (chunk) => {
        received = Buffer.concat([received, chunk]);
        finish(false);
      });
      socket.on("end", () => finish(true));
      // A refused upload may be answered and then reset; the answer that came first is what counts.
      socket.on("error", (error) => (received.length > 0 ? finish(true) : reject(error)));
      socket.write(bytes);
    });
  } finally {
    socket.destroy();
  }
}

/** The answer in `received`, or `undefined` while it is not whole. */
function parse(received, ended, headOnly) {
  const end = received.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const answer = new Answer(received.subarray(0, end).toString("latin1"), Buffer.alloc(0));
  const rest = received.subarray(end + 4);
  if (headOnly || [101, 204, 304].includes(answer.status)) return answer;
  if (answer.header("transfer-encoding") === "chunked") {
    answer.bytes = unchunk(rest);
    return answer.bytes && answer;
  }
  const length = answer.header("content-length");
  if (length === undefined) {
    answer.bytes = rest;
    return ended ? answer : undefined;
  }
  answer.bytes = rest.subarray(0, Number(length));
  return rest.length >= Number(length) ? answer : undefined;
}

function unchunk(bytes) {
  const parts = [];
  for (;;) {
    const line = bytes.indexOf("\r\n");
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.subarray(0, line).toString("latin1"), 16);
    if (size === 0) return Buffer.concat(parts);
    if (bytes.length < line + 2 + size + 2) return undefined;
    parts.push(bytes.subarray(line + 2, line + 2 + size));
    bytes = bytes.subarray(line + 2 + size + 2);
  }
}
