// What a hosted key service costs: its verify API is asked about the key of each request. It forwards and logs as the
// handwritten Worker does, but has no routes and checks neither path nor method.

import { forward } from "./lib/forward.js";
import { inTime } from "./lib/in_time.js";
import { CREDENTIAL_MISSING, KEY_INVALID, KEY_STORE_UNAVAILABLE, refuse } from "./lib/refuse.js";

const BEARER = /^bearer /i;
const VERIFY_TIMEOUT_MS = 2000;

export default {
  async fetch(request, env) {
    const authorization = request.headers.get("authorization");
    const isBearer = authorization !== null && BEARER.test(authorization);
    const key = isBearer ? authorization.slice(7) : request.headers.get("x-api-key");
    if (!key) return refuse(request, CREDENTIAL_MISSING);
    let verified;
    try {
      verified = await inTime(verify(env, key), VERIFY_TIMEOUT_MS);
    } catch (error) {
      return refuse(request, KEY_STORE_UNAVAILABLE, String(error));
    }
    const { valid, code, id, subject, scopes } = verified;
    if (!valid) return refuse(request, KEY_INVALID, code);
    return forward(request, env.ORIGIN, { id, subject, scopes }, isBearer);
  },
};

async function verify(env, key) {
  const response = await fetch(env.VERIFY_URL, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ key }),
  });
  if (!response.ok) throw new Error(`the verify API answered ${response.status}`);
  return response.json();
}
