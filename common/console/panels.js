// What the panels below the tiles show, as rows of text: { title, note, columns, rows, empty }. A row may have a `share`
// (0 to 1), which is drawn, and be `isBad`. Knows no page.

import { bytes, count, duration, labelOf, rateOf, samplesOf } from "./parse.js";

export function panelsOf(program, now, before) {
  return program === "router"
    ? [shards(now), routerChannels(now), links(now), threads(now)]
    : [channels(now), bus(now, before), slowClients(now), threads(now), closes(now)];
}

function channels({ state }) {
  const largest = state.channels[0]?.subscribers ?? 0;
  const rows = state.channels.map(({ channel, subscribers }) => ({
    cells: [channel, count(subscribers)],
    share: subscribers / largest,
  }));
  const note =
    state.channel_count > rows.length
      ? `the largest ${rows.length} of ${count(state.channel_count)}`
      : `${count(state.channel_count)} in all`;

  return { title: "Channels", note, columns: ["Channel", "Subscribers"], rows, empty: "Nobody is here." };
}

function routerChannels({ state }) {
  const all = state.shards.flatMap((shard) => shard.channels);
  const total = state.shards.reduce((sum, shard) => sum + shard.channel_count, 0);
  const rows = all
    .toSorted((a, b) => b.subscribers - a.subscribers || b.history - a.history)
    .slice(0, 50)
    .map(({ channel, role, subscribers, history }) => ({
      cells: [channel, role, count(subscribers), count(history)],
      isBad: role === "claiming" || role === "yielding",
    }));

  return {
    title: "Channels",
    note: total > rows.length ? `${rows.length} of ${count(total)}` : `${count(total)} in all`,
    columns: ["Channel", "Role", "Gateways", "History"],
    rows,
    empty: "No channel is held here.",
  };
}

function bus(now, before) {
  const value = (name) => now.metrics.get(`carillon_bus_${name}`);
  const row = (what, text, isBad = false) => ({ cells: [what, text], isBad });
  const loss = (what, name) => row(what, count(value(name)), value(name) > 0);

  return {
    title: "Bus",
    note: "since the start",
    columns: ["", now.state.bus.kind],
    rows: [
      row("State", now.state.bus.up ? "up" : "away", !now.state.bus.up),
      row("Published", `${count(rateOf(now, before, "carillon_bus_published_total"))}/s`),
      row("Messages from it", `${count(rateOf(now, before, "carillon_bus_delivered_total"))}/s`),
      row("Channels subscribed", count(value("subscriptions"))),
      row("Reconnects", count(value("reconnects_total"))),
      row("Publishes repeated", count(value("repeated_total"))),
      row("Duplicates dropped", count(value("duplicates_total"))),
      row("Missed and read from history", count(value("holes_filled_total"))),
      loss("Publishes refused", "refused_total"),
      loss("Histories lost", "histories_lost_total"),
      loss("Holes that stayed", "losses_total"),
    ],
  };
}

function slowClients({ state }) {
  return {
    title: "Slow clients",
    note: "the last for whom half of the limit waited",
    columns: ["Address", "Connection", "Waiting", ""],
    rows: state.slow
      .toSorted((a, b) => a.ms_ago - b.ms_ago)
      .map(({ connection, address, queued_bytes, ms_ago, closed }) => ({
        cells: [
          address,
          String(connection),
          bytes(queued_bytes),
          `${closed ? "closed " : ""}${duration(Math.round(ms_ago / 1000))} ago`,
        ],
        isBad: closed && ms_ago < 60_000,
      })),
    empty: "All read as fast as they are sent to.",
  };
}

function threads({ metrics }) {
  const lags = samplesOf(metrics, "carillon_loop_lag_peak_seconds");
  const longest = Math.max(0.05, ...lags.map(([, seconds]) => seconds));

  return {
    title: "Threads",
    note: "longest iteration of the last 15 to 30 s",
    columns: ["Thread", "Lag"],
    rows: lags.map(([labels, seconds]) => ({
      cells: [labelOf(labels, "thread"), duration(seconds)],
      share: seconds / longest,
      isBad: seconds > 0.5,
    })),
  };
}

const CODES = {
  1000: "left",
  1001: "sent away, or left",
  1002: "protocol error",
  1005: "left without a code",
  1006: "connection broke",
  1007: "bad data",
  1008: "too many messages, or one that never ended",
  1009: "too big",
  1011: "refused by the bus",
  1012: "messages were lost",
  1013: "too slow, or the bus is full",
};

function closes({ metrics }) {
  const counted = samplesOf(metrics, "carillon_closes_total").filter(([, number]) => number > 0);
  const most = Math.max(...counted.map(([, number]) => number));

  return {
    title: "Closes",
    note: "since the start",
    columns: ["Code", "Clients"],
    rows: counted
      .map(([labels, number]) => [labelOf(labels, "code"), number])
      .map(([code, number]) => ({ cells: [`${code} ${CODES[code] ?? ""}`, count(number)], share: number / most })),
    empty: "Nobody has left yet.",
  };
}

function shards({ state }) {
  const linked = (shard, role) => shard.links.filter((link) => link.role === role).length;

  return {
    title: "Shards",
    columns: ["Shard", "Channels", "Gateways", "Routers"],
    rows: state.shards
      .toSorted((a, b) => a.shard - b.shard)
      .map((shard) => ({
        cells: [
          String(shard.shard),
          count(shard.channel_count),
          count(linked(shard, "gateway")),
          `${count(linked(shard, "router"))}${shard.leaving ? ", leaving" : ""}`,
        ],
        isBad: shard.leaving,
      })),
  };
}

function links({ state }) {
  const byName = new Map();

  for (const { role, name, address, queued_bytes } of state.shards.flatMap((shard) => shard.links)) {
    const key = `${role} ${name}`;
    const link = byName.get(key) ?? { role, name, address, shards: 0, queued: 0 };
    byName.set(key, { ...link, shards: link.shards + 1, queued: link.queued + queued_bytes });
  }
  return {
    title: "Links",
    columns: ["Name", "Role", "Shards", "Waiting"],
    rows: [...byName.values()].map(({ role, name, address, shards, queued }) => ({
      cells: [name || address, role, count(shards), bytes(queued)],
    })),
    empty: "Nobody is connected.",
  };
}
