// RFC 9421: with ORIGIN_SIGNING_KEY set, the origin can tell that a request came through the gate. Here it is a real Flask,
// which checks with PyPI's http-message-signatures; what the gate sends is also signed again by this file's own code.

import assert from "node:assert/strict";
import { createHash, createHmac, randomBytes } from "node:crypto";
import path from "node:path";
import { describe, test } from "node:test";

import { assertAccepted, assertRefused } from "./support/contract.js";
import { startGates } from "./support/harness.js";
import { send } from "./support/http.js";
import { now } from "./support/keys.js";
import { valuesOf } from "./support/origin.js";
import { run } from "./support/program.js";
import { FLASK_EXAMPLE, pythonWithPackages } from "./support/python.js";
import { startServer } from "./support/servers.js";

function newKey(id) {
  const secret = randomBytes(32);
  return { secret, text: `${id}:${secret.toString("base64")}` };
}
const OLD = newKey("2026-05");
const NEW = newKey("2026-11");
const OTHER = newKey("2026-11");

const ROUTES = [{ path: "/healthz", access: "public" }];
const signing = (origin, ...keys) => ({
  vars: { ORIGIN: origin, ROUTES },
  secrets: { ORIGIN_SIGNING_KEY: keys.map((key) => key.text).join("\n") },
});

/** A Worker as origin: it answers with what it saw. */
const BACKEND = `export default { fetch({ method, url, headers }) {
  const { host, pathname, search } = new URL(url);
  headers = [...headers].filter(([name]) => name !== "host");
  return Response.json({ method, url: pathname + search, headers: [...headers, ["host", host]] });
} };`;

const GATE_SIGNATURE = path.join(FLASK_EXAMPLE, "gate_signature.py");
const PYTHON_ENV = { ...process.env, PORT: "0", PYTHONDONTWRITEBYTECODE: "1", PYTHONUNBUFFERED: "1" };
const FORBIDDEN = { error: "only the gate may call this server" };

const python = await pythonWithPackages();
const [flask, gunicorn, mounted, uWSGI, waitress] = await Promise.all([
  startServer("signature check", { KEYGATE_SIGNING_KEY: `${OLD.text} ${NEW.text}` }),
  startServer("signature check, gunicorn", { KEYGATE_SIGNING_KEY: NEW.text }),
  startServer("signature check, gunicorn", { KEYGATE_SIGNING_KEY: NEW.text, MOUNT: "/api", SCRIPT_NAME: "/api" }),
  startServer("signature check, uWSGI", { KEYGATE_SIGNING_KEY: NEW.text }),
  startServer("signature check, waitress", { KEYGATE_SIGNING_KEY: NEW.text }),
]);
const harness = await startGates(({ origin }) => ({
  signed: signing(flask, NEW),
  gunicorn: signing(gunicorn, NEW),
  mounted: signing(`${mounted}/api`, NEW),
  uWSGI: signing(uWSGI, NEW),
  waitress: signing(waitress, NEW),
  rotating: signing(flask, OLD, NEW),
  otherKey: signing(flask, OTHER),
  unsigned: { vars: { ORIGIN: flask, ROUTES } },
  captured: signing(`${origin.url}/base`, NEW),
  zone: signing("zone", NEW),
  service: { ...signing("service:BACKEND", NEW), services: { BACKEND } },
  plain: { vars: { ROUTES } },
  badKey: { secrets: { ORIGIN_SIGNING_KEY: "2026-11:canary" } },
  emptyKey: { secrets: { ORIGIN_SIGNING_KEY: "" } },
  noText: { secrets: { ORIGIN_SIGNING_KEY: [NEW.text] } },
  deniedNoText: { secrets: { DENIED_IDS: ["AAAAAAAAAAAA"] } },
}));
const { gates } = harness;
const issued = await harness.issue({ scopes: ["reports:read", "reports:write"] });

/** The value of the one header `name` of a request that an origin saw. */
const only = (seen, name) => {
  const values = valuesOf(seen, name);
  assert.equal(values.length, 1, `${name}: ${values.join(" | ")}`);
  return values[0];
};

/** The signature base of a request, read from its own Signature-Input (RFC 9421, section 2.5). */
function baseOf(seen) {
  const [, params, list] = /^keygate=(\(([^)]*)\).*)$/.exec(only(seen, "signature-input"));
  const [target, query = ""] = seen.url.split(/\?(.*)/s);
  const derived = { "@method": seen.method, "@authority": only(seen, "host"), "@path": target, "@query": `?${query}` };
  const names = list.split(" ").map((quoted) => quoted.slice(1, -1));
  return [...names.map((name) => `"${name}": ${derived[name] ?? only(seen, name)}`), `"@signature-params": ${params}`].join("\n");
}

