// The chat page on a line that dies without a word: Wi-Fi changes, a laptop sleeps, a router forgets.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { ChannelServer, SILENCE } from "../lib/channel_server.js";
import { startLine } from "./proxy.js";
import {
  connectClient, eventually, openChat, openPage, say, shows, stateIs, texts, useStage, waitForever,
} from "./support.js";

const RECONNECTED = "Reconnected: messages may be missing here";

describe("the chat page on a line that dies without a word", () => {
  const stage = useStage();
  let line;

  before(async () => {
    line = await startLine(stage.gateway);
  });

  after(() => line?.stop());

  // Somebody looks at the tab; what the page shows right after it.
  const look = (page) => pass(page, 0);

  // The same, when the clock of `openSilent` has gone on.
  const pass = (page, ms) =>
    page.evaluate((ms) => {
      window.now += ms;
      document.dispatchEvent(new Event("visibilitychange"));
      return document.getElementById("status").textContent;
    }, ms);

  it("is offline as soon as the browser says so, and sends at once when the network is back", async () => {
    const page = await openChat(stage.browser, line.url + stage.query, { script: waitForever });
    const client = await connectClient(stage.gateway, stage.query);

    line.die();
    await say(page, "one");
    await page.locator("#outbox li", { hasText: "Sending…" }).waitFor();
    await page.evaluate(() => {
      addEventListener("offline", () => (window.atOnce = document.getElementById("status").textContent));
    });
    await page.context().setOffline(true);
    await page.waitForFunction(() => window.atOnce);
    assert.equal(await page.evaluate(() => window.atOnce), "Offline");
    await say(page, "two");
    assert.equal(await page.locator("#outbox .note", { hasText: "Waiting for the connection" }).count(), 2);

    await page.context().setOffline(false);
    await stateIs(page, "Connected");
    await shows(page, ["one", "two"]);
    await eventually(async () => assert.equal(client.received.length, 2));
    assert.deepEqual(client.received.map((data) => JSON.parse(data).text), ["one", "two"]);
    client.close();
  });

  it("takes a new socket when the network is back, though the old one seems to live", async () => {
    const page = await openChat(stage.browser, line.url + stage.query, { script: waitForever });

    line.die();
    await say(page, "is anybody there?");
    await page.locator("#outbox li", { hasText: "Sending…" }).waitFor();
    const state = await page.evaluate(() => {
      window.dispatchEvent(new Event("online"));
      return document.getElementById("status").textContent;
    });
    assert.equal(state, "Reconnecting…");
    await shows(page, ["is anybody there?"]);
  });

  it("takes a new socket after the machine has slept, and keeps a living one when somebody looks", async () => {
    const page = await openChat(stage.browser, line.url + stage.query, { script: waitForever });
    const client = await connectClient(stage.gateway, stage.query);

    assert.equal(await look(page), "Connected");
    line.die();
    await page.evaluate(() => {
      const real = Date.now;
      Date.now = () => real() + 120_000;
    });
    await page.waitForEvent("websocket");
    await stateIs(page, "Connected");
    client.send("good morning");
    await shows(page, ["good morning"]);
    client.close();
  });

  it("takes a new socket when nothing comes back of what it sent", async () => {
    const page = await openChat(stage.browser, line.url + stage.query);
    const reader = await openChat(stage.browser, stage.url);

    // As if the ten seconds had passed.
    line.die();
    await say(page, "hello?");
    await page.locator("#outbox li", { hasText: "Sending…" }).waitFor();
    await page.evaluate(() => {
      const real = performance.now.bind(performance);
      performance.now = () => real() + 10_000;
    });
    for (const each of [page, reader]) await shows(each, ["hello?"]);
  });

  it("gives a server that does not answer twice as long each time", async () => {
    const { page, server } = await openSilent();

    await say(page, "one");
    for (const [i, deadline] of [10_000, 20_000, 40_000].entries()) {
      await eventually(async () => assert.equal(server.published.length, i + 1));
      assert.equal(await pass(page, deadline - 1), "Connected");
      assert.equal(await pass(page, 1), "Reconnecting…");
    }
    await eventually(async () => assert.equal(server.published.length, 4));
    assert.equal(new Set(server.published.map(keyOf)).size, 1);
  });

  it("gives all messages as much time again when one is answered", async () => {
    const { page, server } = await openSilent();

    await say(page, "one", "two");
    await eventually(async () => assert.equal(server.published.length, 2));
    assert.equal(await pass(page, 10_000), "Reconnecting…");
    await eventually(async () => assert.equal(server.published.length, 4));
    assert.equal(await pass(page, 19_999), "Connected");

    server.take(server.published[2]);
    await shown(page, ["one"]);
    assert.equal(await pass(page, 9_999), "Connected");
    assert.equal(await pass(page, 1), "Reconnecting…");
    await eventually(async () => assert.equal(server.published.length, 5));
    assert.equal(keyOf(server.published[4]), keyOf(server.published[1]));
  });

  it("takes a new socket when the server's pings stay away", async () => {
    const { page, server } = await openSilent({ ping: 25, pong: true });

    assert.equal(await pass(page, 35_000), "Connected");
    server.socket.say({}); // a ping
    await eventually(async () => assert.equal(server.pongs, 1));
    assert.equal(await pass(page, 35_000), "Connected");
    assert.equal(await pass(page, 1), "Reconnecting…");
    await stateIs(page, "Connected");
  });

  it("says politely where messages may be missing, and once until somebody says something", async () => {
    const { page, tell, close } = await openSilent();
    const gaps = page.getByRole("log").locator(".gap");

    assert.equal(await gaps.count(), 0);
    tell("before");
    await shown(page, ["before"]);
    for (let i = 1; i <= 2; i++) {
      await close(1001);
      await stateIs(page, "Connected");
    }
    tell("after");
    await shown(page, ["before", "after"]);
    assert.deepEqual(await page.locator("#log li").allTextContents(), ["before", RECONNECTED, "after"]);
    assert.equal(await page.getByRole("log").getAttribute("aria-live"), "polite");
  });

  it("says where it was away, and what was said meanwhile", async () => {
    const { page, server, tell, close } = await openSilent();

    tell("before");
    await shown(page, ["before"]);
    server.handlers.subscribe = ({ channel, epoch, offset }) => {
      if (channel !== "test") return {};
      assert.deepEqual([epoch, offset], ["e1", 1]);
      const publications = ["missed", "missed too"].map((data, i) => ({ data, offset: 2 + i }));
      server.offset = 3;
      return { recoverable: true, was_recovering: true, recovered: true, epoch: "e1", offset: 3, publications };
    };
    await close(1001);
    await shown(page, ["before", "missed", "missed too"]);
    const rows = await page.locator("#log li").allTextContents();
    assert.deepEqual(rows, ["before", "While you were away: 2 messages", "missed", "missed too"]);
  });

  it("shows what the server still knows where it cannot tell all that was missed", async () => {
    const { page, server, tell, close } = await openSilent();

    tell("before");
    await shown(page, ["before"]);
    server.epoch = "e2"; // it has lost its history, and begun another
    server.offset = 2;
    server.handlers.history = ({ channel }) => {
      const publications = ["newest", "newer"].map((data, i) => ({ data, offset: 2 - i }));
      return { epoch: "e2", offset: 2, publications: channel.endsWith("/people") ? [] : publications };
    };
    await close(1001);
    await shown(page, ["before", "newer", "newest"]);
    tell("now");
    await shown(page, ["before", "newer", "newest", "now"]);
    const rows = await page.locator("#log li").allTextContents();
    assert.deepEqual(rows, ["before", RECONNECTED, "newer", "newest", "now"]);
  });

  it("waits as long as chance says before it comes back to a server that sent it away", async () => {
    const { page, close } = await openSilent();

    await page.evaluate(() => {
      const real = window.setTimeout;
      window.delays = [];
      Math.random = () => 0.5;
      window.setTimeout = (run, delay) => real(run, window.delays.push(delay) && delay);
    });
    await close(1001);
    await page.locator("#log .gap").waitFor(); // which comes with the next socket
    assert.ok((await page.evaluate(() => window.delays)).includes(250)); // of 500 ms
  });

  it("says so when the server has lost messages", async () => {
    const { page, server, tell, close } = await openSilent();
    const lost = page.locator("#log .gap", { hasText: "The server lost messages here" });

    await close(3010);
    await lost.waitFor();
    tell("after");
    await shown(page, ["after"]);
    server.socket.push("test", { unsubscribe: { code: 2500, reason: "insufficient state" } });
    await eventually(async () => assert.equal(await lost.count(), 2));
    tell("later");
    await shown(page, ["after", "later"]);
    await close(1001);
    await page.locator("#log .gap", { hasText: RECONNECTED }).waitFor();
  });

  const keyOf = ({ parameters }) => parameters.idempotency_key;
  const shown = (page, expected) => eventually(async () => assert.deepEqual(await texts(page), expected));

  // A page whose clock (performance.now) only the test moves, in front of a server that takes messages
  // and says nothing to them.
  async function openSilent(connected = {}) {
    const page = await openPage(stage.browser, "about:blank", {
      script: () => {
        window.now = 1000;
        performance.now = () => window.now;
      },
    });
    const server = new ChannelServer();
    const { connect, publish } = server.handlers;

    server.handlers.connect = () => ({ ...connect(), ...connected });
    server.handlers.publish = (parameters) => (parameters.channel === "test" ? SILENCE : publish(parameters));
    await page.routeWebSocket("**/connection/websocket", (route) => {
      const socket = server.attach({
        send: (text) => route.send(text),
        close: (code, reason) => route.close({ code, reason }),
      });
      route.onMessage((data) => socket.receive(data));
    });
    await page.goto(`${stage.gateway.url}/?channel=test`);
    await stateIs(page, "Connected");
    await eventually(async () => assert.equal(server.asked("history").length, 2)); // of the room, and of names
    return {
      page,
      server,
      // Somebody else says something.
      tell: (data) => server.socket.push("test", { pub: { data, offset: ++server.offset } }),
      // Resolves when the page has come back.
      async close(code) {
        const count = server.asked("subscribe").length;
        server.socket.isOpen = false;
        server.socket.close(code);
        await eventually(async () => assert.ok(server.asked("subscribe").length >= count + 2));
      },
    };
  }
});
