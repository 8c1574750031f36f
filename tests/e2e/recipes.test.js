// The recipes in `examples` that have a server: each with its own server, its own client and its own settings, by the commands of
// its README.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, describe, test } from "node:test";

import { startGates } from "./support/harness.js";
import { send } from "./support/http.js";
import { makeKey } from "./support/keys.js";
import { run, serve } from "./support/program.js";
import { ROOT } from "./support/project.js";
import { pythonWithPackages } from "./support/python.js";
import { copyRecipes, INSTALLS, readRecipe, recipeEnv } from "./support/recipes.js";
import { READY } from "./support/servers.js";

/** What starts a recipe: `prepare` runs first, then the server, with `env` before it; `secret` is what the gate gets. */
const STARTS = {
  "flask": { server: ".venv/bin/python app.py" },
  "fastapi": { server: ".venv/bin/uvicorn app:app" },
  "express": { server: "node server.js" },
  "mcp": { server: ".venv/bin/python server.py" },
  "openai": {
    prepare: ["(umask 077; openssl rand -hex 32 > provider-key.txt)"],
    env: 'PROVIDER_KEY="$(cat provider-key.txt)" ',
    server: ".venv/bin/uvicorn server:app",
    secret: { ORIGIN_AUTHORIZATION: 'echo "Bearer $(cat provider-key.txt)"' },
  },
  "anthropic": { server: ".venv/bin/uvicorn server:app" },
  "graphql": { server: ".venv/bin/uvicorn server:app" },
  "webhook-receiver": { server: ".venv/bin/uvicorn app:app" },
  "tunnel": {
    prepare: ['(umask 077; echo "2026-11:$(openssl rand -base64 32)" > signing-key.txt)'],
    env: 'KEYGATE_SIGNING_KEY="$(cat signing-key.txt)" ',
    server: ".venv/bin/python ../flask/gate_signature.py",
    secret: { ORIGIN_SIGNING_KEY: "cat signing-key.txt" },
  },
};

const PYTHON = 'API_KEY="$(cat key.txt)" .venv/bin/python client.py';
const MCP_OUTPUT = "tools: whoami report\ncaller: acme\n1 of 3: month 1\n2 of 3: month 2\n3 of 3: month 3\nresult: 300 EUR\n";

/** Recipe, command of its README, and what it prints then. */
const COMMANDS = [
  ["flask", PYTHON, '{"caller":"acme","reports":[{"id":1,"title":"Sales, January"},{"id":2,"title":"Sales, February"}]}\n'],
  ["fastapi", PYTHON, '{"id":2,"created_by":"acme"}\n{"notes":{"1":"Buy milk","2":"Call Ada"},"caller":{"subject":"acme","scopes":["notes:read","notes:write"]}}\n'],
  ["express", 'API_KEY="$(cat key.txt)" node client.js', '{"id":2,"item":"Tea","orderedBy":"acme"}\n'],
  ["mcp", PYTHON, MCP_OUTPUT],
  ["mcp", `${PYTHON} legacy`, MCP_OUTPUT],
  ["openai", PYTHON, "models: echo-1\nanswer: How are you?\nchunk: How \nchunk: are \nchunk: you? \nchunk: None\n"],
  ["anthropic", PYTHON, "answer: How are you?\nchunk: How \nchunk: are \nchunk: you? \n"],
  ["graphql", PYTHON, "{'books': ['Middlemarch'], 'caller': 'acme'}\n"],
  ["graphql", `${PYTHON} "Silas Marner"`, "{'addBook': ['Middlemarch', 'Silas Marner']}\n"],
  [
    "webhook-receiver",
    'WEBHOOK_URL="http://127.0.0.1:8787/hooks/order?shop=7&token=$(cat key.txt)" .venv/bin/python sender.py',
    '{"event":"order","sender":"shop","query":"shop=7","payload":{"order":17}}\n',
  ],
  [
    "tunnel",
    'API_URL=https://api.example.com API_KEY="$(cat key.txt)" .venv/bin/python ../flask/client.py',
    '{"caller":"acme","reports":[{"id":1,"title":"Sales, January"},{"id":2,"title":"Sales, February"}]}\n',
  ],
];

