// Clients without a WebSocket: streams of HTTP and Server-Sent Events, and what is posted beside them, on whatever
// gateway. What the SDK makes of that is in sdk.test.js.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { apiFiles, call, token } from "../lib/api.js";
import { onEachBus, SHARED_BUSES } from "../lib/buses.js";
import { ready } from "../lib/cluster.js";
import { CommandClient } from "../lib/command_client.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { RawClient, request } from "../lib/raw_client.js";
import { StreamClient } from "../lib/stream_client.js";
import { until } from "../lib/wait.js";

const TRANSPORTS = ["http_stream", "sse"];
const PLAIN = { Upgrade: null, Connection: null, "Sec-WebSocket-Key": null, "Sec-WebSocket-Version": null };
const CONNECT = encodeURIComponent('{"id":1,"connect":{}}');

function streams(gateway) {
  return metric(gateway, "carillon_http_streams");
}

// A stream over a plain socket, whose client listens to a channel.
async function subscribedRawStream(gateway, channel) {
  const raw = await RawClient.connect(gateway);
  const body = '{"id":1,"connect":{}}';
  raw.send(request({ method: "POST", path: "/connection/http_stream", headers: { ...PLAIN, "Content-Length": body.length } }) + body);
  assert.equal((await raw.response()).status, 200);
  const { session, node } = JSON.parse(await raw.line()).connect;
  const data = JSON.stringify({ id: 2, subscribe: { channel } });
  const response = await fetch(`${gateway.url}/emulation`, { method: "POST", body: JSON.stringify({ session, node, data }) });
  assert.equal(response.status, 204);
  assert.ok(JSON.parse(await raw.line()).subscribe);
  return raw;
}

