// Gateways over a bus, started for one turn under load: the bus on the first core, if there are two, and where
// nothing else is said three gateways beside it, the load generator on the second.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../lib/port.js";
import { until } from "../lib/wait.js";
import { generate, listening, start, stop } from "./servers.js";

const BUS_CORE = 0;
const GATEWAYS = 3;
const START_TRIES = 5;

// Gateways over a bus of their own: { bus: "redis" } or { bus: "router", routers }. `gateways` is how many, on
// which cores, and with which options beside the common ones.
export class Cluster {
  #build;
  #directory;
  #gatewayCores;
  #gatewayArgs;
  #children = []; // in the order in which they started
  bus = []; // its processes
  busPorts = [];
  gateways = [];
  ports = [];

  static async start(build, { bus, routers = 1, gateways = {} }) {
    const { count = GATEWAYS, cores = BUS_CORE, args = [] } = gateways;
    const cluster = new Cluster();
    cluster.#build = build;
    cluster.#gatewayCores = cores;
    cluster.#gatewayArgs = args;
    cluster.#directory = await mkdtemp(join(tmpdir(), "carillon-bench-"));
    try {
      cluster.url = await (bus === "redis" ? cluster.#startRedis() : cluster.#startRouters(routers));
      await cluster.#startGateways(count);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  // With `query`, as carillon-bench wants them.
  urls(query) {
    return this.ports.map((port) => `ws://127.0.0.1:${port}/?${query}`);
  }

  async stopGateways() {
    for (const child of this.gateways) await stop(child);
  }

  async stop() {
    for (const child of this.#children.toReversed()) await stop(child);
    await rm(this.#directory, { recursive: true, force: true });
  }

  #launch(cores, program, args) {
    const child = start(cores, program, args, ["ignore", "pipe", "pipe"]);
    this.#children.push(child);
    return child;
  }

  async #startGateways(count) {
    const common = ["--listen", "127.0.0.1:0", "--admin-listen", "off", "--threads", "1", "--bus", this.url];
    const args = [...common, "--message-rate", "0", "--drain-time", "0", ...this.#gatewayArgs];
    const program = `${this.#build}/gateway/carillon-gateway`;
    this.gateways = Array.from({ length: count }, () => this.#launch(this.#gatewayCores, program, args));
    this.ports = await Promise.all(this.gateways.map((gateway) => listening(gateway)));
    for (const port of this.ports) await until(() => isReady(port), "the gateways to reach their bus");
  }

  // Each knows those that were started before it, and is linked with them when it is ready.
  async #startRouters(count) {
    const peers = [];
    for (let i = 0; i < count; i++) {
      const listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--name", `router-${i}`];
      const args = [...listen, ...(i > 0 ? ["--peers", `${peers}`] : [])];
      const router = this.#launch(BUS_CORE, `${this.#build}/router/carillon-router`, args);
      const [port, admin] = await Promise.all([listening(router, "router"), listening(router, "admin")]);
      this.bus.push(router);
      this.busPorts.push(port);
      await until(() => isLinked(admin, i), "the routers to be linked");
      peers.push(`127.0.0.1:${port}`);
    }
    return `router://${peers}`;
  }

  // Without files, as the routers have none.
  async #startRedis() {
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      const bind = ["--port", String(port), "--bind", "127.0.0.1", "--dir", this.#directory];
      const child = start(BUS_CORE, "redis-server", [...bind, "--save", "", "--appendonly", "no"], [
        "ignore",
        "pipe",
        "pipe",
      ]);
      try {
        await says(child, "Ready to accept connections");
        this.#children.push(child);
        this.bus.push(child);
        this.busPorts.push(port);
        return `redis://127.0.0.1:${port}`;
      } catch (error) {
        if (attempt === START_TRIES) throw error; // else somebody was faster: another port
      }
    }
  }
}

export class Clusters {
  constructor(build) {
    this.build = build;
  }

  // Puts a load on a cluster of its own; resolves to the generator's report, where the server is the bus, with all
  // of its processes.
  async measure(server, load) {
    const cluster = await Cluster.start(this.build, server);
    try {
      const pids = cluster.bus.flatMap(({ pid }) => ["--pid", String(pid)]);
      const args = ["--json", "--quiet", ...pids, ...load, ...cluster.urls("channel=load-{channel}")];
      return await generate(`${this.build}/tests/bench/carillon-bench`, args);
    } finally {
      await cluster.stop();
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
