// Every limit has its clear end, for the one who passes it and for nobody else.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Bystanders } from "../lib/bystanders.js";
import { Client, closeClients, openClients } from "../lib/client.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { BINARY, PING, PONG, RawClient, frame, request } from "../lib/raw_client.js";
import { until } from "../lib/wait.js";

// A gateway with these options, and two who talk on while `act` happens on it.
async function limited(args, act) {
  const gateway = await start({ args });
  const bystanders = await Bystanders.open(gateway, { channel: "bystanders" });

  await bystanders.during(() => act(gateway));
  bystanders.close();
  await gateway.stop();
}

describe("a client beyond", () => {
  it("--max-message-size is closed with 1009, and one at it is not", () =>
    limited(["--max-message-size", "1K"], async (gateway) => {
      const client = await Client.open(gateway);
      client.send("x".repeat(1024));
      await client.received(1);
      client.send("x".repeat(1025));
      assert.equal((await client.closed).code, 1009);
    }));

  it("--message-rate is closed with 1008 and a reason, after its burst was delivered", () =>
    limited(["--message-rate", "1000", "--message-burst", "1000", "--max-message-size", "1K"], async (gateway) => {
      const listener = await Client.open(gateway);
      const flood = await Client.open(gateway);
      for (let i = 0; i < 50_000 && flood.isOpen; i++) flood.send(`flood ${i}`);
      const { code, reason } = await flood.closed;
      assert.equal(code, 1008);
      assert.notEqual(reason, "");
      await listener.received(1000);
      assert.equal(await metric(gateway, "carillon_rate_limited_total"), 1);
      listener.destroy();
    }));

  it("--message-rate in pings and pongs is closed with 1008 as well", async () => {
    for (const opcode of [PING, PONG]) {
      await limited(["--message-rate", "1000", "--message-burst", "100"], async (gateway) => {
        const raw = await RawClient.upgrade(gateway);
        raw.send(Buffer.concat(Array.from({ length: 5000 }, () => frame({ opcode }))));
        assert.equal(await raw.closeCode(), 1008);
        assert.equal(await metric(gateway, "carillon_rate_limited_total"), 1);
        raw.destroy();
      });
    }
  });

  it("--max-message-size in fragments is closed with 1009, and nobody is given a part", () =>
    limited(["--max-message-size", "1K"], async (gateway) => {
      const listener = await Client.open(gateway);
      const raw = await RawClient.upgrade(gateway);
      raw.send(frame({ fin: false, payload: "x".repeat(1024) }));
      raw.send(frame({ opcode: PING, payload: "x".repeat(125) })); // does not count
      raw.send(frame({ opcode: 0, payload: "x" }));
      assert.equal(await raw.closeCode(), 1009);
      listener.send("end");
      await listener.received(1);
      assert.deepEqual(listener.messages, ["end"]);
      raw.destroy();
      listener.destroy();
    }));

  it("--max-header-size is answered with 431, and one at it is not", () =>
    limited(["--max-header-size", "1K"], async (gateway) => {
      const empty = request({ headers: { "X-Filler": "" } });
      for (const [size, status] of [[1024, 101], [1025, 431]]) {
        const raw = await RawClient.connect(gateway);
        raw.send(request({ headers: { "X-Filler": "x".repeat(size - empty.length) } }));
        assert.equal((await raw.response()).status, status);
        raw.destroy();
      }
    }));

  it("--max-connections is answered with 503, until somebody goes", () =>
    limited(["--max-connections", "5"], async (gateway) => {
      const clients = await openClients(gateway, 3);
      const raw = await RawClient.connect(gateway);
      raw.send(request());
      const response = await raw.response();
      assert.equal(response.status, 503);
      assert.ok(response.headers["retry-after"]);
      raw.destroy();
      await clients[0].close();
      await until(async () => {
        try {
          clients.push(await Client.open(gateway));
          return true;
        } catch {
          return false;
        }
      }, "a place to become free");
      closeClients(clients);
    }));

  it("--max-connections-per-address is answered with 503, and other addresses are not", () =>
    limited(["--max-connections-per-address", "4"], async (gateway) => {
      const clients = await openClients(gateway, 2);
      assert.equal(await Client.refusal(gateway), 503);
      clients.push(await Client.open(gateway, { localAddress: "127.0.0.2" }));
      assert.ok((await metric(gateway, "carillon_connections_refused_address_total")) >= 1);
      closeClients(clients);
    }));

  it("--accept-rate is answered with 503 and a random Retry-After, and pages and health are not", () =>
    limited(["--accept-rate", "2"], async (gateway) => {
      const waits = [];
      await until(async () => {
        const raw = await RawClient.connect(gateway);
        raw.send(request());
        const { status, headers } = await raw.response();
        raw.destroy();
        if (status === 503) waits.push(Number(headers["retry-after"]));
        return waits.length === 20;
      }, "twenty refusals");
      for (const wait of waits) assert.ok(wait >= 1 && wait <= 10, `Retry-After: ${wait}`);
      assert.ok(new Set(waits).size > 1, `all are told ${waits[0]} s`);
      assert.ok((await metric(gateway, "carillon_connections_refused_rate_total")) >= 20);
      for (const path of ["/", "/health"]) assert.equal((await fetch(`${gateway.url}${path}`)).status, 200);
      await until(() => Client.open(gateway).then(({ socket }) => (socket.terminate(), true), () => false), "one more");
    }));

  it("--max-channels is answered with 503, and known channels are open", () =>
    limited(["--max-channels", "3"], async (gateway) => {
      const clients = [await Client.open(gateway, { channel: "a" }), await Client.open(gateway, { channel: "b" })];
      assert.equal(await Client.refusal(gateway, { path: "/ws?channel=c" }), 503);
      clients.push(await Client.open(gateway, { channel: "b" }));
      await clients[0].close();
      await until(async () => {
        try {
          clients.push(await Client.open(gateway, { channel: "c" }));
          return true;
        } catch {
          return false;
        }
      }, "a channel to be forgotten");
      closeClients(clients);
    }));
});

