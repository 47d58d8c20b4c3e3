// web/carillon.js: what it makes of a server's answers, breaks and codes (a played server), and that it keeps its
// promises with the real one on each bus.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { build } from "esbuild";
import { WebSocket } from "ws";

import { Carillon, CarillonError, Subscription } from "../../web/carillon.js";
import { BUSES, onEachBus } from "../lib/buses.js";
import { ChannelServer, SILENCE } from "../lib/channel_server.js";
import { start } from "../lib/gateway.js";
import { until } from "../lib/wait.js";

const SOURCE = fileURLToPath(new URL("../../web/carillon.js", import.meta.url));
const TESTS = fileURLToPath(new URL("..", import.meta.url));
const COMPILED = ["--target", "es2022", "--module", "nodenext"];
const SIZE_LIMIT = 10 * 1024;

// A client that keeps what it is told: `told` holds [type, event] in their order.
function listen(emitter, ...types) {
  const told = [];

  for (const type of types) emitter.on(type, (event) => told.push([type, event]));
  return told;
}

const next = (emitter, type) => new Promise((resolve) => emitter.on(type, resolve));
const stateIs = (client, state) => until(async () => client.state === state, `the state ${state}`);

describe("the page's client as a file", () => {
  it("has less than 10 KB when it is minified", async () => {
    const { outputFiles } = await build({
      ...{ entryPoints: [SOURCE], bundle: true, minify: true, format: "esm", write: false },
      mangleProps: /^_/, // names of this file alone
    });
    assert.ok(outputFiles[0].contents.length < SIZE_LIMIT, `${outputFiles[0].contents.length} bytes`);
  });

  it("is what its types say", async () => {
    const { stdout } = await promisify(execFile)(
      ...["node_modules/.bin/tsc", ["--noEmit", "--strict", "--skipLibCheck", ...COMPILED, "types/sample.ts"]],
      { cwd: TESTS },
    ).catch((error) => error);
    assert.equal(stdout, "");

    const types = await readFile(SOURCE.replace(/js$/, "d.ts"), "utf8");
    for (const { prototype, name } of [Carillon, Subscription]) {
      for (const member of Object.getOwnPropertyNames(prototype)) {
        if (!member.startsWith("_")) assert.match(types, new RegExp(`\\b${member}\\b`), `${name}.${member}`);
      }
    }
  });
});

