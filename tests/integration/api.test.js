// The server API: a call on any gateway acts on the clients of all. The clients are the official JavaScript ones.

import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";

import { Centrifuge } from "centrifuge";
import WebSocket from "ws";

import { apiFiles, call, KEY, OLD_KEY, request, token } from "../lib/api.js";
import { BUSES, SHARED_BUSES, onEachBus } from "../lib/buses.js";
import { notReady, ready } from "../lib/cluster.js";
import { CommandClient } from "../lib/command_client.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { Relay } from "../lib/relay.js";
import { SdkClient } from "../lib/sdk.js";
import { until } from "../lib/wait.js";

const ok = async (gateway, method, params) => {
  const reply = await call(gateway, method, params);
  assert.equal(reply.error, undefined, JSON.stringify(reply.error));
  return reply.result;
};
const errorOf = async (gateway, method, params) => (await call(gateway, method, params)).error?.code;

onEachBus(BUSES, (Bus) => {
  const size = Bus.word === "local" ? 1 : 2;

  describe(`the API of ${size} gateways on ${Bus.title}`, () => {
    let bus, files, gateways, here, there;
    const clients = [];

    before(async () => {
      bus = await Bus.start();
      files = await apiFiles();
      gateways = await Promise.all(
        Array.from({ length: size }, () =>
          start({ args: ["--bus", bus.url, "--threads", "2", ...files.args, "--allow-anonymous", "on"] }),
        ),
      );
      here = gateways[0];
      there = gateways.at(-1);
      await until(async () => (await call(here, "info")).result?.nodes.length === size, "the gateways to know each other");
    });
    after(async () => {
      for (const client of clients) client.disconnect();
      await Promise.all(gateways.map((gateway) => gateway.stop()));
      await files.remove();
      await bus.stop();
    });

    // A client that is connected to the gateway that is not asked.
    async function connect(user, claims) {
      const options = { websocket: WebSocket, minReconnectDelay: 10, maxReconnectDelay: 50 };
      if (user) options.token = token(user, claims);
      const client = new Centrifuge(`ws://127.0.0.1:${there.port}/connection/websocket`, options);
      clients.push(client);
      const connected = once(client, "connected");
      client.connect();
      [client.context] = await connected;
      return client;
    }

    async function subscribe(client, channel, options) {
      const subscription = client.newSubscription(channel, options);
      const subscribed = once(subscription, "subscribed");
      subscription.subscribe();
      await subscribed;
      return subscription;
    }

    it("publishes, with tags, and every byte of the data as it was", async () => {
      const subscription = await subscribe(await connect("ann"), "news");
      const arrived = once(subscription, "publication");
      const body = '{"channel":"news","data":{"n":12345678901234567890,"text":"hé"},"tags":{"lang":"fr"}}';
      const { status, text } = await request(here, "/api/publish", { body });

      assert.equal(status, 200);
      assert.equal(JSON.parse(text).result.offset, 1);
      assert.ok(JSON.parse(text).result.epoch);

      const [publication] = await arrived;
      assert.equal(publication.data.text, "hé");
      assert.deepEqual(publication.tags, { lang: "fr" });

      const history = await request(here, "/api/history", { body: '{"channel":"news","limit":1}' });
      assert.ok(history.text.includes('{"n":12345678901234567890,"text":"hé"}'), history.text);
    });

    it("publishes data in base64", async () => {
      await ok(here, "publish", { channel: "base64", b64data: Buffer.from('{"a":1}').toString("base64") });
      const { publications } = await ok(there, "history", { channel: "base64", limit: 1 });
      assert.deepEqual(publications[0].data, { a: 1 });
      assert.equal(await errorOf(here, "publish", { channel: "base64", b64data: "?" }), 107);
    });

    it("publishes once what is said twice with one key, through whatever gateway", async () => {
      const params = { channel: "once", data: 1, idempotency_key: "key" };
      const first = await ok(here, "publish", params);
      const second = await ok(there, "publish", params);

      assert.deepEqual(second, first);
      assert.equal((await ok(here, "history", { channel: "once", limit: 10 })).publications.length, 1);
    });

    it("keeps out of the history what is to skip it", async () => {
      const listener = await SdkClient.open(there, { token: token("listener") });
      const skip = listener.subscribe("skip");
      await skip.isOn();
      await ok(here, "publish", { channel: "skip", data: 1 });
      assert.deepEqual(await ok(here, "publish", { channel: "skip", data: "typing", skip_history: true }), {});
      await ok(here, "publish", { channel: "skip", b64data: "AAE=", skip_history: true });
      await ok(here, "publish", { channel: "skip", data: 2 });
      await skip.heard(4);
      assert.deepEqual(skip.data, [1, "typing", "AAE=", 2]);
      const { publications, offset } = await ok(here, "history", { channel: "skip", limit: 10 });
      assert.deepEqual([publications.map(({ data }) => data), offset], [[1, 2], 2]);
      listener.leave();
    });

    it("broadcasts, and says of each channel what became of it", async () => {
      const channels = ["b1", "b2", "", "unknown:b3"];
      const { responses } = await ok(here, "broadcast", { channels, data: { a: 1 } });

      assert.equal(responses.length, 4);
      assert.equal(responses[0].result.offset, 1);
      assert.equal(responses[1].result.offset, 1);
      assert.equal(responses[2].error.code, 107);
      assert.equal(responses[3].error.code, 102);
      assert.deepEqual((await ok(there, "history", { channel: "b2", limit: 1 })).publications[0].data, { a: 1 });
    });

    it("reads histories from both ends and from a place, and forgets them", async () => {
      for (let i = 1; i <= 5; i++) await ok(here, "publish", { channel: "h", data: i });
      const dataOf = async (params) =>
        (await ok(there, "history", { channel: "h", ...params })).publications.map(({ data }) => data);
      const { offset, epoch, publications } = await ok(there, "history", { channel: "h" });

      assert.equal(offset, 5);
      assert.deepEqual(publications, []);
      assert.deepEqual(await dataOf({ limit: 2 }), [1, 2]);
      assert.deepEqual(await dataOf({ limit: 2, reverse: true }), [5, 4]);
      assert.deepEqual(await dataOf({ limit: -1, since: { offset: 3, epoch } }), [4, 5]);
      assert.equal(await errorOf(here, "history", { channel: "h", limit: 1, since: { offset: 3, epoch: "other" } }), 112);
      await ok(here, "history_remove", { channel: "h" });
      assert.deepEqual(await dataOf({ limit: -1 }), []);
    });

    it("tells who is on a channel, and which channels there are", async () => {
      const ann = await connect("ann", { info: { name: "Ann" } });
      const bob = await connect("bob");
      await subscribe(ann, "room:1".slice(0, 4));
      await subscribe(bob, "room");
      await subscribe(await connect("bob"), "room");
      const presence = async () => (await ok(here, "presence", { channel: "room" })).presence;
      await until(async () => Object.keys(await presence()).length === 3, "three to be there");

      const who = (await presence())[ann.context.client];
      assert.deepEqual(who, { client: ann.context.client, user: "ann", conn_info: { name: "Ann" } });
      assert.deepEqual(await ok(here, "presence_stats", { channel: "room" }), { num_clients: 3, num_users: 2 });

      const { channels } = await ok(here, "channels", { pattern: "roo?" });
      assert.deepEqual(channels, { room: { num_clients: 3 } });
      assert.ok(Object.keys((await ok(here, "channels")).channels).length > 1);
      assert.deepEqual((await ok(here, "channels", { pattern: "*nothing*" })).channels, {});
    });

    it("knows the gateways and what goes on there", async () => {
      const { nodes } = await ok(here, "info");

      assert.equal(nodes.length, size);
      assert.equal(new Set(nodes.map(({ uid }) => uid)).size, size);
      for (const node of nodes) assert.ok(node.name && node.version && node.uptime >= 0, JSON.stringify(node));
      await connect("counted");
      await until(
        async () => (await ok(here, "info")).nodes.reduce((sum, node) => sum + node.num_clients, 0) >= 1,
        "the clients to be counted",
      );
    });

    it("disconnects a user, with a code and a reason, and spares a client", async () => {
      const [one, two, other] = [await connect("eve"), await connect("eve"), await connect("dan")];
      const ended = once(one, "disconnected");

      await ok(here, "disconnect", {
        user: "eve",
        whitelist: [two.context.client],
        disconnect: { code: 4600, reason: "enough" },
      });

      const [{ code, reason }] = await ended;
      assert.deepEqual({ code, reason }, { code: 4600, reason: "enough" });
      assert.equal(two.state, "connected");
      assert.equal(other.state, "connected");

      const gone = once(two, "disconnected");
      await ok(here, "disconnect", { user: "eve", client: two.context.client });
      assert.equal((await gone)[0].code, 3503);
    });

    it("subscribes and unsubscribes a user", async () => {
      const client = await connect("gus");
      const subscribed = once(client, "subscribed");
      await ok(here, "subscribe", { user: "gus", channel: "of-gus", data: { hello: 1 } });
      const [context] = await subscribed;
      assert.equal(context.channel, "of-gus");
      assert.deepEqual(context.data, { hello: 1 });

      const arrived = once(client, "publication");
      await ok(here, "publish", { channel: "of-gus", data: "hi" });
      assert.equal((await arrived)[0].data, "hi");

      const ended = once(client, "unsubscribed");
      await ok(here, "unsubscribe", { user: "gus", channel: "of-gus" });
      assert.equal((await ended)[0].channel, "of-gus");
    });

    it("gives a user who is subscribed what was published since a place", async () => {
      for (let i = 1; i <= 3; i++) await ok(here, "publish", { channel: "since", data: i });
      const { epoch } = await ok(here, "history", { channel: "since" });
      const client = await connect("ida");
      const seen = [];
      client.on("publication", ({ data }) => seen.push(data));
      await ok(here, "subscribe", { user: "ida", channel: "since", recover_since: { offset: 1, epoch } });
      await until(() => seen.length === 2, "what was missed");
      assert.deepEqual(seen, [2, 3]);
    });

    it("ends a client's own subscription", async () => {
      const client = await connect("hal");
      const subscription = await subscribe(client, "of-hal");
      const ended = once(subscription, "unsubscribed");
      await ok(here, "unsubscribe", { client: client.context.client, channel: "of-hal" });
      assert.equal((await ended)[0].code, 2000);
    });

    it("refreshes a connection, and lets one expire", async () => {
      const now = Math.floor(Date.now() / 1000);
      const client = await connect("joy", { exp: now + 3600 });
      await ok(here, "refresh", { user: "joy", expire_at: now + 7200 });
      const ended = once(client, "connecting");
      await ok(here, "refresh", { user: "joy", expired: true });
      assert.equal((await ended)[0].code, 3005);
    });

    it("answers several commands in one request", async () => {
      const commands = [
        { publish: { channel: "batch", data: 1 } },
        { broadcast: { channels: ["batch"], data: 2 } },
        { presence_stats: { channel: "batch" } },
        { nonsense: {} },
        { publish: { data: 3 } },
      ];
      const { text } = await request(here, "/api/batch", { body: JSON.stringify({ commands, parallel: true }) });
      const { replies } = JSON.parse(text);

      assert.equal(replies[0].publish.offset, 1);
      assert.equal(replies[1].broadcast.responses[0].result.offset, 2);
      assert.deepEqual(replies[2].presence_stats, { num_clients: 0, num_users: 0 });
      assert.equal(replies[3].error.code, 104);
      assert.equal(replies[4].error.code, 107);
    });

    it("speaks the old style, too", async () => {
      const lines = [{ method: "publish", params: { channel: "old", data: 1 } }, { method: "info" }, { method: "x" }];
      const { text } = await request(here, "/api", {
        headers: { Authorization: `apikey ${KEY}` },
        body: lines.map((line) => JSON.stringify(line)).join("\n"),
      });
      const replies = text.split("\n").map((line) => JSON.parse(line));

      assert.equal(replies[0].result.offset, 1);
      assert.equal(replies[1].result.nodes.length, size);
      assert.equal(replies[2].error.code, 104);
    });

    it("does nothing for those who are nowhere", async () => {
      assert.deepEqual(await ok(here, "disconnect", { user: "nobody" }), {});
      assert.deepEqual(await ok(here, "subscribe", { client: "nobody", channel: "x" }), {});
    });
  });
});