/** Commands that need an account, and what prints a line for a file; `src/cli/command_line/documents.rs` parses those of wrangler. */
const NOT_RUN = [
  // The recipe `tunnel` runs it.
  ".venv/bin/python gate_signature.py",
  'echo "ORIGIN_AUTHORIZATION=\\"Bearer $(cat provider-key.txt)\\""',
  'echo "Bearer $(cat provider-key.txt)" | wrangler secret put ORIGIN_AUTHORIZATION',
  "wrangler secret put ORIGIN_SIGNING_KEY < signing-key.txt",
  "wrangler secret put ORIGIN_AUTHORIZATION < access-token.json",
  "cloudflared tunnel create reports",
  "cloudflared tunnel route dns reports reports-origin.example.com",
  "cloudflared tunnel --config config.yml ingress validate",
  "cloudflared tunnel --config config.yml run",
];

const python = await pythonWithPackages();
const folder = await copyRecipes();
const recipes = Object.fromEntries(await Promise.all(Object.entries(STARTS).map(startRecipe)));
const harness = await startGates(({ origin }) => ({
  ...Object.fromEntries(Object.entries(recipes).map(([name, { gate }]) => [name, gate])),
  access: { vars: { ...recipes.tunnel.gate.vars, ORIGIN: origin.url }, secrets: { ORIGIN_AUTHORIZATION: accessToken() } },
}));
const { gates } = harness;
for (const [name, { issue }] of Object.entries(recipes)) await giveKey(name, await harness.issue(issue));

/** Starts a recipe's server, and says how the gate in front of it is configured and which key its README issues. */
async function startRecipe([name, { prepare = [], env = "", server, secret = {} }]) {
  const recipe = await readRecipe(name);
  for (const command of prepare) await output(name, command);
  const { found, stop } = await serve("bash", ["-c", `${env}exec ${server}`], READY, { cwd: path.join(folder, name), env: recipeEnv });
  after(stop);
  const { vars, ratelimits = [] } = recipe.settings;
  const secrets = {};
  for (const [binding, command] of Object.entries(secret)) secrets[binding] = await output(name, command);
  const origin = `http://${found[1]}`;
  const limiters = Object.fromEntries(ratelimits.map(({ name: binding, simple }) => [binding, simple]));
  const issued = recipe.commands.find((command) => command.startsWith("keygate issue"));
  const values = (option) => [...issued.matchAll(new RegExp(`--${option} (\\S+)`, "g"))].map(([, value]) => value);
  const issue = { subject: values("subject")[0], scopes: values("scope"), plan: values("plan")[0] };
  return [name, { ...recipe, issued, issue, origin, gate: { vars: { ...vars, ORIGIN: origin }, limiters, secrets } }];
}

/** Runs a command as the reader's shell would, in the copy of the recipe's folder, with the test's gate for the README's. */
async function shell(name, command) {
  const { url } = gates?.[name] ?? {};
  const here = command.replace(/http:\/\/127\.0\.0\.1:8787|https:\/\/api\.example\.com/, url);
  const result = await run("bash", ["-c", here], { cwd: path.join(folder, name), env: { ...recipeEnv, API_URL: url } });
  harness?.remember(result.stdout + result.stderr);
  return result;
}

async function output(name, command) {
  const { status, stdout, stderr } = await run("bash", ["-c", command], { cwd: path.join(folder, name), env: recipeEnv });
  assert.equal(status, 0, stderr);
  return stdout.trim();
}

function giveKey(name, { key }) {
  return writeFile(path.join(folder, name, "key.txt"), `${key}\n`);
}

/** The token of the README's step 3, as the gate's secret. */
function accessToken() {
  const [, token] = /^```json\n(\{.*\})\n```$/m.exec(recipes.tunnel.readme);
  return token;
}

for (const name of Object.keys(STARTS)) {
  test(`${name}: every command of the README is run`, () => {
    const { prepare = [], env = "", server } = STARTS[name];
    const own = COMMANDS.filter(([recipe]) => recipe === name).map(([, command]) => command);
    const expected = [...prepare, `${env}${server}`, recipes[name].issued, ...own];
    const others = recipes[name].commands.filter((command) => !expected.includes(command));
    assert.deepEqual(expected.filter((command) => !recipes[name].commands.includes(command)), [], "not in the README");
    assert.deepEqual(others.filter((command) => !INSTALLS.includes(command) && !NOT_RUN.includes(command)), [], "not run");
  });
}

