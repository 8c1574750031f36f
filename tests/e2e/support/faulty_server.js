// Servers on loopback that fail where a test wants them to.

import { once } from "node:events";

/** The whole body of a request; `undefined` when the client has gone away in the middle: nobody is left to answer. */
export async function readBody(request) {
  const chunks = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks);
}

export class FaultyServer {
  /** Given a call, says how it fails, in the words of the server; `undefined`: not at all. */
  fail = () => undefined;

  /** Runs `body` while calls for which `fail` returns something fail. */
  async failing(fail, body) {
    this.fail = fail;
    try {
      return await body();
    } finally {
      this.fail = () => undefined;
    }
  }

  /** Listens with `server`; resolves to its address. */
  async listen(server) {
    this.server = server;
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return `127.0.0.1:${server.address().port}`;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
