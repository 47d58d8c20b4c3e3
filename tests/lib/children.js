// The processes that a test file starts. None outlives it: a test that fails before it has stopped its own
// would otherwise keep the whole run waiting, and a run that is cut short leaves nothing behind.

import { spawn } from "node:child_process";
import { after } from "node:test";

const GRACE_MS = 40_000; // from the last test on: the file's own `after` may stop a gateway
const LOOK_MS = 1000;

const running = new Set();

function killAll() {
  for (const child of running) child.kill("SIGKILL");
}

// What a failed test has left ends as soon as the file's own `after` is through: that is registered while
// the file is read, this one when it has been. Where that does not help, the file ends all the same.
setImmediate(() => after(killAll));
after(() => setTimeout(() => process.exit(1), GRACE_MS).unref());

process.prependListener("exit", killAll); // before their directories go (directory.js)
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => process.exit(1));

// The runner may have been killed without a word.
const runner = process.ppid;
setInterval(() => process.ppid === runner || process.exit(1), LOOK_MS).unref();

// As child_process.spawn. The kernel ends it, too, where this process is killed.
export function spawnChild(program, args, options) {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", program, ...args], options);

  running.add(child);
  child.once("close", () => running.delete(child));
  return child;
}
