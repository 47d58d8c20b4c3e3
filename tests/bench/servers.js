// Starts the servers that are compared, and the load generator beside them: the server on the first
// core, the generator on the second, if there are two.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { launchPeer } from "./peers.js";

const START_DEADLINE_MS = 20_000;
const STOP_DEADLINE_MS = 20_000;

export const isPinned = availableParallelism() >= 2 && existsSync("/usr/bin/taskset");

// Options of the surrounding shell must not reach the gateway.
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith("CARILLON_")),
);

const running = new Set();

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

export function start(core, program, args, stdio, more = {}) {
  const line = isPinned ? ["taskset", "-c", String(core), program, ...args] : [program, ...args];
  const child = spawn(line[0], line.slice(1), { env: { ...environment, ...more }, stdio });
  running.add(child);
  child.ended = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal }));
  }).finally(() => running.delete(child));
  child.ended.catch(() => {}); // whoever waits for it is told
  return child;
}

// Resolves to the port that a server says it listens on, for `what` where it has several.
export function listening(child, what = "") {
  const line = new RegExp(`listening.*${what && `role=${what} .*`}127\\.0\\.0\\.1:(\\d+)\\s`);
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => reject(new Error("the server does not listen")), START_DEADLINE_MS);
    const look = (chunk) => {
      text += chunk;
      const match = text.match(line);
      if (!match) return;
      clearTimeout(timer);
      resolve(Number(match[1]));
    };
    child.stdout.setEncoding("utf8").on("data", look);
    child.stderr?.setEncoding("utf8").on("data", look);
    child.ended.then(
      () => reject(new Error(`the server ended at once: ${text}`)),
      (error) => reject(error),
    );
  });
}

export async function stop(child) {
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE_MS);
  child.kill("SIGTERM");
  await child.ended;
  clearTimeout(timer);
}

// Runs the load generator; resolves to its report.
export async function generate(bench, args) {
  const child = start(1, bench, args, ["ignore", "pipe", "inherit"]);
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk) => (text += chunk));
  const { code, signal } = await child.ended;
  if (text === "") throw new Error(`carillon-bench ended with ${signal ?? code}`);
  return { ...JSON.parse(text), status: code };
}

export class Programs {
  constructor(build) {
    this.gateway = `${build}/gateway/carillon-gateway`;
    this.bench = `${build}/tests/bench/carillon-bench`;
    this.bare = `${build}/tests/bench/bench-bare`;
  }

  // A server is { name, kind: "gateway" | "bare" | "peer", args, isTls, isDeflated, protocol, path }: the clients of
  // one with isTls come by TLS, those of one with isDeflated ask for compression. Resolves to { child, port }.
  async #serve(server) {
    if (server.kind === "peer") return launchPeer(server);
    const gateway = ["--listen", "127.0.0.1:0", "--admin-listen", "off", "--message-rate", "0"];
    const program = server.kind === "gateway" ? this.gateway : this.bare;
    const args = server.kind === "gateway" ? [...gateway, "--drain-time", "0"] : [];
    return { child: start(0, program, [...args, ...server.args], ["ignore", "pipe", "pipe"]) };
  }

  // Puts a load on a server of its own; resolves to the generator's report.
  async measure(server, load) {
    const { child, port: known } = await this.#serve(server);
    try {
      const role = server.isTls && server.kind === "gateway" ? "tls" : "";
      const port = known ?? (await listening(child, role));
      const { protocol = "plain", path = "/" } = server;
      const manner = [...(server.isDeflated ? ["--deflate"] : []), ...(server.isTls ? ["--insecure"] : [])];
      const url = `${server.isTls ? "wss" : "ws"}://127.0.0.1:${port}${path}`;
      const pid = ["--pid", String(child.pid)];
      return await generate(this.bench, ["--json", "--quiet", ...pid, "--protocol", protocol, ...manner, ...load, url]);
    } finally {
      await stop(child);
    }
  }
}
