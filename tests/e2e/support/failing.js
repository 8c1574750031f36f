// A server that fails where a test wants it to.

/** The whole body of a request; `undefined` when the client has gone away in the middle: nobody is left to answer. */
export async function readBody(request) {
  const chunks = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks);
}

export class Failing {
  /** Given a call, says how it fails, in the words of the server; `undefined`: not at all. */
  fail = () => undefined;

  /** Runs `body` while calls for which `fail` returns something fail. */
  async failing(fail, body) {
    this.fail = fail;
    try {
      return await body();
    } finally {
      this.fail = () => undefined;
    }
  }
}
