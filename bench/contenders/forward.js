// The floor: a Worker that only forwards. What it costs, every filter costs.

export default {
  fetch(request, env) {
    const url = request.url;
    return fetch(env.ORIGIN + url.slice(url.indexOf("/", 8)), request);
  },
};
