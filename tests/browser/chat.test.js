// The chat page: what people see of each other, and of the channel and the address that they share.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { startPrefixProxy } from "./proxy.js";
import {
  chatMessage, connectClient, eventually, openChat, openPage, say, shows, stateIs, texts, useStage,
} from "./support.js";

describe("the chat page", () => {
  const stage = useStage({ args: ["--message-rate", "0"] });

  it("shows name and time of a message, and sets one's own apart", async () => {
    const ada = await openChat(stage.browser, stage.url, { name: "Ada" });
    const grace = await openChat(stage.browser, stage.url, { name: "Grace" });

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

  it("shows a message as on its way until it has come back", async () => {
    const page = await openPage(stage.browser, "about:blank");
    let hold = false;
    const held = [];

    await page.routeWebSocket("**/connection/websocket", (socket) => {
      const server = socket.connectToServer();
      server.onMessage((data) => (hold ? held.push(data) : socket.send(data)));
      page.release = () => {
        hold = false;
        held.forEach((data) => socket.send(data));
      };
    });
    await page.goto(stage.url);
    await stateIs(page, "Connected");
    await page.getByRole("button", { name: "1 here" }).waitFor(); // it is in the room
    hold = true;
    await say(page, "patience");
    await page.locator("#outbox li", { hasText: "Sending…" }).waitFor();
    assert.deepEqual(await texts(page), []);
    await eventually(async () => assert.match(held.join(), /patience/));
    page.release();
    await shows(page, ["patience"]);
  });

  it("shows one message once, whoever repeats its id", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);

    client.send(chatMessage("once", { id: "same" }));
    client.send(chatMessage("once", { id: "same" }));
    client.send(chatMessage("forged", { id: "same" }));
    client.send(chatMessage("other"));
    await shows(page, ["once", "other"]);
    client.close();
  });

  it("keeps to the channel that its address names", async () => {
    const channel = "räume a b&c";
    const query = `?channel=${encodeURIComponent(channel)}`;
    const inside = await openChat(stage.browser, `${stage.gateway.url}/${query}`);
    const outside = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, query);

    await say(inside, "in here");
    await say(outside, "out there");
    await shows(inside, ["in here"]);
    await shows(outside, ["out there"]);
    assert.equal(JSON.parse(client.received[0]).text, "in here");
    assert.equal(await inside.locator("#channel").textContent(), channel);
    client.close();
  });

  it("tells guests without a name apart", async () => {
    // Each page draws a number for its guest; here it is known which.
    const openGuest = (number) =>
      openChat(stage.browser, stage.url, {
        script: `{
          const real = crypto.getRandomValues.bind(crypto);
          crypto.getRandomValues = (array) => (array instanceof Uint16Array ? array.fill(${number}) : real(array));
        }`,
      });
    const one = await openGuest(1);
    const two = await openGuest(2);
    const reader = await openChat(stage.browser, stage.url);

    assert.equal(await one.getByLabel("Your name").getAttribute("placeholder"), "Guest 1001");
    await say(one, "hello");
    await shows(reader, ["hello"]);
    await say(two, "hi");
    await shows(reader, ["hello", "hi"]);
    assert.deepEqual(await reader.locator("#log .name").allTextContents(), ["Guest 1001", "Guest 1002"]);
    const hues = await reader.locator("#log li").evaluateAll((rows) => rows.map((row) => row.dataset.hue));
    assert.notEqual(hues[0], hues[1]);
  });

  it("remembers the name", async () => {
    const page = await openChat(stage.browser, stage.url, { name: "  Ada   " });

    await say(page, "hello"); // leaves the field
    await shows(page, ["hello"]);
    await page.reload();
    await stateIs(page, "Connected");
    assert.equal(await page.getByLabel("Your name").inputValue(), "Ada");
  });

  it("works without storage", async () => {
    const page = await openPage(stage.browser, "about:blank");

    await page.addInitScript(() => {
      Object.defineProperty(window, "localStorage", {
        get() {
          throw new DOMException("forbidden", "SecurityError");
        },
      });
    });
    await page.goto(stage.url);
    await stateIs(page, "Connected");
    await page.getByLabel("Your name").fill("Ada");
    await say(page, "still here");
    await shows(page, ["still here"]);
    assert.deepEqual(page.problems, []);
  });

  for (const isSecure of [false, true]) {
    it(`works below a path of a load balancer, over ${isSecure ? "https and wss" : "http"}`, async () => {
      const proxy = await startPrefixProxy("/chat/", stage.gateway, { isSecure });
      try {
        const below = await openChat(stage.browser, proxy.url + stage.query, { ignoreHTTPSErrors: true });
        const direct = await openChat(stage.browser, stage.url);

        assert.equal(await below.evaluate(() => location.protocol), isSecure ? "https:" : "http:");
        await say(below, "from below");
        await shows(direct, ["from below"]);
        await say(direct, "from above");
        await shows(below, ["from below", "from above"]);
        assert.deepEqual(below.problems, []);
      } finally {
        await proxy.stop();
      }
    });
  }
});

describe("the chat page of a gateway with --base-path", () => {
  const stage = useStage({ args: ["--base-path", "/apps/chat"] });

  it("is there with and without the slash, and keeps its channel", async () => {
    const ada = await openChat(stage.browser, `${stage.gateway.url}/apps/chat?channel=below`);
    const ben = await openChat(stage.browser, `${stage.gateway.url}/apps/chat/?channel=below`);

    assert.equal(await ada.evaluate(() => location.pathname + location.search), "/apps/chat/?channel=below");
    await say(ada, "from below");
    await shows(ben, ["from below"]);
    assert.deepEqual([...ada.problems, ...ben.problems], []);
  });
});
