// A moment as RFC 3339 writes it, for a log line. All but the milliseconds is written once a second.

let second;
let untilMillis;

export function written(nowMs) {
  const millis = nowMs % 1000;
  if (nowMs - millis !== second) {
    second = nowMs - millis;
    untilMillis = new Date(second).toISOString().slice(0, -4);
  }
  return untilMillis + String(millis).padStart(3, "0") + "Z";
}
