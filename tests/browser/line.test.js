// The chat page on a line that dies without a word: Wi-Fi changes, a laptop sleeps, a router forgets.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

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
    await page.locator("#log .gap").waitFor();
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
    const { page, received } = await openSilent();

    await say(page, "one");
    for (const [i, deadline] of [10_000, 20_000, 40_000].entries()) {
      await eventually(async () => assert.equal(received.length, i + 1));
      assert.equal(await pass(page, deadline - 1), "Connected");
      assert.equal(await pass(page, 1), "Reconnecting…");
    }
    await eventually(async () => assert.equal(received.length, 4));
    assert.equal(new Set(received).size, 1);
  });

  it("gives all messages as much time again when one is answered", async () => {
    const { page, received, answer } = await openSilent();

    await say(page, "one", "two");
    await eventually(async () => assert.equal(received.length, 2));
    assert.equal(await pass(page, 10_000), "Reconnecting…");
    await eventually(async () => assert.equal(received.length, 4));
    assert.equal(await pass(page, 19_999), "Connected");

    await answer(received[0]);
    await shown(page, ["one"]);
    assert.equal(await pass(page, 9_999), "Connected");
    assert.equal(await pass(page, 1), "Reconnecting…");
    await eventually(async () => assert.equal(received.length, 5));
    assert.equal(received[4], received[1]);
  });

  it("says politely where messages may be missing, and once until somebody says something", async () => {
    const { page, answer, close } = await openSilent();
    const gaps = page.getByRole("log").locator(".gap");

    assert.equal(await gaps.count(), 0);
    await answer("before");
    await shown(page, ["before"]);
    for (let i = 1; i <= 2; i++) {
      await close(1001);
      await stateIs(page, "Connected");
    }
    await answer("after");
    await shown(page, ["before", "after"]);
    assert.deepEqual(await page.locator("#log li").allTextContents(), ["before", RECONNECTED, "after"]);
    assert.equal(await page.getByRole("log").getAttribute("aria-live"), "polite");
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
    const { page, answer, close } = await openSilent();

    await close(1012);
    await page.locator("#log .gap").waitFor();
    await answer("after");
    await shown(page, ["after"]);
    await close(1001);
    await page.locator("#log .gap", { hasText: RECONNECTED }).waitFor();
    const rows = await page.locator("#log li").allTextContents();
    assert.deepEqual(rows, ["The server lost messages here", "after", RECONNECTED]);
  });

  const shown = (page, expected) => eventually(async () => assert.deepEqual(await texts(page), expected));

  // A page whose clock (performance.now) only the test moves, in front of a server that takes messages
  // and answers when the test says so.
  async function openSilent() {
    const page = await openPage(stage.browser, "about:blank", {
      script: () => {
        window.now = 1000;
        performance.now = () => window.now;
      },
    });
    const received = [];
    let socket;

    await page.routeWebSocket("**/connection/websocket", (next) => {
      socket = next;
      socket.onMessage((data) => received.push(data));
    });
    await page.goto(stage.url);
    await stateIs(page, "Connected");
    return {
      page,
      received,
      answer: (data) => socket.send(data),
      // Resolves when the page has come back.
      async close(code) {
        const closed = socket;
        await closed.close({ code });
        await eventually(async () => assert.ok(socket !== closed));
      },
    };
  }
});
