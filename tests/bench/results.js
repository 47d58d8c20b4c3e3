// What measurements leave for one another, in the build directory: the model is made of it.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

export function saveResults(build, name, data) {
  mkdirSync(`${build}/bench-results`, { recursive: true });
  writeFileSync(`${build}/bench-results/${name}.json`, `${JSON.stringify(data, null, 1)}\n`);
}

export function readResults(build, name) {
  try {
    return JSON.parse(readFileSync(`${build}/bench-results/${name}.json`, "utf8"));
  } catch (error) {
    if (error.code === "ENOENT") throw new Error(`nothing measured yet: tests/bench/run ${name}`, { cause: error });
    throw error;
  }
}
