// A real OpenBao server, in memory, on loopback.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";

import { closedPort } from "./origin.js";
import { serve } from "./program.js";
import { pythonWithFlask } from "./python.js";

export const ROOT_TOKEN = "e2e-root-token-9xLr2K7hVbT1mWcZ";

export class OpenBao {
  /** With `tls` it has a certificate for 127.0.0.1 of a CA of its own, which `cacert` names. */
  static async start({ tls = false } = {}) {
    const bao = new OpenBao();
    bao.folder = await mkdtemp(path.join(tmpdir(), "keygate-bao-"));
    const address = (await closedPort()).replace("http://", "");
    const program = path.join(path.dirname(await pythonWithFlask()), "bao");
    const args = ["server", "-dev", "-dev-no-store-token", `-dev-listen-address=${address}`, `-dev-root-token-id=${ROOT_TOKEN}`];
    const ready = /Root Token: \S+/;
    bao.server = await serve(program, [...args, ...(tls ? ["-dev-tls", `-dev-tls-cert-dir=${bao.folder}`] : [])], ready, {
      env: { PATH: process.env.PATH, HOME: bao.folder },
    });
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
