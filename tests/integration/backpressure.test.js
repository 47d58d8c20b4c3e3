// Publishers that are faster than the gateway: they are slowed down, nothing is lost, and its memory stays small.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Bystanders } from "../lib/bystanders.js";
import { BUSES, gatewaysOn, onEachBus } from "../lib/buses.js";
import { FREE_AT_ONCE, residentBytes, sanitizerShare } from "../lib/memory.js";
import { metric } from "../lib/metrics.js";
import { RawClient, frame } from "../lib/raw_client.js";
import { until, within } from "../lib/wait.js";

const MESSAGES = Buffer.concat(Array.from({ length: 8000 }, () => frame({}))); // the smallest: six bytes each
const COUNT = 8000;
const ECHO_BYTES = 2; // of such a message on its way back
const ROUNDS = Number(process.env.CARILLON_TEST_ROUNDS ?? 24); // several turns of each publisher

// Sends MESSAGES over and over, as fast as the gateway reads, while `goesOn(round)`.
async function flood(raw, goesOn) {
  for (let round = 0; goesOn(round) && !raw.isEnded; round++) {
    if (raw.socket.write(MESSAGES)) continue;
    await new Promise((resolve) => {
      const goOn = () => {
        raw.socket.off("drain", goOn).off("close", goOn);
        resolve();
      };
      raw.socket.on("drain", goOn).on("close", goOn);
    });
  }
}

onEachBus(BUSES, (Bus) => {
  const launch = gatewaysOn(Bus);

  async function flooded({ threads = 2 } = {}) {
    const args = ["--threads", String(threads), "--message-rate", "0", "--history-size", "0"];
    const limits = ["--bus-buffer", "4M", "--send-queue-limit", "64M", "--close-timeout", "500ms", "--ping-interval", "1h"];
    const gateway = await launch({ args: [...args, ...limits], env: FREE_AT_ONCE });
    const publishers = [];

    for (let i = 0; i < 8; i++) {
      const raw = await RawClient.upgrade(gateway, { path: `/ws?channel=${i}` });
      raw.heard = 0;
      raw.socket.removeAllListeners("data").on("data", (data) => (raw.heard += data.length));
      publishers.push(raw);
    }
    return { gateway, publishers };
  }

  describe("a flood from many publishers over two threads", () => {
    it("does not keep a gateway from stopping", async () => {
      const { gateway, publishers } = await flooded();
      const floods = publishers.map((raw) => flood(raw, () => true));

      await until(async () => (await metric(gateway, "carillon_read_holds_total")) > 0, "publishers to be slowed down");
      process.kill(gateway.pid, "SIGTERM");
      assert.equal((await gateway.exited()).code, 0);
      await within(Promise.all(floods), "the publishers to notice");
      for (const raw of publishers) raw.destroy();
    });

    it("is slowed down, comes back whole, and takes little memory", async () => {
      const { gateway, publishers } = await flooded();
      const bystanders = await Bystanders.open(gateway, { channel: "bystanders" });
      const rounds = Bus.floodRounds ?? 3;
      const before = await residentBytes(gateway);
      let peak = before;
      let isOver = false;

      await bystanders.during(async () => {
        const floods = publishers.map((raw) => flood(raw, (round) => round < rounds));
        const watch = until(async () => {
          peak = Math.max(peak, await residentBytes(gateway));
          return isOver;
        }, "the end of the flood", 300_000);
        await Promise.all(floods);
        for (const raw of publishers) {
          await until(
            () => raw.heard === rounds * COUNT * ECHO_BYTES,
            () => `all to come back; ${raw.heard / ECHO_BYTES} of ${rounds * COUNT} did`,
            120_000,
          );
        }
        isOver = true;
        await watch;
      });
      const limit = (await sanitizerShare(gateway)) * (96 << 20);
      assert.ok(peak - before < limit, `${(peak - before) >> 20} MiB more at the peak`);
      assert.ok((await metric(gateway, "carillon_read_holds_total")) > 0);
      assert.equal(await metric(gateway, "carillon_overruns_total"), 0);
      await until(
        async () =>
          (await metric(gateway, "carillon_publish_queue_bytes")) === 0 &&
          (await metric(gateway, "carillon_delivery_queue_bytes")) === 0,
        "the queues to be empty",
      );
      bystanders.close();
      for (const raw of publishers) raw.destroy();
      await gateway.stop();
    });

    if (!Bus.floodRounds) return; // the rest is the same whatever the bus

    it("gives each of them its turn", async () => {
      const { gateway, publishers } = await flooded({ threads: 1 });
      const share = (raw) => raw.heard / (ROUNDS * COUNT * ECHO_BYTES);
      const floods = publishers.map((raw) => flood(raw, (round) => round < ROUNDS));

      let shares;
      await until(() => (shares = publishers.map(share)).some((part) => part === 1), "one to be served", 120_000);
      assert.ok(Math.min(...shares) > 0.5, `when one had all, they had ${shares.map((part) => part.toFixed(2))}`);
      await within(Promise.all(floods), "all of them", 120_000);
      for (const raw of publishers) raw.destroy();
      await gateway.stop();
    });
  });
});
