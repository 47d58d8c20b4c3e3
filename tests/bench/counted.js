// A gateway whose instructions are counted (callgrind): the count of the same work is the same again within a percent
// or two, whatever else the machine does. What the kernel does for it is not in it.

import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { listening, start, stop } from "./servers.js";

const run = promisify(execFile);

export function canCount() {
  try {
    execFileSync("callgrind_control", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

// Of a dump ("Callgrind Format Specification" in valgrind's manual). Without libuv's, whose uv_async_send spins until
// another thread has done its part: here, where one thread runs at a time, for as long as it pleases.
function countInstructions(dump) {
  const names = new Map();
  let isCounted = true;
  let isCall = false; // the next line is what a call took, with all that it called
  let count = 0;
  for (const line of dump.split("\n")) {
    const object = line.match(/^ob=(\(\d+\))(?: (.*))?/);
    if (object) {
      const [, id, name] = object;
      if (name) names.set(id, name);
      isCounted = !names.get(id)?.includes("libuv");
    } else if (line.startsWith("cob=")) {
      const [, id, name] = line.match(/^cob=(\(\d+\))(?: (.*))?/);
      if (name) names.set(id, name);
    } else if (line.startsWith("calls=")) {
      isCall = true;
    } else if (/^[+*\-\d]/.test(line)) {
      if (isCounted && !isCall) count += Number(line.split(" ")[1]);
      isCall = false;
    }
  }
  return count;
}

export class CountedGateway {
  #child;
  #directory;
  said = ""; // the end of its log

  static async start(build, args) {
    const gateway = new CountedGateway();
    gateway.#directory = await mkdtemp(join(tmpdir(), "carillon-bench-"));
    const tool = ["--tool=callgrind", `--callgrind-out-file=${gateway.#directory}/counts`];
    const common = ["--listen", "127.0.0.1:0", "--admin-listen", "off", "--threads", "1", "--io-uring", "off"];
    const patient = ["--ping-interval", "1h", "--handshake-timeout", "5m", "--message-rate", "0", "--drain-time", "0"];
    const command = [...tool, `${build}/gateway/carillon-gateway`, ...common, ...patient, ...args];
    gateway.#child = start(0, "valgrind", command, ["ignore", "pipe", "pipe"]);
    for (const stream of [gateway.#child.stdout, gateway.#child.stderr])
      stream.setEncoding("utf8").on("data", (chunk) => (gateway.said = (gateway.said + chunk).slice(-1000)));
    try {
      gateway.port = await listening(gateway.#child);
    } catch (error) {
      await gateway.stop();
      throw error;
    }
    return gateway;
  }

  // Resolves to how many instructions it takes while `happen` does its work, and to what that resolves to.
  async count(happen) {
    await run("callgrind_control", ["--zero", String(this.#child.pid)]);
    const result = await happen();
    await run("callgrind_control", ["--dump", String(this.#child.pid)]);
    const files = (await readdir(this.#directory)).filter((name) => name.startsWith("counts."));
    const numbers = files.map((name) => Number(name.match(/^counts\.(\d+)/)?.[1])).filter(Number.isFinite);
    const text = await readFile(join(this.#directory, `counts.${Math.max(...numbers)}`), "utf8");
    return { instructions: countInstructions(text), result };
  }

  async stop() {
    await stop(this.#child);
    await rm(this.#directory, { recursive: true, force: true });
  }
}
