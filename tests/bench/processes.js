// What a process has used so far, from /proc, so that the difference of two looks is what happened between them.

import { readdirSync, readFileSync } from "node:fs";

// Processor time, and how often one of its threads slept until something woke it.
export function usage({ pid }) {
  let cpuNs = 0;
  let wakeUps = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const directory = `/proc/${pid}/task/${task}`;
    cpuNs += Number(readFileSync(`${directory}/schedstat`, "utf8").split(" ")[0]);
    const status = readFileSync(`${directory}/status`, "utf8");
    wakeUps += Number(status.match(/^voluntary_ctxt_switches:\s+(\d+)/m)[1]);
  }
  return { cpuNs, wakeUps };
}

// Of several processes together.
export function usageOf(processes) {
  const all = processes.map(usage);
  const sum = (name) => all.reduce((total, one) => total + one[name], 0);
  return { cpuNs: sum("cpuNs"), wakeUps: sum("wakeUps") };
}

export function since(before, after) {
  return { cpuNs: after.cpuNs - before.cpuNs, wakeUps: after.wakeUps - before.wakeUps };
}
