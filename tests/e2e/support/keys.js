// Keys, digests and records, written from the format's description and not from the Rust code: what this file issues,
// the gate must accept, so a slip in either is found by the other.

import { createHash, createHmac, randomInt } from "node:crypto";

const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** A pepper for tests; `keygate pepper` makes real ones. */
export const PEPPER = "e2e-pepper-0123456789-abcdefghijklmnopqrstuvwxyz-ABC";

export const now = () => Math.floor(Date.now() / 1000);

export const randomBase62 = (length) =>
  Array.from({ length }, () => BASE62[randomInt(62)]).join("");

/** A number as base62 digits, most significant first. */
function base62(number, length) {
  let text = "";
  for (; text.length < length; number /= 62n) text = BASE62[Number(number % 62n)] + text;
  return text;
}

const bigEndian = (bytes) => BigInt(`0x${bytes.toString("hex")}`);
const hmac = (key, message) => createHmac("sha256", key).update(message).digest();
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();

export const pepperId = (pepper) => sha256("keygate/v1/pepper-id\0", pepper).toString("hex").slice(0, 8);

/** The last 8 characters of a key that begins with `head`. */
export const tagOf = (pepper, head) =>
  base62(bigEndian(hmac(hmac(pepper, "keygate/v1/tag"), head).subarray(0, 8)) % 62n ** 8n, 8);

export const digestOf = (pepper, key) =>
  `hs256.${pepperId(pepper)}.${hmac(hmac(pepper, "keygate/v1/digest"), key).toString("base64url")}`;

export const importedDigestOf = (pepper, key) =>
  `hsha256.${pepperId(pepper)}.${hmac(hmac(pepper, "keygate/v1/imported-digest"), sha256(key)).toString("base64url")}`;

/** As earlier versions stored it. */
export const bareImportedDigestOf = (key) => `sha256.${sha256(key).toString("base64url")}`;

export const importedIdOf = (key) =>
  base62(bigEndian(sha256("keygate/v1/imported-id\0", sha256(key)).subarray(0, 16)) % 62n ** 12n, 12);

/** A well-formed key: the tag is right, whether or not a record exists. */
export function makeKey({ prefix = "acme_live", pepper = PEPPER, id = randomBase62(12) } = {}) {
  const head = `${prefix}_${id}${randomBase62(30)}`;
  return { id, key: head + tagOf(pepper, head) };
}

/** A record that lets `key` in; `fields` override or add. */
export const makeRecord = (id, digest, fields = {}) => ({
  v: 1,
  id,
  subject: "acme",
  name: "Acme test",
  digest,
  state: "active",
  created: now() - 60,
  ...fields,
});

/** A key with its record: `{ key, id, record }`. Nothing is stored yet. */
export function issue(fields = {}, { prefix, pepper = PEPPER } = {}) {
  const { id, key } = makeKey({ prefix, pepper });
  return { key, id, record: makeRecord(id, digestOf(pepper, key), fields) };
}

/** The same for a key of another system, which has no tag and no prefix. */
export function importKey(key, fields = {}, { pepper = PEPPER } = {}) {
  const id = importedIdOf(key);
  return { key, id, record: makeRecord(id, importedDigestOf(pepper, key), fields) };
}
