// HTTP/1.1 as bytes: what is sent goes out as it is, and what comes is kept as it came, with nothing repaired, merged or decoded.
// An ordinary client would hide half of what these tests are about: raw paths, repeated headers, odd bytes, unknown methods.

import net from "node:net";

const LIMIT_MS = 60_000;

const latin1 = (bytes) => bytes.toString("latin1");

/** An answer. `headers` has the names in lower case; `message` is the answer as it came: see `readMessage`. */
export class Answer {
  constructor(message) {
    this.message = message;
    this.status = message.status;
    [, this.reason] = /^HTTP\/1\.[01] \d{3} ?(.*)$/.exec(message.start);
    this.headers = message.headers.map(([name, value]) => [name.toLowerCase(), value]);
    this.bytes = message.body;
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

/**
 * Sends one request and reads the answer. `target` goes out byte for byte (Latin-1), and so do names and values of headers, which are
 * an object, or a list of pairs where a name repeats. `Host` and `Content-Length` are added unless given; `body` is a string or a Buffer.
 */
export async function send(url, { method = "GET", target = "/", headers = {}, body } = {}) {
  const list = Array.isArray(headers) ? headers : Object.entries(headers);
  const has = (name) => list.some(([n]) => n.toLowerCase() === name);
  const lines = [`${method} ${target} HTTP/1.1`];
  if (!has("host")) lines.push(`Host: ${new URL(url).host}`);
  for (const [name, value] of list) lines.push(`${name}: ${value}`);
  const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from(body);
  if (body !== undefined && !has("content-length") && !has("transfer-encoding")) {
    lines.push(`Content-Length: ${bytes.length}`);
  }
  if (!has("connection")) lines.push("Connection: close");
  return exchange(url, Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), bytes]), method);
}

/** Sends bytes on a connection of their own, and reads one answer until it is whole or the connection ends. */
export async function exchange(url, bytes, method = "GET") {
  const { hostname, port } = new URL(url);
  const socket = net.connect({ host: hostname, port: Number(port) });
  try {
    return await new Promise((resolve, reject) => {
      let received = Buffer.alloc(0);
      const settle = (ended) => {
        try {
          const message = readAnswer(received, method, ended);
          if (message !== undefined) resolve(new Answer(message));
          else if (ended) reject(new Error(`the answer ended early: ${latin1(received).slice(0, 300)}`));
        } catch (error) {
          reject(error);
        }
      };
      socket.setTimeout(LIMIT_MS, () => reject(new Error(`no answer in time, but ${latin1(received).slice(0, 300)}`)));
      socket.on("data", (chunk) => {
        received = Buffer.concat([received, chunk]);
        settle(false);
      });
      socket.on("end", () => settle(true));
      // A refused upload may be answered and then reset; the answer that came first is what counts.
      socket.on("error", (error) => (received.length > 0 ? settle(true) : reject(error)));
      socket.write(bytes);
    });
  } finally {
    socket.destroy();
  }
}

/** The answer to a request of `method`: a message with `status` and `interim`, the ones before it; undefined while it is not whole. */
export function readAnswer(bytes, method, ended) {
  const interim = [];
  for (;;) {
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(latin1(bytes.subarray(0, 12)))?.[1]);
    const isFinal = status >= 200 || status === 101;
    const bodiless = method === "HEAD" || status < 200 || status === 204 || status === 304;
    const message = readMessage(bytes, { bodiless, isAnswer: true, ended });
    if (message === undefined) return undefined;
    if (Number.isNaN(status)) throw new Error(`not an HTTP answer: ${JSON.stringify(message.start)}`);
    if (isFinal) return { ...message, interim, status };
    interim.push(status);
    bytes = bytes.subarray(message.length);
  }
}

/**
 * Reads one message of `bytes`: `{ start, headers, framing, body, trailers, length }`, or undefined while it is not whole.
 * Names keep their spelling, texts their bytes. `bodiless`: it has none, whatever its headers say; `ended`: no more will come.
 */
export function readMessage(bytes, { bodiless = false, isAnswer = false, ended = false } = {}) {
  const head = bytes.indexOf("\r\n\r\n");
  if (head < 0) return undefined;
  const [start, ...lines] = latin1(bytes.subarray(0, head)).split("\r\n");
  const headers = fields(lines);
  const message = { start, headers, framing: "none", body: Buffer.alloc(0), trailers: [], length: head + 4 };
  if (bodiless) return message;
  const one = (name) => headers.find(([found]) => found.toLowerCase() === name)?.[1];
  const rest = bytes.subarray(head + 4);
  if (one("transfer-encoding")?.toLowerCase().endsWith("chunked")) {
    const chunked = readChunks(rest);
    return chunked && { ...message, framing: "chunked", ...chunked, length: head + 4 + chunked.length };
  }
  const length = one("content-length");
  if (length !== undefined) {
    if (rest.length < Number(length)) return undefined;
    return { ...message, framing: "length", body: rest.subarray(0, Number(length)), length: head + 4 + Number(length) };
  }
  if (!isAnswer) return message;
  return ended ? { ...message, framing: "close", body: rest, length: bytes.length } : undefined;
}

function readChunks(bytes) {
  const parts = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = Number.parseInt(latin1(bytes.subarray(at, line)), 16);
    at = line + 2;
    if (size === 0) {
      const end = latin1(bytes.subarray(line, line + 4)) === "\r\n\r\n" ? line : bytes.indexOf("\r\n\r\n", at);
      if (end < 0) return undefined;
      const trailers = end === line ? [] : fields(latin1(bytes.subarray(at, end)).split("\r\n"));
      return { body: Buffer.concat(parts), trailers, length: end + 4 };
    }
    if (bytes.length < at + size + 2) return undefined;
    parts.push(bytes.subarray(at, at + size));
    at += size + 2;
  }
}

const fields = (lines) =>
  lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "")];
  });
