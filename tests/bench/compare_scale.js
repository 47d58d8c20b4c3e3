// What a delivery costs with many clients, channels and publishers, and a subscription among many. Called by `run`
// with the build directory.

import { CountedGateway, canCount } from "./counted.js";
import { figures, median, ratio } from "./figures.js";
import { Population } from "./population.js";
import { generate, Programs } from "./servers.js";
import { check, checkDelivery, checkMark, describeMachine, describePlacement, finish } from "./turns.js";
import { limitOfOpenFiles, readCommandLine, takeTurns } from "./turns.js";

const { build, isQuick } = readCommandLine("tests/bench/run scale");
const SPARE_FILES = 1000; // of the generator, the gateway, valgrind and node
const room = Math.min(18_000, limitOfOpenFiles() - SPARE_FILES);
const BOUND = 1.25; // to the cheapest

const crowds = isQuick ? [10, 100] : [10, 100, 1_000, 5_000, room];
const channelCounts = isQuick ? [100, 1_000] : [1_000, 10_000, 100_000];
const publisherCounts = isQuick ? [1, 10] : [1, 10, 100, 1_000];

function load(gateway, options, query = "channel=load-{channel}") {
  const url = `ws://127.0.0.1:${gateway.port}/?${query}`;
  const common = ["--json", "--quiet", "--timeout", "2m", "--warmup", "0s"];
  return generate(`${build}/tests/bench/carillon-bench`, [...common, ...options, url]);
}

async function withGateway(args, work) {
  const gateway = await CountedGateway.start(build, args);
  const population = new Population(gateway.port);
  try {
    await load(gateway, ["--clients", "2", "--messages", "20"], "channel=first"); // what is done once is done
    return await work(gateway, population);
  } catch (error) {
    console.log(gateway.said);
    throw error;
  } finally {
    population.close();
    await gateway.stop();
  }
}

function show(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) console.log(`  ${row.map((cell, column) => cell.padStart(widths[column])).join("  ")}`);
}

const whole = (number) => number.toFixed(0);

// All within BOUND of the cheapest.
function checkFlat(what, costs) {
  const worst = Math.max(...costs) / Math.min(...costs);
  if (isQuick) check(`${what}: counted`, Number.isFinite(worst));
  else checkMark({ name: `${what}: at most ${BOUND} of the cheapest`, value: () => worst, holds: (x) => x <= BOUND });
}

// One message at a time, so that nothing is sent together.
async function countClients() {
  const messages = isQuick ? 10 : 40;
  const counts = [];
  for (const crowd of [1, ...crowds]) {
    const { instructions, result } = await withGateway([], async (gateway, population) => {
      await population.listen(crowd - 1, "crowd");
      return gateway.count(() => load(gateway, ["--clients", "1", "--messages", String(messages)], "channel=crowd"));
    });
    check(`${crowd} clients of a channel: every message arrived`, result.status === 0);
    counts.push(instructions);
  }
  const [alone, ...others] = counts;
  const costs = others.map((count, index) => (count - alone) / messages / (crowds[index] - 1));
  show([["clients of a channel", ...crowds.map(String)], ["instructions for each more", ...costs.map(whole)]]);
  checkFlat("each more client of a channel of 100 and more", costs.slice(1));
}

const idle = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1e3));

// The least of three loads: the others may have met what comes once in a while.
async function countDelivery(gateway, options) {
  const costs = [];
  for (let round = 0; round < 3; round++) {
    const { instructions, result } = await gateway.count(() => load(gateway, options));
    costs.push(result.status === 0 ? instructions / result.check.received : NaN);
  }
  return Math.min(...costs); // NaN where one failed
}

// Channels on which nothing is said, and one on which something is, by one message at a time.
async function countChannels() {
  const connections = isQuick ? 20 : 1_000;
  const talk = ["--clients", "2", "--messages", isQuick ? "20" : "300"];
  const rows = [["channels beside", "for a delivery", "for a subscription", "to leave", "in an idle second"]];
  const costs = [[], [], []];
  await withGateway(["--max-channels", "200000"], async (gateway, population) => {
    await population.connect(connections);
    let channels = 0;
    for (const count of channelCounts) {
      const change = (what) => gateway.count(() => population.change(what, channels, count));
      const first = await change("subscribe");
      const left = await change("unsubscribe");
      await population.change("subscribe", channels, count);
      const changed = count - channels;
      const delivery = await countDelivery(gateway, talk);
      const silent = await gateway.count(() => idle(2));
      check(`${count} channels beside: every message arrived`, Number.isFinite(delivery));
      const values = [delivery, first.instructions / changed, left.instructions / changed];
      costs.forEach((list, index) => list.push(values[index]));
      rows.push([String(count), ...values.map(whole), whole(silent.instructions / 2)]);
      channels = count;
    }
  });
  show(rows);
  checkFlat("a delivery among more and more channels", costs[0]);
  checkFlat("a subscription among more and more", costs[1]);
  checkFlat("leaving one", costs[2]);
}

async function countPublishers() {
  const clients = isQuick ? 20 : 1_000;
  const few = isQuick ? 20 : 100;
  const more = isQuick ? 40 : 400;
  const costs = [];
  for (const publishers of publisherCounts) {
    const crowd = ["--clients", String(clients), "--publishers", String(publishers), "--messages"];
    const counts = await withGateway([], async (gateway) => {
      const short = await gateway.count(() => load(gateway, [...crowd, String(few)]));
      const long = await gateway.count(() => load(gateway, [...crowd, String(more)]));
      check(`${publishers} publishers: every message arrived`, short.result.status + long.result.status === 0);
      return long.instructions - short.instructions;
    });
    costs.push(counts / (more - few) / clients);
  }
  show([["publishers", ...publisherCounts.map(String)], ["instructions for a delivery", ...costs.map(whole)]]);
  checkFlat("a delivery by more and more publishers", costs);
}

// The kernel's half, beside the bare sender, which has the same.
async function timeClients() {
  const gateway = { name: "carillon", kind: "gateway", args: ["--threads", "1", "--io-uring", "off"] };
  const bare = { name: "bare", kind: "bare", args: [] };
  const programs = new Programs(build);
  const rows = [["clients", "carillon: CPU ns/delivery", "bare sender", "ratio"]];
  const ratios = [];
  for (const crowd of crowds) {
    const options = ["--clients", String(crowd), "--window", "16", "--duration", "2s", "--warmup", "500ms"];
    const reports = await takeTurns(programs, { servers: [gateway, bare], load: options, rounds: 3 });
    checkDelivery(reports);
    const [ours, theirs] = [gateway, bare].map((server) => reports.get(server));
    ratios.push(ratio(ours, theirs, figures.cpu));
    const values = [ours, theirs].map((list) => median(list.map(figures.cpu.of)));
    rows.push([String(crowd), ...values.map(whole), ratios.at(-1).toFixed(2)]);
  }
  show(rows);
  const [base, ...larger] = ratios.slice(1);
  checkMark({
    name: `the ratio to the bare sender with more clients: at most ${BOUND} of that with 100`,
    value: () => Math.max(...larger) / base,
    holds: (value) => value <= BOUND,
  });
}

describeMachine(describePlacement());
console.log("instructions are those of the gateway without libuv's and the kernel's, counted by callgrind\n");
if (canCount()) {
  await countClients();
  console.log("");
  await countChannels();
  console.log("");
  await countPublishers();
  console.log("");
} else {
  checkMark({ name: "instructions", value: () => NaN, unfit: "valgrind is not installed" });
}
if (!isQuick) await timeClients();
console.log("");
finish();
