// A carillon-router of a test's own, or several that know each other.
//
//     const router = await Router.start();
//     router.url   // for --bus
//     await router.state();
//     router.pause(); router.resume(); await router.kill(); await router.restart(); await router.leave();
//     await router.stop();
//
//     const cluster = await RouterCluster.start({ size: 3 });
//     cluster.url   // names all of them
//     await cluster.routers[0].kill();
//     await cluster.isWhole();
//
// Both have what tests of any bus need of it (see redis.js). The program is the one that CARILLON_ROUTER names.

import { freePort } from "./port.js";
import { Program } from "./program.js";
import { Relay } from "./relay.js";
import { until } from "./wait.js";

const START_TRIES = 5;
const START_DEADLINE_MS = 20_000;
const NOWHERE = "127.0.0.1:1"; // nobody listens there, and nobody but root could

export class Router {
  static title = "the router";
  static word = "router";
  static keepsNothing = true;

  // Options: `name`, `args` (more options of carillon-router), `peers` (a list of HOST:PORT), `port` (where it
  // listens; free by default), `host`, `historySize`, `program`, `env`, `isBehindFront` (gateways that hear of it from
  // another one come through its relay, too). Where it is alone, a gateway finds no way but the one it was told.
  static async start(options = {}) {
    const { name, args = [], peers = [], port, host = "127.0.0.1", historySize, program, env, isBehindFront } = options;
    const router = new Router();

    router.host = host;
    router.env = env;
    router.path = program ?? process.env.CARILLON_ROUTER;
    if (!router.path) throw new Error("CARILLON_ROUTER: set it to the path of carillon-router");
    router.front = await Relay.start(port);
    router.options = [
      ...(name ? ["--name", name] : []),
      ...(peers.length > 0 ? ["--peers", `${peers}`] : []),
      ...(historySize ? ["--history-size", historySize] : []),
      ...(isBehindFront ? ["--advertise", `127.0.0.1:${router.front.port}`] : []),
      ...(peers.length === 0 ? ["--advertise", NOWHERE] : []),
      ...args,
    ];
    for (let attempt = 1; ; attempt++) {
      router.ownPort = port ?? (await freePort());
      router.front.target = router.ownPort;
      router.adminPort = await freePort();
      try {
        await router.restart();
        break;
      } catch (error) {
        await router.kill();
        if (attempt < START_TRIES) continue; // somebody was faster: other ports
        await router.front.stop();
        throw error;
      }
    }
    return router;
  }

  // Where gateways connect, through a relay that can cut them off. Tests of what a port that refuses
  // tells use `ownPort`.
  get port() {
    return this.front.port;
  }

  get url() {
    return this.urlAt(this.port);
  }

  urlAt(port) {
    return `router://127.0.0.1:${port}`;
  }

  get log() {
    return this.program.log;
  }

  get pid() {
    return this.program.pid;
  }

  // Starts it where it was and waits until it serves.
  async restart() {
    const deadline = { deadlineMs: START_DEADLINE_MS };

    this.launch();
    await this.program.listeningPort("router", deadline);
    await this.program.listeningPort("admin", deadline);
    await until(() => this.isReady(), () => `the router on port ${this.ownPort}:\n${this.log}`);
  }

  // Starts it and does not wait.
  launch() {
    const listen = ["--listen", `${this.host}:${this.ownPort}`, "--admin-listen", `127.0.0.1:${this.adminPort}`];
    this.program = new Program("the router", [this.path, ...listen, ...this.options], this.env);
  }

  async isReady() {
    if (this.program.hasEnded) throw this.program.error("ended");
    return (await this.ask("/ready").catch(() => null))?.status === 200;
  }

  ask(path, options) {
    return fetch(`http://127.0.0.1:${this.adminPort}${path}`, options);
  }

  // What /state says, with every channel.
  async state() {
    return (await this.ask("/state?channels=1000000")).json();
  }

  // What it knows of a channel; undefined: nothing.
  async place(channel) {
    return placesOf(await this.state()).find((place) => place.channel === channel);
  }

  pause() {
    this.program.signal("SIGSTOP");
  }

  resume() {
    this.program.signal("SIGCONT");
  }

  // As a crash would.
  kill() {
    return this.program.kill();
  }

  // Gives all away and ends, as for an update.
  leave() {
    return this.program.stop();
  }

  // Cuts all gateways off; they may come back at once.
  async cutClients() {
    this.front.cut();
  }

  // Each way in which its connections with gateways can break; here there is one.
  get cuts() {
    return [() => this.cutClients()];
  }

  // How many gateways are subscribed to a channel.
  async subscriberCount(channel) {
    return (await this.place(channel))?.subscribers ?? 0;
  }

  async epochOf(channel) {
    return (await this.place(channel))?.epoch;
  }

