// The channel protocol as its official SDK speaks it, in JSON and in protobuf, on one gateway and on two that share
// a bus: whoever changes gateways must not notice. What depends on no bus (tokens, ends) is in sdk_tokens.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";

import { BUSES, onEachBus, SHARED_BUSES } from "../lib/buses.js";
import { Client } from "../lib/client.js";
import { ready } from "../lib/cluster.js";
import { CommandClient } from "../lib/command_client.js";
import { start } from "../lib/gateway.js";
import { Relay } from "../lib/relay.js";
import { leaveAll, SdkClient, SOCKETS, STREAMS } from "../lib/sdk.js";
import { until } from "../lib/wait.js";

const ALL = { recoverable: true, positioned: true, joinLeave: true };

function offsets(publications) {
  return publications.map(({ offset }) => offset);
}

function clients(infos) {
  return infos.map(({ client }) => client).sort();
}

// A text of some size of which a little is changed again and again, in every kind of way.
function* edits(count) {
  let text = Array.from({ length: 300 }, (_, i) => `line ${i} of a text ä😀 that stays\n`).join("");
  for (let i = 0; i < count; i++) {
    const characters = [...text];
    const at = Math.floor(Math.random() * characters.length);
    const removed = Math.floor(Math.random() * 40);
    characters.splice(at, removed, ...(i % 3 === 0 ? ["ü😀", String(i)] : i % 3 === 1 ? [] : [characters[0]]));
    text = i % 7 === 6 ? [...text].slice(0, 20).join("") + text : characters.join(""); // no half of a character
    yield i % 5 === 4 ? { number: i, text, list: [1, null, "x"] } : { text };
  }
}