describe("the page's client", () => {
  let server, client;
  const clients = [];

  beforeEach(async () => {
    server = await new ChannelServer().listen();
    client = create();
  });
  afterEach(async () => {
    for (const each of clients.splice(0)) each.disconnect();
    await server.stop();
  });

  function create(options = {}) {
    const client = new Carillon(server.url, { WebSocket, ...options });
    clients.push(client);
    return client;
  }

  const once = async (method, count = 1) => {
    await until(async () => server.asked(method).length >= count, `${count} x ${method}`);
    return server.asked(method)[count - 1].parameters;
  };

  it("connects, subscribes, and hands on what comes, in its order", async () => {
    const room = client.subscribe("room", { joinLeave: true, data: { from: "test" } });
    const told = listen(room, "subscribed", "publication", "join", "leave");

    server.handlers.subscribe = ({ channel }, socket) => {
      // Behind the reply, in the same frame.
      const { id } = server.asked("subscribe").at(-1);
      const who = { user: "7", client: "c", conn_info: { name: "Ada" } };
      socket.say(
        { id, subscribe: { recoverable: true, epoch: "e1", offset: 4, data: 1 } },
        { push: { channel, pub: { data: "a", offset: 5, info: who, tags: { t: "1" } } } },
        { push: { channel, join: { info: who } } },
        { push: { channel, leave: { info: who } } },
      );
      return SILENCE;
    };
    client.connect();
    await until(async () => told.length === 4, "all of it");
    const info = { user: "7", client: "c", connInfo: { name: "Ada" }, chanInfo: undefined };
    const [subscribed, ...rest] = told;
    assert.equal(subscribed[0], "subscribed");
    const { channel, epoch, offset, wasRecovering, recovered, missed, data } = subscribed[1];
    assert.deepEqual(
      [channel, epoch, offset, wasRecovering, recovered, missed, data],
      ["room", "e1", 4, false, false, 0, 1],
    );
    assert.deepEqual(rest, [
      ["publication", { channel: "room", data: "a", offset: 5, time: undefined, tags: { t: "1" }, info }],
      ["join", { channel: "room", info }],
      ["leave", { channel: "room", info }],
    ]);
    assert.deepEqual(room.position, { epoch: "e1", offset: 5 });
    assert.deepEqual(await once("subscribe"), {
      ...{ channel: "room", data: { from: "test" }, join_leave: true, positioned: true, recoverable: true },
    });
    assert.equal(client.client, "client-1");
    assert.equal(client.subscribe("room"), room);
  });

  it("asks for what it has missed from where it stands, and tells whether that was all", async () => {
    const room = client.subscribe("room");
    const told = listen(room, "subscribing", "subscribed", "publication");

    server.offset = 7;
    client.connect();
    await next(room, "subscribed");
    server.socket.push("room", { pub: { data: "live", offset: 8 } });
    await until(async () => told.length === 2, "the publication");
    server.handlers.subscribe = ({ epoch, offset }) => ({
      ...{ recoverable: true, epoch, offset: 10, was_recovering: true, recovered: true },
      publications: [{ data: "missed", offset: offset + 1 }, { data: "too", offset: offset + 2 }],
    });
    server.socket.close(3001, "shutdown");
    await until(async () => told.length === 6, "what was missed");
    const { recover, epoch, offset } = await once("subscribe", 2);
    assert.deepEqual([recover, epoch, offset], [true, "e1", 8]);
    assert.deepEqual(
      told.slice(2).map(([type, { code, recovered, missed, data }]) => [type, code ?? recovered ?? data, missed]),
      [["subscribing", 3001, undefined], ["subscribed", 3001, 2], ["publication", "missed", undefined], ["publication", "too", undefined]],
    );
    assert.deepEqual(room.position, { epoch: "e1", offset: 10 });

    server.handlers.subscribe = () => ({ recoverable: true, epoch: "e2", offset: 1, was_recovering: true });
    const again = next(room, "subscribed");
    server.socket.close(3001, "shutdown");
    assert.equal((await again).recovered, false);
    assert.deepEqual(room.position, { epoch: "e2", offset: 1 });
  });

  it("begins where the program says that it stands", async () => {
    client.subscribe("room", { since: { epoch: "e0", offset: 3 } });
    client.connect();
    const { recover, epoch, offset } = await once("subscribe");
    assert.deepEqual([recover, epoch, offset], [true, "e0", 3]);
  });

  it("publishes what was given to it while there was no connection, in order, and under keys", async () => {
    const places = Promise.all(["a", "b", "c"].map((data) => client.publish("room", { data })));

    assert.equal(client.pending, 3);
    client.connect();
    assert.deepEqual(await places, [1, 2, 3].map((offset) => ({ epoch: "e1", offset })));
    const published = server.published.map(({ parameters }) => parameters);
    assert.deepEqual(published.map(({ data }) => data.data), ["a", "b", "c"]);
    assert.equal(new Set(published.map(({ idempotency_key: key }) => key)).size, 3);
    assert.equal(client.pending, 0);
    await client.publish("room", "d", { key: "mine" });
    assert.equal(server.published[3].parameters.idempotency_key, "mine");
  });

  it("publishes again, under the same key, what nobody has acknowledged", async () => {
    const told = listen(client, "sent", "waiting");

    client.connect();
    server.handlers.publish = () => SILENCE;
    const place = client.publish("room", "a", { key: "k" });
    await once("publish");
    server.handlers.publish = () => ({ offset: 9, epoch: "e" });
    server.socket.close(3001, "");
    assert.deepEqual(await place, { epoch: "e", offset: 9 });
    assert.deepEqual(server.published.map(({ parameters }) => parameters.idempotency_key), ["k", "k"]);
    assert.deepEqual(told.map(([type]) => type), ["sent", "waiting", "sent"]);
  });

  it("keeps the order of what it publishes while the server cannot take it", async () => {
    const taken = [];
    let isAway = true;

    client.connect();
    server.handlers.publish = ({ data }) => {
      if (isAway) return { error: { code: 108, message: "not available" } };
      taken.push(data);
      return {};
    };
    const done = ["a", "b"].map((data) => client.publish("room", data));
    await once("publish", 3); // one of them again
    done.push(client.publish("room", "c"));
    isAway = false;
    await Promise.all(done);
    assert.deepEqual(taken, ["a", "b", "c"]);
  });

  it("waits with a publication until it is in the channel, if it is on the way there", async () => {
    let enter;

    server.handlers.subscribe = () => new Promise((resolve) => (enter = () => resolve({})));
    const room = client.subscribe("room");
    client.connect();
    const published = room.publish("a");
    await client.publish("other", "b"); // overtakes it, on another channel
    assert.equal(server.published.length, 1);
    enter();
    await published;
  });

  it("refuses publications beyond its bound, and what is no JSON", async () => {
    const small = create({ queueLimit: 2 });
    const kept = [small.publish("room", 1), small.publish("room", 2)];

    await assert.rejects(small.publish("room", 3), { code: 4 });
    await assert.rejects(client.publish("room", 10n), TypeError);
    await assert.rejects(client.publish("room", "now", { isFleeting: true }), { code: 3 });
    small.disconnect();
    for (const each of kept) await assert.rejects(each, { code: 3 });
  });

  it("gives up the biggest message when the server says that one was too big, and sends the others", async () => {
    client.connect();
    await next(client, "connected");
    server.handlers.publish = ({ data }, socket) => {
      if (data.length > 5) socket.close(1009, "too big");
      return socket.isClosing || (socket.isClosing = data.length > 5) ? SILENCE : {};
    };
    const big = client.publish("room", "too big");
    const small = client.publish("room", "ok");
    await assert.rejects(big, (error) => error instanceof CarillonError && error.code === 1009);
    await small;
    assert.equal(client.state, "connected");
  });

  it("tells history, presence, and answers of the backend", async () => {
    const room = client.subscribe("room");

    client.connect();
    server.handlers.history = () => ({ epoch: "e1", offset: 2, publications: [{ data: 1, offset: 1 }, { data: 2, offset: 2 }] });
    server.handlers.presence = () => ({ presence: { a: { client: "a" }, b: { client: "b", user: "u" } } });
    server.handlers.presence_stats = () => ({ num_clients: 2, num_users: 1 });
    server.handlers.rpc = ({ method, data }) => ({ data: [method, data] });
    const history = await room.history({ limit: 5, reverse: true, since: { epoch: "e1", offset: 9 } });
    assert.deepEqual([history.epoch, history.offset, history.publications.map(({ data }) => data)], ["e1", 2, [1, 2]]);
    assert.deepEqual(server.asked("history")[0].parameters, {
      ...{ channel: "room", limit: 5, reverse: true, since: { epoch: "e1", offset: 9 } },
    });
    assert.deepEqual((await room.presence()).map(({ client, user }) => [client, user]), [["a", ""], ["b", "u"]]);
    assert.deepEqual(await room.presenceStats(), { clients: 2, users: 1 });
    assert.deepEqual(await client.rpc("add", 1), ["add", 1]);
    server.handlers.rpc = () => ({ error: { code: 104, message: "method not found" } });
    await assert.rejects(client.rpc("none"), { code: 104, message: "method not found", isTemporary: false });
  });

  it("rejects what the connection's end leaves without an answer", async () => {
    client.connect();
    server.handlers.rpc = () => SILENCE;
    const answer = client.rpc("slow");
    await once("rpc");
    server.socket.close(3001, "");
    await assert.rejects(answer, { code: 2, isTemporary: true });
    client.disconnect();
    await assert.rejects(client.rpc("x"), { code: 3 });
  });

  it("answers pings where the server wants that", async () => {
    server.handlers.connect = () => ({ client: "c", ping: 25, pong: true });
    client.connect();
    await next(client, "connected");
    server.socket.say({});
    await until(async () => server.pongs === 1, "the pong");
  });

  for (const [code, isFinal] of [[1006, false], [1012, false], [3000, false], [3012, false], [3499, false], [3500, true], [3999, true], [4000, false], [4499, false], [4500, true], [4999, true]]) {
    it(`${isFinal ? "stays away" : "comes back"} after ${code}`, async () => {
      const told = listen(client, "state");

      client.connect();
      await next(client, "connected");
      if (code === 1006) await cut();
      else server.socket.close(code, "why");
      if (isFinal) {
        await stateIs(client, "disconnected");
        assert.deepEqual(told.at(-1)[1], { state: "disconnected", code, reason: "why" });
        client.connect();
      }
      await once("connect", 2);
      await stateIs(client, "connected");
      if (!isFinal) assert.equal(told.some(([, { state }]) => state === "disconnected"), false);
    });
  }

  async function cut() {
    server.socket.close(); // without a code: 1005 there, and so none of ours
  }

  it("does as a disconnect push says", async () => {
    client.connect();
    await next(client, "connected");
    server.socket.say({ push: { disconnect: { code: 3005, reason: "expired", reconnect: true } } });
    await once("connect", 2);
    await stateIs(client, "connected");
    server.socket.say({ push: { disconnect: { code: 3507, reason: "no", reconnect: false } } });
    await stateIs(client, "disconnected");
  });

  it("tries again where connecting is refused for a while, and not where it is for good", async () => {
    const answers = [{ error: { code: 100, message: "internal", temporary: true } }, { error: { code: 103, message: "permission denied" } }];
    const told = listen(client, "state");

    server.handlers.connect = () => answers.shift();
    client.connect();
    await stateIs(client, "disconnected");
    assert.equal(server.asked("connect").length, 2);
    assert.deepEqual(told.at(-1)[1], { state: "disconnected", code: 103, reason: "permission denied" });
  });

  it("gets another token when its own has expired, and refreshes it in time", async () => {
    const tokens = ["old", "new", "newer"];
    const mine = create({ getToken: async () => tokens.shift() });

    server.handlers.connect = ({ token }) =>
      token === "old" ? { error: { code: 109, message: "token expired" } } : { client: "c", expires: true, ttl: 0 };
    server.handlers.refresh = () => ({ expires: false });
    mine.connect();
    assert.equal((await once("connect", 2)).token, "new");
    assert.equal((await once("refresh")).token, "newer");
    assert.equal(mine.state, "connected");
  });

  it("tries again when a token cannot be had now, and ends when there is none", async () => {
    const answers = [() => Promise.reject(new Error("away")), () => "good", () => ""];
    const mine = create({ getToken: () => answers.shift()() });
    const told = listen(mine, "error");

    server.handlers.connect = () => ({ client: "c", expires: true, ttl: 0 });
    mine.connect();
    await stateIs(mine, "disconnected");
    assert.equal((await once("connect")).token, "good");
    assert.deepEqual(told.map(([, { message }]) => message), ["away"]);
  });

  it("gets tokens for channels, and refreshes them", async () => {
    const asked = [];
    const getToken = async ({ channel }) => `${channel}-${asked.push(channel)}`;
    const room = client.subscribe("room", { getToken });

    server.handlers.subscribe = ({ token }) =>
      token === "room-1" ? { error: { code: 109, message: "token expired" } } : { expires: true, ttl: 0 };
    server.handlers.sub_refresh = () => ({});
    client.connect();
    await next(room, "subscribed");
    assert.equal((await once("subscribe", 2)).token, "room-2");
    assert.deepEqual(await once("sub_refresh"), { channel: "room", token: "room-3" });
  });

  it("subscribes again where that was refused for a while, and gives up where it was for good", async () => {
    const answers = [{ error: { code: 100, message: "internal", temporary: true } }, {}, { error: { code: 103, message: "permission denied" } }];
    const room = client.subscribe("room");
    const told = listen(room, "subscribed", "unsubscribed");

    server.handlers.subscribe = () => answers.shift();
    client.connect();
    await next(room, "subscribed");
    room.unsubscribe();
    await once("unsubscribe");
    room.subscribe();
    assert.deepEqual(await next(room, "unsubscribed"), { channel: "room", code: 103, reason: "permission denied" });
    assert.deepEqual(told.map(([type]) => type), ["subscribed", "unsubscribed", "unsubscribed"]);
    assert.equal(room.state, "unsubscribed");
    await client.publish("room", "still"); // which does not wait for it
  });

  it("comes back into a channel after 2500, and not after 2000", async () => {
    const room = client.subscribe("room");
    const told = listen(room, "subscribing", "subscribed", "unsubscribed");

    client.connect();
    await next(room, "subscribed");
    server.socket.push("room", { unsubscribe: { code: 2500, reason: "insufficient state" } });
    assert.equal((await next(room, "subscribed")).code, 2500);
    server.socket.push("room", { unsubscribe: { code: 2000, reason: "server unsubscribe" } });
    assert.equal((await next(room, "unsubscribed")).code, 2000);
    assert.deepEqual(told.map(([type]) => type), ["subscribed", "subscribing", "subscribed", "unsubscribed"]);
    assert.equal(server.asked("unsubscribe").length, 0); // the server knows
  });

  it("keeps the server's own subscriptions, and recovers them when it connects", async () => {
    const told = listen(client, "subscribed", "publication", "unsubscribed");
    const connect = server.handlers.connect;

    server.handlers.connect = () => ({ ...connect(), subs: { news: { recoverable: true, epoch: "n", offset: 3 } } });
    client.connect();
    await next(client, "connected");
    server.socket.push("news", { pub: { data: "live", offset: 4 } });
    server.socket.push("more", { subscribe: { recoverable: true, epoch: "m", offset: 0 } });
    await until(async () => told.length === 3, "them");
    server.handlers.connect = () => ({
      ...connect(),
      subs: { news: { epoch: "n", offset: 5, recovered: true, recoverable: true, publications: [{ data: "missed", offset: 5 }] } },
    });
    server.socket.close(3001, "");
    assert.deepEqual((await once("connect", 2)).subs, {
      ...{ news: { recover: true, epoch: "n", offset: 4 }, more: { recover: true, epoch: "m", offset: 0 } },
    });
    await until(async () => told.length === 6, "what was missed");
    assert.deepEqual(
      told.map(([type, { channel, data }]) => [type, channel, data]),
      [
        ["subscribed", "news", undefined], ["publication", "news", "live"], ["subscribed", "more", undefined],
        ["unsubscribed", "more", undefined], ["subscribed", "news", undefined], ["publication", "news", "missed"],
      ],
    );
    server.socket.push("news", { unsubscribe: { code: 2000, reason: "" } });
    await until(async () => told.length === 7, "the end");
  });

  it("survives a listener that throws, and a server that talks nonsense", async (context) => {
    const room = client.subscribe("room");
    const thrown = new Promise((resolve) => {
      // Where the environment would be told of it.
      context.mock.method(globalThis, "queueMicrotask", (run) => Promise.resolve().then(run).catch(resolve));
    });
    const told = [];

    room.on("publication", () => {
      throw new Error("a listener's own");
    });
    room.on("publication", ({ data }) => told.push(data));
    client.connect();
    await next(room, "subscribed");
    server.socket.say(
      { push: { channel: "other", pub: { data: 1 } } },
      { id: 999, publish: {} },
      { push: { channel: "room", later: {} } },
      { push: { channel: "room", pub: { data: "still here" } } },
    );
    assert.equal((await thrown).message, "a listener's own");
    assert.deepEqual(told, ["still here"]);
  });
});

