// Whoever connects to a router and talks nonsense is let go, and the log says why; two gateways talk on.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";

import { Bystanders } from "../lib/bystanders.js";
import { Client } from "../lib/client.js";
import { limitDescriptors, openDescriptors, softLimit } from "../lib/descriptors.js";
import { ready } from "../lib/cluster.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { Router } from "../lib/router.js";
import { frame, hello, PING, PROOF, publish, Stranger, subscribe } from "../lib/stranger.js";
import { until } from "../lib/wait.js";

const PONG = Buffer.from([0x3a]); // the key of its kind

const THREADS = 2;
const SILENT = 10_000;
const MIB = 1024 * 1024;
const REST_MS = 100; // of a listener that could not accept

describe("a router", () => {
  let router, gateways, bystanders;
  before(async () => {
    const limits = ["--link-queue-limit", "4M", "--max-message-size", "2M", "--history-memory", "16M"];
    router = await Router.start({ args: ["--threads", `${THREADS}`, ...limits] });
    gateways = await Promise.all([0, 1].map(() => start({ args: ["--bus", router.url, "--message-rate", "0"] })));
    await Promise.all(gateways.map(ready));
    bystanders = new Bystanders();
    bystanders.people = await Promise.all(gateways.map((gateway) => Client.open(gateway)));
  });
  after(async () => {
    bystanders.close();
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await router.leave();
    await router.stop();
  });

  const letsGo = (what, parts, reason) =>
    it(`lets go who sends ${what}, and says why`, () =>
      bystanders.during(async () => {
        const already = router.log.length;
        const stranger = await Stranger.connect(router);

        assert.match(await stranger.isLetGo(...parts()), reason);
        await router.program.waitForLog(reason, { after: already });
      }));

  letsGo("a length of 2³¹", () => [Buffer.from([0x80, 0, 0, 0]), randomBytes(100)], /too large/);
  letsGo("a frame that cannot be read", () => [Buffer.from([0, 0, 0, 4, 0x0a, 0x7f, 1, 1])], /cannot be read/);
  letsGo("a frame before its Hello", () => [PING], /out of turn/);
  letsGo("two Hellos", () => [hello(), hello()], /out of turn/);
  letsGo("a Hello from a later version that this one does not suit", () => [hello({ version: 99 })], /older than you need/);
  letsGo("another number of shards", () => [hello({ shards: 63 })], /another number of --shards/);

  letsGo(
    "the name of another cluster",
    () => [hello({ cluster: "bells" })],
    /a router of the cluster \\?"carillon\\?" was asked for the cluster \\?"bells\\?"/,
  );

  it("lets go a gateway that sends what only routers send", () =>
    bystanders.during(async () => {
      const already = router.log.length;
      const stranger = await Stranger.connect(router);

      await stranger.isLetGo(hello(), PROOF, frame(42));
      await router.program.waitForLog(/does not belong here/, { after: already });
    }));

  it("skips kinds of frame that it does not know", () =>
    bystanders.during(async () => {
      const stranger = await Stranger.connect(router);
      stranger.socket.write(Buffer.concat([hello(), PROOF, frame(1000, [8, 1]), PING]));
      await until(() => stranger.received.includes(PONG), "the Pong");
      assert.equal(stranger.socket.destroyed, false);
      stranger.socket.destroy();
    }));

  it(`lets go ${SILENT} who say nothing or random bytes, or stop half-way through a frame`, () =>
    bystanders.during(async () => {
      const strangers = [];
      for (let i = 0; i < SILENT; i += 500) {
        strangers.push(...(await Promise.all(Array.from({ length: 500 }, () => Stranger.connect(router)))));
      }
      const half = strangers.pop();
      const noisy = strangers.splice(0, 200);
      await Promise.all([
        ...strangers.map((stranger) => stranger.isLetGo()),
        ...noisy.map((stranger, i) => stranger.isLetGo(randomBytes(1 + 20 * i))),
        half.isLetGo(hello().subarray(0, 20)).then((said) => assert.equal(said, "")),
      ]);
      assert.match(router.log, /event="connection refused" reason="no handshake within 3 s"/);
    }));

  it("lets go a gateway that reads nothing, once too much waits for it", () =>
    bystanders.during(async () => {
      const already = router.log.length;
      const large = Buffer.alloc(MIB, "x");
      const [reader, publisher] = await Promise.all([0, 1].map(() => Stranger.asGateway(router)));

      reader.socket.pause();
      reader.socket.write(subscribe("large"));
      await until(async () => (await router.subscriberCount("large")) === 1, "its subscription");
      for (let i = 1; i <= 40; i++) await publisher.send(publish("large", i, large));
      await router.program.waitForLog(/event="disconnected" role="?gateway"? name="?x"? .*reason="it reads too slowly"/, {
        after: already,
      });
      await until(async () => (await router.subscriberCount("large")) === 0, "its end");
      assert.equal(publisher.socket.destroyed, false);
      for (const stranger of [reader, publisher]) stranger.destroy();
    }));

  it("without a free descriptor looks for one now and then, says so, and serves whoever has waited", () =>
    bystanders.during(async () => {
      const begin = Date.now();
      const limit = softLimit(router);
      const already = router.log.length;

      limitDescriptors(router, openDescriptors(router));
      const strangers = await Promise.all(Array.from({ length: 300 }, () => Stranger.connect(router)));
      await router.program.waitForLog(/(event="cannot accept" error="too many open files"[^]*){2}/, { after: already });
      limitDescriptors(router, limit);
      for (const stranger of strangers) stranger.socket.write(Buffer.concat([hello(), PROOF, PING]));
      for (const stranger of strangers) await until(() => stranger.received.includes(PONG), "the Pong");

      const errors = await metric(router, "carillon_accept_errors_total");
      const elapsed = Date.now() - begin;
      assert(errors >= 2 && errors <= (THREADS + 1) * (1 + elapsed / REST_MS), `${errors} attempts in ${elapsed} ms`);
      for (const stranger of strangers) stranger.destroy();
    }));
});
