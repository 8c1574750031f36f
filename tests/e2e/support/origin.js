// The origin behind the gate: it keeps every request as it came, and answers what the test asks for.

import { once } from "node:events";
import http from "node:http";
import net from "node:net";

import { acceptWebSocket } from "./websocket.js";

export class Origin {
  /** Every request since the last `clear`, oldest first: `{ method, url, headers, body, trailers }`. */
  requests = [];
  /** The heads of all requests ever, as text: where a leaked key would show. */
  everything = [];
  #answer = echo;
  /** The server does not count these as its own connections. */
  #upgraded = [];
  #server = http.createServer((request, response) => this.#serve(request, response));

  static async start() {
    const origin = new Origin();
    origin.#server.on("upgrade", (request, socket) => {
      origin.#upgraded.push(socket);
      origin.#note(seen(request));
      acceptWebSocket(request, socket);
    });
    origin.#server.listen(0, "127.0.0.1");
    await once(origin.#server, "listening");
    return origin;
  }

  get port() {
    return this.#server.address().port;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  get host() {
    return `127.0.0.1:${this.port}`;
  }

  /** Forgets what it has seen. From now on `answer(request, response, body)` answers; `body()` reads the whole body. */
  clear(answer = echo) {
    this.requests = [];
    this.#answer = answer;
  }

  /** The one request since `clear`. */
  get only() {
    if (this.requests.length !== 1) throw new Error(`the origin saw ${this.requests.length} requests, not 1`);
    return this.requests[0];
  }

  async stop() {
    for (const socket of this.#upgraded) socket.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #note(record) {
    this.requests.push(record);
    this.everything.push(`${record.url} ${JSON.stringify(record.headers)}`);
  }

  async #serve(request, response) {
    const record = seen(request);
    this.#note(record);
    // Read only when it is asked for: an answer may stream the body itself.
    const body = async () => {
      record.body = Buffer.concat(await Array.fromAsync(request));
      record.trailers = request.rawTrailers;
      return record.body;
    };
    try {
      await this.#answer(request, response, body);
    } catch (error) {
      response.destroy(error);
    }
  }
}

/** Header names in lower case, every line of its own: nothing is merged. */
function seen(request) {
  const headers = [];
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    headers.push([request.rawHeaders[at].toLowerCase(), request.rawHeaders[at + 1]]);
  }
  return { method: request.method, url: request.url, headers, body: Buffer.alloc(0), trailers: [] };
}

/** All values of a header of a request that the origin saw. */
export const valuesOf = (record, name) => record.headers.filter(([n]) => n === name).map(([, value]) => value);

async function echo(request, response, body) {
  await body();
  response.writeHead(200, { "content-type": "text/plain", "x-origin": "yes" });
  response.end("hello from the origin");
}

/** An answer with a fixed status, headers (a flat list of names and values) and body. */
export const fixed = (status, headers = [], body = "") => async (request, response, read) => {
  await read();
  response.writeHead(status, headers);
  response.end(body);
};

/**
 * A loopback address at which nobody listens, until this process ends: every connect is refused.
 *
 * Not the port of a server that was closed: the next server of another test file may get that one. Here the port is the local
 * one of an open connection, bound explicitly, so the system gives it to nobody else.
 */
export async function closedPort() {
  const listener = net.createServer();
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const accepted = once(listener, "connection");
  const holder = net.connect({ port: listener.address().port, host: "127.0.0.1", localAddress: "127.0.0.1" });
  await once(holder, "connect");
  const [peer] = await accepted;
  listener.close();
  held.push(holder.unref(), peer.unref());
  return `http://127.0.0.1:${holder.localPort}`;
}

/** The two ends of the connections that hold ports: a socket that is garbage is closed. */
const held = [];
