// A gateway of two is started anew: nobody misses anything, nobody else notices, and the bus hardly does.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Client, closeClients, openClients } from "../lib/client.js";
import { ready } from "../lib/cluster.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { Redis } from "../lib/redis.js";
import { restartOne } from "../lib/rolling_restart.js";
import { Router } from "../lib/router.js";
import { until } from "../lib/wait.js";

const CROWD = { count: 300, talkers: 10, intervalMs: 20 };
const NOTHING_LOST = { lost: 0, gaps: 0, disturbed: 0, incomplete: 0 };
const GOING_AWAY = 1001;

async function withBus(Bus, act) {
  const bus = await Bus.start();
  try {
    await act(bus);
  } finally {
    await bus.stop();
  }
}

for (const Bus of [Redis, Router]) {
  describe(`a gateway that is restarted, on one ${Bus.title}`, () => {
    it("sends its people away with 1001, who miss nothing, and those of the other notice nothing", () =>
      withBus(Bus, async (bus) => {
        const args = ["--drain-time", "500ms"];
        const { verdict, rush } = await restartOne({ bus: bus.url, args, ...CROWD });
        const { said, saidTwice, codes, ...rest } = verdict;
        assert.deepEqual(rest, NOTHING_LOST);
        assert.deepEqual(codes, [GOING_AWAY]);
        assert.ok(said > 0 && saidTwice >= 0);
        assert.ok(rush.count >= CROWD.count / 2, `${rush.count} came back`);
      }));

    it("that dies costs no message either, and --accept-rate lets its people in one after the other", () =>
      withBus(Bus, async (bus) => {
        const args = ["--accept-rate", "150"];
        const look = async (crowd, gateways) => {
          const opened = await Promise.all(gateways.map((gateway) => metric(gateway, "carillon_websockets")));
          assert.equal(opened[0] + opened[1], CROWD.count);
        };
        const options = { bus: bus.url, args, isKilled: true, ...CROWD };
        const { verdict } = await restartOne(options, look);
        const { said, saidTwice, codes, ...rest } = verdict;
        assert.deepEqual(rest, NOTHING_LOST);
        assert.deepEqual(codes, []);
        assert.ok(said > 0 && saidTwice >= 0);
      }));
  });

  describe(`a crowd that comes back to one channel, on one ${Bus.title}`, () => {
    it("costs the bus one subscription of each gateway", () =>
      withBus(Bus, async (bus) => {
        const args = ["--bus", bus.url, "--threads", "2"];
        const gateways = [await start({ args }), await start({ args })];
        const crowds = [];

        await Promise.all(gateways.map(ready));
        const before = await subscribeCalls(bus);
        const comer = await Client.open(gateways[0], { channel: "room" }); // who has it subscribed when they come
        crowds.push(await openClients(gateways[0], 100, { channel: "room" }));
        crowds.push(await openClients(gateways[1], 100, { channel: "room" }));
        await until(async () => (await bus.subscriberCount("room")) === 2, "both gateways to be subscribed");
        assert.equal((await subscribeCalls(bus)) - before, bus instanceof Redis ? 2 : 0);
        for (const gateway of gateways) assert.equal(await metric(gateway, "carillon_bus_subscriptions"), 1);

        closeClients([comer, ...crowds.flat()]);
        await until(async () => (await bus.subscriberCount("room")) === 0, "nobody to be subscribed");
        await Promise.all(gateways.map((gateway) => gateway.stop()));
      }));
  });
}

// How often Redis was asked to subscribe; a router does not count that.
async function subscribeCalls(bus) {
  if (!(bus instanceof Redis)) return 0;
  const stats = await bus.command("INFO", "commandstats");
  return Number(stats.match(/^cmdstat_subscribe:calls=(\d+)/m)?.[1] ?? 0);
}
