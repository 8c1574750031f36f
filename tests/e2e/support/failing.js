// A server that fails where a test wants it to.

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
