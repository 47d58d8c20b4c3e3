// The chat page as a thing to use: by keyboard, by screen reader, on a phone, in the dark.

import assert from "node:assert/strict";
import path from "node:path";
import { describe, it } from "node:test";

import {
  chatMessage, connectClient, eventually, openChat, openPage, say, shows, stateIs, useStage,
} from "./support.js";

const DESK = { width: 1024, height: 720 };
const PHONE = { viewport: { width: 320, height: 568 }, hasTouch: true, deviceScaleFactor: 2 };

// Resolves when it has been said, whoever listens.
async function sayAside(client, message) {
  client.send(message);
  await eventually(async () => assert.ok(client.received.includes(message)));
}

describe("using the chat page", () => {
  const stage = useStage();

  it("tells a screen reader what is what", async () => {
    const page = await openChat(stage.browser, stage.url);
    const log = page.getByRole("log", { name: "Messages" });

    assert.equal(await log.getAttribute("aria-live"), "polite");
    assert.equal(await page.getByRole("status").textContent(), "Connected");
    assert.equal(await page.getByRole("alert").count(), 2); // the server's, and the composer's
    for (const role of ["banner", "main", "contentinfo"]) {
      assert.equal(await page.getByRole(role).count(), 1, role);
    }
    assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), "Carillon");
    await page.getByRole("textbox", { name: "Message" }).waitFor();
    await page.getByRole("textbox", { name: "Your name" }).waitFor();
    await page.getByRole("button", { name: "Send" }).waitFor();
    assert.equal(await page.locator("html").getAttribute("lang"), "en");

    await say(page, "hello");
    await shows(page, ["hello"]);
    assert.equal(await log.getByRole("listitem").count(), 1);
  });

  it("has no horizontal scroll at a width of 320 px, whatever people write", async () => {
    const page = await openChat(stage.browser, stage.url, { ...PHONE, name: "N".repeat(40) });
    const client = await connectClient(stage.gateway, stage.query);
    const long = "unbreakable".repeat(60);

    await say(page, long, "short");
    client.send(chatMessage(long, { name: "W".repeat(40) }));
    client.send(long);
    client.send(Buffer.alloc(4));
    await eventually(async () => assert.equal(await page.locator("#log li").count(), 5));

    const beyond = await page.evaluate(() => {
      const isBeyond = (element) => element.getBoundingClientRect().right > innerWidth + 0.5;
      return {
        page: document.documentElement.scrollWidth - innerWidth,
        scroller: document.getElementById("scroller").scrollWidth - innerWidth,
        elements: [...document.querySelectorAll("body *")].filter(isBeyond).map((e) => e.outerHTML),
      };
    });
    assert.deepEqual(beyond, { page: 0, scroller: 0, elements: [] });
    client.close();
  });

  it("needs no exception from a strict Content-Security-Policy", async () => {
    const page = await openPage(stage.browser, "about:blank");

    await page.addInitScript(() => {
      window.violations = [];
      document.addEventListener("securitypolicyviolation", (event) =>
        window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`),
      );
    });
    const response = await page.goto(stage.url);
    const policy = response.headers()["content-security-policy"] ?? "";
    assert.match(policy, /script-src 'self'/);
    assert.doesNotMatch(policy, /unsafe/);

    await say(page, "strictly", "x".repeat(1500));
    await shows(page, ["strictly", "x".repeat(1500)]);
    assert.deepEqual(await page.evaluate(() => window.violations), []);
    assert.deepEqual(page.problems, []);
  });

  for (const colorScheme of ["light", "dark"]) {
    it(`has the contrast of WCAG AA in ${colorScheme} colours`, async () => {
      const page = await openChat(stage.browser, stage.url, { colorScheme, reducedMotion: "reduce" });
      const client = await connectClient(stage.gateway, stage.query);

      await say(page, "mine", "long ".repeat(500));
      await eventually(async () => assert.equal(await page.locator("#log li").count(), 2)); // or they would be missed
      await page.context().setOffline(true);
      await stateIs(page, "Offline");
      await sayAside(client, "meanwhile");
      await page.context().setOffline(false);
      await page.locator("#log .gap", { hasText: "While you were away: 1 message" }).waitFor();
      client.send("foreign");
      client.send(Buffer.alloc(4));
      client.send("");
      client.send("long ".repeat(500));
      // Names enough to meet every hue.
      for (let i = 0; i < 40; i++) client.send(chatMessage("theirs", { name: `Name ${i}` }));
      await eventually(async () => assert.equal(await page.locator("#log li").count(), 48));
      await say(page, "too long ".repeat(2000));
      await page.getByRole("alert").filter({ hasText: "too long" }).waitFor();
      const hues = await page.locator("#log li[data-hue]").evaluateAll((rows) => rows.map((r) => r.dataset.hue));
      assert.equal(new Set(hues).size, 8);
      assert.deepEqual(await page.evaluate(tooFaint, 4.5), []);
      client.close();
    });
  }

  it("moves nothing for those who want reduced motion", async () => {
    const page = await openChat(stage.browser, stage.url, { reducedMotion: "reduce" });

    await say(page, "calm");
    await shows(page, ["calm"]);
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  });

  it("has fields that a finger finds, and that iOS does not zoom in on", async () => {
    const page = await openChat(stage.browser, stage.url, PHONE);
    const areEasy = async () => {
      for (const field of await page.locator("input:visible, textarea:visible, button:visible, .panel a:visible").all()) {
        const what = await field.evaluate((element) => element.id || element.className || element.textContent);
        assert.ok((await field.boundingBox()).height >= 40, what);
        assert.ok(parseFloat(await field.evaluate((element) => getComputedStyle(element).fontSize)) >= 16, what);
      }
    };

    await areEasy();
    await page.getByRole("button", { name: "Room: " }).click();
    await page.locator("#rooms").waitFor();
    await areEasy();
    await page.keyboard.press("Escape");
    await page.locator("#rooms").waitFor({ state: "hidden" });
    assert.equal(await page.evaluate(() => document.activeElement.className), "room");
  });

  // CARILLON_SCREENSHOTS names a folder for those who want to look.
  const folder = process.env.CARILLON_SCREENSHOTS;
  const screenshot = (page, name) => folder && page.screenshot({ path: path.join(folder, `${name}.png`) });
  const views = {
    light: { colorScheme: "light", viewport: DESK },
    dark: { colorScheme: "dark", viewport: DESK },
    phone: { ...PHONE, colorScheme: "light", viewport: { width: 390, height: 844 } },
    "phone-dark": { ...PHONE, colorScheme: "dark", viewport: { width: 390, height: 844 } },
  };

  for (const [name, options] of Object.entries(views)) {
    if (options.colorScheme === "dark" && !folder) continue; // what is asserted here has no colour

    it(`is worth looking at (${name})`, async () => {
      const person = { ...options, name: "Grace", reducedMotion: "reduce" };
      const page = await openChat(stage.browser, stage.url, person);
      const client = await connectClient(stage.gateway, stage.query);
      const minutesAgo = (minutes) => Date.now() - minutes * 60_000;
      const rows = (count) =>
        eventually(async () => assert.equal(await page.locator("#log li").count(), count));

      client.send(chatMessage("I left the keys in the vestry.", { name: "Łukasz", time: minutesAgo(1500) }));
      client.send(chatMessage("Good morning! Who rings at noon?", { name: "Ada", time: minutesAgo(9) }));
      client.send(chatMessage("We need three at least.", { name: "Ada", time: minutesAgo(8) }));
      client.send(chatMessage("I do the small ones", { name: "Guest 4821", time: minutesAgo(7) }));
      await rows(4);
      await say(page, "I can. The big one first, then all the others 🔔");
      await rows(5);
      await page.context().setOffline(true);
      await stateIs(page, "Offline");
      await say(page, "Until a quarter past?");
      await sayAside(client, chatMessage("Rehearsal is at eleven: https://example.org/rota", { name: "Łukasz" }));
      await page.context().setOffline(false);
      await rows(8);
      client.send("a line of another program, as it came");
      client.send(Buffer.alloc(512));
      client.send(chatMessage("שלום לכולם", { name: "נועה" }));
      client.send(chatMessage("See https://example.org/a/rather/long/address/that/breaks?or=other", { name: "Ada" }));
      await rows(12);
      assert.equal(await page.evaluate(() => document.documentElement.scrollHeight - innerHeight), 0);
      await screenshot(page, name);
      await page.getByRole("button", { name: "Room: " }).click();
      await screenshot(page, `${name}-rooms`);
      client.close();
    });
  }

  for (const [name, options] of Object.entries({
    "right-to-left": { colorScheme: "light", viewport: DESK },
    "right-to-left-phone": { ...PHONE, colorScheme: "dark", viewport: { width: 390, height: 844 } },
  })) {
    it(`is worth looking at (${name})`, async () => {
      const url = `${stage.gateway.url}/?channel=${encodeURIComponent("מגדל הפעמונים")}-${name}`;
      const page = await openChat(stage.browser, url, { ...options, name: "נועה", reducedMotion: "reduce" });
      const other = await openChat(stage.browser, url, { name: "ليلى" });

      await say(other, "مساء الخير! من يدق الأجراس غدا؟", "انظروا https://example.org/rota?day=1 قبل الظهر");
      await say(page, "אני יכולה. הגדול קודם, ואחר כך כל השאר", "And in English, too.");
      await eventually(async () => assert.equal(await page.locator("#log li .mark").count(), 2));
      await other.getByRole("textbox", { name: "Message" }).fill("…");
      await page.getByText(" is typing…").waitFor();
      await screenshot(page, name);
      await page.getByRole("button", { name: "2 here" }).click();
      await eventually(async () => {
        assert.deepEqual(await page.locator("#people-list li").allTextContents(), ["נועה (you)", "ليلى"]);
      });
      await screenshot(page, `${name}-people`);
    });
  }
});

// Runs in the page: texts whose contrast with what is behind them is below `minimum`.
function tooFaint(minimum) {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (color) => {
    const [r, g, b] = rgba(color).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (rgba(color)[3] > 0) return color;
    }
    return "white";
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const hasText = (element) => [...element.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
  const elements = [...document.querySelectorAll("body *:not(script, noscript)")].filter(hasText);
  const places = elements.map((e) => [e, getComputedStyle(e).color]);
  for (const field of document.querySelectorAll("input, textarea")) {
    places.push([field, getComputedStyle(field).color], [field, getComputedStyle(field, "::placeholder").color]);
  }
  return places
    .map(([element, color]) => ({ what: element.className || element.id || element.tagName, ratio: contrast(color, background(element)) }))
    .filter(({ ratio }) => ratio < minimum);
}
