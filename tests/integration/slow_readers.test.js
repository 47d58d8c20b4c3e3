// Clients that read slowly, or not at all: what they cost, when they are given up, and that nobody else notices.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { BUSES, gatewaysOn, onEachBus } from "../lib/buses.js";
import { Client, closeClients, openClients } from "../lib/client.js";
import { removeDirectory, temporaryDirectory } from "../lib/directory.js";
import { start } from "../lib/gateway.js";
import { FREE_AT_ONCE, residentBytes } from "../lib/memory.js";
import { metric } from "../lib/metrics.js";
import { BINARY, CLOSE, PING, PONG, RawClient, TEXT, closePayload, frame } from "../lib/raw_client.js";
import { SlowReader } from "../lib/slow_reader.js";
import { until } from "../lib/wait.js";

// Sends `bytes` and waits until the gateway has read all that was sent up to here.
async function sendAndWait(gateway, raw, bytes) {
  await new Promise((resolve) => raw.socket.write(bytes, resolve));
  await until(
    async () => (await metric(gateway, "carillon_received_bytes_total")) >= raw.socket.bytesWritten,
    "the gateway to have read it",
  );
}

// Lets `raw` read no more than so many bytes a second and hands them to `take`; returns how to stop it.
function readSlowly(raw, bytesPerSecond, take) {
  raw.socket.removeAllListeners("data").pause();
  const timer = setInterval(() => {
    const bytes = raw.socket.read(bytesPerSecond / 50) ?? raw.socket.read();
    if (bytes) take(bytes);
  }, 20);
  return () => clearInterval(timer);
}

describe("a client that sends pings and reads nothing", () => {
  it("costs no memory, and comes back to the answer of its last ping", async () => {
    const gateway = await start({ args: ["--message-rate", "0", "--threads", "1"], env: FREE_AT_ONCE });
    const raw = await RawClient.upgrade(gateway);
    const pings = Buffer.concat(Array.from({ length: 8000 }, () => frame({ opcode: PING, payload: "?".repeat(125) })));
    let sent = 0;

    raw.socket.pause();
    // Until the kernel takes no more pongs.
    for (; sent < 20; sent++) await sendAndWait(gateway, raw, pings);
    const before = await residentBytes(gateway);
    for (; sent < 60; sent++) await sendAndWait(gateway, raw, pings);
    const after = await residentBytes(gateway);
    assert.ok(after - before < 8 << 20, `${after - before} bytes more after ${40 * pings.length} bytes of pings`);

    await sendAndWait(gateway, raw, frame({ opcode: PING, payload: "last" }));
    let answers = 0;
    raw.socket.resume();
    while ((await raw.message(PONG)).toString() !== "last") answers++;
    assert.ok(answers < sent * 8000, "while one answer waited, only the latest ping was answered");
    raw.send(frame({ opcode: PING, payload: "one more" }));
    assert.equal((await raw.message(PONG)).toString(), "one more");
    assert.equal(await metric(gateway, "carillon_websockets"), 1);
    raw.destroy();
    await gateway.stop();
  });
});

