// Each worker thread has a socket of its own on the public port, and the kernel deals out who connects.

import assert from "node:assert/strict";
import { it } from "node:test";

import { closeClients, openClients } from "../lib/client.js";
import { start } from "../lib/gateway.js";
import { until } from "../lib/wait.js";

const PEOPLE = 1000;
const THREADS = 4;

// A connection's number begins with that of its thread.
function threadsOf(log) {
  const counts = new Map();
  for (const [, number] of log.matchAll(/event="connection opened" connection=(\d+)/g)) {
    const thread = Number(BigInt(number) >> 48n);
    counts.set(thread, (counts.get(thread) ?? 0) + 1);
  }
  return counts;
}

const sum = (counts) => [...counts.values()].reduce((total, count) => total + count, 0);

it("1,000 people are spread over four threads, of which each has at least a tenth", async () => {
  const gateway = await start({ args: ["--threads", String(THREADS), "--log-level", "debug"] });
  const people = [];
  for (let i = 0; i < PEOPLE; i += 100) people.push(...(await openClients(gateway, 100)));
  await until(() => sum(threadsOf(gateway.log)) === PEOPLE, "all to be in the log");
  const counts = threadsOf(gateway.log);
  assert.equal(counts.size, THREADS);
  for (const [thread, count] of counts) assert.ok(count >= PEOPLE / 10, `thread ${thread} has ${count}`);
  closeClients(people);
  await gateway.stop();
});
