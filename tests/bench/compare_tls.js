// A gateway's clients over TLS beside the same clients without: memory of those that are idle, and processor time
// of a delivery. Called by `run tls` with the build directory.

import { figures, median, ratio } from "./figures.js";
import { Programs } from "./servers.js";
import {
  checkDelivery,
  describeMachine,
  describePlacement,
  finish,
  limitOfOpenFiles,
  readCommandLine,
  runScenario,
  takeTurns,
} from "./turns.js";
import { Authority } from "../lib/certificates.js";

const { build, isQuick } = readCommandLine("tests/bench/run tls");
const programs = new Programs(build);
const authority = await Authority.create();
const { certificate, key } = await authority.issue("localhost");

const tls = {
  name: "TLS",
  kind: "gateway",
  isTls: true,
  args: ["--threads", "1", "--tls-listen", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key],
};
const plain = { name: "plain", kind: "gateway", args: ["--threads", "1"] };

const IDLE_CONNECTIONS = 5000;
const SPARE_FILES = 500; // beside the connections, in server and generator
const LIMIT_BYTES = 16 * 1024;

// The process's own pages weigh on each of so few, so the mark is on the safe side.
function idleScenario(fileLimit) {
  const count = Math.max(1, Math.min(IDLE_CONNECTIONS, fileLimit - SPARE_FILES));
  return {
    name: `${count.toLocaleString("en")} idle connections`,
    servers: [tls, plain],
    load: ["--clients", String(count), "--idle", "--duration", "1s"],
    rounds: 1, // it is the same every time, and a handshake of each takes its time
    figures: [figures.kibPerConnection],
    marks: [
      {
        name: "less than 16 KiB of resident memory for each over TLS",
        value: (reports) => median(reports.get(tls).map(figures.memory.of)),
        holds: (value) => value < LIMIT_BYTES,
      },
    ],
  };
}

const CPU_LIMIT = 1.6;

function busyScenario(window) {
  return {
    name: `1,000 clients, 64 bytes, ${window} in flight`,
    servers: [tls, plain],
    load: ["--clients", "1000", "--window", String(window), "--duration", "3s"],
    rounds: 5,
    figures: [figures.throughput, figures.cpu, figures.p50, figures.p99],
    marks: [
      {
        name: `at most ${CPU_LIMIT} of plain's processor time per delivery`,
        value: (reports) => ratio(reports.get(tls), reports.get(plain), figures.cpu),
        holds: (value) => value <= CPU_LIMIT,
      },
    ],
  };
}

const scenarios = [idleScenario(limitOfOpenFiles()), busyScenario(16), busyScenario(1)];

async function measureAll() {
  describeMachine(describePlacement());
  console.log("medians of the rounds; in brackets TLS as a ratio to plain\n");
  for (const scenario of scenarios) await runScenario(programs, scenario);
}

async function checkSmall() {
  for (const load of [
    ["--clients", "20", "--window", "16", "--publishers", "4", "--messages", "1000"],
    ["--clients", "50", "--idle", "--duration", "200ms"],
  ]) {
    console.log(load.join(" "));
    checkDelivery(await takeTurns(programs, { servers: [tls, plain], load, rounds: 1 }));
  }
}

try {
  await (isQuick ? checkSmall() : measureAll());
} finally {
  await authority.remove();
}
finish();
