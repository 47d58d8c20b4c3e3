// Three gateways over a bus, started for one turn under load: bus and gateways on the first core, the load
// generator on the second, if there are two.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../lib/port.js";
import { until } from "../lib/wait.js";
import { generate, listening, start, stop } from "./servers.js";

const GATEWAYS = 3;
const START_TRIES = 5;

export class Clusters {
  constructor(build) {
    this.gateway = `${build}/gateway/carillon-gateway`;
    this.router = `${build}/router/carillon-router`;
    this.bench = `${build}/tests/bench/carillon-bench`;
  }

  // Puts a load on a cluster of its own, { bus: "redis" } or { bus: "router", routers }; resolves to the generator's
  // report, where the server is the bus, with all of its processes.
  async measure({ bus, routers }, load) {
    const children = [];
    const directory = await mkdtemp(join(tmpdir(), "carillon-bench-"));
    try {
      const url = await (bus === "redis" ? startRedis(children, directory) : this.#startRouters(children, routers));
      const pids = children.flatMap(({ pid }) => ["--pid", String(pid)]);
      const ports = await this.#startGateways(children, url);
      const urls = ports.map((port) => `ws://127.0.0.1:${port}/?channel=load-{channel}`);
      return await generate(this.bench, ["--json", "--quiet", ...pids, ...load, ...urls]);
    } finally {
      for (const child of children.toReversed()) await stop(child);
      await rm(directory, { recursive: true, force: true });
    }
  }

  async #startGateways(children, bus) {
    const common = ["--listen", "127.0.0.1:0", "--admin-listen", "off", "--threads", "1", "--bus", bus];
    const args = [...common, "--message-rate", "0", "--drain-time", "0"];
    const gateways = Array.from({ length: GATEWAYS }, () => launch(children, this.gateway, args));
    const ports = await Promise.all(gateways.map((gateway) => listening(gateway)));
    for (const port of ports) await until(() => isReady(port), "the gateways to reach their bus");
    return ports;
  }

  // Each knows those that were started before it, and is linked with them when it is ready.
  async #startRouters(children, count) {
    const peers = [];
    for (let i = 0; i < count; i++) {
      const listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--name", `router-${i}`];
      const args = [...listen, ...(i > 0 ? ["--peers", `${peers}`] : [])];
      const router = launch(children, this.router, args);
      const [port, admin] = await Promise.all([listening(router, "router"), listening(router, "admin")]);
      await until(() => isLinked(admin, i), "the routers to be linked");
      peers.push(`127.0.0.1:${port}`);
    }
    return `router://${peers}`;
  }
}

function launch(children, program, args) {
  const child = start(0, program, args, ["ignore", "pipe", "pipe"]);
  children.push(child);
  return child;
}

// Without files, as the routers have none.
async function startRedis(children, directory) {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory, "--save", "", "--appendonly", "no"];
    const child = start(0, "redis-server", args, ["ignore", "pipe", "pipe"]);
    try {
      await says(child, "Ready to accept connections");
      children.push(child);
      return `redis://127.0.0.1:${port}`;
    } catch (error) {
      if (attempt === START_TRIES) throw error; // else somebody was faster: another port
    }
  }
}

function says(child, words) {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
      if (text.includes(words)) resolve();
    });
    child.ended.then(() => reject(new Error(`the server ended at once: ${text}`)), reject);
  });
}

async function isReady(port) {
  const answer = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => null);
  return answer?.status === 200;
}

async function isLinked(port, count) {
  if (!(await isReady(port))) return false;
  const { shards } = await (await fetch(`http://127.0.0.1:${port}/state`)).json();
  return shards.every(({ links }) => links.length === count);
}
