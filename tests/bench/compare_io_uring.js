// A gateway that sends through io_uring, always or where it finds that cheaper, beside the same without. Called by
// `run io_uring` with the build directory.

import { spawnSync } from "node:child_process";

import { figures, ratio } from "./figures.js";
import { Programs } from "./servers.js";
import {
  checkDelivery,
  describeMachine,
  describePlacement,
  finish,
  readCommandLine,
  runScenario,
  takeTurns,
} from "./turns.js";

const { build, isQuick } = readCommandLine("tests/bench/run io_uring");
const programs = new Programs(build);
const sending = (how) => ({ name: how, kind: "gateway", args: ["--threads", "1", "--io-uring", how] });
const [off, on, auto] = ["off", "on", "auto"].map(sending);
const bare = { name: "bare, io-uring", kind: "bare", args: ["--mode", "io-uring"] };
const bareEach = { name: "bare, per-tick", kind: "bare", args: ["--mode", "per-tick"] };

const isThere = spawnSync(programs.gateway, ["--check-config", "--io-uring", "on"], { env: {} }).status === 0;
const missing = !isThere && "there is no io_uring, or it is forbidden";
const LEEWAY = 1.1; // of neighbouring turns on a machine that does something else, too

function scenario(clients, window, rounds) {
  return {
    name: `${clients.toLocaleString("en")} clients, 64 bytes, ${window} in flight`,
    servers: isThere ? [off, on, auto, bareEach, bare] : [off, auto],
    reference: true,
    load: ["--clients", String(clients), "--window", String(window), "--duration", "3s"],
    rounds,
    figures: [figures.throughput, figures.cpu, figures.p50, figures.p99],
    // The figures of a small crowd are those of its wake-ups, and scatter.
    marks: [
      clients >= 1000 && {
        name: "auto takes no more CPU per delivery than off, or than 1.1 of it",
        value: (reports) => ratio(reports.get(auto), reports.get(off), figures.cpu),
        holds: (value) => value <= LEEWAY,
        unfit: missing,
      },
    ].filter(Boolean),
  };
}

async function measureAll() {
  describeMachine(describePlacement());
  console.log("medians of the rounds; in brackets each as a ratio to the gateway with --io-uring off\n");
  for (const [clients, window] of [[1000, 16], [1000, 1], [10, 1]]) {
    await runScenario(programs, scenario(clients, window, 5));
  }
}

async function checkSmall() {
  console.log(`io_uring: ${missing || "is there"}`);
  for (const load of [
    ["--clients", "400", "--messages", "300"], // more than go in one batch
    ["--clients", "50", "--publishers", "16", "--window", "64", "--messages", "3000"],
    ["--clients", "20", "--publishers", "3", "--window", "6", "--size", "60K", "--messages", "200"],
  ]) {
    console.log(load.join(" "));
    const servers = isThere ? [off, on, auto, bare] : [off, auto];
    checkDelivery(await takeTurns(programs, { servers, load: ["--warmup", "100ms", ...load], rounds: 1 }));
  }
}

await (isQuick ? checkSmall() : measureAll());
finish();
