// HTTP/1.1 as bytes, at both ends of the gate: what was sent and what came, with nothing merged, decoded or left out.

import { once } from "node:events";
import net from "node:net";

const LIMIT_MS = 60_000;

const text = (bytes) => bytes.toString("latin1");

/**
 * Reads one message of `bytes`: `{ start, headers, framing, body, trailers, length }`, or undefined while it is not whole.
 * Names keep their spelling, texts their bytes. `bodiless`: it has none, whatever its headers say; `ended`: no more will come.
 */
function readMessage(bytes, { bodiless = false, isAnswer = false, ended = false } = {}) {
  const head = bytes.indexOf("\r\n\r\n");
  if (head < 0) return undefined;
  const [start, ...lines] = text(bytes.subarray(0, head)).split("\r\n");
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
    const size = Number.parseInt(text(bytes.subarray(at, line)), 16);
    at = line + 2;
    if (size === 0) {
      const end = text(bytes.subarray(line, line + 4)) === "\r\n\r\n" ? line : bytes.indexOf("\r\n\r\n", at);
      if (end < 0) return undefined;
      const trailers = end === line ? [] : fields(text(bytes.subarray(at, end)).split("\r\n"));
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

/** Reads the answer to a request of `method`, with the interim ones before it; undefined while it is not whole. */
function readAnswer(bytes, method, ended) {
  const interim = [];
  for (;;) {
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(text(bytes.subarray(0, 12)))?.[1]);
    const bodiless = method === "HEAD" || status < 200 || status === 204 || status === 304;
    const message = readMessage(bytes, { bodiless, isAnswer: true, ended });
    if (message === undefined) return undefined;
    if (status >= 200) return { ...message, interim, status };
    interim.push(status);
    bytes = bytes.subarray(message.length);
  }
}

/** Sends bytes on a connection of their own, and reads the answer to the end. */
export async function converse(url, bytes, method) {
  const { hostname, port } = new URL(url);
  const socket = net.connect({ host: hostname, port: Number(port) });
  let received = Buffer.alloc(0);
  try {
    return await new Promise((resolve, reject) => {
      const settle = (ended) => {
        const answer = readAnswer(received, method, ended);
        if (answer !== undefined) resolve(answer);
        else if (ended) reject(new Error(`the answer ended early: ${text(received).slice(0, 300)}`));
      };
      socket.setTimeout(LIMIT_MS, () => reject(new Error(`no answer in time, but ${text(received).slice(0, 300)}`)));
      socket.on("data", (chunk) => {
        received = Buffer.concat([received, chunk]);
        settle(false);
      });
      socket.on("end", () => settle(true));
      socket.on("error", reject);
      socket.write(bytes);
    });
  } finally {
    socket.destroy();
  }
}

/** A server of sockets that notes every whole request since `clear`. */
class Listener {
  requests = [];
  #sockets = new Set();
  #server = net.createServer((socket) => {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    this.accept(socket);
  });

  async listen() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  get host() {
    return `127.0.0.1:${this.#server.address().port}`;
  }

  get url() {
    return `http://${this.host}`;
  }

  clear() {
    this.requests = [];
  }

  async stop() {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  /** Calls `each` with every whole request that comes by `socket`. */
  read(socket, each = () => {}) {
    let received = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      for (let message; (message = readMessage(received)); ) {
        received = received.subarray(message.length);
        this.requests.push(message);
        each(message);
      }
    });
  }
}

/** An origin that answers with the bytes that it is told to. */
export class RawOrigin extends Listener {
  answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

  accept(socket) {
    this.read(socket, ({ start }) => {
      const isHead = start.startsWith("HEAD ");
      const bytes = Buffer.from(this.answer, "latin1");
      socket.write(isHead ? bytes.subarray(0, bytes.lastIndexOf("\r\n\r\n") + 4) : bytes);
      const saysItsEnd = /\r\n(transfer-encoding|content-length):/i.test(this.answer) || /^HTTP\/1\.1 (204|304)/.test(this.answer);
      if (!saysItsEnd) socket.end();
    });
  }
}

/** Stands before another server, and notes what passes. */
export class Tap extends Listener {
  constructor(url) {
    super();
    this.behind = new URL(url);
  }

  accept(socket) {
    const other = net.connect({ host: this.behind.hostname, port: Number(this.behind.port) });
    other.on("error", () => socket.destroy());
    socket.on("close", () => other.destroy());
    // Before the bytes go on: whoever has the answer finds the request here.
    this.read(socket);
    socket.pipe(other);
    other.pipe(socket);
  }
}
