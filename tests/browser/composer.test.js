// Where the user of the chat page writes: by keyboard, with an input method, more than there is room for.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { connectClient, eventually, openChat, say, shows, stateIs, useStage } from "./support.js";

describe("the composer of the chat page", () => {
  const stage = useStage();

  const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.tagName);

  it("needs nothing but a keyboard", async () => {
    const page = await openChat(stage.browser, stage.url);
    const keys = page.keyboard;

    assert.equal(await focused(page), "text");
    await keys.type("one line");
    await keys.press("Enter");
    await shows(page, ["one line"]);
    assert.equal(await focused(page), "text");

    await keys.type("two");
    await keys.press("Shift+Enter");
    await keys.type("lines");
    await keys.press("Enter");
    await shows(page, ["one line", "two\nlines"]);
    assert.equal(await page.locator("#text").inputValue(), "");

    await keys.type("   ");
    await keys.press("Enter");
    await keys.press("ControlOrMeta+A");
    await keys.type("by button");
    await keys.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Send");
    await keys.press("Space");
    await shows(page, ["one line", "two\nlines", "by button"]);
    assert.equal(await focused(page), "text");

    await keys.press("Shift+Tab");
    assert.equal(await focused(page), "name");
    await keys.press("Shift+Tab");
    assert.equal(await focused(page), "scroller");
  });

  // Chromium says isComposing; Safari has ended the composition by then, and shows it in the key code.
  for (const composing of [{ isComposing: true }, { keyCode: 229 }]) {
    it(`leaves an Enter with ${JSON.stringify(composing)} to the input method`, async () => {
      const page = await openChat(stage.browser, stage.url);
      const text = page.locator("#text");
      const name = page.locator("#name");

      await name.fill("なま");
      await name.dispatchEvent("keydown", { key: "Enter", ...composing });
      assert.equal(await focused(page), "name");
      await text.fill("にほ");
      await text.dispatchEvent("keydown", { key: "Enter", ...composing });
      assert.equal(await text.inputValue(), "にほ");
      await text.press("Enter");
      await shows(page, ["にほ"]);
    });
  }

  it("keeps the name at an Enter, and goes on to the text without sending it", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);
    const text = page.locator("#text");

    await text.fill("a draft");
    await page.locator("#name").fill("  Ada ");
    await page.locator("#name").press("Enter");
    assert.equal(await focused(page), "text");
    assert.equal(await page.locator("#name").inputValue(), "Ada");
    assert.equal(await text.inputValue(), "a draft");
    assert.equal(await page.evaluate(() => localStorage.getItem("carillon.name")), "Ada");

    await page.keyboard.type(", sent");
    await page.keyboard.press("Enter");
    await shows(page, ["a draft, sent"]);
    await eventually(async () => assert.equal(client.received.length, 1));
    assert.equal(JSON.parse(client.received[0]).name, "Ada");
    client.close();
  });

  it("says how much room is left when little is", async () => {
    const page = await openChat(stage.browser, stage.url);
    const counter = page.locator("#counter");
    const counts = {
      "x": "",
      [" ".repeat(2000) + "x".repeat(8999)]: "",
      ["x".repeat(9001)]: "999 characters left",
      ["x".repeat(9999)]: "1 character left",
      ["x".repeat(10_000)]: "0 characters left",
      ["x".repeat(12_345)]: "2,345 characters too many",
    };

    for (const [text, count] of Object.entries(counts)) {
      await page.locator("#text").fill(text);
      assert.equal(await counter.innerText(), count);
    }
    assert.match(await page.locator("#text").getAttribute("aria-describedby"), /\bcounter\b/);
    await page.locator("#text").fill("x");
    assert.equal(await counter.innerText(), "");
  });

  it("keeps a text that is too long, says so, and sends it whole when it fits", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);
    const text = page.locator("#text");
    const alert = page.getByRole("alert").filter({ hasText: "1 character too long; the limit is 10,000" });
    const longest = `(${"\u0001".repeat(9998)})`; // in JSON six bytes each

    await say(page, `${longest}!`);
    await alert.waitFor();
    assert.equal(await text.inputValue(), `${longest}!`);
    assert.equal(await text.getAttribute("aria-invalid"), "true");

    await text.press("End");
    await text.press("Backspace");
    await alert.waitFor({ state: "detached" });
    assert.equal(await text.getAttribute("aria-invalid"), "false");
    await text.press("Enter");
    await eventually(async () => assert.equal(client.received.length, 1));
    assert.equal(JSON.parse(client.received[0]).text, longest);
    await page.getByRole("button", { name: "Show all 10,000 characters" }).waitFor();
    await stateIs(page, "Connected");
    client.close();
  });
});
