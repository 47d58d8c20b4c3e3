// The rows of the comparison: loads, the servers that take turns under each, and the marks of the gateway.

import { figures, median, ratio, unrest } from "./figures.js";
import { inManner } from "./peers.js";

const gatewayWith = (how, ...args) => ({
  name: `carillon (io_uring ${how})`,
  kind: "gateway",
  args: ["--threads", "1", "--io-uring", how, ...args],
});
const bareWith = (mode) => ({ name: `bare ${mode}`, kind: "bare", args: ["--mode", mode] });

export const carillon = { auto: gatewayWith("auto"), off: gatewayWith("off"), on: gatewayWith("on") };
export const bare = { tick: bareWith("per-tick"), message: bareWith("per-message"), ring: bareWith("io-uring") };

const speed = [figures.throughput, figures.cpuMicro, figures.p50, figures.p99, figures.p999, figures.memory];
const whole = ["--warmup", "300ms", "--duration", "1500ms"]; // of a turn
const ROUNDS = 5;
const CLOSE_ROUNDS = 9; // of what must be told apart by hundredths; others have ROUNDS of them
const IDLE_CONNECTIONS = 18_000;
const IDLE_WITH_OTHERS = 4000; // some take a millisecond for each, and they need far more than their own pages
const ACCEPTED = 8000;
const JSON_PUSH_SIZE = 179; // of a message of 64 bytes
const SPARE_FILES = 500; // beside the connections, in server and generator

const number = (value) => value.toLocaleString("en");

// Of `ours` to `theirs`, turn by turn.
const beside = (ours, theirs, figure) => ({
  servers: [ours, theirs],
  value: (reports) => ratio(reports.get(ours), reports.get(theirs), figure),
});

// Of `ours` to the one of several that has the lowest median.
const besideBest = (ours, several, figure) => ({
  servers: [ours, ...several],
  value: (reports) => {
    const medians = several.map((server) => median(reports.get(server).map(figure.of)));
    const best = several[medians.indexOf(Math.min(...medians.filter(Number.isFinite)))] ?? several[0];
    return ratio(reports.get(ours), reports.get(best), figure);
  },
});

const atLeast = (limit) => ({ limit, holds: (value) => value >= limit });
const atMost = (limit) => ({ limit, holds: (value) => value <= limit });

const throughputMarks = [
  {
    name: "off: at least 1.0 of the throughput of the per-tick sender",
    ...beside(carillon.off, bare.tick, figures.throughput),
    ...atLeast(1),
  },
  {
    name: "on: at least 0.95 of the throughput of the io_uring sender",
    ...beside(carillon.on, bare.ring, figures.throughput),
    ...atLeast(0.95),
  },
];

const costMarks = [
  {
    name: "off: at most 1.03 of the CPU per delivery of the better plain sender",
    ...besideBest(carillon.off, [bare.tick, bare.message], figures.cpu),
    ...atMost(1.03),
  },
  {
    name: "on: at most 1.03 of the CPU per delivery of the io_uring sender",
    ...beside(carillon.on, bare.ring, figures.cpu),
    ...atMost(1.03),
  },
  {
    name: "auto: at most 1.03 of the CPU per delivery of the best of all three",
    ...besideBest(carillon.auto, Object.values(bare), figures.cpu),
    ...atMost(1.03),
  },
];

// Of two that are the same, either is the worse one in half of all runs: what the yardstick differs by from one of its
// own turns to the next is no difference, up to a tenth.
const noWorse = (ours, theirs, figure) => ({
  ...beside(ours, theirs, figure),
  holds: (value, reports) => value <= Number((1 + Math.min(unrest(reports.get(theirs), figure), 0.1)).toFixed(2)),
  comment: (reports) => ` (its own turns differ by ${unrest(reports.get(theirs), figure).toFixed(2)})`,
});

const latencyMarks = [
  {
    name: "off: a p99 no worse than that of the per-tick sender",
    ...noWorse(carillon.off, bare.tick, figures.p99),
  },
  {
    name: "on: a p99 no worse than that of the io_uring sender",
    ...noWorse(carillon.on, bare.ring, figures.p99),
  },
];