const macOf = (seen, key) => `keygate=:${createHmac("sha256", key.secret).update(baseOf(seen)).digest("base64")}:`;

const coveredBy = (seen) => [...only(seen, "signature-input").split(")")[0].matchAll(/"([^"]+)"/g)].map(([, name]) => name);

/** A request that the gate `captured` sends on, as its origin saw it. */
async function capture(request, holder = issued) {
  const { seen } = await assertAccepted(gates.captured, { key: holder?.key, ...request }, holder);
  return seen;
}

describe("what the gate signs:", () => {
  const ALWAYS = ["@method", "@authority", "@path", "@query"];
  const IDENTITY = ["x-keygate-key-id", "x-keygate-subject", "x-keygate-scopes"];
  const digest = { "Content-Digest": `sha-256=:${createHash("sha256").update("{}").digest("base64")}:` };
  const rows = [
    ["a public route", () => null, { target: "/healthz" }, ALWAYS],
    ["a holder", () => issued, { target: "/v1/reports?a=%2f&b=+&c=%31&&d" }, [...ALWAYS, ...IDENTITY]],
    ["a body with a digest", () => issued, { method: "POST", target: "/v1/reports", body: "{}", headers: digest }, [...ALWAYS, "content-digest", ...IDENTITY]],
    ["a digest on two lines", () => issued, { target: "/v1", headers: [["Content-Digest", "a=:AA==:"], ["Content-Digest", "b=:AA==:"]] }, [...ALWAYS, "content-digest", ...IDENTITY]],
    ["an empty query", () => issued, { target: "/v1/reports?" }, [...ALWAYS, ...IDENTITY]],
    ["all that a URL may hold, and what the runtime then encodes", () => issued, { target: `/-._~!$&'()*+,;=:@[]|^{}"%22?-._~!$&'()*+,;=:@[]|^\`{}/?\\%zz` }, [...ALWAYS, ...IDENTITY]],
    ["HEAD", () => issued, { method: "HEAD", target: "/v1" }, [...ALWAYS, ...IDENTITY]],
  ];
  for (const [name, holder, request, covered] of rows) {
    test(name, async () => {
      const seen = await capture(request, holder());
      assert.deepEqual(coveredBy(seen), covered);
      assert.equal(only(seen, "signature"), macOf(seen, NEW));
      const [, created, nonce] = /\);created=(\d+);keyid="2026-11";alg="hmac-sha256";nonce="([\w-]{22})";tag="keygate"$/.exec(only(seen, "signature-input"));
      assert.ok(Math.abs(now() - Number(created)) < 5);
      assert.equal(Buffer.from(nonce, "base64url").length, 16);
    });
  }

  test("the request's own host, where the zone is the origin", async () => {
    // On this machine the request's own host is the origin's, so the zone is the origin.
    const headers = { Host: harness.origin.host };
    const { seen } = await assertAccepted(gates.zone, { target: "/v1?a=%2f", key: issued.key, headers }, issued);
    assert.equal(only(seen, "signature"), macOf(seen, NEW));
  });

  test("the request's own host, where a service is the origin", async () => {
    const answer = await gates.service.get("/v1?a=%2f", { key: issued.key, headers: { Host: "127.0.0.1" } });
    assert.equal(only(answer.json, "host"), "127.0.0.1");
    assert.equal(only(answer.json, "signature"), macOf(answer.json, NEW));
  });

  test("every signature has its own nonce", async () => {
    const nonces = new Set();
    for (let n = 0; n < 5; n++) nonces.add(/nonce="([^"]+)"/.exec(only(await capture({ target: "/v1" }), "signature-input"))[1]);
    assert.equal(nonces.size, 5);
  });

  test("a key without scopes", async () => {
    const bare = await harness.issue();
    const seen = await capture({ target: "/v1" }, bare);
    assert.deepEqual(coveredBy(seen), [...ALWAYS, "x-keygate-key-id", "x-keygate-subject"]);
    assert.equal(only(seen, "signature"), macOf(seen, NEW));
  });

  test("the client's own signatures are replaced, in any case and number", async () => {
    const headers = [
      ["Signature", "keygate=:AAAA:"], ["signature", "sig1=:AAAA:"], ["Signature-Input", 'keygate=("@method");tag="keygate"'],
      ["SIGNATURE-INPUT", 'sig1=("@method")'], ["Connection", "close, signature, signature-input, content-digest"],
    ];
    const seen = await capture({ target: "/v1", headers });
    assert.equal(only(seen, "signature"), macOf(seen, NEW));
  });

  for (const [name, value] of [["is not ASCII", "sha-256=\xe9"], ["is longer than 1 KiB", `sha-256=:${"A".repeat(1024)}:`]]) {
    test(`a Content-Digest that ${name} is not signed and not forwarded`, async () => {
      const seen = await capture({ target: "/v1", headers: { "Content-Digest": value } });
      assert.deepEqual(valuesOf(seen, "content-digest"), []);
      assert.ok(!coveredBy(seen).includes("content-digest"));
    });
  }

  test("without a signing key nothing is signed, and the client's signatures are forwarded", async () => {
    const headers = { Signature: "sig1=:AAAA:", "Signature-Input": 'sig1=("@method")', "Content-Digest": "sha-256=\xe9" };
    const { seen } = await assertAccepted(gates.plain, { target: "/v1", key: issued.key, headers }, issued);
    for (const [name, value] of Object.entries(headers)) assert.equal(only(seen, name.toLowerCase()), value);
  });
});

