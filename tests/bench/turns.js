// Servers that take turns under the same load, what is printed of it, and the tally of the checks.

import { execFileSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";
import { sharedRounds, table } from "./figures.js";
import { isPinned } from "./servers.js";

// What `run` hands over: the build directory, and perhaps --quick.
export function readCommandLine(command) {
  const [build, ...options] = process.argv.slice(2);
  const isQuick = options.length === 1 && options[0] === "--quick";
  if (!build || (options.length > 0 && !isQuick)) {
    console.error(`Usage: ${command} [--quick]`);
    process.exit(2);
  }
  return { build, isQuick };
}

const tally = { passed: 0, failed: 0, skipped: 0 };

export function check(what, isGood) {
  tally[isGood ? "passed" : "failed"]++;
  console.log(`  ${isGood ? "ok    " : "FAILED"} ${what}`);
}

export function note(what) {
  console.log(`  note   ${what}`);
}

// For what was measured, and could not be judged.
export function skip(what) {
  tally.skipped++;
  console.log(`  SKIPPED ${what}`);
}

// What is shown of a mark is what is judged.
function judge(mark, reports) {
  const value = mark.value(reports);
  const isKnown = Number.isFinite(value);
  const shown = isKnown ? value.toFixed(value < 10 ? 2 : 0) : "not measured";
  const holds = isKnown && mark.holds(Number(shown), reports);
  return { value: Number(shown), holds, text: `${mark.name}: ${shown}${mark.comment?.(reports) ?? ""}` };
}

export function checkMark(mark, reports) {
  const { value, holds, text } = judge(mark, reports);
  // checkDelivery has emptied what such a server reported.
  const isPeerBad = mark.servers?.some((server) => server.kind === "peer" && !reports.get(server)[0].check);
  const unfit = mark.unfit || (isPeerBad && "that is no fault of ours");
  if (unfit) skip(`${text}, but ${unfit}`);
  else check(text, holds);
  return { name: mark.name, value, holds, unfit: unfit || undefined };
}

// The servers take turns, so that what else the machine does meets all of them, in every other round the other way
// round, so that none of them always follows the same one. `load` may be a function of the server. Other people's
// servers have `peerRounds` of the rounds.
export async function takeTurns(programs, { servers, load, rounds, peerRounds = rounds }) {
  const reports = new Map(servers.map((server) => [server, []]));
  for (let round = 0; round < rounds; round++) {
    for (const server of round % 2 ? [...servers].reverse() : servers) {
      if (server.kind === "peer" && round >= peerRounds) continue;
      const options = typeof load === "function" ? load(server) : load;
      reports.get(server).push(await programs.measure(server, options));
    }
  }
  return reports;
}

const isBad = (report) => !report.check.passed || report.status !== 0;

// What other people's servers get wrong is noted, and leaves their row empty; it is no fault of ours.
export function checkDelivery(reports) {
  for (const [server, list] of reports) {
    const bad = list.find(isBad);
    if (server.kind === "peer" && bad) {
      note(`${server.name}: no figures, since ${bad.check.trouble}`);
      reports.set(server, list.map(() => ({})));
      continue;
    }
    check(
      `${server.name}: every message at every client, once and in one order` +
        (bad ? `: ${bad.check.trouble}` : ""),
      !bad,
    );
  }
}

export function limitOfOpenFiles() {
  const text = execFileSync("bash", ["-c", "ulimit -Hn"], { encoding: "utf8" }).trim();
  return text === "unlimited" ? Infinity : Number(text);
}

// Of one server and the generator.
export function describePlacement() {
  return isPinned
    ? "server on core 0 (one worker thread), load generator on core 1"
    : "not pinned to cores: fewer than two, or no taskset";
}

export function machine() {
  const list = cpus();
  return `${list.length} x ${list[0].model}, ${(totalmem() / 2 ** 30).toFixed(1)} GiB`;
}

export function describeMachine(placement) {
  console.log(`machine: ${machine()}`);
  console.log(`kernel:  ${release()}`);
  console.log(placement);
}

// A mark is missed, and it is not that somebody lost messages or died.
function isInDoubt({ marks }, reports) {
  const isWell = ([{ kind }, list]) => kind === "peer" || !list.some(isBad);
  return [...reports].every(isWell) && marks.some((mark) => !mark.unfit && !judge(mark, reports).holds);
}

// As many rounds again of those that are judged: what a mark is missed by is often what the machine did meanwhile.
async function goOn(programs, scenario, reports) {
  console.log(`  a mark is missed: ${scenario.rounds} rounds more, and all are judged together`);
  const judged = new Set(scenario.marks.flatMap((mark) => mark.servers ?? []));
  const servers = scenario.servers.filter((server) => server.kind !== "peer" || judged.has(server));
  const more = await takeTurns(programs, { ...scenario, servers });
  for (const [server, list] of more) reports.get(server).push(...list);
}

// A scenario is what takeTurns takes, with `name`, `figures` and `marks`; see table() for `reference`.
export async function runScenario(programs, scenario) {
  console.log(`${scenario.name} (${scenario.rounds} rounds)`);
  const reports = await takeTurns(programs, scenario);
  if (isInDoubt(scenario, reports)) await goOn(programs, scenario, reports);
  checkDelivery(reports);
  const shown = sharedRounds(reports);
  for (const line of table(shown, scenario.figures, scenario.reference)) console.log(`  ${line}`);
  const marks = scenario.marks.map((mark) => checkMark(mark, reports));
  console.log("");
  return { reports, marks };
}

export function finish() {
  const { passed, failed, skipped } = tally;
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  process.exitCode = failed > 0 ? 1 : 0;
}
