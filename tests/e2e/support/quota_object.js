// The Durable Object behind QUOTA, in memory: it lends as `Account` in src/core/quota does, and keeps what it was sent.

export const QUOTA_OBJECT = `
  import { DurableObject } from "cloudflare:workers";
  const SECONDS = { hour: 3600, day: 86400 };
  const VALID_MS = 30_000, SHARE = 20, UNITS_MAX = 1000;

  function period({ period }) {
    const now = Date.now();
    const length = SECONDS[period] * 1000;
    if (length) return [now - (now % length), now - (now % length) + length];
    const date = new Date(now), [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
    return period === "month" ? [Date.UTC(year, month), Date.UTC(year, month + 1)] : [0, undefined];
  }

  export class Quota extends DurableObject {
    counts = {};
    messages = [];
    how = "work";

    async fetch(request) {
      if (request.method === "GET") {
        return Response.json({ spent: Object.fromEntries(Object.entries(this.counts).map(([name, { spent }]) => [name, spent])), messages: this.messages });
      }
      if (request.method === "PUT") return new Response((this.how = await request.text()));
      const path = new URL(request.url).pathname;
      const message = await request.json();
      this.messages.push({ path, ...message });
      if (this.how === "hang") await new Promise(() => setTimeout(() => {}, 3_600_000));
      if (this.how === "fail") return new Response(null, { status: 503 });
      const count = this.count(message.quota);
      if (path === "/returns") {
        this.takeBack(count, message.unused);
        return new Response(null, { status: 204 });
      }
      const lease = this.lend(count, message);
      // It has lent, and the answer is lost.
      if (this.how === "lose") return new Response(null, { status: 503 });
      return Response.json(lease);
    }

    count(quota) {
      const [start] = period(quota);
      const count = this.counts[quota.period];
      return count?.start === start ? count : (this.counts[quota.period] = { start, spent: 0, leases: new Map() });
    }

    lend(count, { quota, request }) {
      const known = count.leases.get(request.id);
      if (known) return known.lease;
      this.takeBack(count, request.unused);
      const left = Math.max(0, quota.limit - count.spent);
      const spare = Math.min(request.wanted, Math.floor(left / SHARE), UNITS_MAX);
      const units = left < request.needed ? 0 : Math.max(spare, request.needed);
      const [, end] = period(quota);
      const untilEnd = end === undefined ? undefined : end - Date.now();
      const lease = {
        units,
        valid_ms: Math.min(VALID_MS, untilEnd ?? VALID_MS),
        left: left - units,
        resets_in_secs: untilEnd === undefined ? null : Math.ceil(untilEnd / 1000),
      };
      count.spent += units;
      if (units > 0) count.leases.set(request.id, { lease, returned: false });
      return lease;
    }

    takeBack(count, unused) {
      for (const { id, units } of unused) {
        const lent = count.leases.get(id);
        if (!lent || lent.returned) continue;
        lent.returned = true;
        count.spent -= Math.min(units, lent.lease.units);
      }
    }
  }

  export default { fetch: () => new Response(null, { status: 404 }) };
`;