describe("a stream", () => {
  let gateway;
  let files;
  before(async () => {
    files = await apiFiles();
    // A close timeout within which a client that was too slow surely reads on, whatever the machine is at.
    const args = [...files.args, "--allow-anonymous", "on", "--close-timeout", "20s", "--threads", "2", "--max-message-size", "2K"];
    gateway = await start({ args: [...args, "--allow-origin", "same,https://chat.example", "--send-queue-limit", "132K"] });
    await ready(gateway);
  });
  after(async () => {
    await gateway.stop();
    await files.remove();
  });

  for (const transport of TRANSPORTS) {
    describe(transport, () => {
      it("has the head that proxies need, and says where to post", async () => {
        const ann = await StreamClient.connect(gateway, { transport });
        const { headers } = ann.response;
        assert.match(headers.get("content-type"), transport === "sse" ? /^text\/event-stream$/ : /^application\/x-ndjson$/);
        assert.match(headers.get("cache-control"), /no-store/);
        assert.equal(headers.get("x-accel-buffering"), "no");
        assert.equal(headers.get("content-length"), null);
        assert.match(ann.welcome.node, /^[0-9a-f]{16}$/);
        assert.match(ann.welcome.session, /^[01]-[0-9a-f]{32}$/);
        assert.notEqual(ann.welcome.session, ann.welcome.client);
        assert.equal(ann.welcome.pong, undefined); // nobody has to post pongs
        assert.ok(ann.welcome.ping > 0);
        ann.destroy();
      });

      it("carries what is published, to it and from it, together with WebSockets", async () => {
        const channel = `mixed ${transport}`;
        const ann = await StreamClient.connect(gateway, { transport });
        const ben = await CommandClient.connect(gateway);
        for (const client of [ann, ben]) await client.ask({ subscribe: { channel } });
        await ann.ask({ publish: { channel, data: "from the stream" } });
        await ben.ask({ publish: { channel, data: { lines: "a\nb\r\nc\u2028" } } });
        ben.send(`{"id":900,"publish":{"channel":${JSON.stringify(channel)},"data":[1,\r2,\t3]}}`);
        await ben.ask({ publish: { channel, data: 3 } });
        for (const client of [ann, ben]) await client.pushed(({ pub }) => pub?.data === 3);
        const data = ({ pushes }) => pushes.filter(({ pub }) => pub).map(({ pub }) => pub.data);
        assert.deepEqual(data(ann), ["from the stream", { lines: "a\nb\r\nc\u2028" }, [1, 2, 3], 3]);
        assert.deepEqual(data(ben), data(ann));
        ann.destroy();
        ben.destroy();
      });

      it("is told why it ends, by the application too", async () => {
        const ann = await StreamClient.connect(gateway, { transport, request: { token: token(`ann ${transport}`) } });
        await call(gateway, "disconnect", { user: `ann ${transport}`, disconnect: { code: 4501, reason: "enough" } });
        assert.deepEqual((await ann.ended).disconnect, { code: 4501, reason: "enough" });
        const ben = await StreamClient.connect(gateway, { transport });
        assert.equal(await ben.post("this is no command"), 204);
        assert.equal((await ben.ended).disconnect.code, 3501);
      });

      it("of a client that leaves is gone, and what is posted for it nobody's", async () => {
        const before = await streams(gateway);
        const ann = await StreamClient.connect(gateway, { transport });
        assert.equal(await streams(gateway), before + 1);
        ann.destroy();
        await until(async () => (await streams(gateway)) === before, "the stream to be gone");
        assert.equal(await ann.post({ id: 9, ping: {} }), 204);
      });
    });
  }

  it("ends with 3008 for a client that does not read", async () => {
    const slow = await subscribedRawStream(gateway, "flood");
    slow.socket.pause();
    await until(async () => {
      const publish = { channel: "flood", data: "x".repeat(1900) };
      await call(gateway, "batch", { commands: Array(30).fill({ publish }) });
      return (await metric(gateway, "carillon_slow_consumers_total")) > 0;
    }, "the slow one to be noticed");
    slow.socket.resume();
    const text = await slow.rest();
    const last = text.trimEnd().split("\n").at(-1);
    assert.equal(JSON.parse(last).push.disconnect.code, 3008);
    slow.destroy();
  });

  it("cannot be spoken to by who does not know its session", async () => {
    const ann = await StreamClient.connect(gateway);
    await ann.ask({ subscribe: { channel: "own" } });
    const publish = { id: 50, publish: { channel: "own", data: "forged" } };
    assert.equal(await ann.post(publish, { session: ann.welcome.client }), 204);
    assert.equal(await ann.post(publish, { session: `${ann.welcome.session}0` }), 204);
    assert.equal(await ann.post(publish, { session: "63-00000000000000000000000000000000" }), 204);
    await ann.ask({ publish: { channel: "own", data: "mine" } });
    await ann.pushed(({ pub }) => pub?.data === "mine");
    assert.deepEqual(
      ann.pushes.filter(({ pub }) => pub).map(({ pub }) => pub.data),
      ["mine"],
    );
    // A gateway that has just come does not know all of them yet.
    await until(async () => (await ann.post(publish, { node: "00000000000000ff" })) === 404, "404");
    assert.equal(await ann.post(publish, { node: "elsewhere" }), 404);
    ann.destroy();
  });

  it("keeps the order of what comes in one post", async () => {
    const ann = await StreamClient.connect(gateway);
    const channel = "in order";
    await ann.ask({ subscribe: { channel } });
    const commands = Array.from({ length: 10 }, (_, i) => ({ id: ann.nextId(), publish: { channel, data: i } }));
    assert.equal(await ann.post(commands), 204);
    await ann.pushed(({ pub }) => pub?.data === 9);
    assert.deepEqual(
      ann.pushes.filter(({ pub }) => pub).map(({ pub }) => pub.data),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    );
    ann.destroy();
  });

  it("answers requests that are none as HTTP does", async () => {
    const at = async (path, options) => {
      const response = await fetch(`${gateway.url}${path}`, options);
      await response.arrayBuffer();
      return response.status;
    };
    const post = (body, headers = {}) => ({ method: "POST", body, headers });
    assert.equal(await at("/connection/sse"), 400);
    assert.equal(await at("/connection/sse?cf_connect="), 400);
    assert.equal(await at("/connection/sse?cf_connect=%zz"), 400);
    assert.equal(await at(`/connection/sse?cf_connect=${CONNECT}`, post("x")), 413);
    assert.equal(await at(`/connection/sse?cf_connect=${CONNECT}`, { method: "HEAD" }), 405);
    assert.equal(await at("/connection/http_stream"), 405);
    assert.equal(await at("/connection/http_stream", { method: "POST" }), 400);
    assert.equal(await at("/connection/http_stream", post("x".repeat(2049))), 413);
    assert.equal(await at("/emulation"), 405);
    assert.equal((await fetch(`${gateway.url}/emulation`)).headers.get("allow"), "POST, OPTIONS");
    assert.equal((await fetch(`${gateway.url}/connection/sse`, { method: "DELETE" })).headers.get("allow"), "GET, OPTIONS");
    for (const body of ["", "[]", "{}", '{"session":"a"}', "x"]) assert.equal(await at("/emulation", post(body)), 400, body);
    const long = (size) => JSON.stringify({ session: "0-a", node: "0", data: "x".repeat(size) });
    assert.equal(await at("/emulation", post(long(2048))), 404);
    assert.equal(await at("/emulation", post(long(2049))), 413);
    assert.equal(await at("/emulation", post(long(20_000))), 413);
    const protobuf = { "Content-Type": "application/octet-stream" };
    assert.equal(await at("/emulation", post("\x12\x01a\x1a\x09", protobuf)), 400);
  });

  it("is told in the stream that its first command is none", async () => {
    const response = await fetch(`${gateway.url}/connection/http_stream`, { method: "POST", body: '{"id":1,"publish":{}}' });
    assert.equal(JSON.parse(await response.text()).push.disconnect.code, 3501);
    const refused = await fetch(`${gateway.url}/connection/http_stream`, {
      ...{ method: "POST", body: '{"id":1,"connect":{"token":"none"}}' },
    });
    assert.equal(JSON.parse(await refused.text()).push.disconnect.code, 3500);
  });

  it("begins with nothing but connect: an image on a page of others does no more", async () => {
    const ben = await CommandClient.connect(gateway);
    await ben.ask({ subscribe: { channel: "c" } });
    const commands = '{"id":1,"connect":{}}\n{"id":2,"publish":{"channel":"c","data":"forged"}}';
    const events = await fetch(`${gateway.url}/connection/sse?cf_connect=${encodeURIComponent(commands)}`);
    assert.match(await events.text(), /^data: \{"push":\{"disconnect":\{"code":3501,.*\n\n$/);
    const stream = await fetch(`${gateway.url}/connection/http_stream`, { method: "POST", body: commands });
    assert.equal(JSON.parse(await stream.text()).push.disconnect.code, 3501);
    await ben.ask({ publish: { channel: "c", data: "true" } });
    await ben.pushed(({ pub }) => pub?.data === "true");
    assert.ok(!ben.pushes.some(({ pub }) => pub?.data === "forged"));
    ben.destroy();
  });

  it("is for pages of origins that may connect", async () => {
    const events = `/connection/sse?cf_connect=${CONNECT}`;
    const ask = async (path, method, headers) => {
      const raw = await RawClient.connect(gateway);
      const body = method === "POST" && path !== events ? "{}" : "";
      const size = body ? { "Content-Length": body.length } : {};
      raw.send(request({ method, path, headers: { ...PLAIN, ...size, ...headers } }) + body);
      const { status, headers: answered } = await raw.response();
      raw.destroy();
      return { status, allowed: answered["access-control-allow-origin"], headers: answered };
    };
    const friend = { Origin: "https://chat.example" };
    const stranger = { Origin: "https://evil.example" };

    assert.deepEqual((({ status, allowed }) => [status, allowed])(await ask(events, "GET", friend)), [200, friend.Origin]);
    assert.equal((await ask(events, "GET", friend)).headers.vary, "Origin");
    for (const path of [events, "/connection/http_stream", "/emulation"]) {
      for (const method of ["GET", "POST", "OPTIONS"]) {
        const { status, allowed } = await ask(path, method, stranger);
        assert.deepEqual([status, allowed], [403, undefined], `${method} ${path}`);
      }
      const { status, allowed, headers } = await ask(path, "OPTIONS", {
        ...friend,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
      });
      assert.deepEqual([status, allowed], [204, friend.Origin]);
      assert.match(headers["access-control-allow-methods"], /POST/);
      assert.match(headers["access-control-allow-headers"], /content-type/i);
    }
    const fetched = async (site, mode) =>
      (await ask(events, "GET", { "Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode })).status;
    assert.equal(await fetched("cross-site", "no-cors"), 403);
    assert.equal(await fetched("same-site", "cors"), 403);
    assert.equal(await fetched("same-origin", "no-cors"), 403);
    assert.equal(await fetched("none", "navigate"), 403);
    assert.equal(await fetched("same-origin", "cors"), 200);
    // The reader of requests refuses, too, and a page has to see that it was for its size alone.
    const { status, allowed, headers } = await ask("/emulation", "POST", { ...friend, "Content-Length": "1000000" });
    assert.deepEqual([status, allowed, headers.vary], [413, friend.Origin, "Origin"]);
    assert.equal((await ask("/emulation", "POST", { ...stranger, "Content-Length": "1000000" })).allowed, undefined);
    assert.deepEqual(
      (({ status, allowed }) => [status, allowed])(await ask("/emulation", "POST", friend)),
      [400, friend.Origin],
    );
  });

  it("answers posts that follow each other on one connection in their order", async () => {
    const ann = await StreamClient.connect(gateway);
    const raw = await RawClient.connect(gateway);
    const one = (node) => {
      const body = JSON.stringify({ session: ann.welcome.session, node, data: '{"id":70,"ping":{}}' });
      return request({ method: "POST", path: "/emulation", headers: { ...PLAIN, "Content-Length": body.length } }) + body;
    };
    raw.send([ann.welcome.node, "0", ann.welcome.node, "0"].map(one).join("") + request({ path: "/health", headers: PLAIN }));
    const statuses = [];
    for (let i = 0; i < 5; i++) statuses.push((await raw.response()).status);
    assert.deepEqual(statuses, [204, 404, 204, 404, 200]);
    await ann.reply(70);
    raw.destroy();
    ann.destroy();
  });
});

describe("a stream's time", () => {
  it("has pings of the server alone, at even times, and none that it has to answer", async () => {
    const gateway = await start({ args: ["--ping-interval", "500ms", "--pong-timeout", "200ms"] });
    const ann = await StreamClient.connect(gateway, { transport: "sse" });
    await until(() => ann.heard.filter((message) => Object.keys(message).length === 0).length >= 4, "four pings");
    assert.equal(await metric(gateway, "carillon_dead_peers_total"), 0);
    ann.destroy();
    await gateway.stop();
  });

  it("is over where the client's host takes nothing any more", async () => {
    const limits = ["--send-queue-limit", "64M", "--message-rate", "0"];
    const gateway = await start({ args: ["--ping-interval", "500ms", "--pong-timeout", "3s", ...limits] });
    const raw = await subscribedRawStream(gateway, "much");
    raw.socket.pause(); // its host takes what it has room for, and nothing from then on
    const ben = await CommandClient.connect(gateway);
    // More than the buffers of two sockets hold, and less than may be queued behind them.
    for (let i = 0; i < 200; i++) await ben.ask({ publish: { channel: "much", data: "x".repeat(60_000) } });
    ben.destroy();
    await until(async () => (await streams(gateway)) === 0, "the stream to be gone");
    assert.equal(await metric(gateway, "carillon_dead_peers_total"), 1);
    raw.destroy();
    await gateway.stop();
  });

  it("ends with 3001 when the gateway stops, and what was accepted comes before that", async () => {
    const gateway = await start({ args: ["--drain-time", "300ms"] });
    const ann = await StreamClient.connect(gateway);
    await ann.ask({ subscribe: { channel: "last words" } });
    await ann.ask({ publish: { channel: "last words", data: "heard" } });
    const stopped = gateway.stop();
    assert.equal((await ann.ended).disconnect.code, 3001);
    assert.ok(ann.pushes.some(({ pub }) => pub?.data === "heard"));
    await stopped;
  });

  it("begins with 503 where there is no room, as any client's", async () => {
    const gateway = await start({ args: ["--max-connections", "1"] });
    const ann = await StreamClient.connect(gateway);
    const headers = { Origin: gateway.url };
    const response = await fetch(`${gateway.url}/connection/sse?cf_connect=${CONNECT}`, { headers });
    assert.equal(response.status, 503);
    assert.ok(Number(response.headers.get("retry-after")) > 0);
    ann.destroy();
    await gateway.stop();
  });

  it("is below the base path like everything", async () => {
    const gateway = await start({ args: ["--base-path", "/apps/chat"] });
    const ann = await StreamClient.connect(gateway, { base: "/apps/chat" });
    assert.ok((await ann.ask({ subscribe: { channel: "a" } })).subscribe);
    assert.equal((await fetch(`${gateway.url}/connection/sse?cf_connect=${CONNECT}`)).status, 404);
    ann.destroy();
    await gateway.stop();
  });
});

onEachBus(SHARED_BUSES, (Bus) => {
  let bus;
  let gateways;
  before(async () => {
    bus = await Bus.start();
    gateways = await Promise.all(
      Array.from({ length: 2 }, () => start({ args: ["--bus", bus.url, "--threads", "2", "--message-rate", "0"] })),
    );
    await Promise.all(gateways.map(ready));
  });
  after(async () => {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await bus.stop();
  });

  it("is spoken to by way of any gateway", async () => {
    const [near, far] = gateways;
    const ann = await StreamClient.connect(near);
    await ann.isHeardFrom(far);
    const first = await ann.ask({ subscribe: { channel: "both" } }, { at: far });
    assert.ok(first.subscribe);
    for (let i = 0; i < 20; i++) {
      const { publish } = await ann.ask({ publish: { channel: "both", data: i } }, { at: gateways[i % 2] });
      assert.equal(publish.offset, i + 1);
    }
    await ann.pushed(({ pub }) => pub?.data === 19);
    ann.destroy();
  });

  it("gets 404 for one of a gateway that has gone, and so comes to another one", async () => {
    const third = await start({ args: ["--bus", bus.url] });
    await ready(third);
    const ann = await StreamClient.connect(third);
    await until(async () => (await ann.post({ id: 5, ping: {} }, { at: gateways[0] })) === 204, "the third to be known");
    await third.stop();
    await until(async () => (await ann.post({ id: 6, ping: {} }, { at: gateways[0] })) === 404, "404 for who left");
  });

  it("hears of a bus that is away with each post, and stays", async () => {
    const ann = await StreamClient.connect(gateways[0]);
    const ping = () => ann.post({ id: ann.nextId(), ping: {} }, { at: gateways[1] });
    await until(async () => (await ping()) === 204, "a post to go on its way");
    bus.pause();
    await until(async () => (await metric(gateways[1], "carillon_bus_up")) === 0, "the bus to be away");
    assert.equal(await ping(), 429);
    assert.equal(await ann.post({ id: 99, ping: {} }), 204); // to the gateway itself
    await ann.reply(99);
    bus.resume();
    await until(async () => (await ping()) === 204, "the bus to be back");
    ann.destroy();
  });

  it("is answered while its gateway drains", async () => {
    const third = await start({ args: ["--bus", bus.url, "--drain-time", "3s", "--message-rate", "0"] });
    await ready(third);
    const ann = await StreamClient.connect(third);
    await until(async () => (await ann.post({ id: 5, ping: {} }, { at: gateways[0] })) === 204, "the third to be known");
    const stopped = third.stop();
    const statuses = new Set();
    let hasEnded = false;
    const end = ann.ended.finally(() => (hasEnded = true));
    while (!hasEnded) statuses.add(await ann.post({ id: ann.nextId(), ping: {} }, { at: gateways[0] }));
    assert.equal((await end).disconnect.code, 3001);
    assert.ok([...statuses].every((status) => status === 204 || status === 404), [...statuses].join());
    await stopped;
  });
});
