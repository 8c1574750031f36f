// What the Workers wrote to the runtime's log, in order.

const LIMIT_MS = 10_000;

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

export class Logs {
  /** `{ level, message, timestamp }`, as the runtime reports them. */
  entries = [];

  add(entry) {
    this.entries.push(entry);
  }

  until(matches) {
    return eventually(() => this.entries.find(matches), "a log line");
  }

  /** The lines that are JSON objects. */
  get events() {
    return this.entries.flatMap(({ message }) => {
      try {
        const value = JSON.parse(message);
        return typeof value === "object" && value !== null ? [value] : [];
      } catch {
        return [];
      }
    });
  }

  /** The events of one request. */
  of(requestId) {
    return this.events.filter((event) => event.request_id === requestId);
  }
}
