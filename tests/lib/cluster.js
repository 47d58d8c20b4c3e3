// Several gateways on one bus, for a test: the last of them behind a relay, which can be disturbed.

import { closeClients, openClients } from "./client.js";
import { start } from "./gateway.js";
import { endOfLog } from "./program.js";
import { Relay } from "./relay.js";
import { until } from "./wait.js";

const LOG_LINES = 30; // of each gateway, with the error of a test that fails

export async function status(gateway, path) {
  return (await fetch(`${gateway.url}${path}`)).status;
}

export function ready(gateway) {
  return until(async () => (await status(gateway, "/ready")) === 200, "/ready to be green");
}

export function notReady(gateway) {
  return until(async () => (await status(gateway, "/ready")) === 503, "/ready to be red");
}

// Starts `size` gateways, all ready, with `clientCount` clients each, and calls `body` with { bus, relay,
// gateways, clients, people, kill }: `clients` is a list for each gateway, `people` are all of them, and
// `kill` ends a gateway as a crash would. Ends everything, and fails where a gateway does not end cleanly.
export async function withCluster(Bus, options, body) {
  const { size = 2, clientCount = 0, channel, busOptions, args = [] } = options;
  const historySize = args.includes("--history-size") ? args[args.indexOf("--history-size") + 1] : undefined;
  const bus = await Bus.start({ ...busOptions, historySize }); // Redis keeps what gateways tell it to
  const relay = await Relay.start(bus.port);
  const gateways = [];
  const clients = [];
  const killed = new Set();
  const kill = (gateway) => {
    killed.add(gateway);
    return gateway.kill();
  };

  try {
    for (let i = 0; i < size; i++) {
      const url = i < size - 1 ? bus.url : bus.urlAt(relay.port);
      gateways.push(await start({ args: ["--bus", url, "--threads", "2", "--message-rate", "0", ...args] }));
    }
    await Promise.all(gateways.map(ready));
    for (const gateway of gateways) clients.push(await openClients(gateway, clientCount, { channel }));
    await body({ bus, relay, gateways, clients, people: clients.flat(), kill });
    closeClients(clients.flat());
    await Promise.all(gateways.filter((gateway) => !killed.has(gateway)).map((gateway) => gateway.stop()));
  } catch (error) {
    const logs = gateways.map(({ log }) => endOfLog(log, LOG_LINES));
    error.message += `\n${logs.join("\n--\n")}`;
    throw error;
  } finally {
    closeClients(clients.flat());
    try {
      await Promise.all(gateways.map((gateway) => gateway.kill()));
    } finally {
      await relay.stop();
      await bus.stop();
    }
  }
}
