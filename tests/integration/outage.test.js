// Gateways on one bus while something befalls it or the line to it: the people notice a pause and nothing
// else. Whoever stays connected gets each message once, in the one order; who cannot is told.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { apiFiles, call } from "../lib/api.js";
import { SHARED_BUSES, onEachBus } from "../lib/buses.js";
import { Client, closeClients, openClients } from "../lib/client.js";
import { notReady, ready, status, withCluster } from "../lib/cluster.js";
import { assertSameChat, chatter } from "../lib/delivery.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { isTold, survives } from "../lib/survival.js";
import { until } from "../lib/wait.js";

const FAULT_MS = 2_000;

// All gateways have noticed before it is back.
async function dies({ bus, gateways }) {
  await bus.kill();
  await Promise.all(gateways.map(notReady));
  await bus.restart();
}

onEachBus(SHARED_BUSES, (Bus) => {
  describe(`nothing is lost, doubled or out of order on three gateways while ${Bus.title}`, () => {
    it("hangs for two seconds", () =>
      survives(
        Bus,
        async ({ bus }) => {
          bus.pause();
          await pause(FAULT_MS);
          bus.resume();
        },
        { size: 3 },
      ));

    it("cuts its clients off, again and again", () =>
      survives(
        Bus,
        async ({ bus }) => {
          for (let i = 0; i < 10; i++) {
            await bus.cutClients();
            await pause(50);
          }
        },
        { size: 3 },
      ));

    if (Bus.isDurable) {
      it("dies and comes back with what it has on disk", () =>
        survives(Bus, dies, { size: 3, busOptions: { persistent: true } }));
    }

    if (!Bus.isReplicated) {
      for (const [direction, words] of [
        ["toServer", "loses what one gateway says"],
        ["toClient", "is not heard by one gateway"],
      ]) {
        it(`${words}, and nobody is told`, () =>
          survives(
            Bus,
            async ({ relay, gateways }) => {
              relay.lose(direction);
              await notReady(gateways.at(-1));
              assert.equal(await status(gateways[0], "/ready"), 200);
              relay.heal();
            },
            { size: 3 },
          ));
      }
    }
  });

  describe(`nothing is lost, doubled or out of order while ${Bus.title}`, () => {
    it("hangs until its gateways have given its connections up", () =>
      survives(Bus, async ({ bus, gateways }) => {
        bus.pause();
        await Promise.all(gateways.map(notReady));
        if (Bus.givenUp) await Promise.all(gateways.map((gateway) => gateway.waitForLog(Bus.givenUp)));
        for (const gateway of gateways) {
          assert.equal(await status(gateway, "/health"), 200);
          assert.equal(await metric(gateway, "carillon_bus_up"), 0);
        }
        bus.resume();
        await Promise.all(gateways.map(ready));
        for (const gateway of gateways) {
          assert.ok((await metric(gateway, "carillon_bus_reconnects_total")) >= 1);
        }
      }));

    if (Bus.isReplicated) return; // a gateway whose line is lost takes another

    it("cannot be reached by one gateway in either direction", () =>
      survives(Bus, async ({ relay, gateways }) => {
        relay.lose("both");
        await notReady(gateways.at(-1));
        relay.heal();
      }));

    for (const direction of ["toServer", "toClient"]) {
      it(`gets a line back on which everything ${direction} was late`, () =>
        survives(Bus, async ({ relay, gateways }) => {
          relay.hold(direction);
          await notReady(gateways.at(-1));
          relay.heal();
        }));
    }

    it("has a line that breaks again and again", () =>
      survives(Bus, async ({ relay }) => {
        for (let i = 0; i < 20; i++) {
          relay.cut();
          await pause(25);
        }
      }));
  });

  // Its gateways give Redis back what it has forgotten; a router has nobody to ask.
  const [what, outcome] = Bus.keepsNothing
    ? ["everybody is told, and nobody who missed nothing,", isTold]
    : ["nothing is lost, doubled or out of order", survives];

  describe(`${what} when ${Bus.title}`, () => {
    it("dies and comes back empty", () => outcome(Bus, dies, { size: 3 }));

    it("is replaced by an empty one before anybody has noticed", () =>
      outcome(Bus, async ({ bus }) => {
        await bus.kill();
        await bus.restart();
      }));

    it("dies twice in a row", () =>
      outcome(Bus, async ({ bus, gateways }) => {
        for (let i = 0; i < 2; i++) {
          await bus.kill();
          await Promise.all(gateways.map(notReady));
          await bus.restart();
          await ready(gateways[0]);
        }
      }));

    if (Bus.isReplicated) return;

    // Fewer messages: what one gateway missed is now with the other alone, which keeps so many.
    it("dies while one gateway cannot reach it", () =>
      outcome(
        Bus,
        async ({ bus, relay, gateways }) => {
          relay.lose("both");
          await notReady(gateways.at(-1));
          await bus.kill();
          await notReady(gateways[0]);
          relay.heal();
          await bus.restart();
        },
        { messages: 1000 },
      ));
  });

  if (Bus.isReplicated) {
    describe(`nothing is lost, doubled or out of order while one of ${Bus.title}`, () => {
      // It befalls one after the other, so that one of them is a channel's owner and one its mirror.
      const oneSurvives = (fault) =>
        survives(Bus, async ({ bus, gateways }) => {
          for (const [i, router] of bus.routers.entries()) {
            await fault(router, bus.routers[1 - i]);
            await until(() => bus.isWhole(), "both to be linked again");
          }
          for (const gateway of gateways) {
            assert.equal(await metric(gateway, "carillon_bus_histories_lost_total"), 0);
            assert.equal(await metric(gateway, "carillon_bus_losses_total"), 0);
          }
        });
      const isAlone = (router) =>
        until(async () => {
          const { shards } = await router.state();
          return !shards.some(({ links }) => links.some(({ role }) => role === "router"));
        }, "the other router to notice");

      it("dies and comes back empty", () =>
        oneSurvives(async (router, other) => {
          await router.kill();
          await isAlone(other);
          await router.restart();
        }));

      it("is replaced by an empty one before anybody has noticed", () =>
        oneSurvives(async (router) => {
          await router.kill();
          await router.restart();
        }));

      it("hangs until the other has given it up", () =>
        oneSurvives(async (router, other) => {
          router.pause();
          await isAlone(other);
          router.resume();
        }));
    });
  }

  describe(`while ${Bus.title} is away`, { concurrency: 3 }, () => {
    it("gateways start, are alive and not ready, and their people's messages wait", async () => {
      const bus = await Bus.start();
      await bus.kill();
      const gateway = await start({ args: ["--bus", bus.url] });
      const people = await openClients(gateway, 2);

      assert.equal(await status(gateway, "/health"), 200);
      assert.equal(await status(gateway, "/ready"), 503);
      assert.equal(await metric(gateway, "carillon_bus_up"), 0);
      people[0].send("one", "two");
      people[1].send("three");
      await bus.restart();
      await Promise.all(people.map((person) => person.received(3)));
      assertSameChat(people, [["one", "two"], ["three"]]);
      await ready(gateway);
      closeClients(people);
      await gateway.stop();
      await bus.stop();
    });

    it("clients come and go, and those who stay talk when it is back", () =>
      withCluster(Bus, { clientCount: 1 }, async ({ bus, gateways, people }) => {
        await bus.kill();
        await Promise.all(gateways.map(notReady));
        const gone = await openClients(gateways[0], 3, { channel: "gone" });
        await Promise.all(gone.map((client) => client.close()));
        const late = await Client.open(gateways[0]);
        if (Bus.gathersGateways) people[1].send("before");
        await bus.restart();
        if (!Bus.gathersGateways) {
          // A gateway that comes back to a message of another epoch cannot tell whether there was another before.
          await until(async () => (await bus.subscriberCount("lobby")) === 2, "both gateways to be back");
          people[1].send("before");
        }
        await Promise.all(people.map((client) => client.received(1)));
        late.send("now");
        await Promise.all(people.map((client) => client.received(2)));
        assertSameChat(people, [["before"], ["now"]]);
        assert.equal(await bus.subscriberCount("gone"), 0);
        late.destroy();
      }));

    it("a sender beyond --bus-buffer is told with 1013, and the others are untouched", () =>
      withCluster(
        Bus,
        { size: 1, clientCount: 2, args: ["--bus-buffer", "128K", "--max-message-size", "32K"] },
        async ({ bus, gateways: [gateway], people: [quiet, loud] }) => {
          const queued = () => metric(gateway, "carillon_bus_queued_messages");
          const load = (i) => `${i}`.padEnd(32 * 1024, "x");

          await bus.kill();
          await notReady(gateway);
          quiet.send("kept");
          await until(async () => (await queued()) === 1, "the message to wait");
          loud.send(...Array.from({ length: 10 }, (_, i) => load(i)));
          const { code, reason } = await loud.closed;
          assert.equal(code, 1013);
          assert.match(reason, /buffer is full/);
          assert.equal(await queued(), 4, "what has room is kept");
          assert.ok((await metric(gateway, "carillon_bus_queued_bytes")) <= 128 * 1024);
          assert.equal(await metric(gateway, 'carillon_closes_total{code="1013"}'), 1);
          quiet.send("kept, too");
          await until(async () => (await queued()) === 5, "a small message to find room");
          await bus.restart();
          await quiet.received(5);
          assert.deepEqual(quiet.messages, ["kept", load(0), load(1), load(2), "kept, too"]);
          assert.ok(quiet.isOpen);
          await until(async () => (await queued()) === 0, "nothing to wait");
        },
      ));

    it("SIGTERM ends the gateway all the same, and its clients are told", async () => {
      const bus = await Bus.start();
      const gateway = await start({ args: ["--bus", bus.url, "--close-timeout", "1s"] });
      const [silent, client] = await openClients(gateway, 2);

      await bus.kill();
      await notReady(gateway);
      client.send("nobody will read this");
      await gateway.stop();
      assert.equal((await client.closed).code, 1001);
      assert.equal((await silent.closed).code, 1001);
      await bus.stop();
    });

    it("SIGTERM ends a gateway whose bus hangs, too", async () => {
      const bus = await Bus.start();
      const gateway = await start({ args: ["--bus", bus.url, "--close-timeout", "1s"] });
      const [client] = await openClients(gateway, 1);

      bus.pause();
      client.send("nobody will read this");
      await gateway.stop();
      assert.equal((await client.closed).code, 1001);
      await bus.stop();
    });

    it("SIGTERM loses nothing when the bus comes back in time", () =>
      withCluster(
        Bus,
        { clientCount: 1, args: ["--drain-time", "5s", "--close-timeout", "10s"] },
        async ({ bus, gateways: [, leaving], people: [stayer, leaver] }) => {
          const last = Array.from({ length: 100 }, (_, i) => `last words ${i}`);

          bus.pause();
          leaver.send(...last);
          await until(async () => (await metric(leaving, "carillon_bus_queued_messages")) === 100, "the queue");
          const stopping = leaving.stop();
          await leaving.waitForLog(/event="?draining/);
          bus.resume();
          await stopping;
          await stayer.received(100);
          assert.deepEqual(stayer.messages, last);
          assert.equal((await leaver.closed).code, 1001);
          assert.deepEqual(leaver.messages, last);
        },
      ));

    // There are no clients to send away, so the bus is closed in the moment in which it answers.
    it("SIGTERM waits for what the API published, too", async () => {
      const files = await apiFiles();
      const bus = await Bus.start();
      const gateway = await start({ args: ["--bus", bus.url, ...files.args] });
      await ready(gateway);

      bus.pause();
      const answer = call(gateway, "publish", { channel: "news", data: 1 });
      await until(async () => (await metric(gateway, "carillon_bus_queued_messages")) === 1, "the queue");
      const stopping = gateway.stop();
      await gateway.waitForLog(/event="?draining/);
      await until(() => Client.open(gateway).then((client) => client.destroy(), () => true), "newcomers to be refused");
      bus.resume();
      assert.equal((await answer).result.offset, 1);
      await stopping;
      await bus.stop();
      await files.remove();
    });
  });

  if (Bus.isReplicated) return;

  describe(`a gap that the history of ${Bus.title} does not cover`, () => {
    it("is told to those who missed something, with 1012, and to nobody else", () =>
      withCluster(
        Bus,
        { clientCount: 2, args: ["--history-size", "10"] },
        async ({ relay, gateways, clients: [[ada, ben], missed] }) => {
          relay.lose("both");
          await notReady(gateways[1]);
          const [sent] = await chatter([ada], 100);
          await ben.received(100);
          relay.heal();
          for (const { code } of await Promise.all(missed.map((client) => client.closed))) {
            assert.equal(code, 1012);
          }
          const back = await Client.open(gateways[1]);
          back.send("what did I miss?");
          for (const client of [ada, ben]) await client.received(101);
          assertSameChat([ada, ben], [sent, ["what did I miss?"]]);
          await back.received(1);
          assert.deepEqual(back.messages, ["what did I miss?"]);
          assert.ok((await metric(gateways[1], "carillon_bus_losses_total")) >= 1);
          assert.equal(await metric(gateways[0], "carillon_bus_losses_total"), 0);
          assert.equal(await metric(gateways[0], "carillon_channel_losses_total"), 0);
          back.destroy();
        },
      ));
  });
});
