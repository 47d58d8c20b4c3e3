// Gateways of one bus whose limits differ, as they do while a change is rolled out: each limit concerns
// what a gateway takes from its own clients, and none what it hands to them.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";

import { SHARED_BUSES, onEachBus } from "../lib/buses.js";
import { Client, closeClients, openClients } from "../lib/client.js";
import { notReady, ready } from "../lib/cluster.js";
import { removeDirectory, temporaryDirectory } from "../lib/directory.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { Relay } from "../lib/relay.js";
import { until } from "../lib/wait.js";

const CLOSED_PORT = 1; // nobody listens there, and nobody but root could
const LARGE = "x".repeat(300 * 1024);
const ROOMY = ["--max-message-size", "512K", "--send-queue-limit", "2M"];

function wentDown(gateway) {
  return /event="bus down"/.test(gateway.log);
}

// Starts gateways with further options each, the last of them behind a line to the bus that all share.
async function withGateways(Bus, options, body) {
  const bus = await Bus.start();
  const line = await Relay.start(bus.port);
  const gateways = [];

  try {
    for (const [i, args] of options.entries()) {
      const url = i < options.length - 1 ? bus.url : bus.urlAt(line.port);
      gateways.push(await start({ args: ["--bus", url, ...args] }));
    }
    await Promise.all(gateways.map(ready));
    await body({ bus, line, gateways });
    await Promise.all(gateways.map((gateway) => gateway.stop()));
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.kill()));
    await line.stop();
    await bus.stop();
  }
}

onEachBus(SHARED_BUSES, (Bus) => {
  describe("--max-message-size", () => {
    it("of one gateway is larger than another's, whose people hear large messages all the same", () =>
      withGateways(Bus, [ROOMY, []], async ({ bus, line, gateways: [large, small] }) => {
        const taken = () => metric(large, "carillon_bus_published_total");
        const [speaker] = await openClients(large, 1);
        const [listener, talker] = await openClients(small, 2);

        for (let i = 0; i < 3; i++) speaker.send(LARGE, `after ${i}`);
        await listener.received(6);
        assert.deepEqual(listener.messages, [LARGE, "after 0", LARGE, "after 1", LARGE, "after 2"]);
        assert.ok(!wentDown(small));

        // It reads them from history, too. Where there are two routers, no line is the only way.
        if (!Bus.isReplicated) {
          line.redirect(CLOSED_PORT);
          await notReady(small);
          speaker.send(LARGE);
          await until(async () => (await taken()) === 7, "the message to be taken");
          line.redirect(bus.port);
          await listener.received(7);
          assert.equal(listener.messages.at(-1), LARGE);
        }

        // What its own clients send is another matter.
        talker.send(LARGE);
        assert.equal((await talker.closed).code, 1009);
        assert.ok(listener.isOpen);
        closeClients([speaker, listener]);
      }));

    it("is raised with SIGHUP, and the bus takes what clients may send now", async () => {
      const directory = await temporaryDirectory("limits");
      const config = join(directory, "gateway.conf");

      await writeFile(config, "max-message-size = 1K\n");
      await withGateways(Bus, [["--config", config]], async ({ gateways: [gateway] }) => {
        const people = await openClients(gateway, 2);

        await writeFile(config, "max-message-size = 512K\nsend-queue-limit = 2M\n");
        process.kill(gateway.pid, "SIGHUP");
        await gateway.waitForLog(/event="?reloaded"?/);
        people[0].send(LARGE, "after");
        await Promise.all(people.map((person) => person.received(2)));
        assert.deepEqual(people[1].messages, [LARGE, "after"]);
        const late = await Client.open(gateway);
        people[1].send(LARGE);
        await late.received(1);
        assert.ok(!wentDown(gateway));
        closeClients([...people, late]);
      });
      await removeDirectory(directory);
    });
  });
});
