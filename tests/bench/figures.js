// What is taken from the generator's reports, and how it is compared. A run that failed lacks figures
// (a server that died was not measured): they are NaN here, and "-" in the table.

// In ms; NaN where no message that was due in the measured time has arrived.
function latency(report, percentile) {
  return report.latency_ns?.count > 0 ? report.latency_ns[percentile] / 1e6 : NaN;
}

export const figures = {
  messages: { name: "messages/s", of: (report) => report.deliveries_per_second / report.clients, digits: 0 },
  throughput: { name: "deliveries/s", of: (report) => report.deliveries_per_second, digits: 0 },
  cpu: { name: "CPU ns/delivery", of: (report) => report.server?.cpu_ns_per_delivery, digits: 0 },
  // Of whoever hands the messages on to the servers of all clients.
  busCpu: {
    name: "CPU us/message",
    of: (report) => (report.server?.cpu_ns_per_delivery * report.clients) / 1e3,
    digits: 2,
  },
  cpuMicro: { name: "CPU us/delivery", of: (report) => report.server?.cpu_ns_per_delivery / 1e3, digits: 3 },
  p50: { name: "p50 ms", of: (report) => latency(report, "p50"), digits: 3 },
  p99: { name: "p99 ms", of: (report) => latency(report, "p99"), digits: 3 },
  p999: { name: "p99.9 ms", of: (report) => latency(report, "p99.9"), digits: 3 },
  handshakes: { name: "handshakes/s", of: (report) => report.handshakes_per_second, digits: 0 },
  handshakeCpu: { name: "CPU us/handshake", of: (report) => report.server?.cpu_ns_per_handshake / 1e3, digits: 1 },
  // Near 1 it is the generator that was measured.
  generatorShare: { name: "generator", of: (report) => report.generator_connect_cpu_share, digits: 2 },
  kibPerConnection: {
    name: "KiB/connection",
    of: (report) => report.server?.bytes_per_connection / 1024,
    digits: 2,
  },
  memory: {
    name: "bytes/connection",
    of: (report) => report.server?.bytes_per_connection,
    digits: 0,
  },
};

// Of the runs that have the figure; NaN if none has.
export function median(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length === 0) return NaN;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// The median of the ratios of neighbouring turns: what slows the machine for a while slows both.
export function ratio(ours, theirs, figure) {
  const rounds = Math.min(ours.length, theirs.length);
  return median(ours.slice(0, rounds).map((report, round) => figure.of(report) / figure.of(theirs[round])));
}

// Of the rounds in which all servers had a turn: what medians of different servers are taken of to stand side by side.
export function sharedRounds(reports) {
  const count = Math.min(...[...reports.values()].map((list) => list.length));
  return new Map([...reports].map(([server, list]) => [server, list.slice(0, count)]));
}

// How far one turn of a server is from its next one, as a part of it (the median), in hundredths: what the machine
// alone makes of a figure; 0 for a single turn.
export function unrest(reports, figure) {
  const steps = reports.slice(1).map((report, i) => Math.abs(figure.of(report) / figure.of(reports[i]) - 1));
  return Math.round(100 * (median(steps) || 0)) / 100;
}

function text(value, digits) {
  return Number.isFinite(value) ? value.toFixed(digits) : "-";
}

// One line for each server, behind the line of the heads. `reports` maps servers to what their turns
// gave; beside the figures of others stands the ratio of the first server's to theirs. Where the first one is
// the `reference`, it is that of theirs to it.
export function table(reports, columns, reference) {
  const rows = [["", ...columns.map((figure) => figure.name)]];
  const [[first, ours]] = reports;
  for (const [server, theirs] of reports) {
    const pair = reference ? [theirs, ours] : [ours, theirs];
    const values = columns.map((figure) => {
      const value = text(median(theirs.map(figure.of)), figure.digits);
      return server === first ? value : `${value} (${text(ratio(...pair, figure), 2)})`;
    });
    rows.push([server.name, ...values]);
  }
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
      .join("  "),
  );
}
