// What only Redis has: the ways to it, its keys, and what its administrators can do to it.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { Client, closeClients, openClients } from "../lib/client.js";
import { ready } from "../lib/cluster.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { Redis } from "../lib/redis.js";
import { survives } from "../lib/survival.js";
import { until } from "../lib/wait.js";

describe("history on Redis", () => {
  it("keeps --history-size messages for --history-ttl, and under --redis-prefix", async () => {
    const redis = await Redis.start();
    const args = ["--history-size", "10", "--history-ttl", "60s", "--redis-prefix", "bells"];
    const gateway = await start({ args: ["--bus", redis.url, ...args] });
    await ready(gateway); // a client that came sooner would depend on the history for the first messages
    const [client] = await openClients(gateway, 1, { channel: "kept" });

    client.send(...Array.from({ length: 30 }, (_, i) => `message ${i}`));
    await client.received(30);
    assert.equal(await redis.command("XLEN", "bells:{kept}:s"), 10);
    const ttlMs = await redis.command("PTTL", "bells:{kept}:s");
    assert.ok(ttlMs > 0 && ttlMs <= 60_000, `the stream lives for ${ttlMs} ms`);
    assert.deepEqual(await redis.command("KEYS", "carillon*"), []);
    for (const key of await redis.command("KEYS", "bells:{*")) {
      assert.ok((await redis.command("PTTL", key)) > 0, `${key} lives for ever`);
    }
    client.destroy();
    await gateway.stop();
    await redis.stop();
  });
});

describe("the way to Redis", () => {
  let redis;
  before(async () => {
    redis = await Redis.start();
  });
  after(() => redis.stop());

  async function speaks(url) {
    const gateway = await start({ args: ["--bus", url] });
    const client = await Client.open(gateway);

    client.send("hello");
    await client.received(1);
    await gateway.waitForLog(/event="bus up"/);
    client.destroy();
    await gateway.stop();
    return gateway;
  }

  it("leads over a unix socket", () => speaks(redis.unixUrl));

  it("leads to a database by its number", async () => {
    await redis.command("FLUSHALL");
    await speaks(`${redis.url}/3`);
    await speaks(`${redis.unixUrl}?db=5`);
    assert.match(await redis.command("INFO", "keyspace"), /db3:keys=[^]*db5:keys=/);
  });

  it("keeps two databases apart", async () => {
    const gateways = await Promise.all([1, 2].map((db) => start({ args: ["--bus", `${redis.url}/${db}`] })));
    const [one, two] = [await Client.open(gateways[0]), await Client.open(gateways[1])];

    one.send("to one");
    await one.received(1);
    two.send("to two");
    await two.received(1);
    assert.deepEqual([one.messages, two.messages], [["to one"], ["to two"]]);
    closeClients([one, two]);
    await Promise.all(gateways.map((gateway) => gateway.stop()));
  });

  it("takes a user with a password, and no word of it is in the log", async () => {
    await redis.command("ACL", "SETUSER", "bell", "on", ">se:cret@", "~carillon:*", "&carillon:*", "+@all");
    const gateway = await speaks(`redis://bell:se%3Acret%40@127.0.0.1:${redis.port}`);
    assert.doesNotMatch(gateway.log, /cret/);
  });

  it("takes a password alone, and no word of it is in the log", async () => {
    const guarded = await Redis.start({ args: ["--requirepass", "hush"], password: "hush" });
    const gateway = await speaks(`redis://:hush@127.0.0.1:${guarded.port}`);
    assert.doesNotMatch(gateway.log, /hush/);
    await guarded.stop();
  });
});

describe("nothing is lost, doubled or out of order while Redis", () => {
  it("forgets everything (FLUSHALL)", () => survives(Redis, ({ bus }) => bus.command("FLUSHALL")));

  it("forgets its scripts (SCRIPT FLUSH)", () =>
    survives(Redis, async ({ bus }) => {
      for (let i = 0; i < 5; i++) {
        await bus.command("SCRIPT", "FLUSH");
        await pause(20);
      }
    }));

  it("drops subscribers alone, again and again", () =>
    survives(Redis, async ({ bus }) => {
      for (let i = 0; i < 10; i++) {
        await bus.command("CLIENT", "KILL", "TYPE", "pubsub");
        await pause(50);
      }
    }));
});

describe("a gateway's subscriber that Redis drops", () => {
  it("counts as the bus being back, once", async () => {
    const redis = await Redis.start();
    const gateway = await start({ args: ["--bus", redis.url] });
    const reconnects = () => metric(gateway, "carillon_bus_reconnects_total");
    await ready(gateway);
    assert.equal(await reconnects(), 0);
    await redis.command("CLIENT", "KILL", "TYPE", "pubsub");
    await until(async () => (await reconnects()) > 0 && (await metric(gateway, "carillon_bus_up")) === 1, "the bus");

    const client = await Client.open(gateway);
    client.send("still here");
    await client.received(1);
    assert.equal(await reconnects(), 1);
    client.destroy();
    await gateway.stop();
    await redis.stop();
  });
});
