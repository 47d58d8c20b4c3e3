// The buses that a chat can run on, each a class with the same face (redis.js says which). The same tests run
// on each.
//
//     onEachBus(BUSES, (Bus) => {
//       it("carries a message", async () => { … await Bus.start() … });
//     });
//
// CARILLON_TEST_BUSES=local,router leaves the others out (local, redis, router, routers).

import { after, before, describe } from "node:test";

import { start } from "./gateway.js";
import { Redis } from "./redis.js";
import { Router, RouterCluster } from "./router.js";
import { sendingOn } from "./sending.js";
import { until } from "./wait.js";

class Local {
  static title = "the local bus";
  static word = "local";
  static floodRounds = 8; // of a test that floods it, where others take fewer: it is many times as fast
  url = "local";

  static async start() {
    return new Local();
  }

  async stop() {}
}

const words = process.env.CARILLON_TEST_BUSES?.split(/[ ,]+/);

function wanted(buses) {
  return buses.filter(({ word }) => !words || words.includes(word));
}

// For one gateway, whose clients could not tell one router from two.
export const BUSES = wanted([Local, Redis, Router]);

// For gateways that share one.
export const SHARED_BUSES = wanted([Redis, Router, RouterCluster]);

// Describes the same on each bus. They run beside each other, since most of the time a test waits for something.
export function onEachBus(buses, body) {
  describe("on", { concurrency: buses.length || 1 }, () => {
    for (const Bus of buses) describe(Bus.title, { concurrency: 1 }, () => body(Bus));
  });
}

// For a suite: a bus that all its tests share, and how to start a gateway on it, with the options of gateway.js.
export function gatewaysOn(Bus) {
  let bus;
  before(async () => {
    bus = await Bus.start();
  });
  after(() => bus.stop());
  return async ({ args = [], env = {}, ...options } = {}) => {
    const gateway = await start({ args: ["--bus", bus.url, ...args], env: { ...sendingOn(Bus), ...env }, ...options });
    // On its admin port: no connection of ours is among those that a test counts.
    const isReady = async () => (await fetch(`http://127.0.0.1:${gateway.adminPort}/ready`)).status === 200;
    await until(isReady, "/ready to be green");
    return gateway;
  };
}
