export class TimedOut extends Error {}

// The promise's outcome, or `TimedOut` after `ms` milliseconds. The timer ends with the request, so nothing clears it.
export function inTime(promise, ms) {
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new TimedOut(`no answer within ${ms} ms`)), ms);
    promise.then(resolve, reject);
  });
}
