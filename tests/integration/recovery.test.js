// Nothing is lost, and nothing comes twice, on channels whose clients, gateways and bus break all the time: at the end
// each client's list is its channel's, or it was told that it begins anew, and where.
//
// CARILLON_TEST_CROWD=1000 is how many there are on each bus; the gate takes fewer.

import assert from "node:assert/strict";
import { it } from "node:test";

import { onEachBus, SHARED_BUSES } from "../lib/buses.js";
import { ready, withCluster } from "../lib/cluster.js";
import { CommandClient } from "../lib/command_client.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { RecoveringCrowd } from "../lib/recovering_crowd.js";
import { until } from "../lib/wait.js";

const COUNT = Number(process.env.CARILLON_TEST_CROWD ?? 80);
const CHANNELS = Array.from({ length: 20 }, (_, i) => `room ${i}`);
const KEPT = ["--history-size", "100000"];
const RETURNING = Math.max(COUNT, 400); // at once, to one channel
const MESSAGES = 40; // on each channel in each act
const DEADLINE_MS = 60_000;

// Publishes on all channels, one after the other, and again what was not acknowledged, under the same key.
class Speaker {
  said = new Map(CHANNELS.map((channel) => [channel, 0]));

  static async open(gateway) {
    const speaker = new Speaker();
    speaker.client = await CommandClient.connect(gateway);
    return speaker;
  }

  async #say(channel) {
    const number = this.said.get(channel) + 1;
    const publish = { channel, data: { channel, number }, idempotency_key: `${channel} ${number}` };
    let answer;
    await until(async () => {
      answer = await this.client.ask({ publish });
      return !answer.error;
    }, `an acknowledgement on ${channel}`);
    this.said.set(channel, number);
  }

  async speak(count) {
    await Promise.all(
      CHANNELS.map(async (channel) => {
        for (let i = 0; i < count; i++) await this.#say(channel);
      }),
    );
  }

  // Where each channel is, as its history says.
  async places() {
    const places = new Map();
    for (const channel of CHANNELS) {
      const { history } = await this.client.ask({ history: { channel, limit: 0 } });
      places.set(channel, { epoch: history.epoch, offset: history.offset });
    }
    return places;
  }

  histories() {
    return new Map(
      [...this.said].map(([channel, count]) => [
        channel,
        Array.from({ length: count }, (_, i) => ({ channel, number: i + 1 })),
      ]),
    );
  }
}

// What befalls a bus that loses nothing by it.
function actsOn(Bus, bus) {
  const cut = { "all lines to the bus that break": () => bus.cutClients() };
  const die = { "a bus that dies and comes back": () => bus.kill().then(() => bus.restart()) };

  if (Bus.isReplicated) return { ...cut, ...deathsOf(bus) };
  return Bus.isDurable ? { ...cut, ...die } : cut;
}

// One of the routers after the other; the next not before this one holds again what its peer has.
function deathsOf(bus) {
  const entries = bus.routers.map((router, i) => [
    `router ${i}, which is killed and comes back`,
    async () => {
      await router.kill();
      await router.restart();
      await until(() => bus.isWhole(), "the routers to be linked", DEADLINE_MS);
    },
  ]);
  return Object.fromEntries(entries);
}

