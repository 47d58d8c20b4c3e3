// What the tiles show of a gateway and of a router: `value` of an answer and the one a few seconds before it, how it is
// written, a note below, and when it is a reason to worry.

import { bytes, count, duration, quantileOf, rateOf, samplesOf } from "./parse.js";

const perSecond = (number) => `${count(number)}/s`;
const share = (now, part, whole) => now.metrics.get(part) / now.metrics.get(whole);

const gauge = (title, name, write = count) => ({ title, value: (now) => now.metrics.get(name), write });
const rate = (title, name, write = perSecond) => ({
  title,
  value: (now, before) => rateOf(now, before, name),
  write,
});

const lag = {
  title: "Loop lag, longest",
  value: (now) => Math.max(...samplesOf(now.metrics, "carillon_loop_lag_peak_seconds").map(([, seconds]) => seconds)),
  write: duration,
  isBad: (now, value) => value > 0.5,
};
const memory = gauge("Memory", "carillon_resident_memory_bytes", bytes);
const descriptors = {
  ...gauge("File descriptors", "carillon_open_descriptors"),
  note: (now) => `of ${count(now.metrics.get("carillon_descriptors_limit"))}`,
  isBad: (now) => share(now, "carillon_open_descriptors", "carillon_descriptors_limit") > 0.9,
};

const gateway = [
  {
    ...gauge("Clients", "carillon_websockets"),
    note: (now) =>
      `${count(now.metrics.get("carillon_connections"))} of ${count(now.metrics.get("carillon_connections_limit"))} connections`,
    isBad: (now) => share(now, "carillon_connections", "carillon_connections_limit") > 0.9,
  },
  { ...rate("Handshakes", "carillon_handshakes_total"), note: refusals },
  rate("Messages in", "carillon_messages_received_total"),
  { ...rate("Deliveries", "carillon_deliveries_total"), note: fanOut },
  { ...gauge("Channels", "carillon_bus_subscriptions"), note: () => "with somebody here" },
  rate("Sent", "carillon_sent_bytes_total", (number) => `${bytes(number)}/s`),
  {
    title: "Bus round trip",
    value: (now, before) => quantileOf(now, before, "carillon_bus_round_trip_seconds", 0.99),
    write: duration,
    note: () => "99 of 100 are faster",
    isBad: (now, value) => value > 0.5,
  },
  {
    ...gauge("Waiting for the bus", "carillon_bus_queued_bytes", bytes),
    note: (now) => `${count(now.metrics.get("carillon_bus_queued_messages"))} messages`,
    isBad: (now) => share(now, "carillon_bus_queued_bytes", "carillon_bus_queue_limit_bytes") > 0.8,
  },
  {
    ...rate("Slow clients", "carillon_send_queue_high_total"),
    note: (now) => `${count(now.metrics.get("carillon_slow_consumers_total"))} disconnected in all`,
    isBad: (now, value) => value > 0,
  },
  lag,
  memory,
  descriptors,
];

const memoryOf = (kind) => `carillon_router_memory_bytes{kind="${kind}"}`;
const memoryLimitOf = (kind) => `carillon_router_memory_limit_bytes{kind="${kind}"}`;
const router = [
  {
    ...gauge("Channels owned", "carillon_router_owned_channels"),
    note: (now) => `${count(now.metrics.get("carillon_router_channels"))} held`,
  },
  {
    ...gauge("Links to gateways", "carillon_router_gateway_links"),
    note: () => "one for each shard",
  },
  {
    ...gauge("Links to routers", "carillon_router_peer_links"),
    note: (now) => `${count(now.metrics.get("carillon_router_alone_shards"))} shards alone`,
    isBad: (now) => now.metrics.get("carillon_router_alone_shards") > 0,
  },
  rate("Published", "carillon_router_published_total"),
  rate("Held once", "carillon_router_published_alone_total"),
  rate("To gateways", "carillon_router_delivered_total"),
  {
    ...gauge("Histories", memoryOf("history"), bytes),
    note: (now) => `of ${bytes(now.metrics.get(memoryLimitOf("history")))}`,
  },
  {
    ...gauge("Not acknowledged", memoryOf("waiting"), bytes),
    isBad: (now) => share(now, memoryOf("waiting"), memoryLimitOf("waiting")) > 0.8,
  },
  {
    ...gauge("Slowest link", "carillon_router_link_queue_bytes", bytes),
    note: () => "waits for it",
    isBad: (now) => share(now, "carillon_router_link_queue_bytes", "carillon_router_link_queue_limit_bytes") > 0.5,
  },
  lag,
  memory,
  descriptors,
];

export const tilesOf = (program) => (program === "router" ? router : gateway);

function refusals(now) {
  return `${count(now.metrics.get("carillon_handshakes_refused_total"))} refused in all`;
}

function fanOut(now, before) {
  const messages = rateOf(now, before, "carillon_bus_delivered_total");
  const deliveries = rateOf(now, before, "carillon_deliveries_total");

  return messages > 0 ? `${count(deliveries / messages)} for each message` : "";
}
