// A way to a real server on loopback, on which a test may hold up a call or answer it itself.

import { once } from "node:events";
import http from "node:http";
import { pipeline } from "node:stream/promises";

import { FaultyServer, readBody } from "./faulty_server.js";

/**
 * Given a call (`METHOD /path`, and the AWS operation where it is one), `fail` may return { status, json } to answer it with, or
 * "hang", or a function: what was asked is done, then the function is called, and no answer comes. It may be asynchronous.
 */
export class Relay extends FaultyServer {
  /** Leads to the server at `to`. */
  static async start(to) {
    const relay = new Relay();
    const server = http.createServer(async (request, response) => {
      const body = await readBody(request);
      if (!body) return;
      const operation = request.headers["x-amz-target"]?.split(".")[1];
      const told = await relay.fail(`${request.method} ${request.url}${operation ? ` ${operation}` : ""}`);
      if (told === "hang") return;
      if (told?.status) {
        response.writeHead(told.status, { "Content-Type": "application/json", ...told.headers }).end(JSON.stringify(told.json));
        return;
      }
      const asked = http.request(`${to}${request.url}`, { method: request.method, headers: request.headers });
      asked.end(body);
      const [answer] = await once(asked, "response").catch(() => []);
      if (!answer) {
        response.destroy();
        return;
      }
      asked.on("error", () => response.destroy());
      if (typeof told === "function") {
        answer.on("error", () => {}).resume();
        told();
        return;
      }
      response.writeHead(answer.statusCode, answer.rawHeaders);
      // Either end may go away in the middle.
      await pipeline(answer, response).catch(() => {});
    });
    relay.url = `http://${await relay.listen(server)}`;
    return relay;
  }
}