onEachBus(BUSES, (Bus) => {
  const launch = gatewaysOn(Bus);

  describe("a reader that", () => {
    const message = "x".repeat(60_000);

    // Two who talk on, and one that stops reading and is sent more and more until the gateway gives it up.
    async function withStoppedReader(options, act) {
      const gateway = await launch({ ...options, args: ["--message-rate", "0", "--threads", "1", ...options.args] });
      const [listener, speaker] = await openClients(gateway, 2);
      const stopped = await RawClient.upgrade(gateway);
      let sent = 0;
      let peakBytes = 0;

      stopped.socket.pause();
      await until(async () => {
        for (let i = 0; i < 20; i++) speaker.send(message);
        sent += 20;
        await listener.received(sent);
        peakBytes = Math.max(peakBytes, await residentBytes(gateway));
        return (await metric(gateway, "carillon_slow_consumers_total")) === 1;
      }, "the slow consumer to be noticed");
      assert.equal(await metric(gateway, 'carillon_closes_total{code="1013"}'), 1);
      assert.ok((await metric(gateway, "carillon_send_queue_high_total")) > 1, "it was seen to come");
      await act({ gateway, stopped, peakBytes });

      await until(async () => (await metric(gateway, "carillon_connections")) === 2, "its connection to end");
      speaker.send("still here");
      await Promise.all([listener, speaker].map((client) => client.received(sent + 1)));
      assert.ok(listener.messages.slice(0, sent).every((text) => text === message));
      assert.equal(listener.messages.at(-1), "still here");
      stopped.destroy();
      closeClients([listener, speaker]);
      await gateway.stop(); // and the leak checker has looked
    }

    it("stops and comes back finds whole messages and then a close with 1013", () =>
      withStoppedReader({ args: ["--send-queue-limit", "1M", "--close-timeout", "1h"] }, async ({ stopped }) => {
        stopped.socket.resume();
        let next = await stopped.frame();
        for (; next?.opcode === TEXT; next = await stopped.frame()) assert.ok(next.payload.equals(Buffer.from(message)));
        assert.equal(next?.opcode, CLOSE);
        assert.equal(next.payload.readUInt16BE(0), 1013);
        stopped.send(frame({ opcode: CLOSE, payload: closePayload(1013) }));
        assert.equal(await stopped.frame(), null);
        stopped.socket.end();
      }));

    const crowd = Bus === BUSES[0] ? 1000 : 200; // the fast ones' part is the same on any bus

    // The kernel holds about 4 MB for one who does not read; what is beyond waits in the gateway.
    it(`takes 1 MB/s, and a tenth of what ${crowd} fast ones take, costs them nothing and loses nothing`, async () => {
      const limits = ["--send-queue-limit", "64M", "--bus-buffer", "64M", "--ping-interval", "1h"];
      const gateway = await launch({ args: ["--message-rate", "0", "--threads", "2", ...limits] });
      const fast = await Promise.all(Array.from({ length: crowd }, () => RawClient.upgrade(gateway)));
      const slow = await SlowReader.open(gateway);
      const all = createHash("sha256");
      let size = 0;

      for (let round = 0; round < 12; round++) {
        const messages = Array.from({ length: 50 }, (_, i) => `${round}.${i} `.padEnd(10_000, "x"));
        // What the gateway sends are a client's frames without their mask.
        const expected = Buffer.concat(messages.map((payload) => frame({ payload, mask: false })));

        all.update(expected);
        size += expected.length;
        slow.allow(size / 10);
        const fastHear = fast.map((client) => client.hears(expected));
        for (const payload of messages) fast[0].send(frame({ payload }));
        await Promise.all(fastHear);
      }
      assert.ok(slow.taken > 0 && slow.taken <= size / 10, `the slow one has ${slow.taken} of ${size} bytes`);
      assert.equal(await slow.finish(size), all.digest("hex"));
      assert.equal(await metric(gateway, "carillon_websockets"), crowd + 1);
      assert.equal(await metric(gateway, "carillon_slow_consumers_total"), 0);
      slow.stop();
      for (const client of fast) client.destroy();
      await gateway.stop();
    });

    if (Bus !== BUSES[0]) return; // what waits for one who does not read has left the bus

    it("stops for good is closed, and what was queued for it is freed", async () => {
      const args = ["--send-queue-limit", "64M", "--history-size", "0", "--close-timeout", "500ms"];

      await withStoppedReader({ args, env: FREE_AT_ONCE }, async ({ gateway, peakBytes }) => {
        let restBytes;
        await until(
          async () => {
            restBytes = await residentBytes(gateway);
            return restBytes < peakBytes - (48 << 20);
          },
          () => `the memory to return: ${peakBytes} at the peak, ${restBytes} now`,
        );
      });
    });

    it("is slow but reads on is not taken for dead, though our ping stands behind all that it has to read", async () => {
      const limits = ["--send-queue-limit", "64M", "--bus-buffer", "64M", "--ping-interval", "1s", "--pong-timeout", "3s"];
      const gateway = await launch({ args: ["--message-rate", "0", ...limits] });
      const [listener, speaker] = await openClients(gateway, 2);
      const slow = await RawClient.upgrade(gateway);
      const count = 400; // 24 MB: more than the kernel takes
      const ping = frame({ opcode: PING, mask: false });
      const text = frame({ payload: message, mask: false });
      let isPinged = false;
      let heard = 0;
      let bytes = Buffer.alloc(0);

      // Its answer to a ping comes when it gets there. It reads from the start on: if it waited until the others have
      // all, it would be dead on a machine where that takes more than the four seconds that it has.
      const stop = readSlowly(slow, 2_500_000, (piece) => {
        bytes = Buffer.concat([bytes, piece]);
        for (;;) {
          if (bytes.length >= ping.length && bytes.subarray(0, ping.length).equals(ping)) {
            isPinged = true;
            slow.send(frame({ opcode: PONG }));
            bytes = bytes.subarray(ping.length);
          } else if (bytes.length >= text.length && bytes.subarray(0, text.length).equals(text)) {
            heard++;
            bytes = bytes.subarray(text.length);
          } else return;
        }
      });
      for (let i = 0; i < count; i++) speaker.send(message);
      await listener.received(count);
      closeClients([listener, speaker]);
      await until(() => (heard === count && isPinged) || slow.isEnded, () => `the slow one; it has ${heard}`);
      stop();
      assert.equal(heard, count);
      assert.equal(await metric(gateway, "carillon_dead_peers_total"), 0);
      slow.destroy();
      await gateway.stop();
    });

    it("is sent two of the largest messages in a row gets both, and ever more is too much for one that reads nothing", async () => {
      const size = 16 << 20;
      const limit = 2 * size + (128 << 10); // the least that is allowed
      const args = ["--message-rate", "0", "--max-message-size", String(size), "--send-queue-limit", String(limit)];
      const gateway = await launch({ args: [...args, "--bus-buffer", "64M", "--history-size", "0"] });
      const [listener, speaker] = await openClients(gateway, 2);
      const raw = await RawClient.upgrade(gateway);
      const large = Buffer.alloc(size, "large ");
      const expected = frame({ opcode: BINARY, payload: large, mask: false });

      raw.socket.pause();
      for (let i = 1; i <= 2; i++) {
        speaker.send(large);
        await listener.received(i);
      }
      assert.equal(await metric(gateway, "carillon_slow_consumers_total"), 0);
      const hears = raw.hears(Buffer.concat([expected, expected]));
      raw.socket.resume();
      await hears;

      raw.socket.pause();
      await until(async () => {
        speaker.send(large);
        await listener.received(listener.messages.length + 1);
        return (await metric(gateway, "carillon_slow_consumers_total")) === 1;
      }, "one that reads nothing to be too slow");
      raw.destroy();
      closeClients([listener, speaker]);
      await gateway.stop();
    });
  });

  describe("SIGTERM and a slow reader:", () => {
    const text = "x".repeat(60_000);
    const count = 400; // 24 MB, of which the kernel takes less than half
    const expected = Buffer.concat([
      ...Array.from({ length: count }, () => frame({ payload: text, mask: false })),
      frame({ opcode: CLOSE, payload: closePayload(1001, "the server is going away"), mask: false }),
    ]);

    // A gateway that was told to stop, and a client that has yet to read all of `expected`.
    async function stopping(args) {
      const gateway = await launch({
        args: ["--message-rate", "0", "--send-queue-limit", "64M", "--bus-buffer", "64M", ...args],
      });
      const [listener, speaker] = await openClients(gateway, 2);
      const slow = await RawClient.upgrade(gateway);

      slow.socket.pause();
      for (let i = 0; i < count; i++) speaker.send(text);
      await listener.received(count);
      closeClients([listener, speaker]);
      await until(async () => (await metric(gateway, "carillon_connections")) === 1, "the others to be gone");
      process.kill(gateway.pid, "SIGTERM");
      return { gateway, slow };
    }

    it("it is given everything that was accepted, and 1001 after that", async () => {
      const { gateway, slow } = await stopping(["--close-timeout", "1s", "--flush-timeout", "1m"]);
      const pieces = [];
      let size = 0;

      const stop = readSlowly(slow, 5_000_000, (piece) => {
        pieces.push(piece);
        size += piece.length;
      });
      await until(() => size >= expected.length || slow.isEnded, () => `all of it; ${size} came`);
      stop();
      assert.equal(size, expected.length);
      assert.ok(Buffer.concat(pieces).equals(expected));
      slow.send(frame({ opcode: CLOSE, payload: closePayload(1001) }));
      slow.socket.end();
      assert.equal((await gateway.exited()).code, 0);
      slow.destroy();
    });

    if (Bus !== BUSES[0]) return;

    it("it does not keep the gateway for longer than --flush-timeout", async () => {
      const { gateway, slow } = await stopping(["--close-timeout", "300ms", "--flush-timeout", "1s"]);
      let size = 0;

      // It takes some of it all the time, and would need 24 seconds for all.
      const stop = readSlowly(slow, 1_000_000, (piece) => (size += piece.length));
      assert.equal((await gateway.exited()).code, 0);
      stop();
      assert.ok(size < expected.length);
      slow.destroy();
    });
  });
});

