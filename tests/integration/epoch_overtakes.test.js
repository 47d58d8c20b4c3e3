// Redis forgets everything while messages of before are still on their way over the subscriber connection: the
// command connection, which is faster, must not make the gateway throw them away.

import assert from "node:assert/strict";
import net from "node:net";
import { it } from "node:test";

import { Client, closeClients } from "../lib/client.js";
import { ready } from "../lib/cluster.js";
import { start } from "../lib/gateway.js";
import { Redis } from "../lib/redis.js";
import { until } from "../lib/wait.js";

async function scriptCalls(redis) {
  return Number((await redis.command("INFO", "commandstats")).match(/cmdstat_evalsha:calls=(\d+)/)[1]);
}

it("FLUSHALL loses nothing that is still on its way to a gateway", async () => {
  const redis = await Redis.start();
  let isHeld = false;
  const held = [];
  // A line whose subscriber connection alone can be held back.
  const line = net.createServer((near) => {
    const far = net.connect(redis.port, "127.0.0.1");
    let isSubscriber = false;
    for (const socket of [near, far]) socket.on("error", () => {}).on("close", () => { near.destroy(); far.destroy(); });
    near.on("data", (data) => {
      isSubscriber ||= /\r\nSUBSCRIBE\r\n/.test(data.toString("latin1"));
      far.write(data);
    });
    far.on("data", (data) => (isSubscriber && isHeld ? held.push(() => near.write(data)) : near.write(data)));
  });
  await new Promise((resolve) => line.listen(0, "127.0.0.1", resolve));
  line.unref();

  const near = await start({ args: ["--bus", redis.url] });
  const far = await start({ args: ["--bus", redis.urlAt(line.address().port)] });
  await Promise.all([near, far].map(ready));
  const [ada, ben] = [await Client.open(near), await Client.open(far)];
  ada.send("first");
  await Promise.all([ada, ben].map((client) => client.received(1)));

  isHeld = true;
  ada.send("on its way");
  await ada.received(2);
  await redis.command("FLUSHALL");
  ben.send("after"); // its acknowledgement tells the new epoch
  await ada.received(3);
  const calls = await scriptCalls(redis);
  await until(async () => (await scriptCalls(redis)) >= calls + 2, "the gateway to ask for the history, and once more");
  isHeld = false;
  for (const release of held.splice(0)) release();

  await ben.received(3);
  assert.deepEqual(ada.messages, ["first", "on its way", "after"]);
  assert.deepEqual(ben.messages, ada.messages);
  closeClients([ada, ben]);
  await Promise.all([near, far].map((gateway) => gateway.stop()));
  await redis.stop();
});
