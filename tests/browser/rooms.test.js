// What makes a channel a room: its past, who is in it and by what name, who is typing, and the way to others.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  chatMessage, connectClient, eventually, openChat, openPage, say, shows, stateIs, texts, useStage,
} from "./support.js";

describe("a room of the chat page", () => {
  const stage = useStage({ args: ["--message-rate", "0", "--history-size", "2000"] });

  const numbered = (from, to) => Array.from({ length: to - from }, (_, i) => `message ${from + i}`);
  const here = (page, count) => page.getByRole("button", { name: `${count} here`, exact: true });

  it("shows what was said before one came, and says that there was no more", async () => {
    const client = await connectClient(stage.gateway, stage.query);

    client.send(chatMessage("first", { name: "Ada" }));
    client.send("second");
    client.send(Buffer.alloc(3));
    await eventually(async () => assert.equal(client.received.length, 3));
    const page = await openChat(stage.browser, stage.url);
    await shows(page, ["first", "second"]);
    assert.equal(await page.locator("#log .binary").textContent(), "binary message, 3 bytes");
    await page.getByText("The server remembers nothing older.").waitFor();
    await say(page, "third");
    await shows(page, ["first", "second", "third"]);
    client.close();
  });

  it("knows its own messages after a reload", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);

    await say(page, "mine");
    await shows(page, ["mine"]);
    client.send(chatMessage("theirs"));
    await shows(page, ["mine", "theirs"]);
    await page.reload();
    await shows(page, ["mine", "theirs"]);
    assert.deepEqual(await page.locator("#log .own .text").allTextContents(), ["mine"]);
    client.close();
  });

  it("shows older messages to those who scroll up, and keeps their place", async () => {
    const client = await connectClient(stage.gateway, stage.query);

    for (const text of numbered(0, 200)) client.send(chatMessage(text));
    await eventually(async () => assert.equal(client.received.length, 200));
    const page = await openChat(stage.browser, stage.url);
    await shows(page, numbered(140, 200));

    const row = page.locator("#log li", { hasText: "message 140" });
    await row.evaluate((element) => element.scrollIntoView());
    await eventually(async () => assert.ok((await texts(page)).length > 60));
    const top = await page.locator("#scroller").evaluate((scroller) => scroller.getBoundingClientRect().top);
    assert.ok(Math.abs((await row.boundingBox()).y - top) < 100);

    // The other pages by keyboard.
    const older = page.getByRole("button", { name: "Show older messages" });
    await eventually(async () => {
      if (await older.isVisible()) await older.press("Enter");
      assert.deepEqual(await texts(page), numbered(0, 200));
    });
    await page.getByText("The server remembers nothing older.").waitFor();
    assert.equal(await older.count(), 0);
    assert.equal(await page.locator("#log li:not(.continued)").count(), 1);

    client.send(chatMessage("news"));
    await page.getByRole("button", { name: "1 new message" }).click();
    await shows(page, [...numbered(0, 200), "news"]);
    client.close();
  });

  it("finds again what it has dropped to keep its rows bounded", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);

    for (const text of numbered(0, 1010)) client.send(chatMessage(text));
    await eventually(async () => assert.equal((await texts(page)).at(-1), "message 1009"));
    assert.equal((await texts(page))[0], "message 10");
    await page.locator("#scroller").evaluate((scroller) => scroller.scrollTo(0, 0));
    await eventually(async () => assert.deepEqual(await texts(page), numbered(0, 1010)));
    client.close();
  });

  it("tells who is there, by the names that they go by", async () => {
    const ada = await openChat(stage.browser, stage.url, { name: "Ada" });
    await ada.getByLabel("Your name").press("Enter");
    await here(ada, 1).waitFor();
    const grace = await openChat(stage.browser, stage.url, { name: "Grace" });
    await grace.getByLabel("Your name").press("Enter");
    for (const page of [ada, grace]) await here(page, 2).click();
    await eventually(async () => assert.deepEqual(await namesOf(ada), ["Ada (you)", "Grace"]));
    await eventually(async () => assert.deepEqual(await namesOf(grace), ["Grace (you)", "Ada"]));

    // One who comes later is told the names of those who say nothing.
    const late = await openChat(stage.browser, stage.url, { name: "Łukasz" });
    await late.getByLabel("Your name").press("Enter");
    await here(late, 3).click();
    await eventually(async () => assert.deepEqual(await namesOf(late), ["Łukasz (you)", "Ada", "Grace"]));

    await ada.getByLabel("Your name").fill("Countess");
    await ada.getByLabel("Your name").press("Enter");
    await eventually(async () => assert.deepEqual(await namesOf(grace), ["Grace (you)", "Countess", "Łukasz"]));

    await late.context().close();
    await here(grace, 2).waitFor();
    await ada.keyboard.press("Escape");
    assert.deepEqual([...ada.problems, ...grace.problems], []);
  });

  const namesOf = (page) => page.locator("#people-list li").allTextContents();

  it("tells who is typing, until it is said", async () => {
    const ada = await openChat(stage.browser, stage.url, { name: "Ada" });
    const grace = await openChat(stage.browser, stage.url);
    await here(grace, 2).waitFor();
    const typing = grace.locator("#typing");

    await ada.getByRole("textbox", { name: "Message" }).pressSequentially("hello");
    await eventually(async () => assert.equal(await typing.textContent(), "Ada is typing…"));
    assert.equal(await ada.locator("#typing").textContent(), "");
    await ada.keyboard.press("Enter");
    await shows(grace, ["hello"]);
    await eventually(async () => assert.equal(await typing.textContent(), ""));

    // Typing and names are no part of the room's own history.
    await grace.reload();
    await shows(grace, ["hello"]);
  });

  it("counts in its title what nobody has looked at", async () => {
    const page = await openChat(stage.browser, stage.url, {
      script: () => Object.defineProperty(document, "hidden", { get: () => window.isAway === true }),
    });
    const client = await connectClient(stage.gateway, stage.query);
    const title = await page.title();

    await page.evaluate(() => (window.isAway = true));
    client.send("one");
    client.send(chatMessage("two"));
    await page.waitForFunction((title) => document.title === `(2) ${title}`, title);
    await page.evaluate(() => {
      window.isAway = false;
      document.dispatchEvent(new Event("visibilitychange"));
    });
    assert.equal(await page.title(), title);
    client.close();
  });

  it("leads to other rooms, and back to those where one has been", async () => {
    const page = await openChat(stage.browser, stage.gateway.url);
    const rooms = page.getByRole("button", { name: "Room: " });
    const links = page.locator("#room-list a");

    await rooms.click();
    assert.deepEqual(await links.allTextContents(), ["Lobby"]);
    await page.getByLabel("Name of a room").fill("Bell tower & vestry");
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => url.searchParams.get("channel") === "Bell tower & vestry");
    await stateIs(page, "Connected");
    await here(page, 1).waitFor();
    await say(page, "up here");
    await shows(page, ["up here"]);
    assert.equal(await page.title(), "Bell tower & vestry · Carillon");

    await rooms.click();
    assert.deepEqual(await links.allTextContents(), ["Lobby", "Bell tower & vestry"]);
    assert.equal(await page.locator("#room-list [aria-current]").textContent(), "Bell tower & vestry");
    await page.getByRole("link", { name: "Lobby" }).click();
    await page.waitForURL((url) => !url.searchParams.has("channel"));
    await stateIs(page, "Connected");
    assert.deepEqual(await texts(page), []);

    await rooms.press("Enter");
    await page.getByRole("link", { name: "Bell tower" }).press("Enter");
    await shows(page, ["up here"]);
    assert.deepEqual(page.problems, []);
  });
});

describe("a room behind the name that a gateway gives its lobby", () => {
  const stage = useStage({ args: ["--lobby", "foyer"] });

  it("is where the plain clients of the lobby are", async () => {
    const page = await openChat(stage.browser, stage.gateway.url);
    const client = await connectClient(stage.gateway);

    client.send("from the foyer");
    await shows(page, ["from the foyer"]);
    assert.equal(await page.locator("#channel").textContent(), "Lobby");
    client.close();
  });

  it("is the usual one where the gateway does not tell", async () => {
    const page = await openPage(stage.browser, "about:blank");
    const client = await connectClient(stage.gateway, "?channel=lobby");

    await page.route("**/chat.json", (route) => route.abort());
    await page.goto(stage.gateway.url);
    await stateIs(page, "Connected");
    client.send("from the lobby");
    await shows(page, ["from the lobby"]);
    client.close();
  });
});
