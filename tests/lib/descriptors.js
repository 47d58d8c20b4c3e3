// File descriptors of a running program.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

// Sets the soft limit, which our programs raise at their start alone.
export function limitDescriptors({ pid }, limit) {
  execFileSync("prlimit", ["--pid", `${pid}`, `--nofile=${limit}:`]);
}

export function softLimit({ pid }) {
  return Number(readFileSync(`/proc/${pid}/limits`, "utf8").match(/^Max open files +(\d+)/m)[1]);
}

export function openDescriptors({ pid }) {
  return readdirSync(`/proc/${pid}/fd`).length;
}
