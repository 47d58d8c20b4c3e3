// Garbage, crowds and half-open connections: whoever does that is turned away, and two people who chat
// meanwhile do not notice.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import net from "node:net";
import { text } from "node:stream/consumers";

import { BUSES, gatewaysOn, onEachBus } from "../lib/buses.js";
import { Bystanders } from "../lib/bystanders.js";
import { metric } from "../lib/metrics.js";
import { RawClient, frame } from "../lib/raw_client.js";
import { until, within } from "../lib/wait.js";

const CONNECTS = Number(process.env.CARILLON_TEST_CONNECTS ?? 100_000);
const WAVE = 5_000; // half-open at a time
const SLICE = 500; // that begin to connect at a time
const SEED = Number(process.env.CARILLON_SEED ?? 20261124);

// A generator whose numbers are the same for the same seed (mulberry32).
function randomBytes(seed) {
  let state = seed >>> 0;

  return (size) =>
    Buffer.from(
      Array.from({ length: size }, () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let mixed = Math.imul(state ^ (state >>> 15), state | 1);
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
        return (mixed ^ (mixed >>> 14)) & 255;
      }),
    );
}

onEachBus(BUSES, (Bus) => {
  const launch = gatewaysOn(Bus);
  let gateway;
  let bystanders;
  before(async () => {
    gateway = await launch({
      args: ["--threads", "2", "--message-rate", "0", "--handshake-timeout", "3s", "--close-timeout", "500ms"],
    });
    bystanders = await Bystanders.open(gateway, { channel: "bystanders" });
  });
  after(async () => {
    bystanders.close();
    await gateway.stop();
  });

  const others = () => metric(gateway, "carillon_connections").then((count) => count - bystanders.people.length);
  const allGone = () => until(async () => (await others()) === 0, "everybody else to be gone");

  it(`random bytes inside proper frames (seed ${SEED}) are passed on unchanged`, () =>
    bystanders.during(async () => {
      const random = randomBytes(SEED + 2);
      const raw = await RawClient.upgrade(gateway, { path: "/ws?channel=bytes" });
      for (let i = 0; i < 200; i++) {
        const payload = random(i * 7);
        raw.send(frame({ opcode: 2, payload }));
        assert.deepEqual(await raw.message(2), payload);
      }
      raw.destroy();
      await allGone();
    }));

  it("500 that come and go while they join leave no channel behind", () =>
    bystanders.during(async () => {
      for (let i = 0; i < 500; i++) {
        const raw = await RawClient.connect(gateway);
        raw.send(
          `GET /ws?channel=gone-${i} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        );
        if (i % 2) raw.destroy();
        else raw.response().then(() => raw.destroy());
      }
      await allGone();
      await until(async () => (await metric(gateway, "carillon_bus_subscriptions")) === 1, "their channels to go");
    }));

  if (Bus !== BUSES[0]) return; // what never becomes a message concerns no bus

  describe("random bytes", () => {
    it(`in place of HTTP (seed ${SEED}) are answered with 400 or 501, and that is the end`, () =>
      bystanders.during(async () => {
        const random = randomBytes(SEED);
        for (let i = 0; i < 200; i++) {
          const raw = await RawClient.connect(gateway);
          // Whatever it looks like so far, it ends here.
          raw.send(Buffer.concat([random(1 + (i % 100) * 10), Buffer.from("\r\n\r\n")]));
          const { status } = await raw.response();
          assert.ok([400, 501].includes(status), `answered with ${status}`);
          assert.equal(await raw.frame(), null);
          raw.destroy();
        }
        await allGone();
      }));

    it(`in place of frames (seed ${SEED}) end the connection with 1002, 1007 or 1009`, () =>
      bystanders.during(async () => {
        const random = randomBytes(SEED + 1);
        // Completes the longest frame that may have begun, and cannot begin another.
        const tail = Buffer.alloc(64 * 1024 + 16, 0xff);
        for (let i = 0; i < 200; i++) {
          const raw = await RawClient.upgrade(gateway, { path: "/ws?channel=noise" });
          raw.send(Buffer.concat([random(1 + (i % 100) * 20), tail]));
          const { code, reason } = await raw.close();
          assert.ok([1002, 1007, 1009].includes(code), `closed with ${code} (${reason})`);
          raw.destroy();
        }
        await allGone();
      }));
  });

  describe("crowds", () => {
    const accepted = () => metric(gateway, "carillon_connections_accepted_total");
    const timeouts = () => metric(gateway, "carillon_request_timeouts_total");
    const halfRequest = "GET /ws HTTP/1.1\r\nHost: ";

    // Every other one sends half a request, the others nothing. With allowHalfOpen, because a process of Node
    // that resets a socket while it shuts it down, in answer to the gateway, never exits.
    async function openWave() {
      const address = { host: "127.0.0.1", port: gateway.port, allowHalfOpen: true };
      const wave = [];

      while (wave.length < WAVE) {
        const slice = Array.from({ length: SLICE }, (_, i) => {
          const socket = net.connect(address, () => i % 2 === 0 && socket.write(halfRequest));
          socket.on("error", () => {});
          return within(new Promise((resolve) => socket.once("connect", () => resolve(socket))), "a connection");
        });
        wave.push(...(await Promise.all(slice)));
      }
      return wave;
    }

    it(`${CONNECTS} half-open connections, ${WAVE} at a time, cost nobody else anything`, { timeout: 300_000 }, () =>
      bystanders.during(async () => {
        const before = await accepted();
        let last = [];

        for (let opened = WAVE; opened <= CONNECTS; opened += WAVE) {
          const wave = await openWave();
          await until(async () => (await accepted()) - before === opened, "the wave to be accepted");
          // Those before stay until these are there. Some leave as one should, most with a reset: each of
          // the others holds a port for a minute.
          last.forEach((socket, i) => (i % 20 ? socket.resetAndDestroy() : socket.destroy()));
          last = wave;
        }
        for (const socket of last) socket.resetAndDestroy();
        await allGone();
      }));

    it(`${WAVE} half-open ones that stay are let go after --handshake-timeout, those that had begun a request with 408`, () =>
      bystanders.during(async () => {
        const before = await timeouts();
        const wave = await openWave();
        const answers = await Promise.all(wave.map((socket) => within(text(socket), "the end of a connection")));
        const statuses = answers.map((answer) => answer.split(" ")[1]);

        for (const socket of wave) socket.destroy();
        assert.equal((await timeouts()) - before, WAVE / 2);
        assert.deepEqual(new Set(statuses.filter((_, i) => i % 2 === 0)), new Set(["408"]));
        assert.deepEqual(new Set(statuses.filter((_, i) => i % 2 === 1)), new Set([undefined]));
        await allGone();
      }));
  });
});
