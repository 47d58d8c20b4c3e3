// Real balancers in front: the client's address comes through, and nobody can invent one.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Haproxy, Nginx, missing } from "../lib/balancer.js";
import { Client, closeClients } from "../lib/client.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { StreamClient } from "../lib/stream_client.js";
import { until } from "../lib/wait.js";

const BALANCERS = [
  { title: "nginx", program: "nginx", Kind: Nginx },
  { title: "HAProxy", program: "haproxy", Kind: Haproxy },
  { title: "HAProxy with send-proxy", program: "haproxy", Kind: Haproxy, options: { mode: "tcp", send: "send-proxy" } },
  {
    title: "HAProxy with send-proxy-v2 and TLVs",
    program: "haproxy",
    Kind: Haproxy,
    options: { mode: "tcp", send: "send-proxy-v2 proxy-v2-options crc32c,unique-id" },
  },
];

const CLIENT = { localAddress: "127.0.0.7" };
const SPOOF = { "X-Forwarded-For": "203.0.113.9", Forwarded: "for=203.0.113.9", "X-Forwarded-Host": "evil.example" };

async function addressInLog(gateway, client) {
  const after = gateway.log.length;
  await client.close();
  const [, address] = await gateway.waitForLog(/address=(\S+?)(:\d+)? reason="closed by the peer"/, { after });
  return address;
}

for (const { title, program, Kind, options } of BALANCERS) {
  const isTcp = options?.mode === "tcp";

  describe(`behind ${title}`, { skip: missing(program) }, () => {
    async function withBalancer(args, act) {
      const trust = ["--trusted-proxy", "127.0.0.1", "--log-level", "debug", ...(isTcp ? ["--proxy-protocol"] : [])];
      const gateway = await start({ args: [...trust, ...args] });
      const balancer = await Kind.start(gateway, options);
      try {
        await act(gateway, balancer);
      } finally {
        await balancer.stop();
      }
      await gateway.stop();
    }

    it("people talk, the page is served, and the address is the client's, whatever it claims", () =>
      withBalancer([], async (gateway, balancer) => {
        const direct = await Client.open(gateway, CLIENT); // no proxy, and so no PROXY header
        const through = await Client.open(balancer, { ...CLIENT, headers: SPOOF });
        direct.send("hello");
        await through.received(1);
        for (let i = 0; i < 3; i++) {
          const page = await fetch(`${balancer.url}/`);
          assert.equal(page.status, 200);
          assert.match(await page.text(), /Carillon/);
        }
        assert.equal(await addressInLog(gateway, through), "127.0.0.7");
        assert.equal(await addressInLog(gateway, direct), "127.0.0.7");
        const spoofer = await Client.open(gateway, { ...CLIENT, headers: SPOOF });
        assert.equal(await addressInLog(gateway, spoofer), "127.0.0.7");
        assert.equal(await metric(gateway, "carillon_proxy_protocol_errors_total"), 0);
      }));

    it("clients without a WebSocket hear what is said at once, and are missed when they go", () =>
      // HAProxy sees that somebody has gone when it sends something, which pings are.
      withBalancer(["--ping-interval", "500ms"], async (gateway, balancer) => {
        const streams = () => metric(gateway, "carillon_http_streams");
        for (const transport of ["http_stream", "sse"]) {
          const ann = await StreamClient.connect(balancer, { transport });
          await ann.ask({ subscribe: { channel: "room" } });
          for (let i = 0; i < 3; i++) {
            await ann.ask({ publish: { channel: "room", data: `${transport} ${i}` } });
            await ann.pushed(({ pub }) => pub?.data === `${transport} ${i}`);
          }
          assert.equal(await streams(), 1);
          ann.destroy();
          await until(async () => (await streams()) === 0, "the stream to be gone");
        }
      }));

    it("each address has its own --max-connections-per-address", () =>
      withBalancer(["--max-connections-per-address", "1"], async (gateway, balancer) => {
        const first = await Client.open(balancer, CLIENT);
        assert.equal(await Client.refusal(balancer, { ...CLIENT, headers: SPOOF }), 503);
        const other = await Client.open(balancer, { localAddress: "127.0.0.8" });
        closeClients([first, other]);
      }));

    if (isTcp) return; // and no headers of the balancer's

    it('"same" is the host that the client asked for', () =>
      withBalancer(["--allow-origin", "same"], async (gateway, balancer) => {
        const client = await Client.open(balancer, { ...CLIENT, origin: balancer.url });
        const spoof = { "X-Forwarded-Host": "evil.example" };
        assert.equal(await Client.refusal(balancer, { ...CLIENT, origin: "http://evil.example", headers: spoof }), 403);
        assert.equal(await Client.refusal(balancer, { ...CLIENT, origin: "http://inner" }), 403);
        client.destroy();
      }));
  });
}
