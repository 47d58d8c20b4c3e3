// Gateways over one and two routers beside the same over Redis, in turns, as ratios. Called by `run` with the
// build directory.

import { execFileSync } from "node:child_process";
import { Clusters } from "./clusters.js";
import { figures, ratio } from "./figures.js";
import { isPinned } from "./servers.js";
import { checkDelivery, describeMachine, finish, readCommandLine, runScenario, takeTurns } from "./turns.js";

const { build, isQuick } = readCommandLine("tests/bench/run router");
const clusters = new Clusters(build);
const redis = { name: "Redis", bus: "redis" };
const router = { name: "router", bus: "router", routers: 1 };
const twoRouters = { name: "two routers", bus: "router", routers: 2 };
const servers = [redis, router, twoRouters];

// In each channel two clients at each of the gateways, and a publisher at each.
const crowd = ["--channels", "10", "--clients", "6", "--publishers", "3"];

// The figures of a server beside Redis's.
function besideRedis(server, figure) {
  return (reports) => ratio(reports.get(server), reports.get(redis), figure);
}

const columns = [figures.messages, figures.busCpu, figures.p50, figures.p99];

const scenarios = [
  {
    name: "10 channels with 6 clients, 64 bytes, 8 messages in flight in each",
    load: [...crowd, "--window", "8", "--duration", "3s"],
    rounds: 7,
    marks: [router, twoRouters].map((server) => ({
      name: `${server.name}: at most half of Redis's CPU per message in each process`,
      value: (reports) => besideRedis(server, figures.busCpu)(reports) / server.routers,
      holds: (value) => value <= 0.5,
    })),
  },
  {
    name: "the same, 200 messages a second in each",
    load: [...crowd, "--rate", "200", "--duration", "3s"],
    rounds: 7,
    marks: [router, twoRouters].map((server) => ({
      name: `${server.name}: a p99 no worse than Redis's`,
      value: besideRedis(server, figures.p99),
      holds: (value) => value <= 1,
    })),
  },
].map((scenario) => ({ ...scenario, servers, figures: columns, reference: redis }));

async function measureAll() {
  describeMachine(
    isPinned
      ? "bus and three gateways (one worker thread each) on core 0, load generator on core 1"
      : "not pinned to cores: fewer than two, or no taskset",
  );
  console.log(execFileSync("redis-server", ["--version"], { encoding: "utf8" }).trim());
  console.log("medians of the rounds; in brackets as a ratio to Redis; CPU is that of all processes of the bus\n");
  for (const scenario of scenarios) await runScenario(clusters, scenario);
}

const small = [
  { name: "16 in flight in each of 5 channels", load: ["--channels", "5", "--window", "16", "--messages", "300"] },
  { name: "large messages", load: ["--window", "6", "--size", "60K", "--messages", "100"] },
];

async function checkSmall() {
  for (const { name, load } of small) {
    console.log(`three gateways, ${name}`);
    const all = ["--clients", "6", "--publishers", "3", "--warmup", "100ms", ...load];
    checkDelivery(await takeTurns(clusters, { servers, load: all, rounds: 1 }));
  }
}

await (isQuick ? checkSmall() : measureAll());
finish();
