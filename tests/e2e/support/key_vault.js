// Azure Key Vault and the sign-in in front of it, as much as keygate asks for, in this process: behind a proxy on loopback
// that leads every name here, with certificates of a CA of its own. Azure's own SDK for Python is run against it as well,
// so that it does not drift into answers that only keygate understands.

import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import tls from "node:tls";
import { fileURLToPath } from "node:url";

import { FaultyServer, readBody } from "./faulty_server.js";
import { run } from "./program.js";
import { pythonWithPackages } from "./python.js";

export const TENANT = "11111111-2222-3333-4444-555555555555";
export const CLIENT = "66666666-7777-8888-9999-000000000000";
export const CLIENT_SECRET = "e2e-client-secret-Lr2K7hVbT1mWcZk3vQ9x";
export const VAULT = "gate-vault";
const ACCESS_TOKEN = "e2e-access-token-9xLr2K7hVbT1mWcZk3vQ";
const SIGN_IN = "login.microsoftonline.com";
/** Another cloud's names for the same. */
export const CHINA = { vault: `${VAULT}.vault.azure.cn`, signIn: "login.chinacloudapi.cn" };
const HOSTS = [`${VAULT}.vault.azure.net`, SIGN_IN, CHINA.vault, CHINA.signIn];

const refusal = (status, code, inner) => ({
  status,
  json: { error: { code, message: `${code} was said`, ...(inner && { innererror: { code: inner } }) } },
});

/** Given a call, `fail` may return an answer { status, json, text }, "hang" or "reset". */
export class KeyVault extends FaultyServer {
  /** Name → versions, the latest last: `{ version, value, contentType, tags, attributes }`. */
  secrets = new Map();
  deleted = new Set();
  /** `METHOD host/path`, in order. */
  log = [];
  /** How tokens were asked for, in order. */
  grants = [];

  static async start() {
    const vault = new KeyVault();
    vault.folder = await mkdtemp(path.join(tmpdir(), "keygate-azure-"));
    const script = fileURLToPath(new URL("certificates.py", import.meta.url));
    const made = await run(await pythonWithPackages(), [script, vault.folder, ...HOSTS]);
    if (made.status !== 0) throw new Error(made.stderr);
    vault.ca = path.join(vault.folder, "ca.pem");
    const pem = await readFile(path.join(vault.folder, "server.pem"));
    const secureContext = tls.createSecureContext({ cert: pem, key: pem });
    const server = http.createServer((request, response) => vault.#answer(request, response));
    vault.sockets = new Set();
    server.on("connection", (socket) => vault.sockets.add(socket));
    server.on("connect", (request, socket) => {
      socket.on("error", () => {});
      if (!HOSTS.includes(request.url.replace(/:443$/, ""))) return socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
      socket.write("HTTP/1.1 200 Connected\r\n\r\n");
      const secure = new tls.TLSSocket(socket, { isServer: true, secureContext });
      secure.on("error", () => {});
      return server.emit("connection", secure);
    });
    vault.url = `http://${await vault.listen(server)}`;
    return vault;
  }

  async stop() {
    for (const socket of this.sockets) socket.destroy();
    await super.stop();
    await rm(this.folder, { recursive: true });
  }

  /** The environment in which a program finds this server, without a credential. */
  get network() {
    return { HTTPS_PROXY: this.url, SSL_CERT_FILE: this.ca, NO_PROXY: "", AZURE_TOKEN_CREDENTIALS: "" };
  }

  /** The same with the client secret. */
  get env() {
    return { ...this.network, AZURE_TENANT_ID: TENANT, AZURE_CLIENT_ID: CLIENT, AZURE_CLIENT_SECRET: CLIENT_SECRET };
  }

  set(name, value, more = {}) {
    const version = randomUUID().replaceAll("-", "");
    const attributes = { enabled: true, created: 1, updated: 1, recoveryLevel: "Recoverable", ...more.attributes };
    const versions = this.secrets.get(name) ?? [];
    this.secrets.set(name, [...versions, { ...more, version, value, attributes }]);
  }

  async #answer(request, response) {
    const body = (await readBody(request))?.toString();
    if (body === undefined) return undefined;
    const { host } = request.headers;
    const url = new URL(request.url, `https://${host}`);
    const call = `${request.method} ${url.host}${url.pathname}`;
    this.log.push(call);
    const told = this.fail(call);
    if (told === "hang") return undefined;
    if (told === "reset") return request.socket.destroy();
    const isVault = /^gate-vault\.vault\./.test(host);
    const { status = 200, json, text, headers } =
      told ?? (isVault ? this.#vault(request, url, body) : this.#signIn(request, url, body)) ?? refusal(404, "NotFound");
    response.writeHead(status, { "Content-Type": "application/json; charset=utf-8", ...headers });
    response.end(text ?? JSON.stringify(json));
    return undefined;
  }

  #signIn(request, url, body) {
    const authority = `${url.origin}/${TENANT}`;
    if (url.pathname === `/${TENANT}/v2.0/.well-known/openid-configuration`) {
      return { json: { issuer: `${authority}/v2.0`, authorization_endpoint: `${authority}/oauth2/v2.0/authorize`, token_endpoint: `${authority}/oauth2/v2.0/token` } };
    }
    if (url.pathname === "/common/discovery/instance") {
      const metadata = [{ preferred_network: url.host, preferred_cache: url.host, aliases: [url.host] }];
      return { json: { tenant_discovery_endpoint: `${authority}/v2.0/.well-known/openid-configuration`, "api-version": "1.1", metadata } };
    }
    const token = { token_type: "Bearer", expires_in: 3599, ext_expires_in: 3599, access_token: ACCESS_TOKEN };
    // App Service's endpoint for managed identities, on this machine.
    if (url.pathname === "/msi/token") {
      const known = request.headers["x-identity-header"] === CLIENT_SECRET && url.searchParams.get("resource") === "https://vault.azure.net";
      this.grants.push(`managed identity ${url.searchParams.get("client_id")}`);
      return known ? { json: { ...token, expires_on: String(Math.floor(Date.now() / 1000) + 3599), resource: "https://vault.azure.net" } } : { status: 401, json: {} };
    }
    if (request.method !== "POST" || url.pathname !== `/${TENANT}/oauth2/v2.0/token`) return undefined;
    const asked = new URLSearchParams(body);
    const oauth = (status, error, code, words) => ({ status, json: { error, error_codes: [code], error_description: `AADSTS${code}: ${words}` } });
    if (asked.get("grant_type") !== "client_credentials") return oauth(400, "unsupported_grant_type", 70003, "another grant");
    if (!/^https:\/\/vault\.azure\.(net|cn)\/\.default/.test(asked.get("scope"))) return oauth(400, "invalid_scope", 70011, "another scope");
    if (asked.get("client_id") !== CLIENT) return oauth(400, "unauthorized_client", 700016, "no such application");
    this.grants.push(asked.has("client_assertion") ? `assertion ${asked.get("client_assertion")}` : "client secret");
    const known = asked.has("client_assertion") || asked.get("client_secret") === CLIENT_SECRET;
    return known ? { json: token } : oauth(401, "invalid_client", 7000215, "Invalid client secret provided.");
  }