function crowdRows(peers) {
  // Who is beside whom in a mark is beside him in time.
  const { auto, off, on } = carillon;
  const servers = [auto, bare.ring, on, bare.message, off, bare.tick, ...peers];
  const row = (id, name, load, marks) => ({
    id,
    name,
    servers,
    load: [...whole, ...load],
    figures: speed,
    marks,
    rounds: marks.length > 0 ? CLOSE_ROUNDS : ROUNDS,
  });
  const crowd = ["--clients", "1000"];
  return [
    row("16", "1,000 clients, 64 bytes, 16 messages in flight", [...crowd, "--window", "16"],
      [...throughputMarks, ...latencyMarks]),
    row("1", "1,000 clients, 64 bytes, 1 message in flight", crowd, [...costMarks, ...latencyMarks]),
    row("rate", "1,000 clients, 64 bytes, 100 messages a second", [...crowd, "--rate", "100"],
      [...costMarks, ...latencyMarks]),
    row("publishers", "1,000 clients, all of whom publish in turn, 64 bytes, 16 messages in flight",
      [...crowd, "--publishers", "1000", "--window", "16"], []),
    row("16k", "200 clients, 16 KiB, 4 messages in flight", ["--clients", "200", "--size", "16K", "--window", "4"],
      [throughputMarks[0]]),
  ];
}

// Centrifugo's client protocol beside plain WebSocket, on the same gateway; and beside plain messages as long as the
// JSON pushes of such messages, so that what the protocol costs can be told from what its bytes cost.
function channelRows() {
  const speaking = (protocol) => ({
    ...carillon.auto,
    name: `carillon, ${protocol} channel`,
    protocol,
    path: "/connection/websocket",
  });
  const plain = { ...carillon.auto, name: "carillon, plain" };
  const long = { ...plain, name: `carillon, plain of ${JSON_PUSH_SIZE} bytes`, size: JSON_PUSH_SIZE };
  const [json, protobuf] = ["json", "protobuf"].map(speaking);
  const row = (id, window, yardstick, what) => ({
    id,
    name: `1,000 clients of a channel, 64 bytes, ${window} in flight`,
    servers: [plain, json, long, protobuf],
    load: ({ size = 64 }) => [...whole, "--clients", "1000", "--window", String(window), "--size", String(size)],
    figures: speed,
    rounds: CLOSE_ROUNDS,
    marks: [
      {
        name: `JSON: at most 1.05 of the CPU per delivery of ${what}`,
        ...beside(json, yardstick, figures.cpu),
        ...atMost(1.05),
      },
    ],
  });
  return [row("channels", 16, long, "plain messages as long as the pushes"), row("channels-1", 1, plain, "plain")];
}

function deflateRow(peers) {
  const plain = { ...gatewayWith("auto", "--compress-min", "256"), name: "carillon, plain" };
  const deflated = { ...plain, name: "carillon, deflate", isDeflated: true };
  return {
    id: "deflate",
    name: "300 clients, 1 KiB like JSON, permessage-deflate, 16 in flight",
    servers: [deflated, plain, ...peers.map((peer) => inManner(peer, { isDeflated: true }))],
    lacks: (server) => server.kind === "peer" && server.cannotDeflate,
    load: [...whole, "--clients", "300", "--size", "1K", "--filling", "records", "--window", "16"],
    figures: speed,
    marks: [
      {
        name: "at most 1.2 of the CPU per delivery of plain",
        ...beside(deflated, plain, figures.cpu),
        ...atMost(1.2),
      },
    ],
  };
}

