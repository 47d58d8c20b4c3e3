// More waits at the end of an outage than a channel's history holds: whoever was there hears all of it.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { SHARED_BUSES, onEachBus } from "../lib/buses.js";
import { Client, closeClients, openClients } from "../lib/client.js";
import { notReady, ready } from "../lib/cluster.js";
import { assertOneBeginning, assertSameChat, chatter } from "../lib/delivery.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { Relay } from "../lib/relay.js";

const CLOSED_PORT = 1; // nobody listens there, and nobody but root could
const OUTAGE_MS = 1_500; // long enough for the gateways to wait for each other

// Two gateways that reach a bus through the same line, with two clients each.
async function withLine(Bus, historySize, body) {
  const bus = await Bus.start({ historySize });
  const line = await Relay.start(bus.port);
  const args = ["--bus", bus.urlAt(line.port), "--history-size", historySize, "--threads", "2", "--message-rate", "0"];
  const gateways = [await start({ args }), await start({ args })];

  try {
    await Promise.all(gateways.map(ready));
    const people = (await Promise.all(gateways.map((gateway) => openClients(gateway, 2)))).flat();
    await body({ bus, line, gateways, people });
    closeClients(people);
    await Promise.all(gateways.map((gateway) => gateway.stop()));
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.kill()));
    await line.stop();
    await bus.stop();
  }
}

onEachBus(SHARED_BUSES, (Bus) => {
  // Of a line that is the only way.
  if (!Bus.isReplicated) {
    describe("a backlog that is longer than the history", () => {
      const all = 5 + 4 * 50;

      // Both gateways come back before either publishes, or one is ahead and the other's people are told.
      const title = Bus.gathersGateways
        ? "reaches the people of all gateways when the line is back, each once, in one order"
        : "reaches people when the line is back, each once, in one order, and whoever misses some of it is told";
      it(title, () =>
        withLine(Bus, "10", async ({ bus, line, gateways, people }) => {
          const [first] = await chatter([people[0]], 5, { tag: "before" });

          await Promise.all(people.map((person) => person.received(5)));
          line.redirect(CLOSED_PORT);
          await Promise.all(gateways.map(notReady));
          const waiting = await chatter(people, 50, { tag: "waiting" });
          await pause(OUTAGE_MS);
          line.redirect(bus.port);
          await Promise.all(people.map((person) => Promise.race([person.received(all), person.closed])));
          const here = people.filter((person) => person.isOpen);
          const told = people.filter((person) => !person.isOpen);
          assert.ok(told.length === 0 || (!Bus.gathersGateways && told.length === 2), `${told.length} were told`);
          for (const { end } of told) assert.equal(end.code, 1012);
          assertOneBeginning(people, [first, ...waiting]);

          const [[last]] = await chatter([here.at(-1)], 1, { tag: "after" });
          await Promise.all(here.map((person) => person.received(all + 1)));
          assertSameChat(here, [first, ...waiting, [last]]);
          const losses = await Promise.all(gateways.map((gateway) => metric(gateway, "carillon_bus_losses_total")));
          assert.equal(losses.filter((count) => count > 0).length, told.length / 2);
        }));
    });
  }

  describe("without a history", () => {
    it("whoever joins a busy channel stays, and hears everything from then on", () =>
      withLine(Bus, "0", async ({ gateways, people: [speaker] }) => {
        let said = 0;
        const talk = setInterval(() => {
          for (let i = 0; i < 4; i++) speaker.send(String(said++));
        }, 1);

        try {
          for (let i = 0; i < 40; i++) {
            const guest = await Client.open(gateways[i % 2]);

            await guest.received(50);
            guest.messages.forEach((text, at) => assert.equal(Number(text), Number(guest.messages[0]) + at));
            assert.ok(guest.isOpen);
            guest.destroy();
          }
        } finally {
          clearInterval(talk);
        }
      }));
  });
});