  #vault(request, url, body) {
    const resource = `https://${url.hostname.replace(`${VAULT}.`, "")}`;
    const signIn = url.hostname.endsWith(".cn") ? CHINA.signIn : SIGN_IN;
    if (request.headers.authorization !== `Bearer ${ACCESS_TOKEN}`) {
      const challenge = `Bearer authorization="https://${signIn}/${TENANT}", resource="${resource}"`;
      return { ...refusal(401, "Unauthorized"), headers: { "WWW-Authenticate": challenge } };
    }
    if (!url.searchParams.has("api-version")) return refusal(400, "BadParameter");
    const [, kind, name, version] = url.pathname.split("/");
    const bundle = ({ version: id, ...rest }, more) => ({ json: { ...rest, id: `${url.origin}/secrets/${name}/${id}`, ...more } });
    const versions = this.secrets.get(name) ?? [];
    const recovery = { recoveryId: `${url.origin}/deletedsecrets/${name}`, deletedDate: 1, scheduledPurgeDate: 2 };
    if (kind === "deletedsecrets") {
      return this.deleted.has(name) ? bundle(versions.at(-1), { ...recovery, value: undefined }) : refusal(404, "SecretNotFound");
    }
    if (kind !== "secrets") return undefined;
    if (request.method === "PUT") {
      if (this.deleted.has(name)) return refusal(409, "Conflict", "ObjectIsDeletedButRecoverable");
      const { value, ...more } = JSON.parse(body);
      this.set(name, value, more);
      return bundle(this.secrets.get(name).at(-1));
    }
    const found = version ? versions.find((own) => own.version === version) : versions.at(-1);
    if (!found || this.deleted.has(name)) return refusal(404, "SecretNotFound");
    if (request.method === "DELETE") {
      this.deleted.add(name);
      return bundle(found, { ...recovery, value: undefined });
    }
    return found.attributes.enabled ? bundle(found) : refusal(403, "Forbidden", "SecretDisabled");
  }
}

export { refusal };
