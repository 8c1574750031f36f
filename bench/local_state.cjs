// Fills what `wrangler dev` keeps: the usage of the control Worker, and the listing of the local KV. Arguments: the folder of the state,
// how many keys, the last day with sums, the time. Standard input: rows of usage, each a number of 8 bytes, a length of 4 bytes, and so
// many bytes.

const { createHash, createHmac } = require("node:crypto");
const { mkdirSync, readdirSync, readSync } = require("node:fs");
const path = require("node:path");
const { DatabaseSync } = require("node:sqlite");

const [folder, keys, summedDay, now] = process.argv.slice(2);
const UNIQUE_KEY = "keygate-control-Usage";

function objectId(name) {
  const key = createHash("sha256").update(UNIQUE_KEY).digest();
  const half = (data) => createHmac("sha256", key).update(data).digest().subarray(0, 16);
  return Buffer.concat([half(name), half(half(name))]).toString("hex");
}

/** So many bytes of standard input; undefined at its end. */
function take(length) {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const count = readSync(0, bytes, at, length - at, null);
    if (count === 0) return undefined;
    at += count;
  }
  return bytes;
}

function usage() {
  const objects = path.join(folder, "do", UNIQUE_KEY);
  mkdirSync(objects, { recursive: true });
  const db = new DatabaseSync(path.join(objects, `${objectId("usage")}.sqlite`));
  db.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = OFF;
    CREATE TABLE commits (number INTEGER PRIMARY KEY, known_until INTEGER NOT NULL, packed BLOB NOT NULL);
    CREATE TABLE rows (name INTEGER PRIMARY KEY, packed BLOB NOT NULL);
    CREATE TABLE moved (only INTEGER PRIMARY KEY CHECK (only = 0), commits INTEGER NOT NULL, summed_day INTEGER NOT NULL);
    INSERT INTO moved VALUES (0, 0, ${Number(summedDay)});
    BEGIN`);
  const insert = db.prepare("INSERT INTO rows VALUES (?, ?)");
  for (let head; (head = take(12)); ) insert.run(Number(head.readBigUInt64LE(0)), take(head.readUInt32LE(8)));
  db.exec("COMMIT");
  db.close();
}

/** The listing has all keys; their values are that of the one key that is there already. */
function listing() {
  const namespaces = path.join(folder, "kv", "miniflare-KVNamespaceObject");
  const file = readdirSync(namespaces).find((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite");
  const db = new DatabaseSync(path.join(namespaces, file));
  const { blob_id: blob } = db.prepare("SELECT blob_id FROM _mf_entries").get();
  const insert = db.prepare("INSERT INTO _mf_entries (key, blob_id, expiration, metadata) VALUES (?, ?, NULL, ?)");
  db.exec("BEGIN");
  for (let number = 0; number < Number(keys); number += 1) {
    const metadata = { subject: `customer-${number % 1000}`, name: "Made by the bench", state: "active", created: Number(now) - 400 * 86_400, not_after: null, pepper: "01234567", scopes: [] };
    insert.run(`key/${String(number).padStart(12, "0")}`, blob, JSON.stringify(metadata));
  }
  db.exec("COMMIT");
  db.close();
}

usage();
listing();