// `way`: how to speak, as in sdk.js. What has to be posted goes to the gateway that has not the stream.
function describeOn(Bus, size, way) {
  let bus;
  let gateways;
  let near;
  let far;
  before(async () => {
    bus = await Bus.start();
    const args = ["--bus", bus.url, "--threads", "2", "--message-rate", "0"];
    gateways = await Promise.all(Array.from({ length: size }, () => start({ args })));
    await Promise.all(gateways.map(ready));
    near = gateways[0];
    far = gateways.at(-1);
  });
  after(async () => {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await bus.stop();
  });

  // One client on either gateway, subscribed.
  async function pair(channel, options) {
    const people = [await SdkClient.open(near, { ...way, posts: far }), await SdkClient.open(far, { ...way, posts: near })];
    const subscriptions = people.map((person) => person.subscribe(channel, options));
    await Promise.all(subscriptions.map((subscription) => subscription.isOn()));
    return { people, subscriptions };
  }

  it("carries what is published to everybody, with its place and its author", async () => {
    const { people, subscriptions } = await pair("all", ALL);
    const [ada, ben] = subscriptions;
    const said = [{ text: "hello ä😀" }, [1, 2.5, null], "a string", 12345678901, true, { deep: { er: [{}] } }];

    for (const data of said) await ada.publish(data);
    await Promise.all([ada.heard(said.length), ben.heard(said.length)]);
    for (const { disconnections, errors } of people) assert.deepEqual([disconnections, errors], [[], []]);
    for (const subscription of [ada, ben]) {
      assert.deepEqual(subscription.data, said);
      assert.deepEqual(offsets(subscription.publications), [1, 2, 3, 4, 5, 6]);
      assert.equal(subscription.publications[0].info.client, people[0].welcome.client);
    }
    leaveAll(people);
  });

  it("tells the publisher the place, and knows a repeat by its key", async () => {
    const ada = await CommandClient.connect(near);
    const ben = await CommandClient.connect(far);
    const command = { publish: { channel: "places", data: 1, idempotency_key: "once" } };

    await ben.ask({ subscribe: { channel: "places" } });
    const first = await ada.ask(command);
    const again = await ben.ask(command);
    const next = await ada.ask({ publish: { channel: "places", data: 2 } });
    assert.equal(first.publish.offset, 1);
    assert.deepEqual(again.publish, first.publish);
    assert.deepEqual(next.publish, { offset: 2, epoch: first.publish.epoch });
    await ben.pushed(({ pub }) => pub?.data === 2);
    assert.deepEqual(
      ben.pushes.filter(({ pub }) => pub).map(({ pub }) => pub.data),
      [1, 2],
    );
    for (const client of [ada, ben]) client.destroy();
  });

  it("gives the history: as many as are asked for, from where, in either direction", async () => {
    const { people, subscriptions } = await pair("history");
    const [ada, ben] = subscriptions;

    for (let i = 1; i <= 10; i++) await ada.publish({ i });
    const { epoch, offset, publications } = await ben.history({ limit: 100 });
    assert.equal(offset, 10);
    assert.deepEqual(
      publications.map(({ data }) => data.i),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    );
    assert.deepEqual(await ben.history({ limit: 0 }), { epoch, offset, publications: [] });
    const places = async (options) => offsets((await ben.history(options)).publications);
    assert.deepEqual(await places({ limit: 3 }), [1, 2, 3]);
    assert.deepEqual(await places({ limit: 3, reverse: true }), [10, 9, 8]);
    assert.deepEqual(await places({ limit: 3, since: { offset: 4, epoch } }), [5, 6, 7]);
    assert.deepEqual(await places({ limit: 3, since: { offset: 4, epoch }, reverse: true }), [3, 2, 1]);
    assert.deepEqual(await places({ limit: -1, since: { offset: 8, epoch } }), [9, 10]);
    assert.deepEqual(await places({ limit: 5, since: { offset: 10, epoch } }), []);
    await assert.rejects(ben.history({ limit: 5, since: { offset: 4, epoch: "other" } }), { code: 112 });
    leaveAll(people);
  });

  it("says who is there, how many, and who comes and goes", async () => {
    const { people, subscriptions } = await pair("presence", ALL);
    const [ada] = subscriptions;
    const cyd = await SdkClient.open(far, { ...way, posts: near });
    const ids = [...people, cyd].map(({ welcome }) => welcome.client);
    const present = async () => Object.keys((await ada.sdk.presence()).clients).sort();
    const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

    const room = cyd.subscribe("presence", ALL);
    await room.isOn();
    await until(async () => same(await present(), [...ids].sort()), "all to be there");
    assert.deepEqual(await ada.sdk.presenceStats(), { numClients: 3, numUsers: 1 });
    await until(() => clients(ada.joins).includes(ids[2]), "the join");
    room.sdk.unsubscribe();
    await until(() => same(clients(ada.leaves), [ids[2]]), "the leave");
    people[1].leave();
    await until(() => same(clients(ada.leaves), ids.slice(1).sort()), "the leave of one who is gone");
    await until(async () => same(await present(), [ids[0]]), "one to be left");
    leaveAll([...people, cyd]);
  });

  it("tells nobody of comings and goings who did not ask", async () => {
    const { people, subscriptions } = await pair("quiet", {});
    const cyd = await SdkClient.open(far, { ...way, posts: near });

    await cyd.subscribe("quiet", ALL).isOn();
    await subscriptions[0].publish("end");
    await subscriptions[1].heard(1);
    assert.deepEqual(subscriptions[1].joins, []);
    leaveAll([...people, cyd]);
  });

  it("sends differences that the SDK makes the whole of again", async () => {
    const { people, subscriptions } = await pair("delta", { delta: "fossil", ...ALL });
    const whole = await SdkClient.open(far, { format: "json" });
    const wholes = whole.subscribe("delta");
    const said = [...edits(40)];

    await wholes.isOn();
    for (const data of said) await subscriptions[0].publish(data);
    await Promise.all([...subscriptions, wholes].map((subscription) => subscription.heard(said.length)));
    for (const { data } of [...subscriptions, wholes]) assert.deepEqual(data, said);
    leaveAll([...people, whole]);
  });

  it("recovers with differences on after a break", async () => {
    const { people, subscriptions } = await pair("delta again", { delta: "fossil", ...ALL });
    const [ada, ben] = subscriptions;
    const said = [...edits(12)];

    for (const data of said.slice(0, 4)) await ada.publish(data);
    await ben.heard(4);
    people[1].leave();
    for (const data of said.slice(4, 8)) await ada.publish(data);
    await people[1].connect();
    await ben.isOn(2);
    for (const data of said.slice(8)) await ada.publish(data);
    await Promise.all([ada.heard(said.length), ben.heard(said.length)]);
    assert.deepEqual(ben.data, said);
    leaveAll(people);
  });

  it("gives exactly what was missed, on the same gateway and on another", async () => {
    const relay = await Relay.start(far.port);
    const ada = await SdkClient.open(near, { ...way, posts: far });
    const ben = await SdkClient.open(relay, way);
    const [talk, ear] = [ada, ben].map((person) => person.subscribe("recovery", ALL));
    const said = [];
    const say = async (data) => {
      said.push(data);
      await talk.publish(data);
    };

    await Promise.all([talk.isOn(), ear.isOn()]);
    for (const [round, { port }] of [far, near, far].entries()) {
      await say(`before ${round}`);
      await ear.heard(said.length);
      ben.leave();
      for (let i = 0; i < 5; i++) await say({ round, i });
      relay.redirect(port);
      await ben.connect();
      await ear.isOn(round + 2);
      assert.equal(ear.beginnings.at(-1).wasRecovering, true);
      assert.equal(ear.beginnings.at(-1).recovered, true);
      await ear.heard(said.length);
    }
    relay.cut(); // it comes back by itself
    await say("after a cut");
    await ear.heard(said.length);
    assert.deepEqual(ear.data, said);
    leaveAll([ada, ben]);
    await relay.stop();
  });

  it("recovers who came when there was nothing yet", async () => {
    const { people, subscriptions } = await pair("empty", ALL);
    const [ada, ben] = subscriptions;

    people[1].leave();
    await ada.publish("first");
    await ada.publish("second");
    await people[1].connect();
    await ben.heard(2);
    assert.deepEqual(ben.data, ["first", "second"]);
    assert.equal(ben.beginnings.at(-1).recovered, true);
    leaveAll(people);
  });

  it("tells who comes back to a position that there never was", async () => {
    const { people, subscriptions } = await pair("elsewhere", ALL);
    const since = { offset: 7, epoch: "another" };

    await subscriptions[0].publish("here");
    await subscriptions[1].heard(1); // at the far gateway, too
    const cyd = await SdkClient.open(far, { ...way, posts: near });
    const room = cyd.subscribe("elsewhere", { ...ALL, since });
    await room.isOn();
    const [{ wasRecovering, recovered, streamPosition }] = room.beginnings;
    assert.deepEqual([wasRecovering, recovered, streamPosition.offset], [true, false, 1]);
    assert.deepEqual(room.data, []);
    await subscriptions[0].publish("on");
    await room.heard(1);
    assert.deepEqual(room.data, ["on"]);
    leaveAll([...people, cyd]);
  });

  it("answers commands that come in one batch, each", async () => {
    const ada = await SdkClient.open(near, { ...way, posts: far });
    const room = ada.subscribe("batch");
    await room.isOn();

    ada.sdk.startBatching();
    const asked = [
      ...Array.from({ length: 50 }, (_, i) => room.publish(i)),
      room.sdk.presenceStats(),
      ada.sdk.history("other", { limit: 1 }),
      ada.sdk.publish("bad\nname", ada.encode(1)).catch(({ code }) => code),
    ];
    ada.sdk.stopBatching();
    const answers = await Promise.all(asked);
    assert.equal(answers.at(-1), 107);
    await room.heard(50);
    assert.deepEqual(
      room.data,
      Array.from({ length: 50 }, (_, i) => i),
    );
    ada.leave();
  });

  it("says 104 to what nobody serves", async () => {
    const ada = await SdkClient.open(near, { ...way, posts: far });

    await assert.rejects(ada.sdk.rpc("anything", ada.encode({})), { code: 104 });
    await ada.sdk.send(ada.encode({})); // nobody hears it, and that is all
    ada.leave();
  });
}

