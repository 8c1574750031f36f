// Keys whose records are invalid are refused with 503, and the log names the fault.

import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";

import { assertRefused } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { randomBase62 } from "./support/keys.js";

const harness = await startGates(() => ({ gate: { kv: "scripted" } }));
const { gate } = harness.gates;

describe("cases 29, 30, 38: a key whose record is wrong is refused with 503, and the log names it:", () => {
  const broken = (change) => (record) => JSON.stringify({ ...record, ...change });
  const rows = {
    "not JSON (case 30)": () => "{not json",
    "an empty value": () => "",
    "bytes that are not UTF-8 (case 30)": () => Buffer.from([0xff, 0xfe, 0x00, 0x80]),
    "a gzip of a record (case 30)": (record) => gzipSync(JSON.stringify(record)),
    "a truncated record (case 30)": (record) => JSON.stringify(record).slice(0, -1),
    "a byte order mark before the record (case 30)": (record) => `\ufeff${JSON.stringify(record)}`,
    "HTML (case 30)": () => "<html>502 Bad Gateway</html>",
    "an array (case 30)": (record) => JSON.stringify([record]),
    "a string (case 30)": (record) => JSON.stringify(JSON.stringify(record)),
    "a thousand levels (case 30)": () => "[".repeat(1000) + "]".repeat(1000),
    "a hundred thousand levels (case 30)": () => '{"a":'.repeat(100_000),
    "a field of JavaScript's own (case 30)": (record) => JSON.stringify(record).replace(/}$/, ',"__proto__":{"state":"active"}}'),
    "a field in another case (case 30)": broken({ State: "active" }),
    "a field with an escaped name, twice (case 30)": (record) => JSON.stringify({ ...record, state: "revoked" }).replace(/}$/, ',"st\\u0061te":"active"}'),
    "JSON null": () => "null",
    "an unknown field (case 30)": broken({ allowed_hours: "9-17" }),
    "an unknown version (case 30)": broken({ v: 2 }),
    "the version as a string": broken({ v: "1" }),
    "another key's id (case 30)": broken({ id: randomBase62(12) }),
    "an unknown state": broken({ state: "paused" }),
    "no subject": broken({ subject: undefined }),
    "a subject with a line break (case 38)": broken({ subject: "acme\r\nX-Admin: 1" }),
    "a subject with a lone line feed (case 38)": broken({ subject: "acme\nX-Admin: 1" }),
    "a subject with a NUL": broken({ subject: "acme\0" }),
    "a subject with more than ASCII": broken({ subject: "acmé" }),
    "an empty subject": broken({ subject: "" }),
    "a name with a line break (case 38)": broken({ name: "Acme\r\nX-Admin: 1" }),
    "a scope with a line break (case 38)": broken({ scopes: ["reports:read\r\nX-Admin: 1"] }),
    "an invalid digest": broken({ digest: "acme" }),
    "a digest of an unknown pepper": broken({ digest: `hs256.00000000.${"A".repeat(43)}` }),
    "a time as a string (case 29)": broken({ not_after: "1771776000" }),
    "a time as a fraction (case 29)": broken({ not_after: 1771776000.5 }),
    "a time with an exponent (case 29)": (record) => JSON.stringify(record).replace(/}$/, ',"not_after":4e9}'),
    "a negative time (case 29)": broken({ not_after: -1 }),
    "a negative zero (case 29)": (record) => JSON.stringify(record).replace(/}$/, ',"not_after":-0}'),
    "a time in milliseconds (case 29)": broken({ not_after: 1771776000000 }),
    "a beginning after its end (case 29)": broken({ not_before: 1771776001, not_after: 1771776000 }),
    "a time that is true (case 29)": broken({ not_after: true }),
    "a time of 2^64 (case 29)": (record) => JSON.stringify(record).replace(/}$/, ',"not_after":18446744073709551616}'),
    "a field twice": (record) => JSON.stringify(record).replace(/}$/, ',"state":"active"}'),
    "text after the record": (record) => `${JSON.stringify(record)} {}`,
    "a scope with a space": broken({ scopes: ["a b"] }),
    "a network that is none": broken({ ips: ["203.0.113.0/33"] }),
    "scopes as a text": broken({ scopes: "admin" }),
    "a state as a list": broken({ state: ["active"] }),
    "a network with bits after its prefix": broken({ ips: ["203.0.113.7/24"] }),
    "ips as an object": broken({ ips: {} }),
    "a digest with padding": (record) => JSON.stringify({ ...record, digest: `${record.digest}=` }),
    "an imported key's digest": broken({ digest: `sha256.${"A".repeat(43)}` }),
    "25 MiB": (record) => JSON.stringify(record) + " ".repeat(25 * 1024 * 1024 - 1024),
  };
  for (const [name, value] of Object.entries(rows)) {
    test(name, async () => {
      const issued = await harness.issue();
      harness.store.entries.set(`key/${issued.id}`, value(issued.record));
      await assertRefused(gate, { target: "/v1/things", key: issued.key }, "key_record_invalid", {
        log: { key_id: issued.id },
      });
    });
  }
});
