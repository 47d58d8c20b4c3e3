// A router's memory has a limit, whatever comes; and what is used no more is given back.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { describe, it } from "node:test";

import { Bystanders } from "../lib/bystanders.js";
import { Client } from "../lib/client.js";
import { ready } from "../lib/cluster.js";
import { start } from "../lib/gateway.js";
import { FREE_AT_ONCE, KEEP_NOTHING, residentBytes } from "../lib/memory.js";
import { metric } from "../lib/metrics.js";
import { Router } from "../lib/router.js";
import { lengthOf, publish, Stranger, subscribe } from "../lib/stranger.js";
import { until } from "../lib/wait.js";

const MIB = 1024 * 1024;
const KINDS = ["history", "waiting", "presence", "channels", "links"];

async function withTalk(args, body) {
  const router = await Router.start({ args, env: KEEP_NOTHING });
  const gateways = await Promise.all([0, 1].map(() => start({ args: ["--bus", router.url, "--message-rate", "0"] })));
  const bystanders = new Bystanders();

  try {
    await Promise.all(gateways.map(ready));
    bystanders.people = await Promise.all(gateways.map((gateway) => Client.open(gateway)));
    await bystanders.during(() => body(router));
    bystanders.close();
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await router.leave();
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.kill()));
    await router.stop();
  }
}

// Watches a process until what it returns is called, which tells the most memory that there was.
function watch(program) {
  let most = 0;
  let isWatching = true;
  const watching = (async () => {
    for (; isWatching; await pause(10)) most = Math.max(most, await residentBytes(program).catch(() => 0));
  })();

  return async () => {
    isWatching = false;
    await watching;
    return most;
  };
}

describe("--memory-limit", () => {
  const LIMIT = 192 * MIB;

  it("holds while a flood comes of channels, large messages, halves of messages, and somebody who reads nothing", () =>
    withTalk(["--memory-limit", `${LIMIT}`, "--shards", "2", "--threads", "2"], async (router) => {
      const limits = await Promise.all(KINDS.map((kind) => metric(router, `carillon_router_memory_limit_bytes{kind="${kind}"}`)));
      const mostResident = watch(router);
      const large = Buffer.alloc(MIB, "x");

      const reader = await Stranger.asGateway(router);
      reader.socket.pause();
      reader.socket.write(subscribe("large"));
      const halves = await Promise.all(Array.from({ length: 30 }, () => Stranger.asGateway(router)));
      const publishers = await Promise.all([0, 1].map(() => Stranger.asGateway(router)));
      const [many, few] = publishers;

      await Promise.all([
        ...halves.map((stranger) => stranger.send(lengthOf(4.5 * MIB), large, large, large, large)),
        (async () => {
          for (let i = 1; i <= 20; i++) {
            await many.send(Buffer.concat(Array.from({ length: 1000 }, (_, j) => publish(`channel ${i} ${j}`, 1, "x".repeat(300)))));
          }
        })(),
        (async () => {
          for (let i = 1; i <= 250; i++) await few.send(publish("large", i, large));
        })(),
      ]);
      await until(async () => (await metric(router, "carillon_router_subscriptions")) === 2, "who reads nothing to be let go");
      assert.match(router.log, /all links hold too much, and this one most/);
      await until(async () => (await metric(router, "carillon_router_evicted_total")) > 100, "old messages to go");

      for (const [i, kind] of KINDS.entries()) {
        const used = await metric(router, `carillon_router_memory_bytes{kind="${kind}"}`);
        assert(used <= limits[i], `${kind}: ${used} of ${limits[i]} bytes`);
      }
      assert.equal(await metric(router, 'carillon_router_memory_limit_bytes{kind="all"}'), LIMIT);
      for (const stranger of [reader, ...halves, ...publishers]) stranger.destroy();
      const most = await mostResident();
      assert(most < LIMIT, `${most} bytes`);
    }));
});

describe("channels that nobody uses any more", () => {
  const SHARDS = 4;
  const BATCHES = 25;
  const CHANNELS = SHARDS * BATCHES * 1000;

  it(`are forgotten, all ${CHANNELS}, and their memory goes back to the system`, async () => {
    const router = await Router.start({ args: ["--history-ttl", "1s", "--shards", `${SHARDS}`], env: FREE_AT_ONCE });
    const before = await residentBytes(router);
    const gateways = await Promise.all(Array.from({ length: SHARDS }, (_, shard) => Stranger.asGateway(router, { shard })));
    const batch = (shard, number) =>
      Buffer.concat(Array.from({ length: 1000 }, (_, i) => publish(`${shard} ${number} ${i}`, 1, "x".repeat(300))));

    for (let number = 0; number < BATCHES; number++) {
      await Promise.all(gateways.map((gateway, shard) => gateway.send(batch(shard, number))));
    }
    await until(async () => (await metric(router, "carillon_router_published_total")) === CHANNELS, "all to be taken");
    const most = await residentBytes(router);
    for (const gateway of gateways) gateway.destroy();

    await until(async () => (await metric(router, "carillon_router_channels")) === 0, "all to be forgotten");
    for (const kind of KINDS) {
      await until(async () => (await metric(router, `carillon_router_memory_bytes{kind="${kind}"}`)) === 0, `no ${kind}`);
    }
    await until(async () => (await residentBytes(router)) - before < (most - before) / 4, "the memory to be given back");
    await router.leave();
    await router.stop();
  });
});

describe("a router whose mirror has no room for all channels", () => {
  it("says in its log and as a metric that it holds some alone", async () => {
    const owner = await Router.start({ args: ["--shards", "1"] });
    const gateway = await Stranger.asGateway(owner);

    await gateway.send(Buffer.concat(Array.from({ length: 10 }, (_, i) => publish(`channel ${i}`, 1, "hello"))));
    await until(async () => (await metric(owner, "carillon_router_published_total")) === 10, "all to be taken");
    const full = await Router.start({ args: ["--shards", "1", "--max-channels", "1"], peers: [`127.0.0.1:${owner.ownPort}`] });
    await owner.program.waitForLog(/another router refuses channels: their messages are held here alone" shard=0 channels=/);
    await until(async () => (await metric(owner, "carillon_router_unmirrored_channels")) === 8, "two to be held twice");
    gateway.destroy();
    await full.stop();
    await owner.stop();
  });
});
