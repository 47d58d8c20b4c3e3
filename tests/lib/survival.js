// A chat on several gateways that must survive what befalls its bus or the line to it.

import assert from "node:assert/strict";

import { Client, closeClients } from "./client.js";
import { ready, withCluster } from "./cluster.js";
import { assertOneBeginning, assertSameChat, chatter } from "./delivery.js";
import { metric } from "./metrics.js";
import { until } from "./wait.js";

// More than the 1,024 that a gateway keeps of a channel, at a pace at which faults fall into the talk.
const MESSAGES = 4_000;
const PACE = { batch: 4, pauseMs: 6 };
const ROOMY = ["--bus-buffer", "64M", "--history-size", String(2 * MESSAGES)];

function sendersOf(clients) {
  return clients.flatMap(([ada, ben]) => [ada, ben]);
}

// Clients talk all the time while `fault` happens, and afterwards; then nothing may be lost, doubled or
// out of order.
export function survives(Bus, fault, { args = [], messages = MESSAGES, ...options } = {}) {
  return withCluster(Bus, { clientCount: 3, args: [...ROOMY, ...args], ...options }, async (cluster) => {
    const { gateways, clients, people } = cluster;
    const senders = sendersOf(clients);
    const each = (total) => Math.ceil(total / senders.length);

    const talk = chatter(senders, each(messages * 0.8), PACE);
    await people[0].received(messages / 10);
    await fault(cluster);
    const during = await talk;
    const afterwards = await chatter(senders, each(messages * 0.2), { tag: "afterwards" });
    const sent = during.map((texts, who) => [...texts, ...afterwards[who]]);
    const count = sent.flat().length;
    assert.ok(count >= messages, "no sender was closed");
    await Promise.all(people.map((client) => client.received(count)));
    await Promise.all(gateways.map(ready));
    assertSameChat(people, sent);

    // One who comes later talks with everybody, and is not told of what was before.
    const late = await Client.open(gateways.at(-1));
    late.send("after all");
    await Promise.all(people.map((client) => client.received(count + 1)));
    await late.received(1);
    assert.deepEqual(late.messages, ["after all"]);
    assert.ok(people.every(({ messages }) => messages.at(-1) === "after all"));
    for (const gateway of gateways) assert.equal(await metric(gateway, "carillon_bus_up"), 1);
    late.destroy();
  });
}

// The same where `fault` takes the history along: whoever has heard something is told, with 1012, having heard
// nothing but the one order up to there, and nobody else is. There is a new epoch, and who comes back talks on.
export function isTold(Bus, fault, { messages = MESSAGES, ...options } = {}) {
  return withCluster(Bus, { clientCount: 3, args: ROOMY, ...options }, async (cluster) => {
    const { bus, gateways, clients, people } = cluster;
    const senders = sendersOf(clients);
    const quiet = await Promise.all(gateways.map((gateway) => Client.open(gateway, { channel: "quiet" })));

    const talk = chatter(senders, Math.ceil(messages / senders.length), PACE);
    await Promise.all(people.map((client) => client.received(messages / 10)));
    const epoch = await bus.epochOf("lobby");
    await fault(cluster);
    for (const { code } of await Promise.all(people.map((client) => client.closed))) assert.equal(code, 1012);
    assertOneBeginning(people, await talk);
    await Promise.all(gateways.map(ready));
    for (const gateway of gateways) assert.ok((await metric(gateway, "carillon_bus_histories_lost_total")) >= 1);

    // What waited for the bus comes to those who are back, before or after what they say.
    const back = await Promise.all(gateways.map((gateway) => Client.open(gateway)));
    const sent = await chatter([...back, ...quiet], 100, { tag: "afterwards" });
    const said = ({ messages: heard }) => heard.filter((text) => text.startsWith("afterwards"));
    await until(() => back.every((client) => said(client).length === 100 * back.length), "those who are back");
    await Promise.all(quiet.map((client) => client.received(100 * quiet.length)));
    assertSameChat(back.map((client) => ({ messages: said(client) })), sent.slice(0, back.length));
    assertSameChat(quiet, sent.slice(back.length));
    assert.notEqual(await bus.epochOf("lobby"), epoch);
    closeClients([...back, ...quiet]);
  });
}
