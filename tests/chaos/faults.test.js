// Two and three routers, three gateways, people who talk on fifty channels all the time, and one fault after
// the other: nobody notices. Only where all routers die at once is something lost, and everybody concerned is told.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Client } from "../lib/client.js";
import { until } from "../lib/wait.js";
import { CHANNELS, Crowd } from "./crowd.js";
import { Stage } from "./stage.js";

async function onStage(routerCount, body) {
  const stage = await Stage.start({ routerCount });
  const crowd = await Crowd.gather(stage);

  try {
    await body(stage, crowd);
    crowd.dismiss();
    await stage.end();
  } catch (error) {
    error.message += `\n${stage.report()}`;
    throw error;
  } finally {
    crowd.dismiss();
    await stage.destroy();
  }
}

// `faults` is a list of functions of the stage; each is over, and all is well, before the next.
function survives(routerCount, faults) {
  return onStage(routerCount, async (stage, crowd) => {
    crowd.talk();
    for (const fault of faults) {
      await fault(stage);
      await stage.isWell(CHANNELS);
    }
    await crowd.settle();
    crowd.check({ isSplit: false });
  });
}

for (const routerCount of [2, 3]) {
  const routers = Array.from({ length: routerCount }, (_, r) => r);
  const pairs = routers.flatMap((r) => routers.slice(r + 1).map((other) => [`R${r}`, `R${other}`]));

  describe(`nobody notices that of ${routerCount} routers`, () => {
    it("each is killed", () => survives(routerCount, routers.map((r) => (stage) => stage.kill(r, 500))));

    it("each is killed and is back before anybody has looked", () =>
      survives(routerCount, routers.map((r) => (stage) => stage.kill(r, 0))));

    for (const ms of [200, 1000, 1600, 4000]) {
      it(`each stops for ${ms} ms`, () => survives(routerCount, routers.map((r) => (stage) => stage.stop(r, ms))));
    }

    it("each leaves and comes back", () => survives(routerCount, routers.map((r) => (stage) => stage.leave(r, 300))));

    for (const way of ["both", "there", "back"]) {
      for (const ms of [500, 4000]) {
        it(`two lose sight of each other for ${ms} ms (${way})`, () =>
          survives(routerCount, pairs.map(([one, other]) => (stage) => stage.cut(one, other, way, ms))));

        it(`each loses sight of a gateway for ${ms} ms (${way})`, () =>
          survives(routerCount, routers.map((r) => (stage) => stage.cut(`G${r}`, `R${r}`, way, ms))));
      }
    }

    it("each has a line that breaks again and again", () =>
      survives(routerCount, [
        ...pairs.map(([one, other]) => (stage) => stage.breakLine(one, other, 1000)),
        ...routers.map((r) => (stage) => stage.breakLine("G0", `R${r}`, 1000)),
      ]));
  });

  describe(`of ${routerCount} routers all die at once`, () => {
    it("and everybody whose messages are gone is told, and nobody else", () =>
      onStage(routerCount, async (stage, crowd) => {
        const quiet = await Client.open(stage.gateways[0], { channel: "quiet" });
        const epochOf = async () => (await placeOf(stage, crowd.channels[0])).epoch;

        for (const person of crowd.people) crowd.say(person);
        await until(() => crowd.people.every(({ client }) => client.messages.length === stage.gateways.length), "hellos");
        const epoch = await epochOf();
        await stage.killAll(200);
        await stage.isWell(CHANNELS);
        await until(() => crowd.gone.length === 3 * crowd.channels.length, () => `all to be told; ${crowd.gone.length} were`);
        await until(() => crowd.present.length === 3 * crowd.channels.length, "all to come back");
        crowd.talk();
        await crowd.settle();
        crowd.check({ isSplit: true });
        assert.notEqual(await epochOf(), epoch);
        assert.ok(quiet.isOpen, "who heard nothing has lost nothing");
        quiet.send("still here");
        await quiet.received(1);
        quiet.destroy();
      }));
  });
}

async function placeOf(stage, channel) {
  const places = await Promise.all(stage.routers.map((router) => router.place(channel)));
  return places.find((place) => place?.role === "owner");
}
