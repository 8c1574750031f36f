// RFC 6455 as far as an echo needs it, on raw sockets: Node's own client cannot set headers, so it cannot send a key.

import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";

import { Answer, readAnswer } from "./http.js";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;

const acceptOf = (key) => createHash("sha1").update(key + GUID).digest("base64");

/** The origin's side: accepts and echoes every message until it is told to close. */
export function acceptWebSocket(request, socket) {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Accept: ${acceptOf(request.headers["sec-websocket-key"])}\r\n\r\n`,
  );
  onFrames(socket, ({ opcode, payload }) => {
    socket.write(frame(opcode, payload, false));
    if (opcode === CLOSE) socket.end();
  });
  socket.on("error", () => socket.destroy());
}

/** The client's side: `{ answer }` alone when the upgrade was refused, else with `echo(message)` and `close()`. */
export async function openWebSocket(base, { target = "/", headers = {} } = {}) {
  const { hostname, port } = new URL(base);
  const key = randomBytes(16).toString("base64");
  const socket = net.connect({ host: hostname, port: Number(port) });
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(
    `GET ${target} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n${lines.join("")}\r\n`,
  );
  let bytes = Buffer.alloc(0);
  let head;
  while (head === undefined) {
    const [chunk] = await once(socket, "data");
    bytes = Buffer.concat([bytes, chunk]);
    head = readAnswer(bytes, "HEAD");
  }
  const answer = new Answer(head);
  if (answer.status !== 101) {
    socket.destroy();
    return { answer };
  }
  if (answer.header("sec-websocket-accept") !== acceptOf(key)) throw new Error("the handshake's answer is not for this key");
  const inbox = [];
  let wake = () => {};
  onFrames(socket, (message) => {
    inbox.push(message);
    wake();
  });
  const receive = async () => {
    while (inbox.length === 0) await new Promise((resolve) => (wake = resolve));
    return inbox.shift();
  };
  return {
    answer,
    async echo(message) {
      const isText = typeof message === "string";
      socket.write(frame(isText ? TEXT : BINARY, Buffer.from(message), true));
      const { opcode, payload } = await receive();
      if (opcode !== (isText ? TEXT : BINARY)) throw new Error(`the echo has opcode ${opcode}`);
      return isText ? payload.toString("utf8") : payload;
    },
    /** Waits for the other end's close frame. */
    async closed() {
      const { opcode, payload } = await receive();
      if (opcode !== CLOSE) throw new Error(`a message with opcode ${opcode} came`);
      socket.destroy();
      return { code: payload.readUInt16BE(0), reason: payload.subarray(2).toString("utf8") };
    },
    async close() {
      socket.write(frame(CLOSE, Buffer.from([0x03, 0xe8]), true));
      const { opcode } = await receive();
      socket.destroy();
      return opcode === CLOSE;
    },
  };
}

function frame(opcode, payload, masked) {
  const head = [0x80 | opcode];
  const maskBit = masked ? 0x80 : 0;
  if (payload.length < 126) head.push(maskBit | payload.length);
  else if (payload.length < 65_536) head.push(maskBit | 126, payload.length >> 8, payload.length & 0xff);
  else throw new Error("longer messages are not needed here");
  if (!masked) return Buffer.concat([Buffer.from(head), payload]);
  const mask = randomBytes(4);
  return Buffer.concat([Buffer.from(head), mask, payload.map((byte, at) => byte ^ mask[at % 4])]);
}

/** Calls `onFrame` for each whole, unfragmented frame. */
function onFrames(socket, onFrame) {
  let bytes = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (;;) {
      if (bytes.length < 2) return;
      const masked = (bytes[1] & 0x80) !== 0;
      const short = bytes[1] & 0x7f;
      const lengthEnd = short === 126 ? 4 : 2;
      if (bytes.length < lengthEnd) return;
      const length = short === 126 ? bytes.readUInt16BE(2) : short;
      const start = lengthEnd + (masked ? 4 : 0);
      if (bytes.length < start + length) return;
      const mask = bytes.subarray(lengthEnd, start);
      const payload = Buffer.from(bytes.subarray(start, start + length)).map((byte, at) => (masked ? byte ^ mask[at % 4] : byte));
      const opcode = bytes[0] & 0x0f;
      bytes = bytes.subarray(start + length);
      onFrame({ opcode, payload });
    }
  });
}
