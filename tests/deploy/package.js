// The Debian package, and commands around it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { removeDirectory, temporaryDirectory as createDirectory } from "../lib/directory.js";

export const TOP = fileURLToPath(new URL("../..", import.meta.url));

const BUFFER_BYTES = 64 * 1024 * 1024;

// Runs a command to its end: { code, stdout, output }, the output being both streams.
export function run(command, args, options = {}) {
  return new Promise((resolve) => {
    execFile(command, args, { maxBuffer: BUFFER_BYTES, ...options }, (error, stdout, stderr) => {
      resolve({ code: error ? (error.code ?? error.signal) : 0, stdout, output: stdout + stderr });
    });
  });
}

// The same for a command that must succeed; what it printed to stdout.
export async function succeed(command, args, options) {
  const { code, stdout, output } = await run(command, args, options);
  assert.equal(code, 0, `${command} ${args.join(" ")}:\n${output}`);
  return stdout;
}

export async function temporaryDirectory() {
  const path = await createDirectory("deploy");
  return { path, remove: () => removeDirectory(path) };
}

// Builds the package into `directory`; its path.
export async function buildPackage(directory) {
  const output = await succeed(join(TOP, "deploy/package"), [directory]);
  return output.trimEnd().split("\n").at(-1);
}
