// Channels that gather for --coalesce-max: everybody hears all of it, in order, and nothing stays behind.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { closeClients, openClients } from "../lib/client.js";
import { CommandClient } from "../lib/command_client.js";
import { start } from "../lib/gateway.js";

const NUMBERS = Array.from({ length: 300 }, (_, i) => String(i));

describe("a channel that gathers", () => {
  let gateway;
  before(async () => {
    gateway = await start({ args: ["--coalesce-max", "200ms", "--message-rate", "0", "--threads", "2"] });
  });
  after(() => gateway.stop());

  it("gives everybody everything, in one order, the last one too", async () => {
    const people = await openClients(gateway, 5, { channel: "busy" });
    for (const number of NUMBERS) people[0].send(number);
    await Promise.all(people.map((person) => person.received(NUMBERS.length)));
    for (const person of people) assert.deepEqual(person.messages, NUMBERS);
    people[1].send("after a silence");
    await Promise.all(people.map((person) => person.received(NUMBERS.length + 1)));
    closeClients(people);
  });

  it("acknowledges at once what it gathers, and gives it to who comes meanwhile by the history", async () => {
    const ann = await CommandClient.connect(gateway);
    const ben = await CommandClient.connect(gateway);
    await ann.ask({ subscribe: { channel: "acked" } });
    const { epoch } = (await ann.ask({ history: { channel: "acked", limit: 0 } })).history;
    for (const i of [1, 2, 3]) assert.equal((await ann.ask({ publish: { channel: "acked", data: i } })).publish.offset, i);
    const recover = { channel: "acked", recover: true, recoverable: true, epoch, offset: 0 };
    const { subscribe } = await ben.ask({ subscribe: recover });
    await ann.ask({ publish: { channel: "acked", data: 4 } });
    await Promise.all([ann, ben].map((client) => client.pushed(({ pub }) => pub?.data === 4)));
    const given = (subscribe.publications ?? []).map(({ data }) => data);
    const heard = ({ pushes }) => pushes.filter(({ pub }) => pub).map(({ pub }) => pub.data);
    assert.deepEqual([...given, ...heard(ben)], [1, 2, 3, 4]);
    assert.deepEqual(heard(ann), [1, 2, 3, 4]);
    for (const client of [ann, ben]) client.destroy();
  });
});

it("what is gathered when a gateway stops is given before the end", async () => {
  const gateway = await start({ args: ["--coalesce-max", "1s", "--message-rate", "0", "--drain-time", "0s"] });
  const [ann, ben] = await openClients(gateway, 2, { channel: "busy" });
  ann.send("first"); // goes at once
  await ben.received(1);
  const sure = await CommandClient.connect(gateway);
  await sure.ask({ publish: { channel: "busy", data: "second" } });
  const stopped = gateway.stop();
  assert.equal((await ben.closed).code, 1001);
  assert.deepEqual(ben.messages, ["first", "second"]);
  await ann.closed;
  sure.destroy();
  await stopped;
});
