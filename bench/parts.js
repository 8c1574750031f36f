// What the parts of the job cost, in one process: the first segment of a request's path says which part answers it. They
// share a heap, a memory layout and each moment of the machine, so that differences of a microsecond can be told; on the
// other hand whoever makes garbage does not pay for it alone.

import gate from "../build/entry.js";
import forward from "./contenders/forward.js";
import handwritten from "./contenders/handwritten.js";
import minimal from "./contenders/minimal.js";
import refuse from "./contenders/refuse.js";
import { written } from "./time.js";

// The forwarding that gate and handwritten both do, a step more each time.
const target = ({ url }, env) => env.ORIGIN + url.slice(url.indexOf("/", 8));
const sent = ({ method, body }, headers) => ({ headers, redirect: "manual", method, body });

function copied(request) {
  const headers = new Headers(request.headers);
  headers.delete("authorization");
  return headers;
}

function named(headers) {
  headers.set("x-keygate-key-id", "71xD21NSppEQ");
  headers.set("x-keygate-subject", "acme");
  headers.set("x-keygate-scopes", "reports:read reports:write");
  headers.set("x-forwarded-for", "203.0.113.7");
  headers.set("x-forwarded-host", "api.example.com");
  headers.set("x-forwarded-proto", "https");
  return headers;
}

const DOUBTFUL =
  /[^0-9a-z-]|^x-keygate-|^(?:connection|forwarded|keep-alive|proxy-authorization|proxy-connection|te|trailer|upgrade)$/;

function screened(headers) {
  for (const name of headers.keys()) {
    if (DOUBTFUL.test(name)) headers.delete(name);
  }
  return headers;
}

function inTime(ask) {
  return new Promise((resolve) => {
    setTimeout(() => resolve(new Response(null, { status: 504 })), 100_000);
    ask().then(resolve, () => resolve(new Response(null, { status: 502 })));
  });
}

// The answer and the line of a request without a key, as the gate writes them, by a Worker that decides nothing.
const INIT = {
  status: 401,
  headers: new Headers({
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "www-authenticate": 'Bearer realm="api"',
  }),
};
const BEFORE =
  '{"type":"urn:problem-type:keygate:credential_missing","title":"No API key","status":401,' +
  '"detail":"Send an API key, for example as `Authorization: Bearer <key>`.","code":"credential_missing","request_id":"';
const AFTER = '","error":"Unauthorized access"}';
const idOf = ({ headers }) => headers.get("cf-ray") ?? crypto.randomUUID();

function log({ method, url, headers }, id) {
  console.log(
    `{"time":"${written(Date.now())}","level":"warn","event":"authn_login_fail","code":"credential_missing",` +
      `"reason":"no configured place holds a credential","status":401,"request_id":"${id}","method":"${method}",` +
      `"path":"${url.slice(url.indexOf("/", 8), url.indexOf("?"))}","client_ip":"${headers.get("cf-connecting-ip")}",` +
      `"user_agent":"${headers.get("user-agent")}"}`,
  );
}

const PARTS = {
  forward,
  copy: { fetch: (request, env) => fetch(target(request, env), sent(request, copied(request))) },
  names: { fetch: (request, env) => fetch(target(request, env), sent(request, named(copied(request)))) },
  screen: { fetch: (request, env) => fetch(target(request, env), sent(request, named(screened(copied(request))))) },
  cache: {
    fetch(request, env) {
      const init = sent(request, named(screened(copied(request))));
      init.cache = "no-store";
      return fetch(target(request, env), init);
    },
  },
  timeout: {
    fetch(request, env) {
      const init = sent(request, named(screened(copied(request))));
      init.cache = "no-store";
      return inTime(() => fetch(target(request, env), init));
    },
  },
  refuse,
  answer: { fetch: (request) => new Response(BEFORE + idOf(request) + AFTER, INIT) },
  line: {
    fetch(request) {
      const id = idOf(request);
      log(request, id);
      return new Response(BEFORE + id + AFTER, INIT);
    },
  },
  minimal,
  handwritten,
  gate,
};

export default {
  fetch(request, env) {
    const { url } = request;
    const at = url.indexOf("/", 8) + 1;
    return PARTS[url.slice(at, url.indexOf("/", at))].fetch(request, env);
  },
};
