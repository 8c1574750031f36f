// What differs between two observations of one exchange, each difference by itself.

/** Names in lower case, each with all of its lines. */
function byName(headers) {
  const found = new Map();
  for (const [name, value] of headers) found.set(name.toLowerCase(), [...(found.get(name.toLowerCase()) ?? []), value]);
  return found;
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** `{ side, what, from, to }` for each thing of `side` that is other in `after` than in `before`. */
export function differences(side, before, after) {
  const found = [];
  const note = (what, from, to) => !same(from, to) && found.push({ side, what, from, to });
  const [headersBefore, headersAfter] = [byName(before.headers), byName(after.headers)];
  note("start", before.start, after.start);
  note("framing", before.framing, after.framing);
  note("body", before.body.toString("latin1"), after.body.toString("latin1"));
  note("trailers", before.trailers, after.trailers);
  if (before.interim) note("interim", before.interim, after.interim);
  for (const name of new Set([...headersBefore.keys(), ...headersAfter.keys()])) {
    const [from, to] = [headersBefore.get(name), headersAfter.get(name)];
    if (from?.join(", ") === to?.join(", ")) note(`lines of ${name}`, from, to);
    else note(`header ${name}`, from, to);
  }
  const common = (headers, others) => headers.filter(([name]) => others.has(name.toLowerCase()));
  const names = [common(before.headers, headersAfter), common(after.headers, headersBefore)];
  const spellings = names.map((list) => new Set(list.map(([name]) => name)));
  note("spelling", [...spellings[0]].sort(), [...spellings[1]].sort());
  const orders = names.map((list) => [...new Set(list.map(([name]) => name.toLowerCase()))]);
  note("order", ...orders);
  return found;
}