// A bus that is up may not know yet what the gateway listens to, the longer the way.
onEachBus(SHARED_BUSES, (Bus) => {
  it(`a gateway on ${Bus.title} is ready as soon as it hears what is done on another one, and no sooner`, async () => {
    const bus = await Bus.start();
    const relay = await Relay.start(bus.port);
    const files = await apiFiles();
    const gateways = [];
    const begin = async (url) => {
      const gateway = await start({ args: ["--bus", url, ...files.args] });
      gateways.push(gateway);
      return gateway;
    };

    try {
      const old = await begin(bus.url);
      await ready(old);
      for (let round = 0; round < 3; round++) {
        relay.delayMs = 200;
        const fresh = await begin(bus.urlAt(relay.port));
        await ready(fresh);
        const ann = await CommandClient.connect(fresh, { token: token("ann") });
        await ok(old, "disconnect", { user: "ann", disconnect: { code: 4600, reason: "enough" } });
        assert.equal((await ann.closed).code, 4600);
        assert.doesNotMatch(fresh.log, /is not heard/);

        if (Bus.isReplicated) continue; // and so another way to it is left
        relay.cut();
        await notReady(fresh);
        await ready(fresh);
        const bob = await CommandClient.connect(fresh, { token: token("bob") });
        await ok(old, "disconnect", { user: "bob", disconnect: { code: 4601, reason: "enough" } });
        assert.equal((await bob.closed).code, 4601);
      }
    } finally {
      await Promise.all(gateways.map((gateway) => gateway.kill()));
      await relay.stop();
      await bus.stop();
      await files.remove();
    }
  });
});