describe("the client is served:", () => {
  for (const [name, command, expected] of COMMANDS) {
    test(`${name}: ${command}`, async () => {
      const { status, stdout, stderr } = await shell(name, command);
      assert.deepEqual([status, stdout], [0, expected], stderr);
    });
  }
});

describe("the client says what the gate refuses:", () => {
  const unknown = async () => makeKey();
  const withoutScopes = ({ issue }) => harness.issue({ ...issue, scopes: [] });
  const expired = ({ issue }) => harness.issue({ ...issue, not_after: 1_700_000_000 });
  const rows = [
    ["fastapi", unknown, /^client\.py: 401 \{.*"code":"key_invalid"/],
    ["express", withoutScopes, /^client\.js: 403 \{.*"code":"scope_missing"/],
    ["mcp", unknown, /client\.py: 401 \{.*"code":"key_invalid"/],
    ["openai", unknown, /^client\.py: AuthenticationError key_invalid: /],
    ["anthropic", expired, /^client\.py: AuthenticationError \{.*'type': 'authentication_error', 'code': 'key_expired'/],
    ["graphql", unknown, /^client\.py: the gate refused: .*401/],
    ["graphql", ({ issue }) => harness.issue({ ...issue, scopes: ["books:read"] }), /^client\.py: the server refused: the key lacks the scope books:write$/m, `${PYTHON} "Emma"`],
    ["webhook-receiver", unknown, /^sender\.py: 401 \{.*"code":"key_invalid"/],
    ["tunnel", unknown, /^client\.py: 401 key_invalid: /],
  ];
  for (const [name, make, expected, given] of rows) {
    test(`${name}: ${expected}`, async () => {
      const issued = await make(recipes[name]);
      harness.watch(issued.key);
      const [, command] = COMMANDS.find(([recipe]) => recipe === name);
      await giveKey(name, issued);
      const { status, stderr } = await shell(name, given ?? command);
      assert.equal(status, 1, stderr);
      assert.match(stderr, expected);
    });
  }

  test("openai: a rate is a RateLimitError", async () => {
    const issued = await harness.issue({ ...recipes.openai.issue, subject: "busy" });
    await giveKey("openai", issued);
    let result;
    // The limiter's window may turn between two requests.
    for (let tries = 0; tries < 3 && !result?.stderr.includes("RateLimit"); tries++) {
      for (let n = 0; n < 20; n++) await gates.openai.get("/v1/models", { key: issued.key });
      result = await shell("openai", PYTHON);
    }
    assert.match(result.stderr, /^client\.py: RateLimitError rate_limited: /);
  });
});

describe("the servers without the gate:", () => {
  test("a model server accepts its own key alone, which no client has", async () => {
    assert.equal((await send(recipes.openai.origin, { target: "/v1/models" })).status, 401);
    assert.equal((await send(recipes.openai.origin, { target: "/v1/models", headers: { Authorization: recipes.openai.gate.secrets.ORIGIN_AUTHORIZATION } })).status, 200);
  });

  test("the server behind the tunnel refuses what the gate has not signed", async () => {
    const headers = { "X-Keygate-Subject": "acme" };
    const answer = await send(recipes.tunnel.origin, { target: "/v1/reports", headers });
    assert.deepEqual([answer.status, answer.json], [403, { error: "only the gate may call this server" }]);
  });

  test("FastAPI's dependency answers 422 without a caller", async () => {
    assert.equal((await send(recipes.fastapi.origin, { target: "/notes" })).status, 422);
  });
});

test("anthropic: a key in X-Api-Key, as the SDK before version 2 sends it, is accepted", async () => {
  const { key } = await harness.issue(recipes.anthropic.issue);
  const body = JSON.stringify({ model: "echo-1", max_tokens: 9, messages: [{ role: "user", content: "Hello" }] });
  const headers = { "Content-Type": "application/json", "X-Api-Key": key };
  const answer = await gates.anthropic.send({ method: "POST", target: "/v1/messages", headers, body });
  assert.equal(answer.json.content[0].text, "Hello");
});

describe("MCP:", () => {
  const holder = () => harness.issue(recipes.mcp.issue);
  const rpc = (key, method, { session, ...params } = {}, id = 1) => gates.mcp.send({
    method: "POST",
    target: "/mcp",
    key,
    headers: { "Content-Type": "application/json", Accept: "application/json, text/event-stream", ...(session && { "Mcp-Session-Id": session }) },
    body: JSON.stringify({ jsonrpc: "2.0", method, params, ...(id && { id }) }),
  });
  const initialize = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "test", version: "1" } };

  test("a session has an id and a stream, answers with events to any key, and ends with DELETE", async () => {
    const { key } = await holder();
    const opened = await rpc(key, "initialize", initialize);
    const session = opened.header("mcp-session-id");
    assert.deepEqual([opened.status, opened.header("content-type")], [200, "text/event-stream"]);
    assert.match(session, /^\w{16,}$/);
    await rpc(key, "notifications/initialized", { session }, null);
    const listed = await rpc(key, "tools/list", { session });
    assert.match(listed.text, /^data: \{.*"whoami"/m);
    assert.match((await rpc((await holder()).key, "tools/list", { session })).text, /^data: \{.*"whoami"/m);
    const headers = { Authorization: `Bearer ${key}`, Accept: "text/event-stream", "Mcp-Session-Id": session };
    const stream = await fetch(`${gates.mcp.url}/mcp`, { headers });
    assert.deepEqual([stream.status, stream.headers.get("content-type")], [200, "text/event-stream"]);
    await stream.body.cancel();
    const ended = await gates.mcp.send({ method: "DELETE", target: "/mcp", key, headers: { "Mcp-Session-Id": session } });
    assert.equal(ended.status, 200);
    assert.equal((await rpc(key, "tools/list", { session })).status, 404);
  });

  test("without a key a client is told nothing of OAuth", async () => {
    const refused = await rpc(undefined, "initialize", initialize);
    assert.equal(refused.header("www-authenticate"), 'Bearer realm="api"');
    for (const name of ["oauth-protected-resource/mcp", "oauth-protected-resource", "oauth-authorization-server", "openid-configuration"]) {
      assert.equal((await gates.mcp.get(`/.well-known/${name}`)).status, 404, name);
    }
  });

  for (const [mode, expected] of [["header", /^MCPError: Server returned an error response\n$/], ["oauth", /^OAuthRegistrationError: Registration failed: 403 \{.*"code":"route_denied".*\}\n$/]]) {
    test(`the official client without a key says ${expected}`, async () => {
      const env = { ...recipeEnv, API_URL: gates.mcp.url };
      const { stdout, stderr } = await run(python, [path.join(ROOT, "tests/e2e/clients/mcp_without_key.py"), mode], { env });
      assert.match(stdout, expected, stderr);
    });
  }

  test("the server accepts no other host than its own", async () => {
    const answer = await send(recipes.mcp.origin, { method: "POST", target: "/mcp", headers: { Host: "mcp-origin.example.com", "Content-Type": "application/json" }, body: "{}" });
    assert.equal(answer.status, 421);
  });
});

describe("the tunnel:", () => {
  test("the last rule of config.yml matches everything, and no other does", async () => {
    const script = "import json, yaml; print(json.dumps(yaml.safe_load(open('config.yml'))['ingress']))";
    const rules = JSON.parse(await output("tunnel", `.venv/bin/python -c "${script}"`));
    const isCatchAll = ({ hostname, path: pattern }) => hostname === undefined && pattern === undefined;
    assert.deepEqual(rules.map(isCatchAll), [false, true]);
    assert.equal(`https://${rules[0].hostname}`, recipes.tunnel.settings.vars.ORIGIN);
    // cloudflared ignores it elsewhere than below a rule.
    assert.equal(rules[0].originRequest.access.required, true);
  });

  test("the gate sends both values of a service token in Authorization", async () => {
    const { key } = await harness.issue(recipes.tunnel.issue);
    harness.origin.clear();
    assert.equal((await gates.access.get("/v1/reports", { key })).status, 200);
    const [{ headers }] = harness.origin.requests;
    assert.deepEqual(headers.filter(([name]) => name.toLowerCase() === "authorization").map(([, value]) => value), [accessToken()]);
  });
});
