// TLS that a proxy passes on as it is, with a header of the PROXY protocol before it, and TLS that a proxy ends
// and makes anew. Whoever connects from 127.0.0.1 is the proxy here, and 127.0.0.2 is a stranger.

import assert from "node:assert/strict";
import net from "node:net";
import { after, before, describe, it } from "node:test";
import { Duplex } from "node:stream";

import { Authority } from "../lib/certificates.js";
import { metric } from "../lib/metrics.js";
import { proxyBinary, proxyLine, proxyLocal } from "../lib/proxy_header.js";
import { RawClient, closePayload, frame, request } from "../lib/raw_client.js";
import { handshake, startWithTls } from "../lib/tls.js";
import { until, within } from "../lib/wait.js";

const TRUST = ["--trusted-proxy", "127.0.0.1,10.0.0.0/8", "--log-level", "debug"];
const PROXY_PROTOCOL = [...TRUST, "--proxy-protocol"];
const STRANGER = { localAddress: "127.0.0.2" };
const CLIENT = "203.0.113.9";
const NO_HEADER = Buffer.alloc(0);

let authority;

before(async () => (authority = await Authority.create()));
after(() => authority.remove());

async function secured(args, act) {
  const gateway = await startWithTls(authority, { args });
  await act(gateway);
  await gateway.stop();
}

const cutters = {
  whole: (bytes) => [bytes], // the header and what the client says first, in one
  behind: (bytes, header) => [header, bytes.subarray(header.length)],
  bytewise: (bytes) => [...bytes].map((byte) => Buffer.from([byte])),
};

