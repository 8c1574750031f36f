// A request's way through the gate, as the picture of README.md: readable on a light and on a dark page.

import { CONTRACT } from "./contract.js";

/** What the gate does, in its order: the step, what it looks at, and the codes that it may refuse with. */
export const STEPS = [
  ["configuration", "parsed once per isolate", ["gate_misconfigured"]],
  ["transport", "HTTPS, and not from the gate itself", ["https_required", "loop_detected", "too_many_hops"]],
  ["method", "allowed", ["method_not_allowed"]],
  ["path", "one reading alone", ["path_ambiguous"]],
  ["route", "public, key or deny", ["route_denied", "method_ambiguous", "destination_not_allowed"]],
  ["credential", "exactly one", ["credential_missing", "credential_malformed", "credential_ambiguous"]],
  ["format and tag", "a forged key ends here, without I/O", ["key_invalid"]],
  ["record", "from the cache, KV or STATIC_KEYS", ["key_invalid", "key_store_unavailable", "key_record_invalid"]],
  [
    "decision",
    "digest, status, address, scopes, limits",
    [
      ["key_invalid", "key_revoked", "key_disabled", "key_expired", "key_not_yet_valid"],
      ["ip_not_allowed", "subject_not_allowed", "scope_missing", "rate_limited", "quota_exceeded", "quota_unavailable"],
    ].flat(),
  ],
  ["forward", "the key stripped, who calls added", ["origin_unreachable", "origin_timeout"]],
  ["log", "one JSON line for each refusal", []],
];

const ALT = "A request passes eleven steps of the gate at the edge. Each may refuse it; the last forwards it to your API without the key.";
const STYLE = [
  "text { font: 13px system-ui, sans-serif; fill: #1f2328 } .name { font-weight: 600 } .small { font-size: 12px; fill: #59636e }",
  ".code { font: 11.5px ui-monospace, monospace } .status { fill: #b35900; font-variant-numeric: tabular-nums }",
  ".box { fill: #f6f8fa; stroke: #d1d9e0 } .gate { fill: none; stroke: #1f6feb; stroke-width: 1.5 }",
  ".way { stroke: #59636e; stroke-width: 1.5; fill: none } .head { fill: #59636e }",
  "@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #9198a1 } .status { fill: #f0a35e }",
  ".box { fill: #151b23; stroke: #3d444d } .gate { stroke: #4493f8 } .way { stroke: #9198a1 } .head { fill: #9198a1 } }",
].join(" ");

const ROW = 24;
const TOP = 44;
const HEIGHT = TOP + STEPS.length * ROW + 20;
const GATE = { x: 194, width: 532 };
const SIDE = 180;
const WIDTH = 920;

const text = (x, y, content, kind = "", end = false) =>
  `<text x="${x}" y="${y}"${kind && ` class="${kind}"`}${end ? ' text-anchor="end"' : ""}>${content}</text>`;
const box = (x, y, width, height, kind) => `<rect class="${kind}" x="${x}" y="${y}" width="${width}" height="${height}" rx="6"/>`;
const arrow = (from, to, y) => {
  const back = to > from ? -7 : 7;
  return `<path class="way" d="M${from} ${y}H${to + back}"/><path class="head" d="M${to} ${y}l${back} -4v8z"/>`;
};
const line = (step) => TOP + step * ROW;

function drawStep([name, looksAt, codes], at) {
  const y = line(at) + 16;
  const statuses = [...new Set(codes.map((code) => CONTRACT[code].status))].sort();
  return [
    text(GATE.x + 34, y, at + 1, "small", true),
    text(GATE.x + 44, y, name, "name"),
    text(GATE.x + 160, y, looksAt, "small"),
    text(GATE.x + GATE.width - 14, y, statuses.join(" "), "status", true),
  ].join("");
}

/** A box on the side of the gate, with its lines of text. */
const side = (x, y, [title, ...lines]) =>
  [box(x, y, SIDE, 26 + lines.length * 17, "box"), text(x + 10, y + 19, title, "name"), ...lines.map((content, at) => text(x + 10, y + 37 + at * 17, content, "code"))].join("");

/** The picture as SVG. */
export function drawRequest() {
  const api = WIDTH - SIDE;
  const [record, forward, log] = ["record", "forward", "log"].map((name) => STEPS.findIndex(([step]) => step === name));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" role="img" aria-labelledby="title">`,
    `<title id="title">${ALT}</title>`,
    `<style>${STYLE}</style>`,
    box(GATE.x, 1, GATE.width, HEIGHT - 2, "gate"),
    text(GATE.x + 14, 26, "Keygate, in your Cloudflare account", "name"),
    text(GATE.x + GATE.width - 14, 26, "may refuse with", "small", true),
    ...STEPS.map(drawStep),
    side(0, line(0) - 10, ["client", "GET /v1/reports", "Authorization:", "  Bearer acme_live_…"]),
    arrow(SIDE, GATE.x, line(0) + 11),
    side(api, line(record) - 21, ["Workers KV", "digests of keys"]),
    arrow(GATE.x + GATE.width, api, line(record) + 11),
    side(api, line(forward) - 16, ["your API", "GET /v1/reports", "X-Keygate-Subject: acme"]),
    arrow(GATE.x + GATE.width, api, line(forward) + 11),
    side(0, line(log) - 21, ["your log", '"code":"key_expired"']),
    arrow(GATE.x, SIDE, line(log) + 11),
    "</svg>",
    "",
  ].join("\n");
}
