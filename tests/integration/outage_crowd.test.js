// Very many channels on one gateway while its bus is away: more than the gateway asks about at once.

import assert from "node:assert/strict";
import { it } from "node:test";

import { SHARED_BUSES, onEachBus } from "../lib/buses.js";
import { Client, closeClients } from "../lib/client.js";
import { notReady, ready, status, withCluster } from "../lib/cluster.js";
import { until } from "../lib/wait.js";

const CROWD = 600;

// One client on each channel.
function openCrowd(gateway, count = CROWD) {
  return Promise.all(Array.from({ length: count }, (_, i) => Client.open(gateway, { channel: `crowd-${i}` })));
}

// Each says something on its own channel and hears it.
async function talk(crowd, text) {
  const heard = crowd.map(({ messages }) => messages.length);

  for (const client of crowd) client.send(text);
  await Promise.all(crowd.map((client, i) => client.received(heard[i] + 1)));
  assert.ok(crowd.every(({ messages }) => messages.at(-1) === text));
}

onEachBus(SHARED_BUSES, (Bus) => {
  const withGateway = (body) =>
    withCluster(Bus, { size: 1 }, ({ bus, gateways: [gateway] }) => body({ bus, gateway }));

  it("a crowd on as many channels comes while the bus is away, and whoever speaks hears it when it is back", () =>
    withGateway(async ({ bus, gateway }) => {
      await bus.kill();
      await notReady(gateway);
      const crowd = await openCrowd(gateway);
      for (const client of crowd) client.send("is anybody there?");
      await bus.restart();
      await Promise.all(crowd.map((client) => client.received(1)));
      await talk(crowd, "now");
      assert.ok(crowd.every(({ messages }) => messages.length === 2));
      closeClients(crowd);
    }));

  it("a crowd on as many channels comes while the bus hangs, which then dies, and nobody is disconnected", () =>
    withGateway(async ({ bus, gateway }) => {
      bus.pause();
      const handshakes = openCrowd(gateway); // which are answered when the bus is down
      await bus.kill();
      const crowd = await handshakes;
      await bus.restart();
      await ready(gateway);
      await talk(crowd, "after all");
      closeClients(crowd);
    }));

  it("a crowd on as many channels is there while connections to the bus break, one after the other", () =>
    withGateway(async ({ bus, gateway }) => {
      const crowd = await openCrowd(gateway);

      await talk(crowd, "before");
      for (let i = 0; i < 5; i++) {
        for (const cut of bus.cuts) {
          await cut();
          await until(async () => (await bus.subscriberCount(`crowd-${CROWD - 1}`)) === 1, "the way back");
        }
        assert.equal(await status(gateway, "/health"), 200);
      }
      await talk(crowd, "after");
      closeClients(crowd);
    }));
});