describe("what the API takes", () => {
  let files, gateway;
  before(async () => {
    files = await apiFiles();
    gateway = await start({ args: [...files.args, "--max-message-size", "1K", "--threads", "1"] });
    await until(async () => (await call(gateway, "publish", { channel: "a", data: 1 })).result, "the bus to be up");
  });
  after(async () => {
    await gateway.stop();
    await files.remove();
  });

  const statusOf = async (options) => (await request(gateway, options.path ?? "/api/info", options)).status;

  it("wants a key, in either header", async () => {
    assert.equal(await statusOf({ headers: {} }), 401);
    assert.equal(await statusOf({ headers: { "X-API-Key": "" } }), 401);
    assert.equal(await statusOf({ headers: { "X-API-Key": KEY.slice(0, -1) } }), 401);
    assert.equal(await statusOf({ headers: { "X-API-Key": `${KEY}x` } }), 401);
    assert.equal(await statusOf({ headers: { "X-API-Key": "# for tests" } }), 401);
    assert.equal(await statusOf({ headers: { Authorization: `Bearer ${KEY}` } }), 401);
    assert.equal(await statusOf({ path: `/api/info?api_key=${KEY}`, headers: {} }), 401);
    assert.equal(await statusOf({ headers: { "X-API-Key": KEY } }), 200);
    assert.equal(await statusOf({ headers: { "X-API-Key": OLD_KEY } }), 200);
    assert.equal(await statusOf({ headers: { Authorization: `ApiKey ${KEY}` } }), 200);
    assert.ok((await request(gateway, "/api/info", { headers: {} })).headers.get("www-authenticate"));
  });

  it("wants POST, and methods that there are", async () => {
    assert.equal(await statusOf({ method: "GET" }), 405);
    assert.equal(await statusOf({ path: "/api/nonsense", body: "{}" }), 404);
    assert.equal(await statusOf({ path: "/api/publish/x", body: "{}" }), 404);
    assert.equal(await statusOf({ path: "/apis", body: "" }), 404);
    assert.equal(await errorOf(gateway, "rpc"), 104);
  });

  const deep = (depth) => `{"channel":"a","data":${"[".repeat(depth)}${"]".repeat(depth)}}`;
  for (const [what, body] of [
    ["half of it", '{"channel":"a"'],
    ["an array", "[]"],
    ["a number", "1"],
    ["two values", '{"channel":"a","data":1}{}'],
    ["a member twice", '{"channel":"a","channel":"b","data":1}'],
    ["bad UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ["a depth of 64", deep(64)],
    ["a depth of 10,000", deep(10_000)],
  ]) {
    it(`refuses ${what}`, async () => assert.equal(await statusOf({ path: "/api/publish", body }), 400));
  }
  it("takes a depth of 63", async () => assert.equal(await statusOf({ path: "/api/publish", body: deep(63) }), 200));

  const long = "x".repeat(2000);
  const many = (count) => Array.from({ length: count }, (_, i) => `c${i}`);
  for (const [method, params, code] of [
    ["publish", {}, 107],
    ["publish", { channel: "a" }, 107],
    ["publish", { channel: "a", data: null }, 107],
    ["publish", { channel: 1, data: 1 }, 107],
    ["publish", { channel: "", data: 1 }, 107],
    ["publish", { channel: "a\u0001", data: 1 }, 107],
    ["publish", { channel: "a\u0000b", data: 1 }, 107],
    ["publish", { channel: "x".repeat(256), data: 1 }, 107],
    ["publish", { channel: "unknown:a", data: 1 }, 102],
    ["publish", { channel: "a", data: long }, 106],
    ["publish", { channel: "a", data: 1, idempotency_key: "k".repeat(256) }, 107],
    ["publish", { channel: "a", data: 1, skip_history: 1 }, 107],
    ["publish", { channel: "a", data: 1, tags: { a: 1 } }, 107],
    ["publish", { channel: "a", data: 1, tags: [] }, 107],
    ["publish", { channel: "a", data: 1, tags: Object.fromEntries(many(65).map((name) => [name, ""])) }, 106],
    ["broadcast", { data: 1 }, 107],
    ["broadcast", { channels: [], data: 1 }, 107],
    ["broadcast", { channels: "a", data: 1 }, 107],
    ["broadcast", { channels: many(1001), data: 1 }, 106],
    ["broadcast", { channels: many(1000), data: 1 }, undefined],
    ["subscribe", { channel: "a" }, 107],
    ["subscribe", { user: "u" }, 107],
    ["subscribe", { user: "u", channel: "unknown:a" }, 102],
    ["subscribe", { user: "u", channel: "a", expire_at: 1.5 }, 107],
    ["subscribe", { user: "u", channel: "a", override: { presence: { value: true } } }, 107],
    ["unsubscribe", { user: "u" }, 107],
    ["disconnect", {}, 107],
    ["disconnect", { user: "u", disconnect: { code: 1000 } }, 107],
    ["disconnect", { user: "u", disconnect: { code: 4000, reason: "r".repeat(124) } }, 107],
    ["disconnect", { user: "u", whitelist: [1] }, 107],
    ["disconnect", { user: "u", session: "s" }, 107],
    ["refresh", { user: "" }, 107],
    ["refresh", { user: "u", expire_at: 1e300 }, 107],
    ["presence", {}, 107],
    ["presence_stats", { channel: "unknown:a" }, 102],
    ["history", { channel: "a", limit: "1" }, 107],
    ["history", { channel: "a", limit: 1e12 }, 107],
    ["history", { channel: "a", since: { offset: -1, epoch: "" } }, 107],
    ["history", { channel: "a", since: { offset: 1, epoch: "e".repeat(17) } }, 112],
    ["history_remove", { channel: "" }, 107],
    ["channels", { pattern: 1 }, 107],
  ]) {
    const shown = JSON.stringify(params).slice(0, 70);
    it(`${method} ${shown} is answered with ${code ?? "a result"}`, async () => {
      assert.equal(await errorOf(gateway, method, params), code);
    });
  }

  it("takes so many commands and no more", async () => {
    const batch = (count) => JSON.stringify({ commands: Array(count).fill({ info: {} }) });

    assert.equal(await statusOf({ path: "/api/batch", body: batch(1000) }), 200);
    assert.equal(await statusOf({ path: "/api/batch", body: batch(1001) }), 400);
    assert.equal(await statusOf({ path: "/api/batch", body: "{}" }), 400);
    assert.equal(await statusOf({ path: "/api/batch", body: '{"commands":[1]}' }), 400);
    assert.equal(await statusOf({ path: "/api", body: "{}" }), 400);
  });

  it("refuses a body beyond its limit", async () => {
    assert.equal(await statusOf({ path: "/api/publish", body: `{"a":"${"x".repeat(1_060_000)}"}` }), 413);
  });

  it("counts", async () => {
    assert.ok((await metric(gateway, 'carillon_api_requests_total{method="publish",error="107"}')) > 0);
    assert.ok((await metric(gateway, 'carillon_api_requests_total{method="info",error="0"}')) > 0);
    assert.ok((await metric(gateway, 'carillon_api_refused_total{status="401"}')) > 0);
    assert.ok((await metric(gateway, "carillon_api_seconds_count")) > 0);
  });

  it("takes other keys after SIGHUP", async () => {
    await writeFile(files.keys, "another-key-for-the-tests\n");
    process.kill(gateway.pid, "SIGHUP");
    await until(async () => (await statusOf({ headers: { "X-API-Key": KEY } })) === 401, "the key to be gone");
    assert.equal(await statusOf({ headers: { "X-API-Key": "another-key-for-the-tests" } }), 200);
  });
});

describe("without keys", () => {
  it("there is no API, and its page says why", async () => {
    const gateway = await start();
    try {
      const { status, text } = await request(gateway, "/api/info", {});
      assert.equal(status, 404);
      assert.match(text, /--api-key-file/);
    } finally {
      await gateway.stop();
    }
  });
});