onEachBus(BUSES, (Bus) => {
  for (const [name, way] of Object.entries(SOCKETS)) describe(`${name}, on one gateway`, () => describeOn(Bus, 1, way));
});

onEachBus(SHARED_BUSES, (Bus) => {
  for (const [name, way] of Object.entries({ ...SOCKETS, ...STREAMS }))
    describe(`${name}, on two gateways`, () => describeOn(Bus, 2, way));
});

describe("on one channel", () => {
  let gateway;
  before(async () => {
    gateway = await start({ args: ["--message-rate", "0"] });
  });
  after(() => gateway.stop());

  it("plain clients and SDKs in both formats hear each other", async () => {
    const plain = await Client.open(gateway, { channel: "mixed" });
    const json = await SdkClient.open(gateway);
    const protobuf = await SdkClient.open(gateway, { format: "protobuf" });
    const heardRaw = [];
    const one = json.subscribe("mixed");
    const other = protobuf.sdk.newSubscription("mixed");
    other.on("publication", ({ data }) => heardRaw.push(Buffer.from(data)));
    other.subscribe();
    await Promise.all([one.isOn(), other.ready()]);

    const bytes = randomBytes(20);
    bytes[0] = 0xff; // no UTF-8, and so no JSON
    await one.publish("a string");
    await one.publish({ an: "object" });
    await other.publish(new TextEncoder().encode('"from protobuf"'));
    await other.publish(bytes);
    plain.send("plain text");
    await Promise.all([one.heard(5), plain.received(5), until(() => heardRaw.length === 5, "five publications")]);
    assert.deepEqual(plain.messages, ["a string", '{"an":"object"}', "from protobuf", bytes, "plain text"]);
    assert.deepEqual(one.data, ["a string", { an: "object" }, "from protobuf", bytes.toString("base64"), "plain text"]);
    assert.deepEqual(
      heardRaw.map((data) => data.toString("latin1")),
      ['"a string"', '{"an":"object"}', '"from protobuf"', bytes.toString("latin1"), "plain text"],
    );
    leaveAll([json, protobuf]);
    plain.destroy();
  });

  it("carries a string that was cut in the middle of an emoji", async () => {
    const plain = await Client.open(gateway, { channel: "cut" });
    const json = await SdkClient.open(gateway);
    const one = json.subscribe("cut");
    const cut = "\u{1f600}".slice(0, 1);
    await one.isOn();
    await one.publish(cut);
    await Promise.all([one.heard(1), plain.received(1)]);
    assert.deepEqual(one.data, [cut]);
    assert.deepEqual(plain.messages, ["\ufffd"]);
    leaveAll([json]);
    plain.destroy();
  });
});
