// The floor of refusals: looks at nothing, logs nothing, and turns everything away with an answer that is ready.

const headers = new Headers({
  "content-type": "application/problem+json",
  "cache-control": "no-store",
  "www-authenticate": "Bearer",
});
const init = { status: 401, headers };

export default {
  fetch() {
    return new Response('{"error":"Unauthorized access"}', init);
  },
};
