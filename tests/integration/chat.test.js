// The plain protocol on one gateway, whatever its bus: what anyone sends reaches everyone, as it is.

import assert from "node:assert/strict";
import { after, before, it } from "node:test";

import { BUSES, onEachBus } from "../lib/buses.js";
import { Client, closeClients, openClients } from "../lib/client.js";
import { ready } from "../lib/cluster.js";
import { assertSameChat, chatter } from "../lib/delivery.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { BINARY, CLOSE, PING, PONG, RawClient, TEXT, closePayload, frame, request } from "../lib/raw_client.js";
import { sendingOn } from "../lib/sending.js";
import { until } from "../lib/wait.js";

// Kept: a bus may lose its gateway for a moment where the machine is busy.
const ALL = "20000";

onEachBus(BUSES, (Bus) => {
  let bus;
  let gateway;
  before(async () => {
    bus = await Bus.start({ historySize: ALL });
    const args = ["--bus", bus.url, "--history-size", ALL];
    gateway = await start({ args: [...args, "--threads", "4", "--message-rate", "0"], env: sendingOn(Bus) });
    await ready(gateway);
  });
  after(async () => {
    await gateway.stop();
    await bus.stop();
  });

  it("gives every message to everybody on the channel, the sender included", async () => {
    const [ada, ben, cyd] = await openClients(gateway, 3, { channel: "everybody" });

    ada.send("hello", Buffer.from([0, 1, 2]), "");
    ben.send("ä😀");
    await Promise.all([ada, ben, cyd].map((person) => person.received(4)));
    for (const person of [ada, ben, cyd]) {
      const fromAda = person.messages.filter((message) => message !== "ä😀");
      assert.deepEqual(fromAda, ["hello", Buffer.from([0, 1, 2]), ""]);
      assert.ok(person.messages.includes("ä😀"));
    }
    closeClients([ada, ben, cyd]);
  });

  it("serves / and /ws alike", async () => {
    const root = await Client.open(gateway, { path: "/" });
    const ws = await Client.open(gateway, { path: "/ws" });

    root.send("from /");
    await ws.received(1);
    assert.deepEqual(ws.messages, ["from /"]);
    closeClients([root, ws]);
  });

  it("keeps channels apart, whatever characters their names have", async () => {
    const names = ["a", "b", "a b&c=d", "部屋", "x".repeat(255)];
    const people = await Promise.all(names.map((channel) => Client.open(gateway, { channel })));

    people.forEach((person, i) => person.send(`in ${i}`));
    await Promise.all(people.map((person) => person.received(1)));
    people.forEach((person, i) => assert.deepEqual(person.messages, [`in ${i}`]));
    closeClients(people);
  });

  it("knows a channel by its name, however that is written", async () => {
    const spellings = ["/ws?channel=caf%C3%A9%20b", "/ws?channel=%63af%c3%a9+b", "/?other=x&channel=caf%C3%A9+b&more"];
    const people = await Promise.all(spellings.map((path) => Client.open(gateway, { path })));

    people.forEach((person, i) => person.send(`as ${i}`));
    await Promise.all(people.map((person) => person.received(3)));
    for (const person of people) assert.deepEqual([...person.messages].sort(), ["as 0", "as 1", "as 2"]);
    closeClients(people);
  });

  const noNames = {
    "an empty name": "",
    "256 bytes": "x".repeat(256),
    "256 bytes in 128 characters": "%C3%A9".repeat(128),
    "a line feed": "a%0Ab",
    "a zero byte": "a%00",
    "a delete character": "%7F",
    "a control character beyond ASCII": "%C2%85",
    "bytes that are no UTF-8": "%FF",
    "a surrogate": "%ED%A0%80",
    "a character cut short": "%E2%82",
    "a broken escape": "%zz",
    "half an escape": "a%4",
  };
  for (const [what, name] of Object.entries(noNames)) {
    it(`refuses ${what} as a channel's name with 400`, async () => {
      assert.equal(await Client.refusal(gateway, { path: `/ws?channel=${name}` }), 400);
    });
  }

  it("gives 10,000 messages of 20 senders to everybody, once, in one order", async () => {
    const people = await openClients(gateway, 20, { channel: "many" });
    const sent = await chatter(people, 500, { batch: 50 });

    await Promise.all(people.map((person) => person.received(10_000)));
    assertSameChat(people, sent);
    closeClients(people);
  });

  it("reaches 200 people on four threads, who all hear the same", async () => {
    await until(async () => (await metric(gateway, "carillon_worker_channels")) === 0, "earlier channels to go");
    const people = await openClients(gateway, 200, { channel: "threads" });
    assert.equal(await metric(gateway, "carillon_worker_channels"), 4, "each thread has some of them");

    const sent = await chatter(people, 5, { batch: 2 });
    await Promise.all(people.map((person) => person.received(1000)));
    assertSameChat(people, sent);
    closeClients(people);
  });

  it("passes on messages of every form of length, each in the shortest form", async () => {
    const raw = await RawClient.upgrade(gateway, { path: "/ws?channel=lengths" });
    const headers = { 0: 2, 1: 2, 125: 2, 126: 4, 65535: 4, 65536: 10 };

    for (const [size, headerSize] of Object.entries(headers)) {
      const payload = Buffer.alloc(Number(size), "z");
      raw.send(frame({ payload }));
      const echo = await raw.frame();
      assert.deepEqual(echo.payload, payload);
      assert.equal(echo.size - echo.payload.length, headerSize);
    }
    raw.destroy();
  });

  it("makes one message of fragments, empty ones and the largest ones too", async () => {
    const raw = await RawClient.upgrade(gateway, { path: "/ws?channel=fragments" });
    const half = Buffer.alloc(32 * 1024, 0xfe);
    const messages = [[BINARY, half, half], [TEXT, "", "", ""], [TEXT, "", "a", ""], [BINARY, Buffer.alloc(0), half]];

    for (const [opcode, ...parts] of messages) {
      parts.forEach((payload, i) => {
        raw.send(frame({ opcode: i === 0 ? opcode : 0, fin: i === parts.length - 1, payload }));
      });
      const whole = await raw.frame();
      assert.deepEqual([whole.fin, whole.opcode], [true, opcode]);
      assert.deepEqual(whole.payload, Buffer.concat(parts.map((part) => Buffer.from(part))));
    }
    raw.destroy();
  });

  it("answers a ping with what it carried", async () => {
    const raw = await RawClient.upgrade(gateway, { path: "/ws?channel=ping" });

    for (const payload of [Buffer.alloc(0), Buffer.from([0xff, 0x00]), Buffer.alloc(125, "p")]) {
      raw.send(frame({ opcode: PING, payload }));
      const pong = await raw.frame();
      assert.deepEqual([pong.fin, pong.opcode, pong.payload], [true, PONG, payload]);
    }
    raw.destroy();
  });

  it("passes on the largest message, and one in many fragments with pings between", async () => {
    const listener = await Client.open(gateway, { channel: "large" });
    const raw = await RawClient.upgrade(gateway, { path: "/ws?channel=large" });
    const large = "y".repeat(64 * 1024);

    raw.send(frame({ payload: large }));
    for (let i = 0; i < 10; i++) {
      raw.send(frame({ opcode: i === 0 ? TEXT : 0, fin: i === 9, payload: `part ${i} ` }));
      raw.send(frame({ opcode: PING, payload: `ping ${i}` }));
    }
    await listener.received(2);
    assert.equal(listener.messages[0], large);
    assert.equal(listener.messages[1], Array.from({ length: 10 }, (_, i) => `part ${i} `).join(""));
    for (let i = 0; i < 10; i++) assert.equal((await raw.message(PONG)).toString(), `ping ${i}`);
    raw.destroy();
    listener.destroy();
  });

  it("sends unmasked, final frames without extensions", async () => {
    const raw = await RawClient.upgrade(gateway, { path: "/ws?channel=frames" });

    raw.send(frame({ opcode: BINARY, payload: "bytes" }));
    const echo = await raw.frame();
    assert.deepEqual(
      [echo.fin, echo.rsv, echo.opcode, echo.masked, echo.payload.toString()],
      [true, 0, BINARY, false, "bytes"],
    );
    raw.destroy();
  });

  it("ignores a pong that nobody asked for", async () => {
    const raw = await RawClient.upgrade(gateway, { path: "/ws?channel=pong" });

    raw.send(frame({ opcode: PONG, payload: "so there" }));
    raw.send(frame({ payload: "still here" }));
    assert.equal((await raw.message()).toString(), "still here");
    raw.destroy();
  });

  it("answers a close with the same code, and ends", async () => {
    for (const payload of [Buffer.alloc(0), closePayload(1000, "bye"), closePayload(1001), closePayload(3000), closePayload(4999)]) {
      const raw = await RawClient.upgrade(gateway);
      raw.send(frame({ opcode: CLOSE, payload }));
      const answer = await raw.frame();
      assert.equal(answer.opcode, CLOSE);
      assert.deepEqual(answer.payload.subarray(0, 2), payload.subarray(0, 2));
      assert.equal(await raw.frame(), null);
      raw.destroy();
    }
  });

  it("takes what comes behind the handshake in the same packet, and frames in single bytes", async () => {
    const raw = await RawClient.connect(gateway);

    raw.send(
      Buffer.concat([
        Buffer.from(request({ path: "/ws?channel=early" })),
        frame({ payload: "one" }),
        frame({ payload: "two" }),
      ]),
    );
    assert.equal((await raw.response()).status, 101);
    assert.equal((await raw.message()).toString(), "one");
    assert.equal((await raw.message()).toString(), "two");
    raw.socket.setNoDelay(true);
    for (const byte of frame({ payload: "three" })) {
      raw.send(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal((await raw.message()).toString(), "three");
    raw.destroy();
  });

  it("takes a handshake in single bytes", async () => {
    const raw = await RawClient.connect(gateway);

    raw.socket.setNoDelay(true);
    for (const byte of request()) {
      raw.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal((await raw.response()).status, 101);
    raw.destroy();
  });
});

it("the lobby has the name that --lobby gives it", async () => {
  const gateway = await start({ args: ["--lobby", "foyer"] });
  const unnamed = await Client.open(gateway);
  const named = await Client.open(gateway, { channel: "foyer" });

  named.send("here");
  await unnamed.received(1);
  closeClients([unnamed, named]);
  await gateway.stop();
});