describe("a client that says nothing", () => {
  // Short, but not for the bystanders, who are under the same limits on a machine that may be busy.
  const SHORT_HANDSHAKE = ["--handshake-timeout", "2s"];
  const SHORT_PING = ["--ping-interval", "500ms", "--pong-timeout", "3s"];

  it("before its handshake is answered with 408", () =>
    limited(SHORT_HANDSHAKE, async (gateway) => {
      const raw = await RawClient.connect(gateway);
      raw.send("GET /ws HTTP/1.1\r\nHost: slow\r\n");
      assert.equal((await raw.response()).status, 408);
      assert.equal(await raw.frame(), null);
      assert.equal(await metric(gateway, "carillon_request_timeouts_total"), 1);
      raw.destroy();
    }));

  it("at all is let go without an answer", () =>
    limited(SHORT_HANDSHAKE, async (gateway) => {
      const raw = await RawClient.connect(gateway);
      await assert.rejects(raw.response(), /ended without an HTTP response/);
      assert.equal(await metric(gateway, "carillon_request_timeouts_total"), 0);
      raw.destroy();
    }));

  it("after a request that was answered is let go", () =>
    limited(SHORT_HANDSHAKE, async (gateway) => {
      const raw = await RawClient.connect(gateway);
      raw.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
      assert.equal((await raw.response()).status, 200);
      await assert.rejects(raw.response(), /ended without an HTTP response/);
      assert.equal(await metric(gateway, "carillon_request_timeouts_total"), 0);
      raw.destroy();
    }));

  it("in its handshake but a byte now and then gains no time by it", () =>
    limited(SHORT_HANDSHAKE, async (gateway) => {
      const raw = await RawClient.connect(gateway);
      raw.send("GET /ws HTTP/1.1\r\nHost: slow\r\n");
      const dribble = setInterval(() => raw.send("X"), 50);
      assert.equal((await raw.response()).status, 408);
      clearInterval(dribble);
      raw.destroy();
    }));

  it("is sent a ping, and stays when it answers", () =>
    limited(SHORT_PING, async (gateway) => {
      const raw = await RawClient.upgrade(gateway);
      for (let i = 0; i < 3; i++) {
        const ping = await raw.message(PING);
        raw.send(frame({ opcode: 10, payload: ping }));
      }
      raw.send(frame({ payload: "alive" }));
      assert.equal((await raw.message()).toString(), "alive");
      raw.destroy();
    }));

  it("and answers no ping is dead", () =>
    limited(SHORT_PING, async (gateway) => {
      const raw = await RawClient.upgrade(gateway);
      while (await raw.frame()) {
        /* pings, none answered */
      }
      assert.equal(await metric(gateway, "carillon_dead_peers_total"), 1);
      assert.equal(await metric(gateway, 'carillon_closes_total{code="1006"}'), 1);
      raw.destroy();
    }));

  it("but fragments still has to answer pings", () =>
    limited(SHORT_PING, async (gateway) => {
      const raw = await RawClient.upgrade(gateway);
      raw.send(frame({ fin: false, payload: "begun" }));
      const dribble = setInterval(() => raw.send(frame({ opcode: 0, fin: false, payload: "x" })), 50);
      assert.equal(await raw.closeCode(), 1008);
      clearInterval(dribble);
      raw.destroy();
    }));

  it("of its message, but answers pings and sends others between its fragments, is closed with 1008", () =>
    limited(["--ping-interval", "200ms", "--pong-timeout", "300ms"], async (gateway) => {
      const raw = await RawClient.upgrade(gateway);
      raw.send(frame({ fin: false, payload: "begun" }));
      const chatter = setInterval(() => {
        for (const opcode of [PING, PONG]) raw.send(frame({ opcode }));
        raw.send(frame({ opcode: 0, fin: false, payload: "" })); // gains nothing
      }, 50);
      const { code, reason } = await raw.close();
      assert.equal(code, 1008);
      assert.match(reason, /too long to arrive/);
      clearInterval(chatter);
      raw.destroy();
    }));

  it("but a message that grows, however slowly, and answers pings, stays", () =>
    limited(["--ping-interval", "200ms", "--pong-timeout", "1s"], async (gateway) => {
      const raw = await RawClient.upgrade(gateway);
      raw.send(frame({ fin: false, payload: "0" }));
      for (let i = 1; i < 10; i++) {
        raw.send(frame({ opcode: PONG, payload: await raw.message(PING) })); // one comes each 200 ms
        raw.send(frame({ opcode: 0, fin: false, payload: String(i) }));
      }
      raw.send(frame({ opcode: 0, payload: "" }));
      assert.equal((await raw.message()).toString(), "0123456789");
      raw.destroy();
    }));

  it("in the middle of a message is closed with 1008, however it dribbles", () =>
    limited(SHORT_PING, async (gateway) => {
      const raw = await RawClient.upgrade(gateway);
      raw.send(frame({ opcode: BINARY, length: 60_000, payload: "" }));
      const dribble = setInterval(() => raw.send("x"), 50);
      assert.equal(await raw.closeCode(), 1008);
      clearInterval(dribble);
      raw.destroy();
    }));
});
