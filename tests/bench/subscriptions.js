// What a subscription of the channel protocol costs a gateway in memory, and that it is had again when the subscription
// ends. Called by `run subscriptions` with the build directory.

import { readFileSync } from "node:fs";
import { ChannelClient } from "./channel_client.js";
import { listening, start, stop } from "./servers.js";
import { check, describeMachine, describePlacement, finish, limitOfOpenFiles, readCommandLine } from "./turns.js";

const { build, isQuick } = readCommandLine("tests/bench/run subscriptions");

const CLIENTS = isQuick ? 200 : 18_000;
const CHANNELS_OF_EACH = 55;
const CHANNELS = isQuick ? 500 : 10_000;
const AT_ONCE = 200; // clients that wait for an answer
const SPARE_FILES = 500;
const MOST_IDLE_BYTES = 1000; // of a client without subscriptions

const gateways = [
  { name: "without presence", args: ["--no-presence"], mostBytes: 200 },
  { name: "it is known who is on a channel (the default)", args: [], mostBytes: 400 },
];

const number = (value) => Math.round(value).toLocaleString("en");

function residentBytes(pid) {
  return Number(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8").match(/^Rss: +(\d+) kB/m)[1]) * 1024;
}

// Calls `act` for each item, so many at a time.
async function each(items, act) {
  const rest = items.entries();
  const turns = Array.from({ length: AT_ONCE }, async () => {
    for (const [index, item] of rest) await act(item, index);
  });
  await Promise.all(turns);
}

function channelsOf(index) {
  return Array.from({ length: CHANNELS_OF_EACH }, (_, k) => `channel-${(index * CHANNELS_OF_EACH + k) % CHANNELS}`);
}

const subscribe = (client, index) => client.askAll(channelsOf(index).map((channel) => ({ subscribe: { channel } })));
const unsubscribe = (client, index) => client.askAll(channelsOf(index).map((channel) => ({ unsubscribe: { channel } })));

// Of whoever is subscribed to the channel, each is told once what is published.
async function checkDelivery(clients, channel) {
  const subscribers = clients.filter((_, index) => channelsOf(index).includes(channel));
  const told = subscribers.map((client) => client.nextPublication());
  await clients[0].askAll([{ publish: { channel, data: { said: channel } } }]);
  const publications = await Promise.all(told);
  check(
    `each of a channel's ${number(subscribers.length)} subscribers is told what is published`,
    publications.length > 1 && publications.every((push) => push.channel === channel && push.pub.data.said === channel),
  );
}

async function measure(pid, port, count) {
  const before = residentBytes(pid);
  const clients = Array.from({ length: count }, () => new ChannelClient(port));
  const subscriptions = count * CHANNELS_OF_EACH;
  await each(clients, (client) => client.open());
  const idle = residentBytes(pid);
  const idleBytes = (idle - before) / count;
  console.log(`  ${number(count)} clients connected: ${number(idleBytes)} bytes each`);

  await each(clients, subscribe);
  const subscribed = residentBytes(pid);
  const bytes = (subscribed - idle) / subscriptions;
  console.log(`  ${number(subscriptions)} subscriptions to ${number(CHANNELS)} channels: ${bytes.toFixed(0)} bytes each`);
  await checkDelivery(clients, channelsOf(0)[0]);

  await each(clients, unsubscribe);
  console.log(`  all unsubscribed: ${number((residentBytes(pid) - idle) / subscriptions)} bytes of each are still the process's`);
  await each(clients, subscribe);
  const again = (residentBytes(pid) - idle) / subscriptions;
  console.log(`  subscribed again: ${again.toFixed(0)} bytes each`);
  for (const client of clients) client.destroy();
  return { idleBytes, bytes, again };
}

function checkMarks({ idleBytes, bytes, again }, mostBytes) {
  check(`a client without a subscription takes at most ${number(MOST_IDLE_BYTES)} bytes`, idleBytes <= MOST_IDLE_BYTES);
  check(`a subscription takes at most ${mostBytes} bytes`, bytes <= mostBytes);
  check("what unsubscribing frees is used again: at most a twentieth more", again <= bytes * 1.05);
}

const fixed = ["--listen", "127.0.0.1:0", "--admin-listen", "off", "--message-rate", "0", "--drain-time", "0", "--threads", "1"];

async function measureGateway({ name, args, mostBytes }, count) {
  console.log(name);
  const child = start(0, `${build}/gateway/carillon-gateway`, [...fixed, ...args], ["ignore", "pipe", "pipe"]);
  try {
    const figures = await measure(child.pid, await listening(child), count);
    // With fewer the process's own pages would weigh on each.
    if (!isQuick) checkMarks(figures, mostBytes);
  } finally {
    await stop(child);
  }
}

if (!isQuick) describeMachine(describePlacement());
for (const gateway of gateways) await measureGateway(gateway, Math.min(CLIENTS, limitOfOpenFiles() - SPARE_FILES));
finish();
