// What proxies say of their clients, and who is believed. Whoever connects from 127.0.0.1 is the proxy here,
// and 127.0.0.2 is a stranger.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Bystanders } from "../lib/bystanders.js";
import { Client, closeClients } from "../lib/client.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { proxyBinary, proxyLine, proxyLocal } from "../lib/proxy_header.js";
import { RawClient, closePayload, frame, request } from "../lib/raw_client.js";
import { until } from "../lib/wait.js";

const TRUST = ["--trusted-proxy", "127.0.0.1,10.0.0.0/8", "--log-level", "debug"];
const PROXY_PROTOCOL = [...TRUST, "--proxy-protocol"];
const STRANGER = { localAddress: "127.0.0.2" };
const CLIENT = "203.0.113.9";

async function withGateway(args, act) {
  const gateway = await start({ args });
  await act(gateway);
  await gateway.stop();
}

// Whom the gateway's log gives for a connection that did the handshake, and says goodbye.
async function addressInLog(gateway, raw) {
  const after = gateway.log.length;
  raw.send(frame({ opcode: 8, payload: closePayload(1000) }));
  const [, address] = await gateway.waitForLog(/address=(\S+) reason="closed by the peer"/, { after });
  raw.destroy();
  return address;
}

// A connection whose first bytes are `header`, with its handshake done.
async function upgradeBehind(gateway, header, { headers, ...options } = {}) {
  const raw = await RawClient.connect(gateway, options);
  raw.send(Buffer.concat([header, Buffer.from(request({ headers }))]));
  assert.equal((await raw.response()).status, 101);
  return raw;
}

async function addressBehind(gateway, header, options) {
  return addressInLog(gateway, await upgradeBehind(gateway, header, options));
}

const NO_HEADER = Buffer.alloc(0);
const NO_METHOD = 501; // "PROXY" might be one

describe("forwarding headers", () => {
  it("of a trusted proxy name the client; those of a stranger are not read", () =>
    withGateway(TRUST, async (gateway) => {
      const headers = { "X-Forwarded-For": `198.51.100.1, ${CLIENT}, 10.0.0.2` };
      assert.equal(await addressBehind(gateway, NO_HEADER, { headers }), CLIENT);
      assert.match(await addressBehind(gateway, NO_HEADER, { headers, ...STRANGER }), /^127\.0\.0\.2:\d+$/);
      const standard = { Forwarded: `for=${CLIENT}` };
      assert.match(await addressBehind(gateway, NO_HEADER, { headers: standard }), /^127\.0\.0\.1:\d+$/);
    }));

  it("may be Forwarded, and then X-Forwarded-For is not read", () =>
    withGateway([...TRUST, "--forwarded-header", "forwarded"], async (gateway) => {
      const headers = { Forwarded: 'for=198.51.100.1, for="[2001:db8::9]:4711"', "X-Forwarded-For": "192.0.2.1" };
      assert.equal(await addressBehind(gateway, NO_HEADER, { headers }), "[2001:db8::9]:4711");
      assert.match(await addressBehind(gateway, NO_HEADER, { headers, ...STRANGER }), /^127\.0\.0\.2:\d+$/);
    }));

  it("that are nonsense leave the proxy's own address", () =>
    withGateway(TRUST, async (gateway) => {
      for (const value of ["unknown", "", ",,,", "'; DROP TABLE", `${CLIENT}, x`, "9".repeat(4000), ",".repeat(4000)]) {
        const headers = { "X-Forwarded-For": value };
        assert.match(await addressBehind(gateway, NO_HEADER, { headers }), /^127\.0\.0\.1:\d+$/);
      }
    }));

  it("that are longer than --max-header-size are refused with 431", () =>
    withGateway(TRUST, async (gateway) => {
      const raw = await RawClient.connect(gateway);
      raw.send(request({ headers: { "X-Forwarded-For": `${CLIENT}, `.repeat(2000) } }));
      assert.equal((await raw.response()).status, 431);
      raw.destroy();
    }));

  it("count the WebSockets of each client against --max-connections-per-address", () =>
    withGateway([...TRUST, "--max-connections-per-address", "2"], async (gateway) => {
      const from = (address) => ({ headers: { "X-Forwarded-For": address } });
      const clients = [await Client.open(gateway, from(CLIENT)), await Client.open(gateway, from(CLIENT))];
      assert.equal(await Client.refusal(gateway, from(CLIENT)), 503);
      assert.equal(await metric(gateway, "carillon_connections_refused_address_total"), 1);
      clients.push(await Client.open(gateway, from("203.0.113.10")));
      const page = await fetch(`${gateway.url}/health`, from(CLIENT));
      assert.equal(page.status, 200);
      await clients[0].close();
      clients.push(await Client.open(gateway, from(CLIENT)));
      closeClients(clients);
    }));

  it("of a stranger do not get it around --max-connections-per-address", () =>
    withGateway([...TRUST, "--max-connections-per-address", "2"], async (gateway) => {
      const from = (address) => ({ headers: { "X-Forwarded-For": address }, ...STRANGER });
      const clients = [await Client.open(gateway, from("1.1.1.1")), await Client.open(gateway, from("1.1.1.2"))];
      assert.equal(await Client.refusal(gateway, from("1.1.1.3")), 503);
      closeClients(clients);
    }));

  it('tell "same" which host and scheme were asked for', () =>
    withGateway([...TRUST, "--allow-origin", "same"], async (gateway) => {
      const told = { "X-Forwarded-For": CLIENT, "X-Forwarded-Host": "chat.example", "X-Forwarded-Proto": "https" };
      const good = { headers: { ...told, Origin: "https://chat.example" } };
      const client = await Client.open(gateway, good);
      assert.equal(await Client.refusal(gateway, { ...good, ...STRANGER }), 403);
      assert.equal(await Client.refusal(gateway, { headers: { ...told, Origin: "http://chat.example" } }), 403);
      assert.equal(
        await Client.refusal(gateway, { headers: { ...told, Origin: `https://127.0.0.1:${gateway.port}` } }),
        403,
      );
      client.destroy();
    }));
});

