// What the program says, as numbers: /metrics, and what two of its answers tell together. Knows no page.

// "name" or "name{labels}" → value.
export function parseMetrics(text) {
  const metrics = new Map();

  for (const line of text.split("\n")) {
    const end = line.lastIndexOf(" ");
    if (line !== "" && line[0] !== "#") metrics.set(line.slice(0, end), Number(line.slice(end + 1)));
  }
  return metrics;
}

// The samples of a metric: [labels, value] with labels as they stand, "" where there are none.
export function samplesOf(metrics, name) {
  return [...metrics]
    .filter(([key]) => key === name || key.startsWith(`${name}{`))
    .map(([key, value]) => [key.slice(name.length), value]);
}

// The value of a label, "" where it has none.
export function labelOf(labels, name) {
  return labels.match(new RegExp(`[{,]${name}="([^"]*)"`))?.[1] ?? "";
}

// The growth of a counter in a second between two answers; 0 where there is none before, or a restart between.
export function rateOf(now, before, name) {
  const seconds = before ? (now.time - before.time) / 1000 : 0;
  const grown = seconds > 0 ? now.metrics.get(name) - before.metrics.get(name) : 0;

  return grown > 0 ? grown / seconds : 0;
}

// The duration in seconds that a share of what a histogram counted between two answers did not exceed, rounded up to
// a bound of its buckets; NaN where it counted nothing.
export function quantileOf(now, before, name, share) {
  const buckets = samplesOf(now.metrics, `${name}_bucket`).map(([labels, count]) => ({
    bound: Number(labelOf(labels, "le").replace("+Inf", "Infinity")),
    count: count - (before?.metrics.get(`${name}_bucket${labels}`) ?? 0),
  }));
  const wanted = share * (buckets.at(-1)?.count ?? 0);

  return wanted > 0 ? buckets.find(({ count }) => count >= wanted).bound : NaN;
}

// Lines of /log: "NUMBER LINE" each, in logfmt or JSON; `level` is 0 for errors to 3 for debugging.
export function parseLog(text) {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const space = line.indexOf(" ");
      const level = line.match(/\blevel"?[=:]"?(error|warning|info|debug)/)?.[1];
      return {
        number: Number(line.slice(0, space)),
        text: line.slice(space + 1),
        level: Math.max(["error", "warning", "info", "debug"].indexOf(level), 0),
      };
    });
}

export function count(number) {
  if (!Number.isFinite(number)) return "–";
  if (number >= 100_000) return scaled(number, 1000, ["", " k", " M", " G", " T"]);
  return (number < 10 && number % 1 !== 0 ? number.toFixed(1) : Math.round(number)).toLocaleString("en");
}

export function bytes(number) {
  return Number.isFinite(number) ? scaled(number, 1024, [" B", " KiB", " MiB", " GiB", " TiB"]) : "–";
}

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return seconds === Infinity ? "> 3 s" : "–";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

function scaled(number, step, units) {
  let power = 0;
  while (number >= step && power < units.length - 1) {
    number /= step;
    power++;
  }
  return `${number < 10 && power > 0 ? number.toFixed(1) : Math.round(number)}${units[power]}`;
}
