// Messages through a cluster of two gateways, of which one has the publishers: over a router, over two, and over
// Redis beside what redis-benchmark gets from the same Redis for the same script. Called by `run` with the build
// directory.

import { execFileSync } from "node:child_process";
import { Cluster } from "./clusters.js";
import { median, ratio, table } from "./figures.js";
import { since, usageOf } from "./processes.js";
import { benchmarkPublish, watchPublish } from "./redis_load.js";
import { generate, isPinned } from "./servers.js";
import { check, checkDelivery, checkMark, describeMachine, finish, readCommandLine, takeTurns } from "./turns.js";

const { build, isQuick } = readCommandLine("tests/bench/run throughput");

const router = { name: "router", bus: "router" };
const twoRouters = { name: "two routers", bus: "router", routers: 2 };
const redis = { name: "Redis", bus: "redis" };
const benchmark = { name: "redis-benchmark -P 16" };
const BENCHMARK_CALLS = 150_000;

// A publisher at one gateway in each channel, who hears himself, and one who listens at the other.
const crowd = ["--channels", "10", "--clients", "2", "--publishers", "1"];

class Pairs {
  // Puts a load on two gateways; resolves to the generator's report, with what each process used for a message, and
  // what redis-benchmark then got from the same Redis as `benchmark`.
  async measure(server, load) {
    const cluster = await Cluster.start(build, { ...server, gateways: { count: 2, cores: 1 } });
    try {
      const put = (options) => {
        const urls = cluster.urls("channel=load-{channel}");
        return generate(`${build}/tests/bench/carillon-bench`, ["--json", "--quiet", ...crowd, ...options, ...urls]);
      };
      const [port] = cluster.busPorts;
      const warm = () => put(["--messages", "100", "--warmup", "0s", "--window", "16"]);
      const publish = server === redis ? await watchPublish(port, warm) : await warm();
      const groups = [cluster.bus, [cluster.gateways[0]], [cluster.gateways[1]]];
      const before = groups.map(usageOf);
      const startedMs = performance.now();
      const report = await put(load);
      const elapsedNs = (performance.now() - startedMs) * 1e6;
      const used = groups.map((group, index) => since(before[index], usageOf(group)));
      const generatorNs = report.generator_cpu_share * elapsedNs;
      return {
        ...report,
        benchmark: server === redis && !isQuick && (await this.#benchmarkRedis(cluster, publish)),
        processes: used.map((one) => perMessage(one, report.check.sent)),
        ourShare: (used[1].cpuNs + used[2].cpuNs + generatorNs) / elapsedNs,
      };
    } finally {
      await cluster.stop();
    }
  }

  // Of the same Redis, when the gateways are gone.
  async #benchmarkRedis(cluster, publish) {
    await cluster.stopGateways();
    const before = usageOf(cluster.bus);
    const { rate, appended } = await benchmarkPublish(cluster.busPorts[0], publish, BENCHMARK_CALLS);
    const used = since(before, usageOf(cluster.bus));
    return {
      deliveries_per_second: rate,
      clients: 1,
      appended,
      processes: [perMessage(used, BENCHMARK_CALLS)],
    };
  }
}

function perMessage({ cpuNs, wakeUps }, messages) {
  return { cpuUs: cpuNs / 1e3 / messages, wakeUps: (wakeUps * 1e3) / messages };
}

const messages = {
  name: "messages/s",
  of: (report) => report.deliveries_per_second / report.clients,
  digits: 0,
};
const roles = ["bus", "gateway 1", "gateway 2"];
const cpu = roles.map((role, index) => ({
  name: `${role} us`,
  of: (report) => report.processes[index]?.cpuUs,
  digits: 2,
}));
const wakeUps = roles.map((role, index) => ({
  name: `${role} woken`,
  of: (report) => report.processes[index]?.wakeUps,
  digits: 1,
}));
const generator = {
  name: "generator us",
  of: (report) => (report.generator_cpu_share * 1e6) / messages.of(report),
  digits: 2,
};
// What a core would carry if the process that needs most of it had it alone.
const capacity = {
  name: "1/us of the busiest",
  of: (report) => 1e6 / Math.max(...report.processes.map(({ cpuUs }) => cpuUs)),
  digits: 0,
};
const columns = [messages, ...cpu, generator, capacity, ...wakeUps];

// Of the core that the gateways and the generator share, below which it was not they who set the pace.
const LEAST_SHARE = 0.85;

const marks = [
  {
    name: "router: at least 150,000 messages a second",
    value: (reports) => median(reports.get(router).map(messages.of)),
    holds: (value) => value >= 150_000,
    needsMachine: true,
  },
  {
    name: "router: at least 150,000 messages for a second of processor time of the busiest process",
    value: (reports) => median(reports.get(router).map(capacity.of)),
    holds: (value) => value >= 150_000,
  },
  {
    name: "Redis: at least 0.7 of redis-benchmark's calls a second",
    value: (reports) => ratio(reports.get(redis), reports.get(benchmark), messages),
    holds: (value) => value >= 0.7,
  },
];

async function measureAll() {
  describeMachine(
    isPinned
      ? "bus on core 0, two gateways (one worker thread each) and the load generator on core 1"
      : "not pinned to cores: fewer than two, or no taskset",
  );
  console.log(execFileSync("redis-server", ["--version"], { encoding: "utf8" }).trim());
  console.log("us: processor time per message; woken: how often for 1,000 messages; gateway 1 has the publishers;");
  console.log("medians of the rounds; in brackets the router's as a ratio to them; two routers are taken together\n");
  console.log("10 channels with 2 clients, 64 bytes, 256 messages in flight in each (5 rounds)");
  const servers = [router, twoRouters, redis];
  const reports = await takeTurns(new Pairs(), { servers, load: ["--window", "256", "--duration", "3s"], rounds: 5 });
  const calls = reports.get(redis).map((report) => report.benchmark);
  checkDelivery(reports);
  reports.set(benchmark, calls);
  check(`${benchmark.name}: each call appended a message`, calls.every(({ appended }) => appended === BENCHMARK_CALLS));
  for (const line of table(reports, columns)) console.log(`  ${line}`);
  const share = median(reports.get(router).map(({ ourShare }) => ourShare));
  const unfit = share < LEAST_SHARE && `the gateways and the generator had ${share.toFixed(2)} of their core`;
  for (const mark of marks) checkMark({ ...mark, unfit: mark.needsMachine && unfit }, reports);
  console.log("");
}

async function checkSmall() {
  console.log("two gateways, 10 channels, 64 messages in flight in each");
  const load = ["--window", "64", "--messages", "500", "--warmup", "100ms"];
  checkDelivery(await takeTurns(new Pairs(), { servers: [router, twoRouters, redis], load, rounds: 1 }));
}

await (isQuick ? checkSmall() : measureAll());
finish();
