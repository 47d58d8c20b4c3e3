// Directories of a test's own. None outlives its process, whether that ends well, fails, or is told to end.
//
//     const directory = await temporaryDirectory("tokens");
//     await removeDirectory(directory);     // sooner, where there will be many

import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const directories = new Set();
const THOROUGHLY = { recursive: true, force: true, maxRetries: 5 }; // somebody who is dying may still write

process.on("exit", () => {
  for (const directory of directories) rmSync(directory, THOROUGHLY);
});
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.once(signal, () => process.exit(1));

export async function temporaryDirectory(what) {
  const directory = await mkdtemp(join(tmpdir(), `carillon-${what}-`));

  directories.add(directory);
  return directory;
}

export async function removeDirectory(directory) {
  await rm(directory, THOROUGHLY);
  directories.delete(directory);
}