onEachBus(SHARED_BUSES, (Bus) => {
  it(`gives ${COUNT} people exactly what they missed, whatever breaks`, async (t) => {
    const options = { busOptions: { persistent: true }, args: KEPT };
    await withCluster(Bus, options, async ({ bus, relay, gateways, kill }) => {
      const ports = gateways.map(({ port }) => port);
      const speaker = await Speaker.open(gateways[0]);
      const crowd = await RecoveringCrowd.open({ ports, channels: CHANNELS, count: COUNT, each: 3 });
      t.after(() => crowd.close());
      const acts = {
        "clients alone": async () => {},
        "a line to the bus that breaks": async () => relay.cut(),
        "a line to the bus that loses what is said": async () => {
          relay.lose("toClient");
          await speaker.speak(5);
          relay.heal();
        },
        "a gateway that is killed": async () => {
          await kill(gateways[1]);
          const { port } = gateways[1];
          await speaker.speak(5);
          const args = ["--bus", bus.urlAt(relay.port), "--threads", "2", "--message-rate", "0", ...KEPT];
          gateways.push(await start({ port, args }));
          await ready(gateways.at(-1));
        },
        ...actsOn(Bus, bus),
      };

      crowd.disturb(COUNT / 4);
      for (const [what, act] of Object.entries(acts)) {
        await Promise.all([speaker.speak(MESSAGES), act()]);
        assert.deepEqual(crowd.problems, [], what);
      }
      await crowd.settle(await speaker.places());
      const { wrong, problems, recoveries } = crowd.verdict(speaker.histories());
      assert.deepEqual({ wrong, problems }, { wrong: 0, problems: [] });
      assert.deepEqual(crowd.restarts, []); // everything is kept, so that nobody has to begin anew
      assert.ok(recoveries > crowd.breaks / 2, `${recoveries} recoveries of ${crowd.breaks} breaks`);
      speaker.client.destroy();
    });
  });

  it("says where the channel is when its history does not reach so far, or is lost", async (t) => {
    await withCluster(Bus, { args: ["--history-size", "10"] }, async ({ bus, gateways }) => {
      const ports = gateways.map(({ port }) => port);
      const speaker = await Speaker.open(gateways[0]);
      const crowd = await RecoveringCrowd.open({ ports, channels: CHANNELS, count: COUNT / 4, each: 3 });
      t.after(() => crowd.close());
      const losses = {
        ...(bus.forget ? { "forgets all and lives on": () => bus.forget() } : {}),
        "dies and comes back with nothing": () => bus.kill().then(() => bus.restart()),
      };

      crowd.disturb(COUNT / 4);
      for (const [what, lose] of Object.entries(losses)) {
        await speaker.speak(MESSAGES);
        const before = await speaker.places();
        await lose();
        await Promise.all(gateways.map(ready));
        await speaker.speak(MESSAGES);
        const after = await speaker.places();
        const lasting = CHANNELS.filter((channel) => after.get(channel).epoch === before.get(channel).epoch);
        assert.deepEqual(lasting, [], what);
        if (Bus.keepsNothing) await crowd.toldOf(after); // else gateways give it back what they have seen
      }
      await crowd.settle(await speaker.places());
      assert.deepEqual(crowd.problems, []);
      assert.equal(crowd.verdict(speaker.histories()).wrong, 0);
      speaker.client.destroy();
    });
  });

  it(`of ${RETURNING} who return to one channel at once asks the bus few times`, async (t) => {
    await withCluster(Bus, { args: KEPT }, async ({ gateways }) => {
      const [gateway] = gateways;
      const channels = ["crowded"];
      const ada = await CommandClient.connect(gateway);
      const say = (data) => ada.ask({ publish: { channel: "crowded", data } });
      const crowd = await RecoveringCrowd.open({ ports: [gateway.port], channels, count: RETURNING, each: 1 });
      t.after(() => crowd.close());

      await say(1);
      await until(() => crowd.rooms.every(({ offset }) => offset === 1), "all to hear the first");
      const before = await metric(gateway, "carillon_bus_history_reads_total");
      for (const { socket } of crowd.people) socket.terminate();
      const [, { publish }] = [await say(2), await say(3)];
      await crowd.settle(new Map([["crowded", publish]]));
      const asked = (await metric(gateway, "carillon_bus_history_reads_total")) - before;
      assert.ok(asked <= RETURNING / 10, `the bus was asked ${asked} times`);
      const { wrong, problems, recoveries } = crowd.verdict(new Map([["crowded", [1, 2, 3]]]));
      assert.deepEqual({ wrong, problems, recoveries }, { wrong: 0, problems: [], recoveries: RETURNING });
      ada.destroy();
    });
  });
});