  async stop() {
    await this.kill();
    await this.front?.stop();
  }
}

export class RouterCluster {
  static title = "the pair of routers";
  static word = "routers";
  static keepsNothing = true; // when all of them die
  static isReplicated = true;

  // Options: `size`, `args` (more options of each), `historySize`.
  static async start({ size = 2, ...options } = {}) {
    const cluster = new RouterCluster();

    cluster.routers = [];
    try {
      await cluster.#startAll(size, options);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  async #startAll(size, options) {
    const ports = await Promise.all(Array.from({ length: size }, freePort));
    const peers = ports.map((port) => `127.0.0.1:${port}`);

    for (const [i, port] of ports.entries()) {
      this.routers.push(await Router.start({ ...options, name: `router-${i}`, peers, port, isBehindFront: true }));
    }
    await until(() => this.isWhole(), "the routers to be linked");
  }

  get url() {
    return `router://${this.routers.map((router) => `127.0.0.1:${router.port}`)}`;
  }

  // A relay leads to the first of them; a gateway behind it learns of the others from that one.
  get port() {
    return this.routers[0].port;
  }

  urlAt(port) {
    return this.routers[0].urlAt(port);
  }

  async isWhole() {
    return (await ailmentsOf(this.routers)).length === 0;
  }

  pause() {
    for (const router of this.routers) router.pause();
  }

  resume() {
    for (const router of this.routers) router.resume();
  }

  kill() {
    return Promise.all(this.routers.map((router) => router.kill()));
  }

  async restart() {
    await Promise.all(this.routers.map((router) => router.restart()));
    await until(() => this.isWhole(), "the routers to be linked");
  }

  async cutClients() {
    await Promise.all(this.routers.map((router) => router.cutClients()));
  }

  get cuts() {
    return this.routers.flatMap((router) => router.cuts);
  }

  async epochOf(channel) {
    const places = await Promise.all(this.routers.map((router) => router.place(channel)));
    return places.find((place) => place?.role === "owner")?.epoch;
  }

  async subscriberCount(channel) {
    const counts = await Promise.all(this.routers.map((router) => router.subscriberCount(channel)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async stop() {
    await Promise.all(this.routers.map((router) => router.stop()));
  }
}

// What is wrong with routers that should know each other: not linked with every other one in every shard, a
// channel that changes hands, one that its owner's mirror does not hold.
export async function ailmentsOf(routers) {
  const [owners, mirrors] = [await statesOf(routers), await statesOf(routers)]; // the later, the further
  const nodes = owners.map((state) => state?.node);
  const copies = new Map(mirrors.flatMap((state) => placesOf(state).map((place) => [keyOf(state.node, place), place])));

  return owners.flatMap((state) => {
    if (!state) return ["a router that does not answer"];
    const unlinked = state.shards.flatMap(({ shard, links }) => {
      const linked = new Set(links.map(({ node }) => node));
      return nodes
        .filter((node) => node !== state.node && !linked.has(node))
        .map((node) => `${state.name} has no link with ${node} in shard ${shard}`);
    });
    const moving = placesOf(state)
      .filter(({ role }) => role === "claiming" || role === "yielding")
      .map(({ channel, role }) => `${state.name} is ${role} ${channel}`);
    const bare = placesOf(state)
      .filter((place) => place.role === "owner" && !isHeld(place, copies.get(keyOf(place.mirror, place))))
      .map(({ channel, mirror }) => `${channel} of ${state.name} is not held by its mirror "${mirror}"`);
    return [...unlinked, ...moving, ...bare];
  });
}

function isHeld(place, copy) {
  return copy?.role === "mirror" && copy.epoch === place.epoch && copy.offset >= place.committed;
}

// Who serves what: "channel at name" for every channel that `count` gateways are subscribed to at its owner.
// And what is wrong where not all of them are linked with all routers in all shards.
export async function servedBy(routers, count) {
  const states = await statesOf(routers);
  const ailments = states.flatMap((state) =>
    (state?.shards ?? [])
      .map(({ shard, links }) => ({ shard, linked: links.filter(({ role }) => role === "gateway").length }))
      .filter(({ linked }) => linked !== count)
      .map(({ shard, linked }) => `${state.name} has ${linked} gateways in shard ${shard}`),
  );
  const served = states.flatMap((state) =>
    placesOf(state)
      .filter(({ role, subscribers }) => role === "owner" && subscribers === count)
      .map(({ channel }) => `${channel} at ${state.name}`),
  );
  return { served: served.toSorted(), ailments };
}

function statesOf(routers) {
  return Promise.all(routers.map((router) => router.state().catch(() => null)));
}

export function placesOf(state) {
  return state?.shards.flatMap(({ channels }) => channels) ?? [];
}

function keyOf(node, { channel }) {
  return `${node} ${channel}`;
}
