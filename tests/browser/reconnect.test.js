// The chat page while its connection comes and goes: nothing lost, nothing twice, in order.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";

import { start } from "../lib/gateway.js";
import { Redis } from "../lib/redis.js";
import { startLine } from "./proxy.js";
import {
  connectClient, eventually, launchBrowser, openChat, openPage, say, shows, startRestartable, stateIs, texts,
  waitForever,
} from "./support.js";

describe("the chat page's connection", () => {
  let browser, gateway;

  before(async () => {
    browser = await launchBrowser();
  });

  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    await gateway?.stop();
    gateway = null;
  });

  after(() => browser?.close());

  it("comes back after a restart, with what was written meanwhile, in order and once", async () => {
    gateway = await startRestartable();
    const { port } = gateway;
    const ada = await openChat(browser, gateway.url, { name: "Ada" });
    const grace = await openChat(browser, gateway.url, { name: "Grace" });

    await say(ada, "before");
    await shows(grace, ["before"]);
    await gateway.stop();
    for (const page of [ada, grace]) await stateIs(page, "Reconnecting…");

    const waiting = ["first", "second", "third"];
    await say(ada, ...waiting);
    assert.deepEqual(await ada.locator("#outbox .text").allTextContents(), waiting);
    await ada.locator("#outbox .note", { hasText: "Waiting for the connection" }).last().waitFor();
    assert.deepEqual(await texts(ada), ["before"]);

    gateway = await start({ port });
    const client = await connectClient(gateway);
    await shows(ada, ["before", ...waiting]);
    await stateIs(grace, "Connected");
    await eventually(async () => assert.equal(client.received.length, 3));
    assert.deepEqual(client.received.map((data) => JSON.parse(data).text), waiting);

    await say(grace, "welcome back");
    for (const page of [ada, grace]) await shows(page, ["before", ...waiting, "welcome back"]);
    assert.equal(client.received.length, 4);
    client.close();
  });

  it("loses nothing when one of two gateways is killed while people talk", async () => {
    const redis = await Redis.start();
    const args = ["--bus", redis.url, "--message-rate", "0"];
    const [doomed, other] = await Promise.all([start({ args }), start({ args })]);
    const line = await startLine(doomed);
    gateway = other;

    const ada = await openChat(browser, line.url, { name: "Ada" });
    const grace = await openChat(browser, line.url, { name: "Grace" });
    const ben = await openChat(browser, other.url, { name: "Ben" });
    await say(ada, "before");
    for (const page of [ada, grace, ben]) await shows(page, ["before"]);

    // All talk, and amid it the gateway of two of them dies.
    const talk = async (page, name) => {
      for (let i = 0; i < 30; i++) await say(page, `${name} ${i}`);
    };
    const talking = Promise.all([talk(ada, "Ada"), talk(ben, "Ben")]);
    await eventually(async () => assert.ok((await texts(grace)).length > 10));
    line.lead(other);
    await doomed.kill();
    await talking;

    const count = async (page) => assert.equal((await texts(page)).length, 61);
    for (const page of [ada, grace, ben]) await eventually(() => count(page));
    const expected = await texts(ben);
    for (const name of ["Ada", "Ben"]) {
      const said = expected.filter((text) => text.startsWith(name));
      assert.deepEqual(said, Array.from({ length: 30 }, (_, i) => `${name} ${i}`));
    }
    for (const page of [ada, grace]) await shows(page, expected);
    await ada.locator("#log li.own").nth(30).getByRole("img", { name: "Delivered" }).waitFor();
    assert.equal(await grace.locator("#log .gap", { hasText: "may be missing" }).count(), 0);
    await line.stop();
    for (const context of browser.contexts()) await context.close();
    await other.stop();
    await redis.stop();
    gateway = null;
  });

  it("sends a message of unknown fate again, and it is delivered once", async () => {
    gateway = await start();
    const line = await startLine(gateway);
    const client = await connectClient(gateway);
    const sender = await openChat(browser, line.url, { name: "Ada" });
    const reader = await openChat(browser, gateway.url);

    // What the sender says arrives, but the sender does not learn of it.
    line.mute();
    await say(sender, "did you get this?", "and this?");
    await shows(reader, ["did you get this?", "and this?"]);
    assert.deepEqual(await texts(sender), []);

    line.cut();
    await shows(sender, ["did you get this?", "and this?"]);
    assert.equal(await sender.locator("#log li.own").count(), 2);
    await sender.locator("#log li.own").last().getByRole("img", { name: "Delivered" }).waitFor();

    await say(reader, "yes, once");
    for (const page of [sender, reader]) {
      await shows(page, ["did you get this?", "and this?", "yes, once"]);
    }
    assert.equal(client.received.length, 3);
    client.close();
    await line.stop();
  });

  it("says that it is offline, and connects at once when the network is back", async () => {
    gateway = await startRestartable();
    const { port } = gateway;
    const page = await openChat(browser, gateway.url, { script: waitForever });

    await gateway.stop();
    await page.context().setOffline(true);
    await stateIs(page, "Offline");
    await say(page, "from the tunnel");
    gateway = await start({ port });
    await page.context().setOffline(false);
    await stateIs(page, "Connected");
    await shows(page, ["from the tunnel"]);
  });

  it("does not wait for its backoff when the network is back or somebody looks", async () => {
    gateway = await start();
    const page = await openPage(browser, "about:blank", { script: waitForever });
    let attempts = 0;
    let isDown = true;

    await page.routeWebSocket("**/connection/websocket", (socket) => {
      attempts++;
      if (isDown) socket.close({ code: 1013 });
      else socket.connectToServer();
    });
    await page.goto(gateway.url);
    await stateIs(page, "Reconnecting…");
    assert.equal(attempts, 1);

    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await eventually(async () => assert.equal(attempts, 2));
    await stateIs(page, "Reconnecting…");

    isDown = false;
    await page.evaluate(() => window.dispatchEvent(new Event("online")));
    await stateIs(page, "Connected");
    assert.equal(attempts, 3);
  });

  it("backs off longer with every attempt in vain, by a random part", async () => {
    gateway = await start();
    const page = await openPage(browser, "about:blank", {
      script: () => {
        const real = window.setTimeout;

        window.delays = [];
        Math.random = () => 0.25; // so that no backoff is as long as the deadline of an attempt
        window.setTimeout = (run, delay) => {
          if (delay >= 10_000) return real(run, delay);
          window.delays.push(delay);
          return real(run, 0);
        };
      },
    });

    await page.routeWebSocket("**/connection/websocket", (socket) => socket.close({ code: 1013 }));
    await page.goto(gateway.url);
    await page.waitForFunction(() => window.delays.length >= 8);
    const delays = await page.evaluate(() => window.delays.slice(0, 8));
    assert.deepEqual(delays, [125, 250, 500, 1000, 2000, 4000, 5000, 5000]);
  });

  it("says in the end all that was too much at once, in order and once", async () => {
    gateway = await start({ args: ["--message-rate", "1", "--message-burst", "30"] });
    const page = await openChat(browser, gateway.url);
    const client = await connectClient(gateway);
    const flood = Array.from({ length: 40 }, (_, i) => `flood ${i}`);

    await page.evaluate((flood) => {
      for (const text of flood) {
        document.getElementById("text").value = text;
        document.getElementById("form").requestSubmit();
      }
    }, flood);
    await shows(page, flood);
    await eventually(async () => assert.equal(client.received.length, flood.length));
    assert.deepEqual(client.received.map((data) => JSON.parse(data).text), flood);
    client.close();
  });

  it("tells the user that the server closed for good, and waits for the user", async () => {
    gateway = await start();
    const page = await openPage(browser, "about:blank");
    let close;

    await page.routeWebSocket("**/connection/websocket", (socket) => {
      socket.connectToServer();
      close = () => socket.close({ code: 3503, reason: "force disconnect" });
    });
    await page.goto(gateway.url);
    await stateIs(page, "Connected");
    close();
    await page
      .getByRole("alert")
      .filter({ hasText: "The server closed the connection (force disconnect)." })
      .waitFor();
    await stateIs(page, "Offline");
    await say(page, "let me in");

    // Neither the network's return nor a look at the page is the user's word.
    const sockets = [];
    page.on("websocket", (socket) => sockets.push(socket));
    await page.evaluate(() => {
      window.dispatchEvent(new Event("online"));
      document.dispatchEvent(new Event("visibilitychange"));
    });
    assert.equal(sockets.length, 0);
    assert.equal(await page.getByRole("status").textContent(), "Offline");
    await page.getByRole("button", { name: "Connect again" }).click();
    await shows(page, ["let me in"]);
    assert.equal(await page.getByRole("alert").filter({ hasText: "The server" }).count(), 0);
  });

  it("says plainly that this server takes no strangers", async () => {
    gateway = await start({ args: ["--allow-anonymous", "off"] });
    const page = await openPage(browser, gateway.url);

    await page.getByRole("alert").filter({ hasText: "lets in only people whom it knows" }).waitFor();
    await stateIs(page, "Offline");
    await page.getByRole("button", { name: "Connect again" }).waitFor();
  });

  it("says plainly that a room is closed to strangers", async () => {
    gateway = await start({ args: ["--allow-subscribe-for-anonymous=off"] });
    const page = await openChat(browser, gateway.url);

    await page.getByRole("alert").filter({ hasText: "You may not enter this room." }).waitFor();
    assert.equal(await page.getByRole("button", { name: "here" }).count(), 0);
  });

  it("does not send a message again that is too long for the server, and sends the others in order", async () => {
    gateway = await start({ args: ["--max-message-size", "1K"] });
    const page = await openChat(browser, gateway.url);
    const client = await connectClient(gateway);
    const long = "x".repeat(1200);

    await say(page, "short");
    await shows(page, ["short"]);
    await say(page, long, "second", "third");
    await shows(page, ["short", long, "second", "third"]);
    const unsent = page.locator("#log li", { has: page.locator(".note") });
    const lines = await unsent.locator(".text, .note").allTextContents();
    assert.deepEqual(lines, [long, "Not sent: too long for this server"]);

    await say(page, "after");
    await eventually(async () => assert.equal(client.received.length, 4));
    const texts = client.received.map((data) => JSON.parse(data).text);
    assert.deepEqual(texts, ["short", "second", "third", "after"]);
    client.close();
  });

  it("keeps a text in the composer when too many wait", async () => {
    gateway = await startRestartable();
    const page = await openChat(browser, gateway.url);
    const { port } = gateway;

    await gateway.stop();
    await stateIs(page, "Reconnecting…");
    await page.evaluate(() => {
      for (let i = 0; i < 101; i++) {
        document.getElementById("text").value = `waiting ${i}`;
        document.getElementById("form").requestSubmit();
      }
    });
    await page.getByRole("alert").filter({ hasText: "100 messages wait" }).waitFor();
    assert.equal(await page.locator("#text").inputValue(), "waiting 100");
    assert.equal(await page.locator("#outbox li").count(), 100);

    gateway = await start({ port });
    await shows(page, Array.from({ length: 100 }, (_, i) => `waiting ${i}`));
    await page.locator("#text").press("Enter");
    await shows(page, Array.from({ length: 101 }, (_, i) => `waiting ${i}`));
  });
});
