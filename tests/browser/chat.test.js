// The chat page: what people see of each other, and of anything else that arrives.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";

import { start } from "../lib/gateway.js";
import { startPrefixProxy } from "./proxy.js";
import {
  chatMessage, connectClient, eventually, launchBrowser, openChat, openPage, say, shows, stateIs, texts,
} from "./support.js";

describe("the chat page", () => {
  let browser, gateway;

  before(async () => {
    gateway = await start({ args: ["--message-rate", "0"] });
    browser = await launchBrowser();
  });

  // A context each, so that nobody is left in the lobby.
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
  });

  after(async () => {
    await browser?.close();
    await gateway?.stop();
  });

  it("shows name and time of a message, and sets one's own apart", async () => {
    const ada = await openChat(browser, gateway.url, { name: "Ada" });
    const grace = await openChat(browser, gateway.url, { name: "Grace" });

    await say(ada, "Hello, Grace");
    await shows(grace, ["Hello, Grace"]);
    await say(grace, "Hello, Ada");
    for (const page of [ada, grace]) await shows(page, ["Hello, Grace", "Hello, Ada"]);

    const rowsOf = (page) =>
      page.locator("#log li").evaluateAll((rows) =>
        rows.map((row) => ({
          isOwn: row.classList.contains("own"),
          name: row.querySelector(".name").textContent,
          age: Date.now() - Date.parse(row.querySelector("time").dateTime),
        })),
      );
    const [first, second] = await rowsOf(ada);
    assert.deepEqual([first.isOwn, first.name], [true, "You"]);
    assert.deepEqual([second.isOwn, second.name], [false, "Grace"]);
    const [theirs, mine] = await rowsOf(grace);
    assert.deepEqual([theirs.isOwn, theirs.name], [false, "Ada"]);
    assert.deepEqual([mine.isOwn, mine.name], [true, "You"]);
    for (const { age } of [first, second, theirs, mine]) assert.ok(age >= 0 && age < 60_000);
    assert.deepEqual([...ada.problems, ...grace.problems], []);
  });

  it("keeps markup in names and texts as text", async () => {
    const name = "<img src=x onerror=alert(1)>";
    const text = "<script>alert(1)</script> <b>bold</b> &amp; ${1}";
    const one = await openChat(browser, gateway.url, { name });
    const two = await openChat(browser, gateway.url);

    await say(one, text);
    await shows(two, [text]);
    assert.equal(await two.locator("#log .name").textContent(), name);
    assert.equal(await two.locator("#log").locator("script, img, b").count(), 0);
    assert.deepEqual(two.problems, []);
  });

  it("shows a message as on its way until it has come back", async () => {
    const page = await openPage(browser, "about:blank");
    let hold = true;
    const held = [];

    await page.routeWebSocket("**/ws", (socket) => {
      const server = socket.connectToServer();
      server.onMessage((data) => (hold ? held.push(data) : socket.send(data)));
      page.release = () => {
        hold = false;
        held.forEach((data) => socket.send(data));
      };
    });
    await page.goto(gateway.url);
    await stateIs(page, "Connected");
    await say(page, "patience");
    await page.locator("#outbox li", { hasText: "Sending…" }).waitFor();
    assert.deepEqual(await texts(page), []);
    await eventually(async () => assert.equal(held.length, 1));
    page.release();
    await shows(page, ["patience"]);
  });

  it("shows other programs' text as it came, and says how big bytes are", async () => {
    const page = await openChat(browser, gateway.url);
    const client = await connectClient(gateway);
    const foreign = [
      "plain words",
      '{"carillon":"chat"}',
      '{"carillon":"chat","id":"x","name":7,"text":"t","time":0}',
      '{"carillon":"chat","id":"x","name":"n","text":"t","time":1e300}',
      "{broken",
      "  two\n  lines ",
      "<i>markup</i>",
      "[".repeat(9000),
    ];

    for (const text of foreign) client.send(text);
    client.send(Buffer.from([1, 2, 3, 4, 5]));
    client.send(`${"x".repeat(9999)}🔔🔔`);

    await eventually(async () => assert.equal(await page.locator("#log li").count(), foreign.length + 2));
    assert.deepEqual(await texts(page), [...foreign, `${"x".repeat(9999)}…`]);
    assert.equal(await page.locator("#log .binary").textContent(), "binary message, 5 bytes");
    assert.equal(await page.locator("#log .name").count(), 0);
    assert.deepEqual(page.problems, []);
    client.close();
  });

  it("takes the disguise off a name", async () => {
    const page = await openChat(browser, gateway.url);
    const client = await connectClient(gateway);

    client.send(chatMessage("hi", { name: " A\u202ed\u0000a\n " }));
    await shows(page, ["hi"]);
    assert.equal(await page.locator("#log .name").textContent(), "A d a");
    client.close();
  });

  it("shows one message once, whoever repeats its id", async () => {
    const page = await openChat(browser, gateway.url);
    const client = await connectClient(gateway);

    client.send(chatMessage("once", { id: "same" }));
    client.send(chatMessage("once", { id: "same" }));
    client.send(chatMessage("forged", { id: "same" }));
    client.send(chatMessage("other"));
    await shows(page, ["once", "other"]);
    client.close();
  });

  it("keeps to the channel that its address names", async () => {
    const channel = "räume:a b&c";
    const query = `?channel=${encodeURIComponent(channel)}`;
    const inside = await openChat(browser, `${gateway.url}/${query}`);
    const outside = await openChat(browser, gateway.url);
    const client = await connectClient(gateway, query);

    await say(inside, "in here");
    await say(outside, "out there");
    await shows(inside, ["in here"]);
    await shows(outside, ["out there"]);
    assert.equal(JSON.parse(client.received[0]).text, "in here");
    assert.equal(await inside.locator("#channel").textContent(), channel);
    client.close();
  });

  it("remembers the name", async () => {
    const page = await openChat(browser, gateway.url, { name: "  Ada   " });

    await say(page, "hello"); // leaves the field
    await shows(page, ["hello"]);
    await page.reload();
    await stateIs(page, "Connected");
    assert.equal(await page.getByLabel("Your name").inputValue(), "Ada");
  });

  it("works without storage", async () => {
    const page = await openPage(browser, "about:blank");

    await page.addInitScript(() => {
      Object.defineProperty(window, "localStorage", {
        get() {
          throw new DOMException("forbidden", "SecurityError");
        },
      });
    });
    await page.goto(gateway.url);
    await stateIs(page, "Connected");
    await page.getByLabel("Your name").fill("Ada");
    await say(page, "still here");
    await shows(page, ["still here"]);
    assert.deepEqual(page.problems, []);
  });

  it("works below a path of a load balancer", async () => {
    const proxy = await startPrefixProxy("/chat/", gateway);
    try {
      const below = await openChat(browser, `${proxy.url}?channel=below`);
      const direct = await openChat(browser, `${gateway.url}/?channel=below`);

      await say(below, "from below");
      await shows(direct, ["from below"]);
      await say(direct, "from above");
      await shows(below, ["from below", "from above"]);
      assert.deepEqual(below.problems, []);
    } finally {
      await proxy.stop();
    }
  });

  it("derives the socket's address from the page's own", async () => {
    const page = await openPage(browser, gateway.url);
    const addresses = await page.evaluate(async () => {
      const { socketUrl } = await import("./connection.js");
      return [
        socketUrl("http://example.org/", ""),
        socketUrl("https://example.org:8443/a/b/index.html?x=1#y", "?x=1&channel=a%20b%26c"),
        socketUrl("https://[::1]/chat/", "?channel="),
      ];
    });
    assert.deepEqual(addresses, [
      "ws://example.org/ws",
      "wss://example.org:8443/a/b/ws?channel=a%20b%26c",
      "wss://[::1]/chat/ws",
    ]);
  });

  it("takes a burst of 5,000 messages in order and keeps its rows bounded", async () => {
    const page = await openChat(browser, gateway.url);
    const client = await connectClient(gateway);

    for (let i = 0; i < 5000; i++) client.send(chatMessage(`message ${i}`));
    await eventually(async () => assert.equal((await texts(page)).at(-1), "message 4999"));
    const expected = Array.from({ length: 1000 }, (_, i) => `message ${4000 + i}`);
    assert.deepEqual(await texts(page), expected);
    assert.ok(await isAtEnd(page));
    client.close();
  });

  it("leaves a reader who has scrolled up in peace", async () => {
    const page = await openChat(browser, gateway.url);
    const client = await connectClient(gateway);
    const send = (from, to) => {
      for (let i = from; i < to; i++) client.send(chatMessage(`message ${i}`));
    };
    const row = page.locator("#log li", { hasText: /message 850$/ });
    const newer = page.getByRole("button", { name: "new message" });

    send(0, 900);
    await eventually(async () => assert.equal(await page.locator("#log li").count(), 900));
    await row.evaluate((element) => element.scrollIntoView({ block: "center" }));
    await eventually(async () => assert.equal(await isAtEnd(page), false));
    const place = await row.boundingBox();

    // 300 more: 200 of the oldest rows go, above the reader.
    send(900, 1200);
    await page.getByRole("button", { name: "300 new messages" }).waitFor();
    await eventually(async () => assert.equal((await texts(page)).at(-1), "message 1199"));
    assert.equal(await page.locator("#log li").count(), 1000);
    assert.ok(Math.abs((await row.boundingBox()).y - place.y) < 2);

    await newer.click();
    await newer.waitFor({ state: "hidden" });
    assert.ok(await isAtEnd(page));
    assert.equal(await focused(page), "text");
    client.close();
  });

  const focused = (page) => page.evaluate(() => document.activeElement.id);

  const isAtEnd = (page) =>
    page.locator("#scroller").evaluate((s) => s.scrollHeight - s.scrollTop - s.clientHeight < 2);
});
