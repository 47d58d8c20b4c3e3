// The value of a metric without labels, or of one with exactly these labels (`name{code="1001"}`), from
// the gateway's admin listener; undefined where there is no such sample.
export async function metric(gateway, name) {
  const text = await (await fetch(`http://127.0.0.1:${gateway.adminPort}/metrics`)).text();
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${name} `));

  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}
