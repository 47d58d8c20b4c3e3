// A gateway with few file descriptors refuses newcomers in time; one that runs out of them all the same lets
// them wait, and everybody else talk on.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Bystanders } from "../lib/bystanders.js";
import { Client, closeClients } from "../lib/client.js";
import { limitDescriptors, openDescriptors, softLimit } from "../lib/descriptors.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { RawClient, request } from "../lib/raw_client.js";
import { until } from "../lib/wait.js";

const THREADS = 4;
const LISTENERS = THREADS + 1; // the admin's, too
const REST_MS = 100; // of a listener that could not accept

const count = (text, pattern) => [...text.matchAll(pattern)].length;

// The connections that a gateway says it will serve.
async function servedConnections(gateway) {
  const said = /event="fewer file descriptors than --max-connections".* file_descriptors=(\d+) connections=(\d+)/;
  const [, , connections] = await gateway.waitForLog(said);
  return Number(connections);
}

describe("a gateway with fewer descriptors than --max-connections", () => {
  for (const descriptors of [64, 200]) {
    it(`such as ${descriptors} says how many it serves, serves these, and refuses a crowd without running out`, async () => {
      const gateway = await start({ args: ["--threads", `${THREADS}`], descriptors });
      const room = await servedConnections(gateway);
      const crowd = await Promise.all(Array.from({ length: 300 }, () => RawClient.connect(gateway)));
      const statuses = await Promise.all(
        crowd.map(async (raw) => {
          raw.send(request());
          return raw.response().then(({ status }) => status, () => "cut off");
        }),
      );

      assert.ok(room > 0 && room < descriptors);
      assert.equal(statuses.filter((status) => status === 101).length, room);
      assert.deepEqual([...new Set(statuses)].filter((status) => status !== "cut off").sort(), [101, 503]);
      assert.equal((await fetch(`http://127.0.0.1:${gateway.adminPort}/health`)).status, 200);

      crowd.filter((_, i) => statuses[i] !== 101).forEach((raw) => raw.destroy());
      const refused = () => Client.refusal(gateway).then((status) => status === 503, () => false);
      await until(refused, "one more to be told 503, when the crowd has gone");
      crowd[statuses.indexOf(101)].destroy();
      const clients = [];
      await until(() => Client.open(gateway).then((client) => clients.push(client), () => false), "a free place");
      assert.equal(await metric(gateway, "carillon_accept_errors_total"), 0);
      assert.doesNotMatch(gateway.log, /cannot accept/);
      closeClients(clients);
      for (const raw of crowd) raw.destroy();
      await gateway.stop();
    });
  }

  it("says so again on SIGHUP, and still serves no more", async () => {
    const gateway = await start({ args: ["--threads", "1"], descriptors: 64 });
    const room = await servedConnections(gateway);
    const before = gateway.log.length;
    process.kill(gateway.pid, "SIGHUP");
    await gateway.waitForLog(/event="fewer file descriptors[^]*event="reloaded"/, { after: before });
    const clients = [];
    for (let i = 0; i < room; i++) clients.push(await Client.open(gateway));
    assert.equal(await Client.refusal(gateway), 503);
    closeClients(clients);
    await gateway.stop();
  });

  it("too few to serve anybody does not start", async () => {
    await assert.rejects(
      start({ args: ["--threads", "64"], descriptors: 64 }),
      /exit code 1[^]*event="too few file descriptors" file_descriptors=64 threads=64/,
    );
  });
});

describe("a gateway without a free descriptor", () => {
  it("asks for one now and then, says so once a second, and lets everybody in when there are some", async () => {
    const gateway = await start({ args: ["--threads", `${THREADS}`] });
    const bystanders = await Bystanders.open(gateway);
    const limit = softLimit(gateway);
    const complaint = /event="cannot accept" error="too many open files"/g;

    await bystanders.during(async () => {
      const begin = Date.now();
      limitDescriptors(gateway, openDescriptors(gateway));
      const crowd = await Promise.all(Array.from({ length: 300 }, () => RawClient.connect(gateway)));
      for (const raw of crowd) raw.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
      await gateway.waitForLog(/(event="cannot accept"[^]*){2}/);
      limitDescriptors(gateway, limit);
      for (const raw of crowd) assert.equal((await raw.response()).status, 200);

      const errors = await metric(gateway, "carillon_accept_errors_total");
      const elapsed = Date.now() - begin;
      assert.ok(errors >= 2);
      assert.ok(errors <= LISTENERS * (1 + elapsed / REST_MS), `${errors} attempts in ${elapsed} ms`);
      assert.ok(count(gateway.log, complaint) <= 1 + elapsed / 1000);
      for (const raw of crowd) raw.destroy();
    });
    bystanders.close();
    await gateway.stop();
  });
});