onEachBus(BUSES, (Bus) => {
  describe(`the page's client on ${Bus.title}`, () => {
    let bus;
    const clients = [];

    after(async () => {
      for (const client of clients) client.disconnect();
      await bus?.stop();
    });

    const connect = (gateway, options) => {
      const url = `ws://127.0.0.1:${gateway.port}/connection/websocket`;
      const client = new Carillon(url, { WebSocket, ...options });

      clients.push(client);
      client.connect();
      return client;
    };

    it("loses nothing and gets nothing twice when its connections break", async () => {
      bus = await Bus.start();
      const gateway = await start({ args: ["--bus", bus.url, "--message-rate", "0"] });
      const sockets = [];
      class Breakable extends WebSocket {
        constructor(url) {
          super(url);
          sockets.push(this);
        }
      }
      const [writer, reader] = [connect(gateway, { WebSocket: Breakable, queueLimit: 1000 }), connect(gateway, { WebSocket: Breakable })];
      const received = [];
      const room = reader.subscribe("room");
      const missed = [];

      room.on("subscribed", ({ wasRecovering, recovered }) => missed.push(wasRecovering && !recovered));
      room.on("publication", ({ data }) => received.push(data));
      await next(room, "subscribed");
      await writer.publish("room", 0);

      const sent = [];
      for (let i = 1; i <= 200; i++) {
        sent.push(writer.publish("room", i));
        if (i % 40 === 0 && i < 200) {
          await sent[i - 20];
          for (const socket of sockets) socket.terminate();
        }
      }
      const places = await Promise.all(sent);
      await until(async () => received.length >= 201, "all messages");
      assert.deepEqual(received, Array.from({ length: 201 }, (_, i) => i));
      assert.deepEqual(places.map(({ offset }) => offset), Array.from({ length: 200 }, (_, i) => i + 2));
      assert.ok(!missed.includes(true));

      const { publications } = await room.history({ limit: 3, reverse: true });
      assert.deepEqual(publications.map(({ data }) => data), [200, 199, 198]);
      assert.equal((await room.presence()).length, 1);
      for (const client of clients) client.disconnect();
      await gateway.stop();
    });
  });
});
