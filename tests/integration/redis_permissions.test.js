// A Redis login that may not do everything: what that forbids is told or waits, and the rest goes on.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Bystanders } from "../lib/bystanders.js";
import { Client, closeClients, openClients } from "../lib/client.js";
import { notReady, ready, status } from "../lib/cluster.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { Redis } from "../lib/redis.js";
import { until } from "../lib/wait.js";

// A gateway that logs in as `gate`, whose rights the test changes.
async function withLogin(body) {
  const redis = await Redis.start();

  await redis.command("ACL", "SETUSER", "gate", "on", ">gate", "~*", "&*", "+@all");
  const url = `redis://gate:gate@127.0.0.1:${redis.port}`;
  const gateway = await start({ args: ["--bus", url, "--message-rate", "0"] });
  try {
    await ready(gateway);
    await body({ redis, gateway });
    await gateway.stop();
  } finally {
    await gateway.kill();
    await redis.stop();
  }
}

describe("a login", () => {
  it("that may not subscribe: the gateway is not ready, and messages wait until it may", () =>
    withLogin(async ({ redis, gateway }) => {
      const people = await openClients(gateway, 2);
      const published = () => metric(gateway, "carillon_bus_published_total");
      const downs = () => gateway.log.match(/event="bus down"/g).length;

      people[0].send("before");
      await people[1].received(1);
      await redis.command("ACL", "SETUSER", "gate", "-subscribe");
      await redis.command("CLIENT", "KILL", "TYPE", "pubsub");
      await notReady(gateway);
      for (let i = 0; i < 100; i++) people[i % 2].send(`waiting ${i}`);
      await until(async () => (await metric(gateway, "carillon_bus_queued_messages")) === 100, "the queue");
      await gateway.waitForLog(/NOPERM/);
      assert.equal(await published(), 1);
      assert.equal(await status(gateway, "/ready"), 503);
      assert.equal(downs(), 1);
      await redis.command("ACL", "SETUSER", "gate", "+subscribe");
      await Promise.all(people.map((person) => person.received(101)));
      assert.deepEqual(people[0].messages, people[1].messages);
      await ready(gateway);
      assert.equal(downs(), 1);
      closeClients(people);
    }));

  it("that may not hear a channel: who names it is told with 1012, and nobody else notices", () =>
    withLogin(async ({ redis, gateway }) => {
      const others = await Bystanders.open(gateway, { channel: "open" });

      // And what gateways say to each other, on channels that no client can name.
      await redis.command("ACL", "SETUSER", "gate", "resetchannels", "&carillon:0:{open}", "&carillon:0:{\u0001*}");
      await others.during(async () => {
        for (let i = 0; i < 3; i++) {
          const guest = await Client.open(gateway, { channel: "closed" });
          assert.equal((await guest.closed).code, 1012);
        }
        assert.equal(await status(gateway, "/ready"), 200);
        await gateway.waitForLog(/event="subscription refused".*channel=closed/);
      });
      await redis.command("ACL", "SETUSER", "gate", "allchannels");
      const guests = await Bystanders.open(gateway, { channel: "closed" });
      await guests.talk();
      guests.close();
      others.close();
    }));
});
