// A million connections and a hundred million, from figures: those of one gateway are measured here and now, those of
// the bus and of clusters come from `tests/bench/run growth`. SCALE.md says what is assumed. Called by `run` with the
// build directory.

import { readFileSync } from "node:fs";
import { readResults } from "./results.js";
import { generate, listening, start, stop } from "./servers.js";
import { check, describeMachine, describePlacement, finish, limitOfOpenFiles, readCommandLine } from "./turns.js";

const { build, isQuick } = readCommandLine("tests/bench/run model");

// A gateway's machine and a router's, of which three quarters are planned for.
const CORES = 8;
const ROUTER_CORES = 4; // one for each shard, of which there are four by default
const MEMORY_BYTES = 16 * 2 ** 30;
const SHARE = 0.75;
const LEAST_ROUTERS = 2; // each channel is kept twice
const LEAST_GATEWAYS = 2;
const WORD_S = 3; // between two words of a gateway to all others that it is there

const people = (isQuick ? 500 : Math.min(10_000, limitOfOpenFiles() - 1000)).toString();
const duration = ["--duration", isQuick ? "500ms" : "3s"];

function slabBytes() {
  return Number(readFileSync("/proc/meminfo", "utf8").match(/^Slab:\s+(\d+) kB/m)[1]) * 1024;
}

// Puts a load on a gateway of its own; resolves to the generator's report.
async function put(...load) {
  const common = ["--listen", "127.0.0.1:0", "--admin-listen", "off", "--threads", "1", "--message-rate", "0"];
  const child = start(0, `${build}/gateway/carillon-gateway`, [...common, "--drain-time", "0"], ["ignore", "pipe", "pipe"]);
  try {
    const url = `ws://127.0.0.1:${await listening(child)}/?channel=load-{channel}`;
    const args = ["--json", "--quiet", "--pid", String(child.pid), ...load, ...duration, url];
    const report = await generate(`${build}/tests/bench/carillon-bench`, args);
    check(`${load.join(" ")}: all went well`, report.status === 0);
    return report;
  } finally {
    await stop(child);
  }
}

// One gateway: a delivery in rooms of each size, and a connection.
async function measureGateway() {
  const room = (count, clients, rate) => put("--channels", count, "--clients", clients, "--rate", rate, "--warmup", "500ms");
  const small = await room("100", "10", "10");
  const large = await room("4", "1000", "5");
  const before = slabBytes();
  let most = before;
  const timer = setInterval(() => (most = Math.max(most, slabBytes())), 100);
  const idle = await put("--clients", people, "--idle");
  clearInterval(timer);
  return {
    small: small.server.cpu_ns_per_delivery / 1e3,
    large: large.server.cpu_ns_per_delivery / 1e3,
    bytes: idle.server.bytes_per_connection,
    kernelBytes: (most - before) / idle.clients / 2, // the client's end is on this machine, too
    connects: idle.opened / idle.connect_seconds,
  };
}

function readBus() {
  const growth = readResults(build, "growth");
  const last = (name) => growth[name].points.at(-1);
  return {
    routers: growth["two routers"],
    redis: growth.Redis,
    arrivalUs: last("two routers").flood.gatewayUs, // at a gateway with one subscriber
    idleRouterUs: last("two routers").idle.busUs / 2, // of each router for each gateway, a second
    gateways: last("two routers").gateways,
  };
}

// The gateways that have somebody of a room, where all are spread at random.
function reachOf(gateways, room) {
  return gateways * (1 - (1 - 1 / gateways) ** room);
}

// Enlarges until it holds what it has to, which grows with it.
function settle(least, needed) {
  let count = least;
  for (let round = 0; round < 1000; round++) {
    const next = Math.max(least, Math.ceil(needed(count)));
    if (!Number.isFinite(next) || next <= count) return Number.isFinite(next) ? count : Infinity;
    count = next;
  }
  return Infinity;
}

