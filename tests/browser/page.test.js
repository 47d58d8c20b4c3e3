// The chat page as a thing to use: by keyboard, by screen reader, on a phone, in the dark.

import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, afterEach, before, describe, it } from "node:test";

import { start } from "../lib/gateway.js";
import {
  chatMessage, connectClient, eventually, launchBrowser, openChat, openPage, say, shows,
} from "./support.js";

const PHONE = { viewport: { width: 320, height: 568 }, hasTouch: true, deviceScaleFactor: 2 };

describe("using the chat page", () => {
  let browser, gateway;

  before(async () => {
    gateway = await start();
    browser = await launchBrowser();
  });

  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
  });

  after(async () => {
    await browser?.close();
    await gateway?.stop();
  });

  const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.tagName);

  it("needs nothing but a keyboard", async () => {
    const page = await openChat(browser, gateway.url);
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

  it("leaves the Enter that ends a composition to the input method", async () => {
    const page = await openChat(browser, gateway.url);
    const input = page.locator("#text");

    await input.fill("にほ");
    await input.dispatchEvent("keydown", { key: "Enter", isComposing: true });
    assert.equal(await input.inputValue(), "にほ");
    await input.press("Enter");
    await shows(page, ["にほ"]);
  });

  it("tells a screen reader what is what", async () => {
    const page = await openChat(browser, gateway.url);
    const log = page.getByRole("log", { name: "Messages" });

    assert.equal(await log.getAttribute("aria-live"), "polite");
    assert.equal(await page.getByRole("status").textContent(), "Connected");
    assert.equal(await page.getByRole("alert").count(), 1);
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
    const page = await openChat(browser, gateway.url, { ...PHONE, name: "N".repeat(40) });
    const client = await connectClient(gateway);
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
    const page = await openPage(browser, "about:blank");

    await page.addInitScript(() => {
      window.violations = [];
      document.addEventListener("securitypolicyviolation", (event) =>
        window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`),
      );
    });
    const response = await page.goto(gateway.url);
    const policy = response.headers()["content-security-policy"] ?? "";
    assert.match(policy, /script-src 'self'/);
    assert.doesNotMatch(policy, /unsafe/);

    await say(page, "strictly", "x".repeat(4000));
    await shows(page, ["strictly", "x".repeat(4000)]);
    assert.deepEqual(await page.evaluate(() => window.violations), []);
    assert.deepEqual(page.problems, []);
  });

  for (const colorScheme of ["light", "dark"]) {
    it(`has the contrast of WCAG AA in ${colorScheme} colours`, async () => {
      const page = await openChat(browser, gateway.url, { colorScheme, reducedMotion: "reduce" });
      const client = await connectClient(gateway);

      await say(page, "mine");
      client.send("foreign");
      client.send(Buffer.alloc(4));
      // Names enough to meet every hue.
      for (let i = 0; i < 40; i++) client.send(chatMessage("theirs", { name: `Name ${i}` }));
      await eventually(async () => assert.equal(await page.locator("#log li").count(), 43));
      const hues = await page.locator("#log li[data-hue]").evaluateAll((rows) => rows.map((r) => r.dataset.hue));
      assert.equal(new Set(hues).size, 8);
      assert.deepEqual(await page.evaluate(tooFaint, 4.5), []);
      client.close();
    });
  }

  it("moves nothing for those who want reduced motion", async () => {
    const page = await openChat(browser, gateway.url, { reducedMotion: "reduce" });

    await say(page, "calm");
    await shows(page, ["calm"]);
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  });

  it("is worth looking at", async (test) => {
    const folder = await mkdtemp(path.join(tmpdir(), "carillon-screenshots-"));
    const views = {
      light: { colorScheme: "light", viewport: { width: 1024, height: 720 } },
      dark: { colorScheme: "dark", viewport: { width: 1024, height: 720 } },
      phone: { ...PHONE, colorScheme: "light" },
      "phone-dark": { ...PHONE, colorScheme: "dark" },
    };

    for (const [name, options] of Object.entries(views)) {
      const url = `${gateway.url}/?channel=bell-tower-${name}`;
      const page = await openChat(browser, url, { ...options, name: "Grace", reducedMotion: "reduce" });
      const client = await connectClient(gateway, `?channel=bell-tower-${name}`);

      client.send(chatMessage("Good morning! Who rings at noon?", { name: "Ada" }));
      await eventually(async () => assert.equal(await page.locator("#log li").count(), 1));
      await say(page, "I can. The big one first, then all the others 🔔");
      await shows(page, ["Good morning! Who rings at noon?", "I can. The big one first, then all the others 🔔"]);
      client.send(chatMessage("Perfect.\nI bring the ropes, and the list that we wrote last week.", { name: "Łukasz" }));
      client.send("a line of another program, as it came");
      client.send(Buffer.alloc(512));
      client.send(chatMessage("שלום לכולם", { name: "נועה" }));
      client.send(chatMessage("See https://example.org/a/rather/long/address/that/has/to/break/somewhere?or=other", { name: "Katherine" }));
      await eventually(async () => assert.equal(await page.locator("#log li").count(), 7));
      await page.screenshot({ path: path.join(folder, `${name}.png`) });
      client.close();
    }
    test.diagnostic(`screenshots: ${folder}`);
  });
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
