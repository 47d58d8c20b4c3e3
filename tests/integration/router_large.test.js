// A message above a router's limit is refused to whoever sent it; nobody else notices.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Bystanders } from "../lib/bystanders.js";
import { Client } from "../lib/client.js";
import { ready } from "../lib/cluster.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { Router } from "../lib/router.js";
import { hello, PROOF, publish, Stranger } from "../lib/stranger.js";
import { until } from "../lib/wait.js";

const KIB = 1024;
const MIB = 1024 * KIB;
const LIMIT = 64 * KIB;

// Refused: the channel, the sequence, REASON_INVALID.
function refusal(channel, sequence) {
  return Buffer.concat([Buffer.from([0x0a, channel.length]), Buffer.from(channel), Buffer.from([0x10, sequence, 0x18, 3])]);
}

describe("a router that takes smaller messages than its gateways", () => {
  let router, gateways, bystanders;
  before(async () => {
    router = await Router.start({ args: ["--max-message-size", "64K", "--shards", "1"] });
    const args = ["--bus", router.url, "--message-rate", "0", "--max-message-size", "2M", "--send-queue-limit", "8M"];
    gateways = await Promise.all([0, 1].map(() => start({ args })));
    await Promise.all(gateways.map(ready));
    bystanders = new Bystanders();
    bystanders.people = await Promise.all(gateways.map((gateway) => Client.open(gateway)));
  });
  after(async () => {
    bystanders.close();
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await router.stop();
  });

  it("is named in the log of each", async () => {
    for (const gateway of gateways) {
      await gateway.waitForLog(/level=warning event="--max-message-size is above a router's.* max_message_size=2097152 router_max_message_size=65536/);
    }
  });

  for (const size of [LIMIT + 1, MIB]) {
    it(`refuses ${size} bytes to their sender, who is told, and to nobody else`, () =>
      bystanders.during(async () => {
        const already = router.log.length;
        const [sender, neighbour] = await Promise.all([0, 0].map(() => Client.open(gateways[0], { channel: "large" })));

        sender.send(Buffer.alloc(LIMIT, "x"));
        await neighbour.received(1);
        sender.send(Buffer.alloc(size, "x"));
        assert.equal((await sender.closed).code, 1009);
        neighbour.send("still here");
        await neighbour.received(2);
        assert.equal(neighbour.messages.at(-1), "still here");
        neighbour.destroy();
        assert.doesNotMatch(router.log.slice(already), /event="disconnected"/);
      }));

    it(`refuses ${size} bytes to a gateway that does not know of limits, and keeps its connection`, () =>
      bystanders.during(async () => {
        const before = await metric(router, "carillon_router_too_large_total");
        const old = await Stranger.connect(router);

        old.socket.write(Buffer.concat([hello(), PROOF]));
        await old.send(publish("large", 1, Buffer.alloc(size, "x")), publish("large", 2, "small"));
        await until(() => old.received.includes(refusal("large", 1)), "the refusal");
        await until(() => old.received.includes(Buffer.from("large\x10\x02", "latin1")), "the acknowledgement of the next one");
        assert.equal(old.socket.destroyed, false);
        assert.equal(await metric(router, "carillon_router_too_large_total"), before + 1);
        assert.match(router.log, /message refused: it is above --max-message-size/);
        old.destroy();
      }));
  }
});

describe("a gateway with more for a router that was away than a connection may queue", () => {
  const COUNT = 100;
  const queued = (gateway) => metric(gateway, "carillon_bus_queued_messages");

  it("sends it all, in order, and keeps its connection", async () => {
    const router = await Router.start({ args: ["--shards", "1"] });
    const args = ["--bus", router.url, "--message-rate", "0", "--max-message-size", "1M", "--bus-buffer", "256M", "--send-queue-limit", "512M"];
    const gateway = await start({ args });
    await ready(gateway);
    const [sender, reader] = await Promise.all([0, 1].map(() => Client.open(gateway, { channel: "large" })));

    await router.kill();
    for (let i = 0; i < COUNT; i++) {
      const message = Buffer.alloc(MIB);
      message.writeUInt32BE(i);
      sender.send(message);
    }
    await until(async () => (await queued(gateway)) === COUNT, "all to wait");
    const already = gateway.log.length;
    await router.restart();
    await reader.received(COUNT, 60_000);
    assert.deepEqual(reader.messages.map((message) => message.readUInt32BE()), Array.from({ length: COUNT }, (_, i) => i));
    await until(async () => (await queued(gateway)) === 0, "the acknowledgements");
    assert.doesNotMatch(gateway.log.slice(already), /event="router disconnected"/);
    for (const client of [sender, reader]) client.destroy();
    await gateway.stop();
    await router.stop();
  });
});

describe("a router whose --memory-limit has no room for --max-message-size", () => {
  it("says so", async () => {
    const router = await Router.start({ args: ["--memory-limit", "64M"] });

    assert.match(router.log, /level=warning event="larger messages will be refused: --memory-limit has no room.* max_message_size=67108864 lowered_to=\d+/);
    await router.stop();
  });
});
