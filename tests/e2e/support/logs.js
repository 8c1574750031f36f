// What the Workers wrote to the runtime's log, in order.

import { readFileSync } from "node:fs";

import { valid } from "./json_schema.js";

/** A machine under load has many times what it needs. */
const LIMIT_MS = 60_000;

/** What the published schema says of each line. */
export const LOG_SCHEMA = JSON.parse(readFileSync(new URL("../../../docs/log-event.schema.json", import.meta.url), "utf8"));

/** Whether a line is an event as documented: one line of visible ASCII, and as the schema says. */
export function isDocumented(message) {
  if (!/^[\x20-\x7e]+$/.test(message)) return false;
  try {
    return valid(JSON.parse(message), LOG_SCHEMA);
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

/** Asks `found` again until it gives something. */
export async function eventually(found, what) {
  const end = Date.now() + LIMIT_MS;
  for (;;) {
    const result = await found();
    if (result !== undefined && result !== false) return result;
    if (Date.now() > end) throw new Error(`waited ${LIMIT_MS / 1000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What a line holds as JSON; of another line, undefined. */
function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

export class Logs {
  /** `{ level, message, timestamp }`, as the runtime reports them. */
  entries = [];
  /** The lines that are JSON objects. */
  events = [];

  add(entry) {
    this.entries.push(entry);
    const value = parsed(entry.message);
    if (typeof value === "object" && value !== null) this.events.push(value);
  }

  until(matches) {
    return eventually(() => this.entries.find(matches), "a log line");
  }

  untilEvent(matches) {
    return eventually(() => this.events.find(matches), "a log line");
  }

  /** What the runtime itself may write, in a test that makes it. */
  expected = /^$/;

  /** The first line that nobody documented; the tests' own Worker marks where it has been. */
  get undocumented() {
    const own = ({ message }) => /^settled \d+$/.test(message) || this.expected.test(message);
    return this.entries.find((entry) => !own(entry) && !isDocumented(entry.message))?.message;
  }

  /** The events of one request. */
  of(requestId) {
    return this.events.filter((event) => event.request_id === requestId);
  }
}
