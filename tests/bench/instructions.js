// How many instructions and system calls the gateway takes for a delivery, a connection, a subscription: counts, which
// are the same on a busy machine. Each is the difference between a small and a large load, so that starting and
// stopping are not in it. Called by `run instructions` with the build directory; instructions.json has the limits.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChannelClient } from "./channel_client.js";
import { PlainClient } from "./plain_client.js";
import { listening, start, stop } from "./servers.js";
import { until } from "../lib/wait.js";
import { check, finish, readCommandLine, skip } from "./turns.js";

const { build } = readCommandLine("tests/bench/run instructions");
const table = JSON.parse(readFileSync(new URL("instructions.json", import.meta.url)));
const work = mkdtempSync(join(tmpdir(), "carillon-instructions-"));
process.on("exit", () => rmSync(work, { recursive: true }));

const CLIENTS = 400; // so many that what a message takes does not count
const CHANNELS = 50;
const MESSAGE = "m".repeat(64);

async function times(count, act) {
  for (let i = 0; i < count; i++) await act(i);
}

async function openAll(clients) {
  for (const client of clients) await client.open(); // one after the other, so that each takes the same
  return clients;
}

const crowd = (Client, port, count) => openAll(Array.from({ length: count }, () => new Client(port)));

async function plainDelivery(port, count) {
  const clients = await crowd(PlainClient, port, CLIENTS);
  await times(count, async () => {
    const told = clients.map((client) => client.nextMessage());
    clients[0].send(MESSAGE);
    await Promise.all(told);
  });
}

async function channelDelivery(port, count) {
  const clients = await crowd(ChannelClient, port, CLIENTS);
  for (const client of clients) await client.askAll([{ subscribe: { channel: "news" } }]);
  await times(count, async () => {
    const told = clients.map((client) => client.nextPublication());
    await clients[0].askAll([{ publish: { channel: "news", data: { text: MESSAGE } } }]);
    await Promise.all(told);
  });
}

async function connection(port, count) {
  await crowd(PlainClient, port, 1); // who keeps the channel
  await times(count, async () => {
    const client = new PlainClient(port);
    await client.open();
    await client.end();
  });
}

const channels = Array.from({ length: CHANNELS }, (_, i) => `channel-${i}`);
const subscribe = channels.map((channel) => ({ subscribe: { channel } }));
const unsubscribe = channels.map((channel) => ({ unsubscribe: { channel } }));

// Comes to all channels at once and goes, where so many others are, and stay.
function subscription(others) {
  return async (port, count) => {
    for (const client of await crowd(ChannelClient, port, others)) await client.askAll(subscribe);
    const [client] = await crowd(ChannelClient, port, 1);
    await times(count, async () => {
      await client.askAll(subscribe);
      await client.askAll(unsubscribe);
    });
  };
}

// What a unit is counted as, its load, and how many units lie between the small and the large one.
const loads = [
  { name: "plain delivery", load: plainDelivery, counts: [20, 120], units: CLIENTS },
  { name: "JSON delivery", load: channelDelivery, counts: [20, 120], units: CLIENTS },
  { name: "connection", load: connection, counts: [50, 450], units: 1 },
  { name: "subscription among 2", load: subscription(2), counts: [5, 45], units: CHANNELS },
  { name: "subscription among 100", load: subscription(100), counts: [5, 45], units: CHANNELS },
];

const fixed = ["--listen", "127.0.0.1:0", "--admin-listen", "off", "--message-rate", "0", "--drain-time", "0"];
const gateway = [`${build}/gateway/carillon-gateway`, ...fixed, "--threads", "1", "--io-uring", "off", "--no-join-leave"];

// The C library and OpenSSL choose code by what the processor has; here all of them have the same.
const alike = ["env", "OPENSSL_ia32cap=0:0", "GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2_Usable,-AVX2,-ERMS,-FSRM"];

const counters = {
  instructions: {
    line: (file) => [...alike, "valgrind", "--quiet", "--tool=callgrind", `--callgrind-out-file=${file}`],
    read: (text) => Number(text.match(/^(?:totals|summary): (\d+)/m)?.[1] ?? 0),
  },
  calls: {
    line: (file) => ["strace", "-D", "-f", "-c", "-U", "calls,name", "-o", file],
    read: (text) => Number(text.match(/^ *(\d+) total$/m)?.[1] ?? 0), // strace ends after what it watches
  },
};

let runs = 0;

// Of a gateway from its start to its end.
async function countRun(counter, load, count) {
  const file = join(work, `${++runs}`);
  const [program, ...args] = [...counter.line(file), ...gateway];
  const child = start(runs % 2, program, args, ["ignore", "pipe", "pipe"]);
  try {
    await load(await listening(child), count);
  } finally {
    await stop(child);
  }
  await until(() => existsSync(file) && counter.read(readFileSync(file, "utf8")), `a count in ${file}`);
  return counter.read(readFileSync(file, "utf8"));
}

async function measure(counter, { load, counts, units }) {
  const [small, large] = await Promise.all(counts.map((count) => countRun(counter, load, count)));
  return (large - small) / ((counts[1] - counts[0]) * units);
}

const show = (value) => (value < 100 ? value.toFixed(2) : Math.round(value).toLocaleString("en"));

function compare(name, what, value, limit) {
  const tolerance = table.tolerance[what];
  const most = limit * (1 + tolerance);
  check(`${name}: ${show(value)} ${what}, at most ${show(most)}`, value <= most);
  if (value < limit * (1 - 2 * tolerance))
    console.log(`         THAT IS FAR BELOW ${show(limit)}: lower it in tests/bench/instructions.json`);
}

// What the counts depend on beside the program: the compiler, the C library, libuv and OpenSSL.
function describeHere() {
  const version = /^set\(CMAKE_C_COMPILER_(ID|VERSION) "([^"]*)"\)/gm;
  const files = `${build}/CMakeFiles`;
  const folder = readdirSync(files).find((name) => existsSync(`${files}/${name}/CMakeCCompiler.cmake`));
  const compiler = Object.fromEntries(
    [...readFileSync(`${files}/${folder}/CMakeCCompiler.cmake`, "utf8").matchAll(version)].map(([, key, value]) => [key, value]),
  );
  const system = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  const name = system.match(/^PRETTY_NAME="?(.*?)"?$/m)?.[1] ?? "an unknown system";
  return `${compiler.ID} ${compiler.VERSION.split(".")[0]}, ${name}, ${process.arch}`;
}

const here = describeHere();
const reason = here !== table.made && `the limits are those of ${table.made}, and here is ${here}`;
if (reason) console.log(`THE COUNTS ARE NOT CHECKED: ${reason}.`);
for (const load of loads) {
  for (const [what, limit] of Object.entries(table.limits[load.name])) {
    const value = await measure(counters[what], load);
    if (reason) skip(`${load.name}: ${show(value)} ${what}`);
    else compare(load.name, what, value, limit);
  }
}
finish();
