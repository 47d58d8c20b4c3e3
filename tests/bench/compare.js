// The gateway beside bare senders, in turns, as ratios. Called by `run` with the build directory.

import { figures, median, ratio, table } from "./figures.js";
import { Programs } from "./servers.js";
import {
  check,
  checkDelivery,
  describeMachine,
  describePlacement,
  finish,
  limitOfOpenFiles,
  readCommandLine,
  runScenario,
  takeTurns,
} from "./turns.js";

const { build, isQuick } = readCommandLine("tests/bench/run");
const programs = new Programs(build);
const gateway = { name: "gateway", kind: "gateway", args: ["--threads", "1"] };
const gathering = { name: "gateway, gathering 10 ms", kind: "gateway", args: ["--threads", "1", "--coalesce-max", "10ms"] };
const perMessage = { name: "per-message", kind: "bare", args: ["--mode", "per-message"] };
const perTick = { name: "per-tick", kind: "bare", args: ["--mode", "per-tick"] };

const speed = [figures.throughput, figures.cpu, figures.p50, figures.p99];

// The gateway's figures beside those of another server.
function ratioTo(server, figure) {
  return (reports) => ratio(reports.get(gateway), reports.get(server), figure);
}

const IDLE_CONNECTIONS = 18_000;
const SPARE_FILES = 500; // beside the connections, in server and generator

// With fewer connections the process's own pages would weigh on each, or hide: the mark says nothing.
function idleScenario(fileLimit) {
  const count = Math.max(1, Math.min(IDLE_CONNECTIONS, fileLimit - SPARE_FILES));
  const number = (value) => value.toLocaleString("en");
  return {
    name: `${number(count)} idle connections`,
    servers: [gateway, perTick],
    load: ["--clients", String(count), "--idle", "--duration", "1s"],
    rounds: 3,
    figures: [figures.memory],
    marks: [
      {
        name: "at most 600 bytes of resident memory for each",
        value: (reports) => median(reports.get(gateway).map(figures.memory.of)),
        holds: (value) => value <= 600,
        unfit:
          count < IDLE_CONNECTIONS &&
          `${number(IDLE_CONNECTIONS)} connections need ${number(IDLE_CONNECTIONS + SPARE_FILES)} ` +
            `open files, the hard limit is ${number(fileLimit)} (ulimit -Hn)`,
      },
    ],
  };
}

const scenarios = [
  {
    name: "1,000 clients, 64 bytes, 16 messages in flight",
    servers: [gateway, perTick, perMessage],
    load: ["--clients", "1000", "--window", "16", "--duration", "3s"],
    rounds: 5,
    figures: speed,
    marks: [
      {
        name: "at least 0.9 of the per-tick sender's throughput",
        value: ratioTo(perTick, figures.throughput),
        holds: (value) => value >= 0.9,
      },
    ],
  },
  {
    name: "1,000 clients, 64 bytes, 1 message in flight",
    servers: [gateway, perMessage],
    load: ["--clients", "1000", "--window", "1", "--duration", "3s"],
    rounds: 7,
    figures: speed,
    marks: [
      {
        name: "at most 1.15 of the per-message sender's CPU per delivery",
        value: ratioTo(perMessage, figures.cpu),
        holds: (value) => value <= 1.15,
      },
    ],
  },
  {
    name: "1,000 clients, 64 bytes, 100 messages a second",
    servers: [gateway, perMessage],
    load: ["--clients", "1000", "--rate", "100", "--duration", "3s"],
    rounds: 3,
    figures: speed,
    marks: [],
  },
  {
    name: "500 clients, 64 bytes, 500 messages a second, without and with --coalesce-max 10ms",
    servers: [gathering, gateway],
    load: ["--clients", "500", "--rate", "500", "--duration", "3s"],
    rounds: 3,
    figures: speed,
    marks: [
      {
        name: "gathering takes at most 0.7 of the CPU per delivery",
        value: (reports) => ratio(reports.get(gathering), reports.get(gateway), figures.cpu),
        holds: (value) => value <= 0.7,
      },
    ],
  },
  idleScenario(limitOfOpenFiles()),
];

async function measureAll() {
  describeMachine(describePlacement());
  console.log("medians of the rounds; in brackets the gateway as a ratio to the bare sender\n");
  for (const scenario of scenarios) await runScenario(programs, scenario);
}

const threaded = { name: "gateway, 2 threads", kind: "gateway", args: ["--threads", "2"] };

const small = [
  { name: "1 in flight", load: ["--clients", "50", "--messages", "300"] },
  {
    name: "64 in flight, 16 publishers",
    load: ["--clients", "50", "--publishers", "16", "--window", "64", "--messages", "3000"],
  },
  {
    name: "large messages",
    load: ["--clients", "20", "--publishers", "3", "--window", "6", "--size", "60K", "--messages", "200"],
  },
  { name: "by rate", load: ["--clients", "50", "--rate", "500", "--messages", "300"] },
].map(({ name, load }) => ({ name, load: ["--warmup", "100ms", ...load] }));
small.push({ name: "idle", load: ["--clients", "300", "--idle", "--duration", "200ms"] });

async function checkSmall() {
  for (const { name, load } of small) {
    console.log(name);
    const servers = [gateway, threaded, gathering, perMessage, perTick];
    checkDelivery(await takeTurns(programs, { servers, load, rounds: 1 }));
  }
  console.log("a sender that does wrong is found out");
  for (const [fault, count] of [["lose", "lost"], ["double", "doubled"], ["reorder", "reordered"]]) {
    const server = { name: fault, kind: "bare", args: ["--fault", fault] };
    const report = await programs.measure(server, ["--clients", "10", "--window", "8", "--messages", "1000"]);
    // If the client that it goes wrong for is read first, all others are out of its order.
    const isCounted = count === "reordered" ? (value) => value >= 1 : (value) => value === 1;
    check(`${count}: ${report.check[count]}`, report.status === 1 && isCounted(report.check[count]));
  }
  console.log("what was not measured is said");
  await checkDeadServer();
  checkSmallFileLimit();
}

async function checkDeadServer() {
  const dying = { name: "dying", kind: "bare", args: ["--fault", "die"] };
  const load = ["--clients", "10", "--window", "8", "--duration", "30s"];
  const reports = await takeTurns(programs, { servers: [dying], load, rounds: 1 });
  const [report] = reports.get(dying);
  check("a server that died has no figures", report.status === 1 && report.server === undefined);
  const [, row] = table(reports, [figures.cpu, figures.memory]);
  check("the table has a dash for each", /^dying +- +-$/.test(row));
}

function checkSmallFileLimit() {
  const [mark] = idleScenario(4096).marks;
  check("fewer idle connections make no mark", mark.unfit.includes("4,096"));
  check("enough of them do", !idleScenario(18_500).marks[0].unfit);
}

await (isQuick ? checkSmall() : measureAll());
finish();
