// AWS Secrets Manager as far as moto has it: a server of its own, on loopback. moto does not judge signatures.

import { randomUUID } from "node:crypto";
import path from "node:path";

import { serve } from "./program.js";
import { pythonWithPackages } from "./python.js";

export const REGION = "eu-central-1";
const SECRET_ACCESS_KEY = "e2eSecretAccessKeyLr2K7hVbT1mWcZk3vQ9xLr";

export class Moto {
  static async start() {
    const moto = new Moto();
    const program = path.join(path.dirname(await pythonWithPackages()), "moto_server");
    const env = { PATH: process.env.PATH, PYTHONUNBUFFERED: "1" };
    moto.server = await serve(program, ["-H", "127.0.0.1", "-p", "0"], /Running on (http:\/\/127\.0\.0\.1:\d+)/, { env });
    moto.url = moto.server.found[1];
    return moto;
  }

  stop() {
    return this.server.stop();
  }

  /** The environment in which AWS's tools and keygate find the server. */
  get env() {
    return {
      ...{ AWS_ENDPOINT_URL: this.url, AWS_REGION: REGION, AWS_EC2_METADATA_DISABLED: "true" },
      ...{ AWS_ACCESS_KEY_ID: "AKIAIOSFODNN7EXAMPLE", AWS_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY },
    };
  }

  /** One call of Secrets Manager: `ask("CreateSecret", { Name: … })`. */
  async ask(operation, parameters) {
    const token = /^(Create|Put|Rotate)/.test(operation) && { ClientRequestToken: randomUUID() };
    const response = await fetch(this.url, {
      method: "POST",
      headers: {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": `secretsmanager.${operation}`,
        Authorization: `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261101/${REGION}/secretsmanager/aws4_request, SignedHeaders=host, Signature=0`,
      },
      body: JSON.stringify({ ...token, ...parameters }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${operation}: ${response.status} ${text}`);
    return JSON.parse(text);
  }

  /** What readers get: never by a bare GetSecretValue, for which moto gives the version that was written last. */
  async current(SecretId) {
    return (await this.ask("GetSecretValue", { SecretId, VersionStage: "AWSCURRENT" })).SecretString;
  }

  /** Version → labels. */
  async labels(SecretId) {
    return (await this.ask("DescribeSecret", { SecretId })).VersionIdsToStages;
  }
}
