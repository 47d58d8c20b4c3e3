// Several gateways on one bus while all is well: one chat.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { SHARED_BUSES, onEachBus } from "../lib/buses.js";
import { Client, closeClients } from "../lib/client.js";
import { ready, withCluster } from "../lib/cluster.js";
import { assertSameChat, chatter } from "../lib/delivery.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { until } from "../lib/wait.js";

const MESSAGES = 4_000;
const KEEP_ALL = ["--history-size", String(2 * MESSAGES)]; // for a gateway that a busy machine parts from the bus

// A client may be let in a moment before the bus has noted its gateway: what is said between the two is read
// from the history.
function waitForSubscribers(bus, channel, count) {
  return until(async () => (await bus.subscriberCount(channel)) === count, `${count} subscribers of ${channel}`);
}

onEachBus(SHARED_BUSES, (Bus) => {
  for (const size of [2, 3]) {
    describe(`${size} gateways on ${Bus.title}`, () => {
      it(`give ${MESSAGES} messages from all sides to everybody, once, in one order`, () =>
        withCluster(Bus, { size, clientCount: 4, args: KEEP_ALL }, async ({ gateways, clients, people }) => {
          const senders = clients.flatMap(([ada, ben]) => [ada, ben]);
          const sent = await chatter(senders, Math.ceil(MESSAGES / senders.length), { batch: 50 });
          const count = sent.flat().length;

          await Promise.all(people.map((client) => client.received(count)));
          assertSameChat(people, sent);
          for (const gateway of gateways) {
            await until(async () => (await metric(gateway, "carillon_bus_up")) === 1, "the bus to be up");
            assert.equal(await metric(gateway, "carillon_bus_subscriptions"), 1);
            assert.equal(await metric(gateway, "carillon_bus_delivered_total"), count);
            // An acknowledgement may be later than the message.
            const own = count / size;
            await until(
              async () => (await metric(gateway, "carillon_bus_published_total")) === own,
              `${own} acknowledged publishes`,
            );
            assert.equal(await metric(gateway, "carillon_bus_queued_messages"), 0);
            assert.equal(await metric(gateway, "carillon_bus_queued_bytes"), 0);
            assert.equal(await metric(gateway, "carillon_bus_round_trip_seconds_count"), own);
            assert.equal(await metric(gateway, 'carillon_bus_round_trip_seconds_bucket{le="+Inf"}'), own);
            assert.ok((await metric(gateway, "carillon_bus_round_trip_seconds_sum")) > 0);
          }
        }));

      it("give many channels their own order each", () =>
        withCluster(Bus, { size }, async ({ gateways }) => {
          const rooms = await Promise.all(
            Array.from({ length: 50 }, async (_, room) => {
              const options = { channel: `room ${room}` };
              return Promise.all(gateways.map((gateway) => Client.open(gateway, options)));
            }),
          );
          const sent = await Promise.all(rooms.map((people, room) => chatter(people, 40, { tag: `r${room}` })));

          await Promise.all(rooms.flatMap((people) => people.map((client) => client.received(40 * size))));
          rooms.forEach((people, room) => assertSameChat(people, sent[room]));
          closeClients(rooms.flat());
        }));
    });
  }

  describe(`channels on ${Bus.title}`, () => {
    let bus, gateways;
    before(async () => {
      bus = await Bus.start();
      gateways = await Promise.all([0, 1].map(() => start({ args: ["--bus", bus.url] })));
      await Promise.all(gateways.map(ready)); // until then clients are let in without the bus
    });
    after(async () => {
      await Promise.all(gateways.map((gateway) => gateway.stop()));
      await bus.stop();
    });

    it("are subscribed only while this gateway has a subscriber", async () => {
      const channel = "only while: ä";
      const subscribers = (count) => waitForSubscribers(bus, channel, count);

      assert.equal(await bus.subscriberCount(channel), 0);
      const one = await Client.open(gateways[0], { channel });
      await subscribers(1);
      const two = await Client.open(gateways[1], { channel });
      const three = await Client.open(gateways[1], { channel });
      await subscribers(2);
      await two.close();
      await one.close();
      await subscribers(1);
      await three.close();
      await subscribers(0);
      for (const gateway of gateways) assert.equal(await metric(gateway, "carillon_bus_subscriptions"), 0);
    });

    it("are the right ones when clients come and go faster than the bus answers", async () => {
      const channel = "revolving door";

      for (let i = 0; i < 30; i++) {
        const fleeting = new Client(`ws://127.0.0.1:${gateways[0].port}/ws?channel=revolving%20door`);
        fleeting.opened.catch(() => {});
        if (i % 2 === 0) await fleeting.opened;
        fleeting.destroy();
      }
      const stayer = await Client.open(gateways[0], { channel });
      const speaker = await Client.open(gateways[1], { channel });
      speaker.send("still there?");
      await stayer.received(1);
      assert.deepEqual(stayer.messages, ["still there?"]);
      await waitForSubscribers(bus, channel, 2);
      closeClients([stayer, speaker]);
    });

    it("do not mix", async () => {
      const [here, there, elsewhere] = [
        await Client.open(gateways[0], { channel: "mix/ä" }),
        await Client.open(gateways[1], { channel: "mix/ä" }),
        await Client.open(gateways[1], { channel: "mix/b" }),
      ];
      here.send("to a");
      await Promise.all([here, there].map((client) => client.received(1)));
      elsewhere.send("to b");
      await elsewhere.received(1);
      assert.deepEqual([here.messages, there.messages, elsewhere.messages], [["to a"], ["to a"], ["to b"]]);
      closeClients([here, there, elsewhere]);
    });

    it("have names with braces, spaces and up to 255 bytes", async () => {
      for (const channel of ["{a}:s", "}{", "a b", "*", "ä".repeat(127), "x".repeat(255)]) {
        const here = await Client.open(gateways[0], { channel });
        const there = await Client.open(gateways[1], { channel });

        here.send(channel);
        await there.received(1);
        assert.deepEqual(there.messages, [channel]);
        closeClients([here, there]);
      }
    });

    it("carry texts and bytes as they are", async () => {
      const here = await Client.open(gateways[0], { channel: "bytes" });
      const there = await Client.open(gateways[1], { channel: "bytes" });
      const sent = ["", "ä\u0000😀", Buffer.from([0, 255, 13, 10, 128]), "x".repeat(65536), Buffer.alloc(65536, 7)];

      here.send(...sent);
      await there.received(sent.length);
      await here.received(sent.length);
      assert.deepEqual(there.messages, sent);
      assert.deepEqual(here.messages, sent);
      closeClients([here, there]);
    });

    it("reach a client from the moment at which it is connected", async () => {
      const speaker = await Client.open(gateways[0], { channel: "moment" });
      for (let i = 0; i < 50; i++) {
        const newcomer = await Client.open(gateways[1], { channel: "moment" });
        speaker.send(`welcome ${i}`);
        await newcomer.received(1);
        assert.equal(newcomer.messages[0], `welcome ${i}`);
        newcomer.destroy();
      }
      speaker.destroy();
    });
  });

  describe(`a gateway on ${Bus.title} that is killed`, () => {
    it("takes its clients with it and nothing of the others'", () =>
      withCluster(Bus, { size: 3, clientCount: 3 }, async ({ gateways, clients, kill }) => {
        const [, victims] = clients;
        const survivors = [...clients[0], ...clients[2]];
        const senders = [clients[0][0], clients[2][0]];
        const talk = chatter(senders, 1000, { batch: 10, pauseMs: 1 });
        const lastWords = chatter(victims.slice(0, 2), 1000, { tag: "victim", batch: 10, pauseMs: 1 });

        await survivors[0].received(400);
        await kill(gateways[1]);
        await Promise.all(victims.map((victim) => victim.closed));
        const [sent, cutShort] = [await talk, await lastWords];

        // Whatever the dead one got out is on its way, nobody knows how much: up to "end" all must agree.
        const heard = ({ messages }) => messages.filter((text) => text.startsWith("m-")).length;
        await until(() => survivors.every((client) => heard(client) === 2000), "the survivors' messages");
        senders[0].send("end");
        sent[0].push("end");
        await until(() => survivors.every(({ messages }) => messages.includes("end")), "the end");
        for (const client of survivors) client.messages.splice(client.messages.indexOf("end") + 1);
        assertSameChat(survivors, sent, { cutShort });
      }));

    it("leaves no subscription behind", () =>
      withCluster(Bus, { clientCount: 1, channel: "left" }, async ({ bus, gateways, kill }) => {
        await waitForSubscribers(bus, "left", 2);
        await kill(gateways[0]);
        await waitForSubscribers(bus, "left", 1);
      }));
  });
});
