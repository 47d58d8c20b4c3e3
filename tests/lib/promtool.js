// Prometheus' own checker: CARILLON_PROMTOOL names it, else it is the one on the PATH; undefined where there is none.
// `tests/run` gets it from the package of Prometheus, without that package's server.

import { execFileSync, spawnSync } from "node:child_process";

export const PROMTOOL = find();

function find() {
  if (process.env.CARILLON_PROMTOOL) return process.env.CARILLON_PROMTOOL;
  try {
    return execFileSync("sh", ["-c", "command -v promtool"], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

// Runs it to its end: { status, output }, which is all that it said.
export function promtool(args, input = "") {
  const { status, stdout, stderr } = spawnSync(PROMTOOL, args, { input, encoding: "utf8" });
  return { status, output: stdout + stderr };
}
