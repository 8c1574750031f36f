// The Worker's entry module: every request is asked about, and whatever goes wrong is a 503, never a forwarded request.

import { answerTo } from "./glue.js";
import { lost, recover } from "./instance.js";

export default {
  fetch(request, env) {
    // As `guarded` does, without a closure for every request.
    try {
      recover();
      return answerTo(request, env);
    } catch (error) {
      return lost(error);
    }
  },
};
