// The rows of the conversation: what each shows, and which of them are there.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  chatMessage, connectClient, eventually, openChat, openPage, say, shows, stateIs, texts, useStage,
} from "./support.js";

describe("the rows of the chat page", () => {
  const stage = useStage({ args: ["--message-rate", "0"] });

  it("keeps markup in names and texts as text", async () => {
    const name = "<img src=x onerror=alert(1)>";
    const text = "<script>alert(1)</script> <b>bold</b> &amp; ${1}";
    const one = await openChat(stage.browser, stage.url, { name });
    const two = await openChat(stage.browser, stage.url);

    await say(one, text);
    await shows(two, [text]);
    assert.equal(await two.locator("#log .name").textContent(), name);
    assert.equal(await two.locator("#log").locator("script, img, b").count(), 0);
    assert.deepEqual(two.problems, []);
  });

  it("shows other programs' text as it came, and says how big bytes are", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);
    const foreign = [
      "plain words",
      '{"carillon":"chat"}',
      '{"carillon":"chat","id":"x","name":7,"text":"t","time":0}',
      '{"carillon":"chat","id":"x","name":"n","text":"t","time":1e300}',
      chatMessage("nobody", { name: "\u200b\u3164" }),
      "{broken",
      "  two\n  lines ",
      "<i>markup</i>",
    ];

    for (const text of foreign) client.send(text);
    client.send(Buffer.alloc(1));
    client.send(Buffer.alloc(2048));

    await eventually(async () => assert.equal(await page.locator("#log li").count(), foreign.length + 2));
    assert.deepEqual(await texts(page), foreign);
    const sizes = await page.locator("#log .binary").allTextContents();
    assert.deepEqual(sizes, ["binary message, 1 byte", "binary message, 2,048 bytes"]);
    assert.equal(await page.locator("#log .name").count(), 0);
    assert.deepEqual(page.problems, []);
    client.close();
  });

  it("folds a long text, and shows all of it to those who ask", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);
    const whole = "🔔".repeat(16 * 1024); // all that the gateway takes: 64 KiB
    const text = page.locator("#log .text");

    client.send(whole);
    await page.getByRole("button", { name: "Show all 32,768 characters" }).click();
    assert.equal(await text.textContent(), whole);
    await page.getByRole("button", { name: "Show less", expanded: true }).click();
    assert.equal(await text.textContent(), `${"🔔".repeat(375)}…`);
    await page.getByRole("button", { name: "Show all", expanded: false }).waitFor();
    client.close();
  });

  it("leaves a reader who has unfolded the newest text where the text begins", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);

    client.send(chatMessage("line\n".repeat(200)));
    await page.getByRole("button", { name: "Show all" }).click();
    client.send(chatMessage("news"));
    await page.getByRole("button", { name: "1 new message" }).waitFor();
    assert.equal(await isAtEnd(page), false);
    client.close();
  });

  it("says so where a message has nothing to show", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);

    client.send(chatMessage(" \u200b\n"));
    client.send("");
    await eventually(async () => {
      const blanks = await page.locator("#log .blank").allTextContents();
      assert.deepEqual(blanks, ["empty message", "empty message"]);
    });
    client.close();
  });

  it("takes the disguise off a name", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);

    client.send(chatMessage("hi", { name: " A\u202ed\u200b\u0000a\ufeff\n " }));
    await shows(page, ["hi"]);
    assert.equal(await page.locator("#log .name").textContent(), "Ad a");
    client.close();
  });

  it("names a sender once for messages that follow each other", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);
    const time = Date.now();
    const send = (name, minute) =>
      client.send(chatMessage(`${name} ${minute}`, { name, time: time + minute * 60_000 }));

    for (const minute of [-9, -8, -5, -3]) send("Ada", minute);
    send("Grace", -2);
    send("Ada", -1);
    client.send("another program");
    send("Ada", 0);
    await eventually(async () => assert.equal(await page.locator("#log li").count(), 8));
    await say(page, "mine", "mine too");
    await eventually(async () => assert.equal(await page.locator("#log li").count(), 10));

    const named = await page.locator("#log li").evaluateAll((rows) =>
      rows
        .filter((row) => row.matches(":not(.continued):has(.name)"))
        .map((row) => row.querySelector(".text").textContent),
    );
    assert.deepEqual(named, ["Ada -9", "Ada -3", "Grace -2", "Ada -1", "Ada 0", "mine"]);
    const continued = page.locator("#log li", { hasText: "Ada -8" });
    assert.ok((await continued.locator(".meta").boundingBox()).height <= 1);
    assert.equal(await continued.locator(".avatar").isVisible(), false);
    assert.equal(await continued.locator(".name").textContent(), "Ada"); // for a screen reader
    client.close();
  });

  it("puts name and text on the same side, whichever way they are written", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);

    client.send(chatMessage("שלום", { name: "A rather long name" }));
    client.send(chatMessage("Hello, everybody who is here today", { name: "נועה" }));
    await eventually(async () => assert.equal(await page.locator("#log li").count(), 2));
    const sides = await page.locator("#log li").evaluateAll((rows) =>
      rows.map((row) => {
        const range = document.createRange();
        range.selectNodeContents(row.querySelector(".text"));
        const [name, text] = [row.querySelector(".name"), range].map((each) => each.getBoundingClientRect());
        return { left: Math.abs(name.left - text.left) < 2, right: Math.abs(name.right - text.right) < 2 };
      }),
    );
    assert.deepEqual(sides, [{ left: false, right: true }, { left: true, right: false }]);
    client.close();
  });

  it("gives messages of another day their date, and today's when the day is over", async () => {
    const page = await openPage(stage.browser, "about:blank");
    const client = await connectClient(stage.gateway, stage.query);
    const now = new Date(2024, 5, 3, 23, 58, 0);
    const times = () =>
      page.locator("#log time").evaluateAll((lines) =>
        lines.map((line) => ({ isDated: line.textContent === line.title, at: Date.parse(line.dateTime) })),
      );

    await page.clock.install({ time: now });
    await page.goto(stage.url);
    await stateIs(page, "Connected");
    client.send(chatMessage("yesterday", { name: "Ada", time: now - 86_400_000 }));
    client.send(chatMessage("today", { name: "Grace", time: Number(now) }));
    await shows(page, ["yesterday", "today"]);
    assert.deepEqual(await times(), [
      { isDated: true, at: now - 86_400_000 },
      { isDated: false, at: Number(now) },
    ]);

    await page.clock.fastForward("05:00");
    await eventually(async () => assert.deepEqual((await times()).map((time) => time.isDated), [true, true]));
    client.close();
  });

  it("stays at the end when the composer takes room", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);

    for (let i = 0; i < 50; i++) client.send(chatMessage(`message ${i}`));
    await eventually(async () => assert.equal((await texts(page)).at(-1), "message 49"));
    await page.evaluate(() => {
      document.getElementById("complaint").textContent = "word ".repeat(500);
      document.getElementById("scroller").dispatchEvent(new Event("scroll")); // one that was under way
    });
    await eventually(async () => assert.ok(await isAtEnd(page)));
    client.send(chatMessage("one more"));
    await eventually(async () => assert.equal((await texts(page)).at(-1), "one more"));
    assert.ok(await isAtEnd(page));
    client.close();
  });

  it("takes a burst of 5,000 messages in order and keeps its rows bounded", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);

    for (let i = 0; i < 5000; i++) client.send(chatMessage(`message ${i}`));
    await eventually(async () => assert.equal((await texts(page)).at(-1), "message 4999"));
    const expected = Array.from({ length: 1000 }, (_, i) => `message ${4000 + i}`);
    assert.deepEqual(await texts(page), expected);
    assert.ok(await isAtEnd(page));
    // The row that named the sender has gone; the first one left does it now.
    const isContinued = (rows) => rows.map((row) => row.matches(".continued"));
    const continued = await page.locator("#log li").evaluateAll(isContinued);
    assert.deepEqual(continued, expected.map((_, i) => i > 0));
    client.close();
  });

  it("leaves a reader who has scrolled up in peace", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);
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
