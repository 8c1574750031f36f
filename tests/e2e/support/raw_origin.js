// Origins that show a request's bytes: one that answers with given bytes, and one that notes what passes to another server.

import { once } from "node:events";
import net from "node:net";
import { after } from "node:test";

import { readMessage } from "./http.js";

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

  /** Listens until the tests of the file are over. */
  async listen() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    after(() => this.#stop());
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

  async #stop() {
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
