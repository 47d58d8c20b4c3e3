// A cluster that grows from one gateway to 32, over one router, two and a Redis: what a message costs the bus, on the
// wire and each gateway, where all gateways have subscribers of its channel, and where two have. Called by `run` with
// the build directory.

import { execFileSync } from "node:child_process";
import { Cluster } from "./clusters.js";
import { since, usageOf } from "./processes.js";
import { saveResults } from "./results.js";
import { generate, isPinned } from "./servers.js";
import { check, checkMark, describeMachine, finish, readCommandLine } from "./turns.js";

const { build, isQuick } = readCommandLine("tests/bench/run growth");

const buses = [
  { name: "router", bus: "router" },
  { name: "two routers", bus: "router", routers: 2 },
  { name: "Redis", bus: "redis" },
];
const sizes = isQuick ? [1, 4] : [1, 2, 4, 8, 16, 32];
const CHANNELS = 10;
const RATE = 50; // messages a second in each channel
const WINDOW = 64; // messages in flight in each, where as many as possible are sent
const IDLE_MS = isQuick ? 200 : 1000;

// Bytes that went over the connections to the bus, in both directions.
function bytesOnWire({ busPorts }) {
  let bytes = 0;
  for (const port of busPorts) {
    const text = execFileSync("ss", ["-tinH", `sport = :${port}`], { encoding: "utf8" });
    for (const [, count] of text.matchAll(/bytes_(?:sent|received):(\d+)/g)) bytes += Number(count);
  }
  return bytes;
}

function look(cluster) {
  const [bus, gateways] = [cluster.bus, cluster.gateways].map(usageOf);
  return { bus, gateways, bytes: bytesOnWire(cluster), ms: performance.now() };
}

function between(before, after) {
  const part = (name) => since(before[name], after[name]).cpuNs / 1e3;
  return { busUs: part("bus"), gatewayUs: part("gateways"), bytes: after.bytes - before.bytes, ms: after.ms - before.ms };
}

const duration = isQuick ? ["--messages", "20"] : ["--duration", "2s"];
const steady = ["--rate", String(RATE), ...duration];
const flood = ["--window", String(WINDOW), ...duration];

// What the cluster costs while nothing is said.
async function rest(cluster) {
  const before = look(cluster);
  await new Promise((go) => setTimeout(go, IDLE_MS));
  return between(before, look(cluster));
}

// What a message costs beyond that.
async function measure(cluster, idle, listeners, pace) {
  const urls = cluster.urls("channel=load-{channel}").slice(0, listeners);
  const crowd = ["--channels", String(CHANNELS), "--clients", String(listeners), "--publishers", "1"];
  const before = look(cluster);
  const args = ["--json", "--quiet", "--timeout", "30s", "--warmup", "0s", ...crowd, ...pace, ...urls];
  const report = await generate(`${build}/tests/bench/carillon-bench`, args);
  const busy = between(before, look(cluster));
  const net = (name) => (busy[name] - (idle[name] / idle.ms) * busy.ms) / report.check.sent;
  return {
    passed: report.status === 0,
    listeners,
    busUs: net("busUs"),
    bytes: net("bytes"),
    gatewayUs: net("gatewayUs") / listeners,
  };
}

async function grow(server) {
  const points = [];
  for (const count of sizes) {
    const cluster = await Cluster.start(build, { ...server, gateways: { count, cores: isPinned ? "0,1" : "0" } });
    try {
      const idle = await rest(cluster);
      const perSecond = (name) => ((idle[name] / idle.ms) * 1e3) / count;
      points.push({
        gateways: count,
        all: await measure(cluster, idle, count, steady),
        two: await measure(cluster, idle, Math.min(2, count), steady),
        flood: await measure(cluster, idle, count, flood),
        idle: { busUs: perSecond("busUs"), bytes: perSecond("bytes"), gatewayUs: perSecond("gatewayUs") },
      });
    } finally {
      await cluster.stop();
    }
  }
  return points;
}

// Least squares: y = fixed + each * x.
function line(points) {
  const mean = (of) => points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean(([at]) => at), mean(([, value]) => value)];
  const each = mean(([at, value]) => (at - x) * (value - y)) / mean(([at]) => (at - x) ** 2);
  return { fixed: y - each * x, each };
}

function show(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) console.log(`  ${row.map((cell, column) => cell.padStart(widths[column])).join("  ")}`);
}

function report(server, points) {
  const lost = points.filter(({ all, two, flood }) => ![all, two, flood].every(({ passed }) => passed));
  check(`${server.name}: every message at every client, once and in one order, of all sizes`, lost.length === 0);
  const row = ({ gateways, all, two, flood, idle }) => [
    String(gateways),
    ...[all.busUs, all.gatewayUs, two.busUs, flood.busUs, flood.gatewayUs].map((value) => value.toFixed(1)),
    ...[all.bytes, two.bytes].map((value) => value.toFixed(0)),
    ...[idle.busUs, idle.bytes, idle.gatewayUs].map((value) => value.toFixed(0)),
  ];
  const heads = ["gateways", "bus us", "gateway us", "two: bus us", "flood: bus us", "flood: gateway us"];
  const idleHeads = ["idle: bus us/s each", "bytes/s each", "gateway us/s"];
  show([[...heads, "bytes", "two: bytes", ...idleHeads], ...points.map(row)]);
  const cpu = line(points.map(({ gateways, flood }) => [gateways, flood.busUs]));
  const bytes = line(points.map(({ gateways, all }) => [gateways, all.bytes]));
  console.log(
    `  a message of a flood: ${cpu.fixed.toFixed(2)} us and ${bytes.fixed.toFixed(0)} bytes of the bus, ` +
      `and ${cpu.each.toFixed(2)} us and ${bytes.each.toFixed(0)} bytes for each gateway that has subscribers`,
  );
  if (isQuick) return { cpu, bytes };
  const last = points.at(-1);
  const smaller = line(points.slice(0, -1).map(({ gateways, all }) => [gateways, all.bytes]));
  const beside = points.filter(({ gateways }) => gateways >= 2).map(({ two }) => two.bytes);
  checkMark({
    name: `${server.name}: bytes of a message with ${last.gateways} gateways, to what the smaller clusters let expect`,
    value: () => last.all.bytes / (smaller.fixed + smaller.each * last.gateways),
    holds: (value) => value > 0.8 && value < 1.2,
  });
  checkMark({
    name: `${server.name}: bytes of a message of two gateways among ${last.gateways}, to those of two alone`,
    value: () => beside.at(-1) / beside[0],
    holds: (value) => value > 0.8 && value < 1.2,
  });
  return { cpu, bytes };
}

describeMachine(isPinned ? "bus on core 0, gateways on both cores, load generator on core 1" : "not pinned to cores");
console.log(`${CHANNELS} channels, ${RATE} messages of 64 bytes a second in each, one client at each gateway, one of whom`);
console.log("publishes; us is processor time, bytes are those of TCP to and from the bus, both beyond what the idle");
console.log(`cluster takes; two: where only two gateways have clients; flood: as many messages as go, ${WINDOW} in flight\n`);
const results = {};
for (const server of buses) {
  console.log(server.name);
  const points = await grow(server);
  results[server.name] = { points, ...report(server, points) };
  console.log("");
}
if (!isQuick) saveResults(build, "growth", results);
finish();