describe("--proxy-protocol", () => {
  it("takes the client's address from either version, in pieces and in one with what follows", () =>
    withGateway(PROXY_PROTOCOL, async (gateway) => {
      for (const header of [proxyLine(CLIENT), proxyBinary(CLIENT, { extra: Buffer.alloc(3000) })]) {
        assert.equal(await addressBehind(gateway, header), `${CLIENT}:4711`);
      }
      assert.equal(await addressBehind(gateway, proxyLine("2001:db8::9")), "[2001:db8::9]:4711");
      for (const header of [proxyLine(CLIENT), proxyBinary(CLIENT)]) {
        const raw = await RawClient.connect(gateway, { noDelay: true });
        for (const byte of Buffer.concat([header, Buffer.from(request())])) {
          raw.send(Buffer.from([byte]));
          await new Promise(setImmediate);
        }
        assert.equal((await raw.response()).status, 101);
        assert.equal(await addressInLog(gateway, raw), `${CLIENT}:4711`);
      }
    }));

  it("leaves connections of the proxy itself to the proxy", () =>
    withGateway(PROXY_PROTOCOL, async (gateway) => {
      assert.match(await addressBehind(gateway, proxyLocal()), /^127\.0\.0\.1:\d+$/);
      assert.match(await addressBehind(gateway, Buffer.from("PROXY UNKNOWN\r\n")), /^127\.0\.0\.1:\d+$/);
    }));

  it("does not make the client one whose forwarding headers are believed, unless it is a proxy, too", () =>
    withGateway(PROXY_PROTOCOL, async (gateway) => {
      const headers = { "X-Forwarded-For": "198.51.100.1" };
      assert.equal(await addressBehind(gateway, proxyLine(CLIENT), { headers }), `${CLIENT}:4711`);
      assert.equal(await addressBehind(gateway, proxyLine("10.0.0.7"), { headers }), "198.51.100.1");
      assert.equal(await addressBehind(gateway, proxyLocal(), { headers }), "198.51.100.1");
    }));

  it("is for proxies: others speak HTTP, and their headers of it are none", () =>
    withGateway(PROXY_PROTOCOL, async (gateway) => {
      assert.match(await addressBehind(gateway, NO_HEADER, STRANGER), /^127\.0\.0\.2:\d+$/);
      for (const [header, status] of [[proxyLine(CLIENT), NO_METHOD], [proxyBinary(CLIENT), 400]]) {
        const raw = await RawClient.connect(gateway, STRANGER);
        raw.send(Buffer.concat([header, Buffer.from(request())]));
        assert.equal((await raw.response()).status, status);
        raw.destroy();
      }
    }));

  it("is off unless asked for", () =>
    withGateway(TRUST, async (gateway) => {
      const raw = await RawClient.connect(gateway);
      raw.send(Buffer.concat([proxyLine(CLIENT), Buffer.from(request())]));
      assert.equal((await raw.response()).status, NO_METHOD);
      raw.destroy();
    }));

  it("counts connections under their clients' addresses", () =>
    withGateway([...PROXY_PROTOCOL, "--max-connections-per-address", "1"], async (gateway) => {
      const first = await upgradeBehind(gateway, proxyLine(CLIENT));
      const second = await RawClient.connect(gateway);
      second.send(proxyBinary(CLIENT));
      assert.equal((await second.response()).status, 503);
      const other = await upgradeBehind(gateway, proxyLine("203.0.113.10"));
      for (const raw of [first, second, other]) raw.destroy();
    }));

  it("closes on garbage with a log line that says so, and nobody else notices", () =>
    withGateway(PROXY_PROTOCOL, async (gateway) => {
      const bystander = { port: gateway.port };
      const people = await Bystanders.open(bystander, STRANGER);
      const garbage = [
        request(),
        "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
        `PROXY UNKNOWN ${"x".repeat(200)}`,
        Buffer.from("1603010200010001fc0303", "hex"),
        proxyBinary(CLIENT, { extra: Buffer.alloc(5000) }),
        Buffer.from([0]),
      ];
      await people.during(async () => {
        for (const bytes of garbage) {
          const raw = await RawClient.connect(gateway);
          raw.send(bytes);
          assert.equal(await raw.rest(), "");
          raw.destroy();
        }
      });
      people.close();
      assert.equal(await metric(gateway, "carillon_proxy_protocol_errors_total"), garbage.length);
      await gateway.waitForLog(/event="closing, no PROXY header".*address=127\.0\.0\.1:\d+ reason="a PROXY header was exp/);
    }));

  it("closes a connection whose header does not come in the handshake's time", () =>
    withGateway([...PROXY_PROTOCOL, "--handshake-timeout", "200ms"], async (gateway) => {
      for (const start of ["", "PROXY TCP4 1"]) {
        const raw = await RawClient.connect(gateway);
        raw.send(start);
        assert.equal(await raw.rest(), "");
        raw.destroy();
      }
      assert.equal(await metric(gateway, "carillon_proxy_protocol_errors_total"), 2);
    }));
});

describe("--base-path", () => {
  it("has everything below it, and nothing beside", () =>
    withGateway(["--base-path", "/chat"], async (gateway) => {
      const status = async (path) => (await fetch(`${gateway.url}${path}`, { redirect: "manual" })).status;
      await until(async () => (await status("/chat/ready")) === 200, "/chat/ready to be green");
      for (const path of ["/chat/", "/chat/main.js", "/chat/health"]) assert.equal(await status(path), 200);
      for (const path of ["/", "/main.js", "/health", "/ready", "/ws", "/chats/"]) assert.equal(await status(path), 404);
      const moved = await fetch(`${gateway.url}/chat?channel=room`, { redirect: "manual" });
      assert.equal(moved.status, 308);
      assert.equal(moved.headers.get("location"), "/chat/?channel=room");
      const clients = await Promise.all(["/chat", "/chat/", "/chat/ws"].map((path) => Client.open(gateway, { path })));
      clients[0].send("hello");
      for (const client of clients) await client.received(1);
      assert.equal(await Client.refusal(gateway), 404);
      closeClients(clients);
    }));
});
