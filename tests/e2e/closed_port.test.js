// The address at which nobody listens, which tests of failures use: no server gets it while the tests run.

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after, before, describe, test } from "node:test";

import { closedPort } from "./support/origin.js";
import { run } from "./support/program.js";

describe("a closed port", () => {
  let port;
  let servers = [];
  before(async () => {
    port = Number(new URL(await closedPort()).port);
    servers = Array.from({ length: 200 }, (_, n) => net.createServer().listen(0, n % 2 === 0 ? "127.0.0.1" : "0.0.0.0"));
    await Promise.all(servers.map((server) => once(server, "listening")));
  });
  after(() => servers.forEach((server) => server.close()));

  async function refusal() {
    const socket = net.connect({ port, host: "127.0.0.1" });
    const [error] = await once(socket, "error");
    return error.code;
  }

  test("refuses every connection", async () => {
    for (let n = 0; n < 50; n++) assert.equal(await refusal(), "ECONNREFUSED");
  });

  test("is given to none of 200 servers on ports of the system's choice", async () => {
    assert.ok(!servers.some((server) => server.address().port === port));
    assert.equal(await refusal(), "ECONNREFUSED");
  });

  test("is a different one each time", async () => {
    const urls = await Promise.all(Array.from({ length: 20 }, () => closedPort()));
    assert.equal(new Set(urls).size, 20);
  });

  // 200 of some 28,000 ports say little. A Linux socket can ask for a range of ports, and so for this one alone.
  test("is not given even to a server for which the system has no other", { skip: process.platform !== "linux" }, async (t) => {
    const code = `
import socket, struct, sys
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    # IP_LOCAL_PORT_RANGE: the lowest and the highest port.
    server.setsockopt(socket.IPPROTO_IP, 51, struct.pack("=HH", int(sys.argv[1]), int(sys.argv[1])))
except OSError:
    sys.exit("no IP_LOCAL_PORT_RANGE")
try:
    server.bind(("127.0.0.1", 0))
except OSError as error:
    print(error.strerror)
else:
    print("bound")
`;
    const { stdout, stderr } = await run("python3", ["-c", code, String(port)]);
    if (stderr.includes("no IP_LOCAL_PORT_RANGE")) return t.skip("the kernel is older than 6.3");
    assert.equal(stdout, "Address already in use\n", stderr);
  });
});