describe("a slow download", { concurrency: 3 }, () => {
  const file = "large ".repeat(2_600_000); // more than the kernel takes
  let directory;
  before(async () => {
    directory = await temporaryDirectory("download");
    await writeFile(join(directory, "large.txt"), file);
  });
  after(() => removeDirectory(directory));

  for (const [name, headers] of [["", {}], [", the last of its connection,", { Connection: "close" }]]) {
    it(`comes whole${name} though it takes longer than --handshake-timeout and --close-timeout`, async () => {
      const args = ["--handshake-timeout", "1s", "--close-timeout", "1s"];
      const gateway = await start({ webRoot: directory, args });
      const slow = await RawClient.connect(gateway);
      const lines = Object.entries({ Host: "a", ...headers }).map(([key, value]) => `${key}: ${value}\r\n`);
      const pieces = [];
      let size = 0;

      slow.socket.pause();
      slow.send(`GET /large.txt HTTP/1.1\r\n${lines.join("")}\r\n`);
      const stop = readSlowly(slow, 4_000_000, (piece) => {
        pieces.push(piece);
        size += piece.length;
      });
      await until(() => slow.isEnded, () => `the gateway to end the connection; ${size} bytes came`);
      stop();
      const response = Buffer.concat(pieces).toString();
      assert.equal(response.length - response.indexOf("\r\n\r\n") - 4, file.length);
      assert.equal(await metric(gateway, "carillon_request_timeouts_total"), 0);
      slow.destroy();
      await gateway.stop();
    });
  }

  it("that is not read at all ends", async () => {
    const args = ["--handshake-timeout", "1s", "--close-timeout", "1s"];
    const gateway = await start({ webRoot: directory, args });
    const stopped = await RawClient.connect(gateway);

    stopped.socket.pause();
    stopped.send("GET /large.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    await until(async () => (await metric(gateway, "carillon_http_requests_total")) === 1, "the request");
    await until(async () => (await metric(gateway, "carillon_connections")) === 0, "the end of its connection");
    stopped.destroy();
    await gateway.stop();
  });
});