// A socket for TLS whose first bytes are `header` and the client's first, cut to pieces.
function socketBehind(gateway, header, { cut = cutters.whole, ...options } = {}) {
  const socket = net.connect({ host: "127.0.0.1", port: gateway.tlsPort, noDelay: true, ...options });
  let early = header;

  const pipe = new Duplex({
    read() {},
    async write(data, _encoding, done) {
      const bytes = Buffer.concat([early, data]);
      const pieces = early.length ? cut(bytes, early) : [bytes];
      early = NO_HEADER;
      for (const piece of pieces) {
        socket.write(piece);
        await new Promise(setImmediate);
      }
      done();
    },
    final(done) {
      socket.end(done);
    },
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on("data", (data) => pipe.push(data));
  socket.on("end", () => pipe.push(null));
  socket.on("error", () => pipe.destroy());
  socket.on("close", () => pipe.destroy());
  return pipe;
}

// A TLS connection with such a beginning, in which a request was sent: `status` of the answer.
async function askBehind(gateway, header, { headers, ...options } = {}) {
  const { socket } = await handshake(gateway, { socket: socketBehind(gateway, header, options) });
  const answer = new Promise((resolve) => socket.once("data", (data) => resolve(data.toString("latin1"))));
  socket.write(request({ headers }));
  const text = await within(answer, "an answer");
  return { socket, text, status: Number(text.match(/^HTTP\/1\.1 (\d+)/)[1]) };
}

// Whom the gateway's log gives for a WebSocket with such a beginning.
async function addressBehind(gateway, header, options) {
  const { socket, status } = await askBehind(gateway, header, options);
  assert.equal(status, 101);
  const after = gateway.log.length;
  socket.write(frame({ opcode: 8, payload: closePayload(1000) }));
  const [, address] = await gateway.waitForLog(/address=(\S+) reason="closed by the peer"/, { after });
  socket.destroy();
  return address;
}

describe("a PROXY header before TLS", () => {
  it("names the client, in one with its first bytes, before them, and in pieces", () =>
    secured(PROXY_PROTOCOL, async (gateway) => {
      for (const cut of Object.values(cutters)) {
        for (const header of [proxyLine(CLIENT), proxyBinary(CLIENT, { extra: Buffer.alloc(300) })]) {
          assert.equal(await addressBehind(gateway, header, { cut }), `${CLIENT}:4711`, cut.name);
        }
      }
      assert.match(await addressBehind(gateway, proxyLocal()), /^127\.0\.0\.1:\d+$/);
      assert.equal(await metric(gateway, "carillon_proxy_protocol_errors_total"), 0);
    }));

  it("leaves forwarding headers to clients that are proxies, too", () =>
    secured(PROXY_PROTOCOL, async (gateway) => {
      const headers = { "X-Forwarded-For": "198.51.100.1" };
      assert.equal(await addressBehind(gateway, proxyLine(CLIENT), { headers }), `${CLIENT}:4711`);
      assert.equal(await addressBehind(gateway, proxyLine("10.0.0.7"), { headers }), "198.51.100.1");
      assert.equal(await addressBehind(gateway, proxyLocal(), { headers }), "198.51.100.1");
    }));

  it("comes before plain HTTP on the port without TLS", () =>
    secured(PROXY_PROTOCOL, async (gateway) => {
      const raw = await RawClient.connect(gateway);
      raw.send(Buffer.concat([proxyLine(CLIENT), Buffer.from(request())]));
      assert.equal((await raw.response()).status, 101);
      raw.destroy();
    }));

  it("has to come from proxies, and not from others", () =>
    secured(PROXY_PROTOCOL, async (gateway) => {
      await assert.rejects(askBehind(gateway, NO_HEADER));
      await gateway.waitForLog(/event="closing, no PROXY header"/);
      assert.equal(await metric(gateway, "carillon_proxy_protocol_errors_total"), 1);
      assert.match(await addressBehind(gateway, NO_HEADER, STRANGER), /^127\.0\.0\.2:\d+$/);
      await assert.rejects(askBehind(gateway, proxyLine(CLIENT), STRANGER));
      await gateway.waitForLog(/event="no TLS handshake".*address=127\.0\.0\.2:\d+/);
    }));

  it("names whoever fails at the handshake behind it", () =>
    secured([...PROXY_PROTOCOL, "--handshake-timeout", "500ms"], async (gateway) => {
      const answer = async (bytes) => {
        const raw = await RawClient.connect({ port: gateway.tlsPort });
        raw.send(bytes);
        const text = await raw.rest();
        raw.destroy();
        return text;
      };
      const http = Buffer.concat([proxyLine(CLIENT), Buffer.from(request())]);
      assert.match(await answer(http), /^HTTP\/1\.1 400 [^]*this port speaks TLS/);
      await gateway.waitForLog(new RegExp(`event="no TLS handshake".*address=${CLIENT}:4711 reason="http request"`));
      const garbage = Buffer.concat([proxyLine(CLIENT), Buffer.alloc(60000)]);
      assert.equal(await answer(garbage), "");
      assert.equal(await answer(proxyLine(CLIENT)), "");
      await gateway.waitForLog(/event="no TLS handshake".*reason="the handshake took too long"/);
    }));

  it("decides whose share of connections it is, which is told over TLS", () =>
    secured([...PROXY_PROTOCOL, "--max-connections-per-address", "1"], async (gateway) => {
      const first = await askBehind(gateway, proxyLine(CLIENT));
      const second = await askBehind(gateway, proxyLine(CLIENT));
      const other = await askBehind(gateway, proxyLine("203.0.113.10"));
      assert.deepEqual([first.status, second.status, other.status], [101, 503, 101]);
      assert.match(second.text, /too many connections from this address/);
      assert.equal(await metric(gateway, "carillon_connections_refused_address_total"), 1);
      for (const { socket } of [first, second, other]) socket.destroy();
      await until(async () => (await metric(gateway, "carillon_connections")) === 0, "the end of all connections");
      const again = await askBehind(gateway, proxyLine(CLIENT));
      assert.equal(again.status, 101);
      again.socket.destroy();
    }));

  it("is read where the gateway is full, before it says so over TLS", () =>
    secured([...PROXY_PROTOCOL, "--max-connections", "1"], async (gateway) => {
      const first = await askBehind(gateway, proxyLine(CLIENT));
      const second = await askBehind(gateway, proxyLine("203.0.113.10"));
      assert.deepEqual([first.status, second.status], [101, 503]);
      assert.equal(await metric(gateway, "carillon_connections_refused_full_total"), 1);
      for (const { socket } of [first, second]) socket.destroy();
    }));
});

describe("a proxy that speaks TLS", () => {
  it("names its clients in headers, and --max-connections-per-address counts them", () =>
    secured([...TRUST, "--max-connections-per-address", "1"], async (gateway) => {
      const headers = { "X-Forwarded-For": CLIENT };
      const first = await askBehind(gateway, NO_HEADER, { headers });
      const second = await askBehind(gateway, NO_HEADER, { headers });
      assert.deepEqual([first.status, second.status], [101, 503]);
      for (const { socket } of [first, second]) socket.destroy();
    }));

  it("decides by X-Forwarded-Proto whether browsers are told of --hsts", () =>
    secured([...TRUST, "--hsts", "24h"], async (gateway) => {
      const HSTS = "strict-transport-security";
      const ask = async (headers) => (await fetch(`${gateway.url}/health`, { headers })).headers.get(HSTS);
      assert.equal(await ask({ "X-Forwarded-Proto": "https" }), "max-age=86400");
      assert.equal(await ask({ "X-Forwarded-Proto": "http" }), null);
      assert.equal(await ask({}), null);
    }));
});
