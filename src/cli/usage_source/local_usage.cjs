// The usage that the control Worker stored under `wrangler dev`, for one question. Arguments: the folder of the class's objects, the
// unique key of the class, the name of the object. First it says up to which day there are sums; then it reads one line, an array of
// ranges of row names, from standard input, and writes these rows and the commits that are in no row yet. It decides nothing.
//
// What it writes is in pieces: a letter, a number of 8 bytes, a length of 4 bytes, and so many bytes.

const { createHash, createHmac } = require("node:crypto");
const { existsSync, readFileSync, writeSync } = require("node:fs");
const path = require("node:path");

const [folder, uniqueKey, name] = process.argv.slice(1);
const FLUSH_BYTES = 1 << 20;

/** As Miniflare and workerd derive an object's id from its name. */
function objectId() {
  const key = createHash("sha256").update(uniqueKey).digest();
  const half = (data) => createHmac("sha256", key).update(data).digest().subarray(0, 16);
  return Buffer.concat([half(name), half(half(name))]).toString("hex");
}

let pending = [];
let pendingBytes = 0;

function flush() {
  const bytes = Buffer.concat(pending);
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
  pending = [];
  pendingBytes = 0;
}

function write(letter, number, bytes = Buffer.alloc(0)) {
  const head = Buffer.alloc(13);
  head.write(letter, "latin1");
  head.writeBigUInt64LE(BigInt(number), 1);
  head.writeUInt32LE(bytes.length, 9);
  pending.push(head, bytes);
  pendingBytes += head.length + bytes.length;
  if (pendingBytes > FLUSH_BYTES) flush();
}

function open(file) {
  let sqlite;
  try {
    sqlite = require("node:sqlite");
  } catch {
    throw new Error(`Node.js 22.13 or later is needed, and this is ${process.versions.node}`);
  }
  return new sqlite.DatabaseSync(file, { readOnly: true });
}

function main() {
  const file = path.join(folder, `${objectId()}.sqlite`);
  if (!existsSync(file)) return write("n", 0);
  const db = open(file);
  db.exec("PRAGMA busy_timeout = 5000");
  // One state of it all, although the object may be writing.
  db.exec("BEGIN");
  const moved = db.prepare("SELECT commits, summed_day FROM moved").get();
  write("m", moved.summed_day);
  flush();
  const rows = db.prepare("SELECT name, packed FROM rows WHERE name BETWEEN ? AND ?");
  for (const range of JSON.parse(readFileSync(0, "utf8"))) {
    for (const { name, packed } of rows.iterate(...range)) write("r", name, packed);
  }
  const commits = db.prepare("SELECT number, packed FROM commits WHERE number > ?");
  for (const { number, packed } of commits.iterate(moved.commits)) write("c", number, packed);
  write("e", 0);
}

try {
  main();
} catch (error) {
  write("x", 0, Buffer.from(error.message));
}
flush();
