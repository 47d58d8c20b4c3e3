// What clients are sent at the end of a tick, through io_uring: it is the same as ever, whatever becomes of some of them
// meanwhile. chat, slow_readers, backpressure and others on every bus run with it on the local one (lib/sending.js).

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Client, closeClients, openClients } from "../lib/client.js";
import { assertSameChat, chatter } from "../lib/delivery.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { RawClient } from "../lib/raw_client.js";
import { HAS_IO_URING } from "../lib/sending.js";
import { until } from "../lib/wait.js";

const skip = !HAS_IO_URING && "there is no io_uring, or it is forbidden";
const launch = (how, ...args) => start({ args: ["--io-uring", how, "--message-rate", "0", ...args] });
const count = (gateway, what) => metric(gateway, `carillon_io_uring_${what}`);

// People who come and are gone again, some of them with a reset, some after they have read nothing for a while, as long
// as `goesOn()`.
async function comeAndGo(gateway, goesOn) {
  let visits = 0;

  for (; goesOn(); visits++) {
    const raw = await RawClient.upgrade(gateway);
    if (visits % 3 === 0) raw.socket.pause();
    if (visits % 2 === 0) await new Promise(setImmediate);
    if (visits % 4 < 2) raw.socket.resetAndDestroy();
    else raw.destroy();
  }
  return visits;
}

describe("--io-uring on", { skip }, () => {
  let gateway;
  before(async () => {
    gateway = await launch("on", "--threads", "2");
  });
  after(() => gateway.stop());

  it("is said, and every thread has it", async () => {
    await gateway.waitForLog(/event="sends of a tick" io_uring=on sends="through io_uring"/);
    await until(async () => (await count(gateway, "threads")) === 2, "two threads with a ring");
  });

  it("reaches everybody in one order while others come and go at every moment", async () => {
    const people = await openClients(gateway, 40);
    let isOver = false;
    const crowds = Array.from({ length: 6 }, () => comeAndGo(gateway, () => !isOver));
    const sent = await chatter(people.slice(0, 10), 300, { batch: 3, pauseMs: 1 });

    await Promise.all(people.map((person) => person.received(3000)));
    isOver = true;
    const visits = (await Promise.all(crowds)).reduce((sum, some) => sum + some, 0);
    assertSameChat(people, sent);
    assert.ok(visits > 20, `${visits} visits`);
    closeClients(people);
  });

  it("sends large messages whole, which no socket takes at once", async () => {
    const [ada, ...others] = await openClients(gateway, 5, { channel: "large" });
    const texts = Array.from({ length: 40 }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat(60_000));

    ada.send(...texts);
    await Promise.all([ada, ...others].map((person) => person.received(texts.length)));
    for (const person of [ada, ...others]) assert.deepEqual(person.messages, texts);
    closeClients([ada, ...others]);
  });

  it("sends nothing in another way at the end of a tick", async () => {
    const [sends, batches] = [await count(gateway, "sends_total"), await count(gateway, "batches_total")];
    assert.ok(sends >= 45, "one to each of these people at least");
    assert.ok(batches > 0 && batches < sends, `${batches} batches of ${sends} sends`);
    assert.equal(await count(gateway, "passed_total"), 0);
  });

  it("takes in what was sent before it ends", async () => {
    const leaving = await launch("on", "--threads", "1");
    const people = await openClients(leaving, 20);
    const sent = await chatter(people.slice(0, 2), 100, { batch: 100 });

    await people[0].received(200);
    await leaving.stop();
    await Promise.all(people.map((person) => person.closed));
    assertSameChat(people, sent);
  });
});

describe("--io-uring auto", { skip }, () => {
  it("tries both ways and says so", async () => {
    const gateway = await launch("auto", "--threads", "1", "--log-level", "debug");
    const people = await openClients(gateway, 20);
    const sent = [];

    await gateway.waitForLog(/event="sends of a tick" io_uring=auto/);
    // One message a tick: as many batches as messages.
    for (let i = 0; i < 60; i++) {
      people[0].send(`${i}`);
      sent.push(`${i}`);
      await people[0].received(i + 1);
    }
    await Promise.all(people.map((person) => person.received(sent.length)));
    assertSameChat(people, [sent]);
    await gateway.waitForLog(/event="sends of a tick were timed" sends=\d+ cheaper=(io_uring|"one by one")/);
    assert.ok((await count(gateway, "sends_total")) > 0);
    assert.ok((await count(gateway, "passed_total")) > 0);
    closeClients(people);
    await gateway.stop();
  });
});

describe("--io-uring off", () => {
  it("is said, and nothing goes that way", async () => {
    const gateway = await launch("off", "--threads", "1");
    const ada = await Client.open(gateway);

    await gateway.waitForLog(/event="sends of a tick" io_uring=off sends="one by one"/);
    ada.send("hello");
    await ada.received(1);
    for (const what of ["threads", "sends_total", "batches_total", "passed_total"]) {
      assert.equal(await count(gateway, what), 0, what);
    }
    ada.destroy();
    await gateway.stop();
  });
});
