// A real OpenBao server, in memory, on loopback.

import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

import { serve } from "./program.js";
import { pythonWithPackages } from "./python.js";

export const ROOT_TOKEN = "e2e-root-token-9xLr2K7hVbT1mWcZ";

export class OpenBao {
  /** With `tls` it has a certificate for 127.0.0.1 of a CA of its own, which `cacert` names. */
  static async start({ tls = false } = {}) {
    const bao = new OpenBao();
    bao.folder = await mkdtemp(path.join(tmpdir(), "keygate-bao-"));
    const program = path.join(path.dirname(await pythonWithPackages()), "bao");
    const args = ["server", "-dev", "-dev-no-store-token", `-dev-root-token-id=${ROOT_TOKEN}`];
    if (tls) args.push("-dev-tls", `-dev-tls-cert-dir=${bao.folder}`);
    const env = { PATH: process.env.PATH, HOME: bao.folder };
    const [address, server] = await onFreePort((free) => serve(program, [...args, `-dev-listen-address=${free}`], /Root Token: \S+/, { env }));
    bao.server = server;
    bao.url = `${tls ? "https" : "http"}://${address}`;
    if (tls) {
      bao.cacert = path.join(bao.folder, "vault-ca.pem");
      bao.ca = await readFile(bao.cacert);
    }
    return bao;
  }

  async stop() {
    await this.server.stop();
    await rm(this.folder, { recursive: true });
  }

  /** Asks as root; the answer's `data`, or `auth`. A refusal is an error. */
  async ask(method, name, body) {
    const { status, text } = await this.#send(method, name, body);
    if (status >= 300) throw new Error(`${method} ${name}: ${status} ${text}`);
    const { data, auth } = text === "" ? {} : JSON.parse(text);
    return data ?? auth;
  }

  #send(method, name, body) {
    return new Promise((resolve, reject) => {
      const client = this.ca ? https : http;
      const request = client.request(`${this.url}/v1/${name}`, { method, ca: this.ca, headers: { "X-Vault-Token": ROOT_TOKEN } }, async (response) => {
        let text = "";
        for await (const chunk of response.setEncoding("utf8")) text += chunk;
        resolve({ status: response.statusCode, text });
      });
      request.on("error", reject).end(body && JSON.stringify(body));
    });
  }

  /** Writes a new version of a secret in the engine `secret`. */
  put(name, data, options) {
    return this.ask("POST", `secret/data/${name}`, { data, options });
  }

  /** A token that may do what the policy says. */
  async token(policy) {
    const name = `p${Math.random().toString(36).slice(2)}`;
    await this.ask("PUT", `sys/policies/acl/${name}`, { policy });
    return (await this.ask("POST", "auth/token/create", { policies: [name] })).client_token;
  }

  /** The environment in which keygate finds the server, as root. */
  get env() {
    return { VAULT_ADDR: this.url, VAULT_TOKEN: ROOT_TOKEN, HOME: this.folder };
  }
}

/**
 * Starts a server that has to be told its port and does not say which one it got for port 0. Between the choice of a port and
 * its use somebody else may take it; then another one is tried. Resolves to the address and to what `start` resolves to.
 */
async function onFreePort(start, attempts = 10) {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = `127.0.0.1:${probe.address().port}`;
  probe.close();
  await once(probe, "close");
  try {
    return [address, await start(address)];
  } catch (error) {
    if (attempts === 1 || !/address already in use/.test(error.message)) throw error;
    return onFreePort(start, attempts - 1);
  }
}