function plan({ connections, room, messages }, gateway, bus) {
  const deliveries = messages * room;
  const deliveryUs = room < 100 ? gateway.small : gateway.large;
  const work = (count) => (messages * reachOf(count, room) * bus.arrivalUs + deliveries * deliveryUs) / 1e6;
  const byMemory = (connections * (gateway.bytes + gateway.kernelBytes)) / (MEMORY_BYTES * SHARE);
  const gateways = settle(Math.max(LEAST_GATEWAYS, Math.ceil(byMemory)), (count) => work(count) / (CORES * SHARE));
  const reach = reachOf(gateways, room);
  const cost = ({ cpu, bytes }) => ({ us: cpu.fixed + cpu.each * reach, bytes: bytes.fixed + bytes.each * reach });
  const { us, bytes } = cost(bus.routers);
  const pings = (gateways * bus.idleRouterUs) / 1e6; // cores of each router
  const left = ROUTER_CORES * SHARE - pings;
  return {
    connections,
    room,
    messages,
    deliveries,
    byMemory: Math.ceil(byMemory),
    gateways,
    cores: work(gateways),
    reach,
    busCores: (messages * us) / 1e6,
    pings,
    routers: left > 0 ? Math.max(LEAST_ROUTERS, Math.ceil((messages * us) / 1e6 / left)) : Infinity,
    gbit: (messages * bytes * 8) / 1e9,
    redis: (messages * cost(bus.redis).us) / 1e6,
    sweepMs: ((connections / gateways / CORES) * deliveryUs) / 1e3,
    stormS: connections / gateways / CORES / gateway.connects,
  };
}

function amount(number) {
  if (!Number.isFinite(number)) return "none will do";
  if (number >= 1e6) return `${(number / 1e6).toFixed(number < 1e7 ? 1 : 0)} M`;
  if (number >= 1e4) return `${(number / 1e3).toFixed(0)} k`;
  return number.toFixed(number < 10 ? 2 : 0);
}

const lines = [
  ["connections", (one) => amount(one.connections)],
  ["in rooms of", (one) => (one.room === one.connections ? "everyone" : one.room.toString())],
  ["messages/s", (one) => amount(one.messages)],
  ["deliveries/s", (one) => amount(one.deliveries)],
  ["gateways for their memory", (one) => one.byMemory.toString()],
  ["gateways", (one) => amount(one.gateways)],
  ["cores of the gateways that work", (one) => amount(one.cores)],
  ["gateways a message goes to", (one) => amount(one.reach)],
  ["cores of the routers for messages", (one) => amount(one.busCores)],
  ["cores of each router for idle links", (one) => amount(one.pings)],
  ["routers", (one) => amount(one.routers)],
  ["Gbit/s to and from the routers", (one) => amount(one.gbit)],
  ["Redis processes for the same", (one) => amount(one.redis)],
  ["links of a router", (one) => amount(one.gateways * ROUTER_CORES)],
  ["words of gateways to each other/s", (one) => amount(one.gateways ** 2 / WORD_S)],
  ["ms until a message to all is sent", (one) => (one.room === one.connections ? amount(one.sweepMs) : "")],
  ["s for all to come back at once", (one) => amount(one.stormS)],
];

function show(plans) {
  const rows = lines.map(([name, of]) => [name, ...plans.map(of)]);
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const [name, ...cells] of rows)
    console.log(`  ${[name.padEnd(widths[0]), ...cells.map((cell, index) => cell.padStart(widths[index + 1]))].join("  ")}`);
}

describeMachine(describePlacement());
const gateway = await measureGateway();
if (!isQuick) {
  const bus = readBus();
  const { cpu, bytes } = bus.routers;
  console.log(`\na delivery in a room of 10: ${gateway.small.toFixed(2)} us, of 1,000: ${gateway.large.toFixed(2)} us`);
  console.log(`a connection: ${amount(gateway.bytes)} bytes of the gateway, ${amount(gateway.kernelBytes)} of the kernel's slabs`);
  console.log(`connections taken in a second by a thread: ${amount(gateway.connects)}`);
  console.log(`a message that comes to a gateway with one subscriber, in a flood: ${bus.arrivalUs.toFixed(1)} us`);
  console.log(
    `a message of a flood over two routers, both together: ${cpu.fixed.toFixed(2)} us and ${bytes.fixed.toFixed(0)} ` +
      `bytes, and ${cpu.each.toFixed(2)} us and ${bytes.each.toFixed(0)} bytes for each gateway`,
  );
  console.log(`an idle gateway: ${amount(bus.idleRouterUs)} us/s of each router, seen with ${bus.gateways} of them\n`);
  const minute = 1 / 60; // a message a minute from everybody
  const plans = [1e6, 1e8].flatMap((connections) => [
    plan({ connections, room: 10, messages: connections * minute }, gateway, bus),
    plan({ connections, room: 1000, messages: connections * minute }, gateway, bus),
    plan({ connections, room: connections, messages: 1 }, gateway, bus),
  ]);
  show(plans);
}
console.log("");
finish();
