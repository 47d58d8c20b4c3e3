// Routers and gateways whose lines can be cut, and everything that may befall them. A fault is a method that
// returns when the fault is over: whoever was down is up, the line is mended.
//
//     const stage = await Stage.start({ routerCount: 3 });
//     await stage.kill(0, 500);
//     await stage.isWell();
//     await stage.end();

import { setTimeout as pause } from "node:timers/promises";

import { status } from "../lib/cluster.js";
import { start } from "../lib/gateway.js";
import { Network } from "../lib/network.js";
import { freePort } from "../lib/port.js";
import { endOfLog } from "../lib/program.js";
import { Router, ailmentsOf, servedBy } from "../lib/router.js";
import { until, within } from "../lib/wait.js";

const SETTLE_MS = 100; // in which gateways move channels to a router that is back
const CLOSED_LINES = 10; // of people who were closed
const LOG_LINES = 40; // of each process, with the error of a schedule that fails

export class Stage {
  routers = [];
  gateways = [];
  network = new Network();
  began = Date.now();
  history = []; // what happened when
  turns = []; // of each router, the end of what befalls it

  static async start(options) {
    const stage = new Stage();

    try {
      await stage.#startRouters(options.routerCount);
      await stage.#startGateways(options.gatewayCount ?? 3);
      await stage.isWell();
    } catch (error) {
      error.message += `\n${stage.report()}`;
      await stage.destroy();
      throw error;
    }
    return stage;
  }

  async #startRouters(count) {
    const ports = await Promise.all(Array.from({ length: count }, freePort));

    this.doors = [];
    for (const [i, port] of ports.entries()) this.doors.push(await this.network.open(`R${i}`, port));
    const peers = this.doors.map((door) => door.address);
    this.routers = await Promise.all(
      ports.map((port, i) =>
        Router.start({
          ...{ name: `R${i}`, port, peers },
          args: ["--shards", "2", "--threads", "2", "--advertise", peers[i], "--log-level", "debug"],
        }),
      ),
    );
  }

  // Each knows one router; it is told of the others.
  async #startGateways(count) {
    for (let i = 0; i < count; i++) {
      const url = `router://${this.doors[i % this.doors.length].address}`;
      const hello = this.network.expect(`G${i}`);

      this.gateways.push(await start({ args: ["--bus", url, "--message-rate", "0", "--log-level", "debug"] }));
      await within(hello, `the Hello of gateway ${i}`);
    }
  }

  note(text) {
    this.history.push(`${((Date.now() - this.began) / 1000).toFixed(2)} ${text}`);
  }

  // Waits until one more fault must be survived: everybody sees everybody, each message is at two routers, and
  // no channel moves any more. `channels` is how many have subscribers at all gateways.
  async isWell(channels = 0) {
    let before;
    let ailments;

    await until(
      async () => {
        const { served, ailments: unlinked } = await servedBy(this.routers, this.gateways.length);
        ailments = [...(await this.#ailments()), ...unlinked];
        if (served.length < channels) ailments.push(`${served.length} of ${channels} channels have all gateways`);
        if (served.join() !== before) ailments.push("channels move");
        before = served.join();
        if (ailments.length > 0) await pause(SETTLE_MS);
        return ailments.length === 0;
      },
      () => `routers and gateways to be well again: ${ailments.slice(0, 20).join("; ")}`,
    );
    this.note("well");
  }

  async #ailments() {
    for (const { program } of this.routers) if (program.hasEnded) throw program.error("ended");
    const codes = await Promise.all(this.gateways.map((gateway) => status(gateway, "/ready").catch(() => 0)));
    const unready = codes.flatMap((code, g) => (code === 200 ? [] : [`G${g} is not ready`]));
    return [...unready, ...(await ailmentsOf(this.routers))];
  }

  // The faults. `r` is the number of a router, `ms` how long it lasts. What befalls one router waits for what
  // befell it before.

  #inTurn(routers, act) {
    const turn = Promise.all(routers.map((r) => this.turns[r])).then(act);
    for (const r of routers) this.turns[r] = turn.catch(() => {});
    return turn;
  }

  kill(r, ms) {
    return this.#inTurn([r], () => this.#kill(r, ms));
  }

  leave(r, ms) {
    return this.#inTurn([r], () => this.#leave(r, ms));
  }

  stop(r, ms) {
    return this.#inTurn([r], () => this.#stop(r, ms));
  }

  killAll(ms) {
    return this.#inTurn([...this.routers.keys()], () => this.#killAll(ms));
  }

  async #kill(r, ms) {
    this.note(`kill R${r} for ${ms} ms`);
    await this.routers[r].kill();
    this.doors[r].shut();
    await pause(ms);
    await this.#restart(r);
  }

  async #leave(r, ms) {
    this.note(`R${r} leaves`);
    await this.routers[r].leave();
    this.note(`R${r} has left for ${ms} ms`);
    this.doors[r].shut();
    await pause(ms);
    await this.#restart(r);
  }

  async #restart(r) {
    await this.doors[r].reopen();
    this.note(`start R${r}`);
    await this.routers[r].restart();
  }

  async #killAll(ms) {
    this.note(`kill all routers for ${ms} ms`);
    await Promise.all(this.routers.map((router) => router.kill()));
    for (const door of this.doors) door.shut();
    await pause(ms);
    await Promise.all(this.routers.map((_, r) => this.#restart(r)));
  }

  async #stop(r, ms) {
    this.note(`stop R${r} for ${ms} ms`);
    this.routers[r].pause();
    await pause(ms);
    this.routers[r].resume();
    this.note(`continue R${r}`);
  }

  // `way`: "both", "there" (what `one` says is lost) or "back".
  async cut(one, other, way, ms) {
    this.note(`cut ${one} ${other} ${way} for ${ms} ms`);
    if (way !== "back") this.network.cut(one, other);
    if (way !== "there") this.network.cut(other, one);
    await pause(ms);
    this.network.mend(one, other);
    this.network.mend(other, one);
    this.note(`mend ${one} ${other}`);
  }

  // The connections end again and again, and may come back at once.
  async breakLine(one, other, ms) {
    this.note(`break ${one} ${other} for ${ms} ms`);
    for (const end = Date.now() + ms; Date.now() < end; await pause(50)) this.network.breakLine(one, other);
  }

  report() {
    const tail = (log) => endOfLog(log ?? "", LOG_LINES);
    const logs = [
      ...this.routers.map((router, r) => `R${r}\n${tail(router.log)}`),
      ...this.gateways.map((gateway, g) => `G${g}\n${tail(gateway.log)}`),
    ];
    const closed = this.history.filter((line) => line.includes(" is closed: "));
    const history = this.history.filter((line) => !closed.includes(line, CLOSED_LINES));
    return [history.join("\n"), ...logs].join("\n-- ");
  }

  // Fails where somebody does not end cleanly.
  async end() {
    await Promise.all(this.gateways.map((gateway) => gateway.stop()));
    await Promise.all(this.routers.map((router) => router.leave()));
  }

  async destroy() {
    for (const router of this.routers) router.resume();
    await Promise.allSettled(this.gateways.map((gateway) => gateway.kill()));
    await Promise.allSettled(this.routers.map((router) => router.stop()));
    this.network.close();
  }
}
