// An npm registry on loopback that has the project's packages, as `cargo xtask pack` made them; all others it gets from the registry
// that npm is configured with. It is Verdaccio, which tests/e2e/registry pins.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after } from "node:test";

import { run } from "./program.js";
import { ROOT } from "./project.js";

const require = createRequire(new URL("../registry/package.json", import.meta.url));
const TARBALLS = path.join(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target"), "npm");
const OURS = ["keygate", "keygate-workers", "create-keygate", "@keygate/*"];

/** The version of the packages that were made. */
export const VERSION = /^version = "(.*)"$/m.exec(await readFile(path.join(ROOT, "Cargo.toml"), "utf8"))[1];

/**
 * Starts a registry that has the packages in each of `versions`; those of another version than VERSION are the same with another number.
 * What it publishes under its tag `latest` is the highest. It is started before the file's tests, and ends after them.
 *
 * - `url`: the registry
 * - `home`: a user's fresh home folder
 * - `env`: the environment of a user who has Node 22, npm and this registry, and nothing else: no Rust
 */
export async function startRegistry({ versions = [VERSION] } = {}) {
  const folder = await mkdtemp(path.join(tmpdir(), "keygate-registry-"));
  const server = await startVerdaccio(path.join(folder, "storage"));
  after(async () => {
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
    await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  });
  const { port } = server.address();
  const url = `http://127.0.0.1:${port}/`;
  const home = path.join(folder, "home");
  await mkdir(home);
  // npm publishes with a token alone; this registry takes any.
  await writeFile(path.join(home, ".npmrc"), `registry=${url}\n//127.0.0.1:${port}/:_authToken=none\nupdate-notifier=false\n`);
  const env = { HOME: home, PATH: await nodeAlone(path.join(folder, "bin")), WRANGLER_REGISTRY_PATH: path.join(home, "workers"), WRANGLER_SEND_METRICS: "false", CLOUDFLARE_CF_FETCH_ENABLED: "false" };
  // In ascending order: npm gives each the tag `latest`, and refuses to give it to a lower version.
  for (const version of versions.toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }))) {
    await Promise.all((await packages(version, path.join(folder, version))).map((one) => publish(one, env)));
  }
  return { url, home, env };
}

async function startVerdaccio(storage) {
  const { stdout: upstream } = await run("npm", ["config", "get", "registry"], { cwd: ROOT });
  const access = { access: "$all", publish: "$all" };
  let verdaccio;
  try {
    verdaccio = require("verdaccio");
  } catch {
    throw new Error("Verdaccio is not there: run `npm ci` in tests/e2e/registry, as `cargo xtask test` does");
  }
  const server = await verdaccio.runServer({
    self_path: storage,
    storage,
    uplinks: { configured: { url: upstream.trim(), maxage: "60m" } },
    packages: { ...Object.fromEntries(OURS.map((name) => [name, access])), "**": { ...access, proxy: "configured" } },
    // The platform's package has an unstripped program.
    max_body_size: "500mb",
    web: { enable: false },
    log: { type: "stdout", format: "pretty", level: "fatal" },
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** What npm is to publish: the tarballs, or for another version folders with what is in them. */
async function packages(version, folder) {
  const names = (await readdir(TARBALLS).catch(() => [])).filter((name) => name.endsWith(`-${VERSION}.tgz`));
  if (names.length === 0) throw new Error(`${TARBALLS} has no packages of ${VERSION}: run \`cargo xtask pack\``);
  if (version === VERSION) return names.map((name) => path.join(TARBALLS, name));
  return Promise.all(names.map((name) => relabel(name, version, path.join(folder, path.basename(name, ".tgz")))));
}

async function relabel(name, version, folder) {
  await unpack(name, folder);
  const file = path.join(folder, "package.json");
  const manifest = JSON.parse(await readFile(file, "utf8"));
  manifest.version = version;
  for (const dependencies of [manifest.dependencies, manifest.optionalDependencies]) {
    for (const dependency in dependencies) dependencies[dependency] = version;
  }
  await writeFile(file, JSON.stringify(manifest));
  return folder;
}

/** Unpacks one of the packages into a folder. */
export async function unpack(name, folder) {
  await mkdir(folder, { recursive: true });
  const { status, stderr } = await run("tar", ["-xzf", path.join(TARBALLS, name), "--strip-components=1", "-C", folder]);
  assert.equal(status, 0, stderr);
}

async function publish(what, env) {
  const { status, stderr } = await run("npm", ["publish", "--ignore-scripts", what], { env, cwd: env.HOME });
  assert.equal(status, 0, stderr);
}

/** A PATH with Node 22, npm and the shell that npm runs scripts with. */
async function nodeAlone(folder) {
  await mkdir(folder);
  const machine = (process.env.PATH ?? "").split(path.delimiter);
  const find = async (program) => {
    for (const place of machine) {
      const found = await realpath(path.join(place, program)).catch(() => null);
      if (found) return found;
    }
    throw new Error(`${program} is not on PATH`);
  };
  await symlink(await realpath(path.join(ROOT, "node_modules", ".bin", "node")), path.join(folder, "node"));
  for (const program of ["npm", "npx", "sh"]) await symlink(await find(program), path.join(folder, program));
  return folder;
}
