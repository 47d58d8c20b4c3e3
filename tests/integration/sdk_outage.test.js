// What the official SDK makes of a bus that is away, and of one that comes back without its data: nobody stays behind
// in silence, whoever wanted the subscription.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { apiFiles, call, token } from "../lib/api.js";
import { ready } from "../lib/cluster.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { Redis } from "../lib/redis.js";
import { leaveAll, SdkClient } from "../lib/sdk.js";
import { until } from "../lib/wait.js";

// What came on the channels that the server subscribed a client to.
function heardBy({ sdk }) {
  const heard = [];
  sdk.on("publication", ({ channel, data }) => heard.push(`${channel} ${data}`));
  return heard;
}

describe("the SDK and a bus that goes away", () => {
  let files;
  let redis;
  let gateway;

  const isAway = () => until(async () => (await metric(gateway, "carillon_bus_up")) === 0, "the bus to be away");
  const publish = (channel, data) => call(gateway, "publish", { channel, data });

  before(async () => {
    files = await apiFiles();
    redis = await Redis.start();
    gateway = await start({ args: [...files.args, "--bus", redis.url, "--subscribe-to-personal"] });
  });
  beforeEach(() => ready(gateway));
  after(async () => {
    await gateway.stop();
    await redis.stop();
    await files.remove();
  });

  it("comes in where it subscribed meanwhile", async () => {
    const ann = await SdkClient.open(gateway, { token: token("ann") });
    redis.pause();
    await isAway();
    const room = ann.subscribe("room", { recoverable: true });
    await until(() => room.errors.length > 0, "a refusal");
    assert.deepEqual(
      room.errors.map(({ code, temporary }) => [code, temporary])[0],
      [108, true],
    );
    redis.resume();
    await room.isOn();
    await publish("room", "now");
    await room.heard(1);
    assert.deepEqual(room.endings, []);
    leaveAll([ann]);
  });

  it("connects again for what the server subscribed it to, when messages there are lost", async () => {
    const ann = await SdkClient.open(gateway, { token: token("ann", { channels: ["news"] }) });
    const heard = heardBy(ann);
    await publish("news", "before");
    await until(() => heard.length === 1, "the first publication");
    await redis.kill();
    await isAway();
    await redis.restart();
    await ready(gateway);
    let count = 0;
    await until(async () => {
      await publish("news", `after ${count}`);
      await publish("#ann", `after ${count++}`);
      return heard.some((text) => text.startsWith("news after")) && heard.some((text) => text.startsWith("#ann after"));
    }, "publications on both channels");
    assert.equal(ann.sdk.state, "connected");
    leaveAll([ann]);
  });

  it("is connected with the channels that the server subscribes it to, or not yet", async () => {
    const bob = new SdkClient(gateway, { token: token("bob", { channels: ["news"] }) });
    const heard = heardBy(bob);
    redis.pause();
    await isAway();
    bob.sdk.connect();
    await until(() => bob.errors.length > 0, "a refusal");
    assert.equal(bob.sdk.state, "connecting");
    redis.resume();
    await bob.connect();
    await publish("news", "now");
    await until(() => heard.includes("news now"), "the publication");
    leaveAll([bob]);
  });

  it("ends where there are more of them than one may have, with the personal one", async () => {
    const channels = Array.from({ length: 128 }, (_, i) => `news${i}`);
    const eve = new SdkClient(gateway, { token: token("eve", { channels }) });
    eve.sdk.connect();
    assert.equal((await eve.disconnected).code, 3505);
  });
});
