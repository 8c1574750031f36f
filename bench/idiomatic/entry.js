// Without the Proxies of worker-build's own entry, which cost each request some microseconds more.

import wasm from "./idiomatic_bg.wasm";
import { fetch, initSync } from "./idiomatic.js";

initSync({ module: wasm });

export default { fetch };