function tlsRows(peers, { certificate, key }) {
  const listen = ["--tls-listen", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key];
  const tls = { ...gatewayWith("auto", ...listen), name: "carillon, TLS", isTls: true };
  const plain = { ...carillon.auto, name: "carillon, plain" };
  const others = peers.map((peer) => inManner(peer, { tls: { certificate, key } }));
  const row = (id, window, servers) => ({
    id,
    name: `300 clients over TLS, 64 bytes, ${window} in flight`,
    servers: [tls, plain, ...servers],
    lacks: (server) => server.kind === "peer" && server.cannotSecure,
    load: [...whole, "--clients", "300", "--window", String(window)],
    figures: speed,
    rounds: CLOSE_ROUNDS,
    marks: [
      {
        name: "TLS: at most 1.6 of the CPU per delivery of plain",
        ...beside(tls, plain, figures.cpu),
        ...atMost(1.6),
      },
    ],
  });
  return [row("tls", 16, others), row("tls-1", 1, [])];
}

// With fewer connections the process's own pages would weigh on each, or hide: the mark says nothing.
export function idleRow(peers, fileLimit) {
  const count = Math.max(1, Math.min(IDLE_CONNECTIONS, fileLimit - SPARE_FILES));
  const fewer = Math.min(count, IDLE_WITH_OTHERS);
  const countOf = (server) => String(server.kind === "peer" ? fewer : count);
  return {
    id: "idle",
    name: `${number(count)} idle connections, with other servers ${number(fewer)}, opened 256 at a time`,
    servers: [carillon.auto, bare.tick, ...peers],
    load: (server) => ["--clients", countOf(server), "--accept", "--timeout", "30s"],
    figures: [figures.memory, figures.handshakes, figures.handshakeCpu, figures.generatorShare],
    marks: [
      {
        name: "at most 600 bytes of resident memory for each",
        servers: [carillon.auto],
        value: (reports) => median(reports.get(carillon.auto).map(figures.memory.of)),
        ...atMost(600),
        unfit:
          count < IDLE_CONNECTIONS &&
          `${number(IDLE_CONNECTIONS)} connections need ${number(IDLE_CONNECTIONS + SPARE_FILES)} ` +
            `open files, the hard limit is ${number(fileLimit)} (ulimit -Hn)`,
      },
    ],
  };
}

// Where there is a uWebSockets: as many connections to it as to the gateway. The generator does as much for each as the
// server, so that their number in a second is that of both together: what counts is the server's own time.
function acceptRow(peers) {
  const others = peers.filter(({ name }) => name === "uWebSockets");
  const [theirs] = others;
  return {
    id: "accept",
    name: `${number(ACCEPTED)} connections, opened 256 at a time`,
    servers: [carillon.auto, ...others, bare.tick],
    load: ["--clients", String(ACCEPTED), "--accept"],
    figures: [figures.handshakes, figures.handshakeCpu, figures.generatorShare, figures.memory],
    rounds: CLOSE_ROUNDS,
    peerRounds: CLOSE_ROUNDS,
    marks: [
      {
        name: "at most 1.0 of the CPU per handshake of uWebSockets",
        ...beside(carillon.auto, theirs, figures.handshakeCpu),
        ...atMost(1),
      },
    ],
  };
}

const gathering = { ...gatewayWith("auto", "--coalesce-max", "10ms"), name: "carillon, gathering 10 ms" };

const gatheringRow = {
  id: "gather",
  name: "500 clients, 64 bytes, 500 messages a second, with --coalesce-max 10ms and without",
  servers: [gathering, carillon.auto],
  load: [...whole, "--clients", "500", "--rate", "500"],
  figures: speed,
  marks: [
    {
      name: "gathering takes at most 0.7 of the CPU per delivery",
      ...beside(gathering, carillon.auto, figures.cpu),
      ...atMost(0.7),
    },
  ],
};

// `tls` is a certificate with its key.
export function allRows({ peers, tls, fileLimit }) {
  return [
    ...crowdRows(peers),
    ...channelRows(),
    deflateRow(peers),
    ...tlsRows(peers, tls),
    idleRow(peers, fileLimit),
    acceptRow(peers),
    gatheringRow,
  ].map((row) => ({ rounds: ROUNDS, peerRounds: ROUNDS, lacks: () => false, ...row }));
}