describe("Flask answers what the gate has signed:", () => {
  const rows = [
    ["GET", { target: "/v1/reports" }],
    ["a query", { target: "/v1/reports?a=%2f&b=+&&c=%31" }],
    ["what the runtime encodes, and what it does not", { target: "/v1/{'^'}?filter[name]='a'|{b}", status: 404 }],
    ["an empty query", { target: "/v1/reports?" }],
    ["percent-encoded bytes in the path", { target: "/v1/reports/%37%20%C3%A9", status: 404 }],
    ["HEAD", { method: "HEAD", target: "/v1/reports" }],
    ["POST", { method: "POST", target: "/v1/reports", body: '{"title":"x"}', headers: { "Content-Type": "application/json" }, status: 201 }],
  ];
  for (const [name, { status = 200, ...request }] of rows) {
    test(name, async () => {
      const answer = await gates.signed.send({ key: issued.key, ...request });
      assert.equal(answer.status, status, answer.text);
    });
  }

  test("with the caller's identity", async () => {
    assert.equal((await gates.signed.get("/v1/reports", { key: issued.key })).json.caller, "acme");
  });

  test("a public route, without a caller", async () => {
    const headers = { "X-Keygate-Subject": "root", "X-Keygate-Anything": "1" };
    assert.deepEqual((await gates.signed.get("/healthz", { headers })).json, { status: "ok" });
  });

  test("a signature by either of its two keys", async () => {
    assert.equal((await gates.rotating.get("/v1/reports", { key: issued.key })).status, 200);
  });

  test("only a body that matches its Content-Digest", async () => {
    const body = '{"title":"März"}';
    const digest = `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
    const post = (text) => gates.signed.send({
      method: "POST", target: "/v1/reports", key: issued.key, body: text,
      headers: { "Content-Type": "application/json", "Content-Digest": digest },
    });
    assert.equal((await post(body)).json.title, "März");
    const other = await post(body.replace("März", "Juni"));
    assert.deepEqual([other.status, other.json], [403, FORBIDDEN]);
  });

  for (const [name, gate] of [["signs with another key of the same name", "otherKey"], ["does not sign", "unsigned"]]) {
    test(`but nothing from a gate that ${name}`, async () => {
      for (const target of ["/v1/reports", "/healthz"]) {
        const answer = await gates[gate].get(target, { key: issued.key });
        assert.deepEqual([answer.status, answer.json], [403, FORBIDDEN]);
      }
    });
  }
});

describe("sent straight to Flask,", () => {
  const without = (...names) => (request) => ({ ...request, headers: request.headers.filter(([name]) => !names.includes(name)) });
  const withHeader = (name, value) => (request) => ({ ...request, headers: [...without(name)(request).headers, [name, value]] });
  const edited = (name, from, to) => (request) => {
    const value = only(request, name);
    assert.match(value, from);
    return withHeader(name, value.replace(from, to))(request);
  };

  /** A captured request, made out to another server: signed again, as one would who has the key. */
  function madeOutTo(url, captured, change = (request) => request) {
    const request = { ...captured, url: captured.url.replace("/base", "") };
    const changed = change(withHeader("host", new URL(url).host)(request));
    return withHeader("signature", macOf(changed, NEW))(changed);
  }
  const forFlask = (captured, change) => madeOutTo(flask, captured, change);

  const holder = async (change) => forFlask(await capture({ target: "/v1/reports?a=1" }), change);
  const nobody = async () => forFlask(await capture({ target: "/healthz" }, null));
  const toFlask = ({ method, url, headers }) => send(flask, { method, target: url, headers });

  test("a request that is signed with the key is answered", async () => {
    const answer = await toFlask(await holder());
    assert.deepEqual([answer.status, answer.json.caller], [200, "acme"]);
    assert.equal((await toFlask(await nobody())).status, 200);
  });

  const refused = [
    ["an altered method", (request) => ({ ...request, method: "POST" })],
    ["an altered method that asks for the same", (request) => ({ ...request, method: "HEAD" })],
    ["an altered path", (request) => ({ ...request, url: "/admin/users?a=1" })],
    ["another spelling of the path", (request) => ({ ...request, url: "/v1/report%73?a=1" })],
    ["an altered query", (request) => ({ ...request, url: "/v1/reports?a=2" })],
    ["a query cut off", (request) => ({ ...request, url: "/v1/reports" })],
    ["the target in absolute form", (request) => ({ ...request, url: `${flask}/v1/reports?a=1` })],
    ["a fragment behind the query", (request) => ({ ...request, url: "/v1/reports?a=1#x" })],
    ["another Host", withHeader("host", "api.example.com")],
    ["an altered subject", withHeader("x-keygate-subject", "root")],
    ["a second subject", (request) => ({ ...request, headers: [...request.headers, ["x-keygate-subject", "root"]] })],
    ["an altered key id", withHeader("x-keygate-key-id", "AAAAAAAAAAAA")],
    ["more scopes", withHeader("x-keygate-scopes", "reports:read reports:write admin")],
    ["the subject taken away", without("x-keygate-subject")],
    ["an identity header of another name added", withHeader("x-keygate-role", "root")],
    ["a Content-Digest added", withHeader("content-digest", "sha-256=:AAAA:")],
    ["an older created under the same signature", edited("signature-input", /created=\d+/, "created=1764000000")],
    ["a newer created under the same signature", edited("signature-input", /created=(\d+)/, (_, s) => `created=${Number(s) + 1}`)],
    ["another nonce", edited("signature-input", /nonce="./, (start) => `${start.slice(0, -1)}${start.endsWith("A") ? "B" : "A"}`)],
    ["another keyid", edited("signature-input", /2026-11/, "2026-05")],
    ["an unknown keyid", edited("signature-input", /2026-11/, "2025-05")],
    ["another alg", edited("signature-input", /hmac-sha256/, "ed25519")],
    ["another tag", edited("signature-input", /tag="keygate"/, 'tag="other"')],
    ["fewer components covered", edited("signature-input", / "x-keygate-subject"/, "")],
    ["no signature", without("signature", "signature-input")],
    ["no Signature", without("signature")],
    ["no Signature-Input", without("signature-input")],
    ["an empty signature", withHeader("signature", "keygate=::")],
    ["a malformed signature", withHeader("signature", "keygate=1, =")],
  ];
  for (const [name, change] of refused) {
    test(`${name} is refused`, async () => {
      const answer = await toFlask(change(await holder()));
      assert.equal(answer.status, 403);
      if (answer.text !== "") assert.deepEqual(answer.json, FORBIDDEN);
    });
  }

  test("identity headers added to a signed anonymous request are refused", async () => {
    const answer = await toFlask(withHeader("x-keygate-subject", "root")(await nobody()));
    assert.equal(answer.status, 403);
  });

  for (const [name, seconds, status] of [["old", -62, 403], ["not old yet", -50, 200], ["of the future", 30, 403]]) {
    test(`a signature with the right key that is ${name} gets ${status}`, async () => {
      const answer = await toFlask(await holder(edited("signature-input", /created=\d+/, `created=${now() + seconds}`)));
      assert.equal(answer.status, status, answer.text);
    });
  }

  for (const name of ["@method", "@authority", "@path", "@query", "x-keygate-subject"]) {
    test(`a signature with the right key that does not cover ${name} is refused`, async () => {
      const answer = await toFlask(await holder(edited("signature-input", new RegExp(`"${name}" ?`), "")));
      assert.equal(answer.status, 403);
    });
  }

  describe("sent straight to gunicorn, which trusts SCRIPT_NAME,", () => {
    const move = (name, value) => (request) => ({ ...request, headers: [...request.headers, [name, value]] });
    const ask = async (server, target, change = (request) => request) => {
      const { method, url, headers } = change(madeOutTo(server, await capture({ target })));
      return send(server, { method, target: url, headers });
    };

    for (const target of ["/v1/reports", "/v1/reports?a=%2f", "/v1/%72eports", "/admin/users"]) {
      test(`${target} is answered`, async () => {
        assert.equal((await ask(gunicorn, target)).status, 200);
        assert.equal((await ask(mounted, `/api${target}`)).status, 200);
      });
    }

    test("a path beyond ASCII is passed to the application", async () => {
      assert.equal((await ask(gunicorn, "/caf%C3%A9%20")).status, 404);
    });

    for (const [name, value] of [["SCRIPT_NAME", "/public"], ["Script_Name", "/public"], ["SCRIPT_NAME", "/public/"]]) {
      test(`${name}: ${value} does not move a signed /public/admin/users to /admin/users`, async () => {
        const answer = await ask(gunicorn, "/public/admin/users", move(name, value));
        assert.deepEqual([answer.status, answer.json], [403, FORBIDDEN]);
      });
    }

    test("an existing mount cannot be removed or extended", async () => {
      for (const value of ["/", "", "/api/public"]) {
        const answer = await ask(mounted, "/api/public/admin/users", move("SCRIPT_NAME", value));
        assert.equal(answer.status, 403, `${value}: ${answer.text}`);
      }
    });
  });

  test("a client with a valid key that bypasses the gate is refused", async () => {
    const answer = await send(flask, { target: "/v1/reports", headers: { Authorization: `Bearer ${issued.key}` } });
    assert.deepEqual([answer.status, answer.json], [403, FORBIDDEN]);
  });
});

describe("behind the gate and with the check,", () => {
  for (const server of ["gunicorn", "mounted", "uWSGI", "waitress"]) {
    test(`${server === "mounted" ? "gunicorn, with a mount," : server} answers what is signed`, async () => {
      const answer = await gates[server].get("/v1/reports?a=%2f", { key: issued.key });
      assert.deepEqual([answer.status, answer.json.caller], [200, "acme"]);
      assert.equal((await gates[server].get("/caf%C3%A9%20%25", { key: issued.key })).status, 404);
    });
  }

  test("gunicorn gets only the path that was signed", async () => {
    const answer = await gates.gunicorn.get("/public/admin/users", { key: issued.key, headers: { SCRIPT_NAME: "/public" } });
    // The gate has dropped the header, and there is no such page; without that the check refuses it.
    assert.ok([403, 404].includes(answer.status), answer.text);
  });
});

describe("without usable signing keys nothing starts:", () => {
  for (const [name, gate, named] of [
    ["a key that is too short", "badKey", "ORIGIN_SIGNING_KEY"],
    ["an empty text", "emptyKey", "ORIGIN_SIGNING_KEY"],
    ["a list", "noText", "ORIGIN_SIGNING_KEY"],
    ["DENIED_IDS that are an array of [vars]", "deniedNoText", "DENIED_IDS"],
  ]) {
    test(`the gate, given ${name}`, async () => {
      const { record } = await assertRefused(gates[gate], { target: "/v1/things", key: issued.key }, "gate_misconfigured");
      assert.ok(record.reason.includes(named), record.reason);
      for (const secret of ["canary", NEW.secret.toString("base64")]) assert.ok(!record.reason.includes(secret));
    });
  }

  for (const [name, keys] of [["no key", undefined], ["an empty text", ""], ["no base64", "a:canary!"], ["a short key", "a:Y2FuYXJ5"]]) {
    test(`Flask, given ${name}`, async () => {
      const { KEYGATE_SIGNING_KEY: _, ...inherited } = PYTHON_ENV;
      const env = { ...inherited, ...(keys === undefined ? {} : { KEYGATE_SIGNING_KEY: keys }) };
      const { status, stdout, stderr } = await run(python, [GATE_SIGNATURE], { env });
      assert.equal(status, 1);
      assert.match(stderr, /^gate_signature\.py: KEYGATE_SIGNING_KEY: .*\n$/);
      assert.ok(!/canary|Y2FuYXJ5/.test(stdout + stderr));
    });
  }
});
