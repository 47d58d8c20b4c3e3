// What a message may hold beside words: links, emoji, images, and what must not become any of these.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { chatMessage, connectClient, eventually, openChat, say, shows, useStage } from "./support.js";

// As if a picture were pasted: noise, which no codec makes small, or bytes that are none.
async function paste(page, { width = 0, height = 0, isBroken = false }) {
  await page.evaluate(
    async ({ width, height, isBroken }) => {
      let blob = new Blob(["no image"]);
      if (!isBroken) {
        const canvas = new OffscreenCanvas(width, height);
        const context = canvas.getContext("2d");
        const pixels = context.createImageData(width, height);
        for (let i = 0; i < pixels.data.length; i++) pixels.data[i] = i % 4 === 3 ? 255 : (i * 7919 * (i >> 5)) % 256;
        context.putImageData(pixels, 0, 0);
        blob = await canvas.convertToBlob();
      }
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File([blob], "picture.png", { type: "image/png" }));
      const event = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
      document.getElementById("text").dispatchEvent(event);
    },
    { width, height, isBroken },
  );
}

describe("what a message of the chat page may hold", () => {
  const stage = useStage({ args: ["--message-rate", "0"] });

  it("makes links of web addresses, which tell their target nothing and open beside the chat", async () => {
    const page = await openChat(stage.browser, stage.url);
    const text =
      "See https://example.org/a_(b)?c=d&e=%20#f, (http://example.org/in), <HTTPS://Example.ORG/tag>. And http://bücher.example/!";

    await say(page, text);
    await shows(page, [text]);
    const links = await page.locator("#log .text a").evaluateAll((links) =>
      links.map(({ textContent, href, rel, target, title }) => ({ textContent, href, rel, target, title })),
    );
    assert.deepEqual(
      links.map(({ textContent, href }) => [textContent, href]),
      [
        ["https://example.org/a_(b)?c=d&e=%20#f", "https://example.org/a_(b)?c=d&e=%20#f"],
        ["http://example.org/in", "http://example.org/in"],
        ["HTTPS://Example.ORG/tag", "https://example.org/tag"],
        ["http://bücher.example/", "http://xn--bcher-kva.example/"],
      ],
    );
    for (const { href, rel, target, title } of links) {
      assert.deepEqual([rel, target, title], ["noopener noreferrer nofollow ugc", "_blank", href]);
    }
  });

  it("leaves everything else as text", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);
    const harmless = [
      "javascript:alert(1)",
      "JaVaScRiPt:alert(1)//http:",
      "data:text/html,<script>alert(1)</script>",
      "vbscript:x file:///etc/passwd ftp://example.org blob:http",
      "<a href='javascript:alert(1)'>x</a>",
      "https:// http:///",
      "https://user:password@example.org/",
      "xhttps//example.org",
    ];

    for (const text of harmless) client.send(chatMessage(text));
    await shows(page, harmless);
    const links = await page.locator("#log a").evaluateAll((links) => links.map((link) => link.href));
    assert.deepEqual(links, []);
    // Where one begins within such a text, it is one to the web.
    client.send(chatMessage("javascript:https://example.org/"));
    await page.locator("#log a").waitFor();
    assert.equal(await page.locator("#log a").getAttribute("href"), "https://example.org/");
    assert.deepEqual(page.problems, []);
    client.close();
  });

  it("shows emoji that stand alone larger", async () => {
    const page = await openChat(stage.browser, stage.url);

    await say(page, "👩🏽‍💻", "🔔 🔔", "🔔 ding", "7");
    await shows(page, ["👩🏽‍💻", "🔔 🔔", "🔔 ding", "7"]);
    assert.deepEqual(await page.locator("#log .text.emoji").allTextContents(), ["👩🏽‍💻", "🔔 🔔"]);
  });

  it("sends a pasted image, made small enough for a message, with its caption", async () => {
    const ada = await openChat(stage.browser, stage.url, { name: "Ada" });
    const grace = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);

    await paste(ada, { width: 1400, height: 700 });
    await ada.getByRole("img", { name: "The image that you are about to send" }).waitFor();
    await say(ada, "the bell");
    await shows(grace, ["the bell"]);
    const image = grace.locator("#log").getByRole("img", { name: "Image from Ada" });
    await eventually(async () => {
      const [width, height] = await image.evaluate((img) => [img.naturalWidth, img.naturalHeight]);
      assert.ok(width >= 200 && Math.abs(width - 2 * height) <= 2, `${width} x ${height}`);
    });
    assert.ok(Buffer.byteLength(client.received[0]) < 64 * 1024);
    assert.equal(await ada.locator("#attachment").isVisible(), false);

    // Without a caption; and one that was taken back.
    await paste(ada, { width: 20, height: 20 });
    await ada.getByRole("button", { name: "Remove image" }).click();
    await paste(ada, { width: 30, height: 20 });
    await ada.getByRole("button", { name: "Remove image" }).waitFor();
    await ada.locator("#text").press("Enter");
    await eventually(async () => assert.equal(await image.count(), 2));
    assert.equal(await grace.locator("#log .blank").count(), 0);
    assert.equal(await image.last().evaluate((img) => img.complete && img.naturalWidth), 30);
    await grace.reload();
    await eventually(async () => assert.equal(await image.count(), 2));
    assert.deepEqual([...ada.problems, ...grace.problems], []);
    client.close();
  });

  it("says kindly that an image cannot be opened", async () => {
    const page = await openChat(stage.browser, stage.url);

    await paste(page, { isBroken: true });
    await page.getByRole("alert").filter({ hasText: "This image cannot be opened here." }).waitFor();
    await say(page, "never mind");
    await shows(page, ["never mind"]);
  });

  it("shows no image that it would not have sent itself", async () => {
    const page = await openChat(stage.browser, stage.url);
    const client = await connectClient(stage.gateway, stage.query);
    const webp = (width, height) => {
      const bytes = Buffer.alloc(30);
      bytes.write("RIFF....WEBPVP8 ", "latin1");
      bytes.writeUInt16LE(width, 26);
      bytes.writeUInt16LE(height, 28);
      return `data:image/webp;base64,${bytes.toString("base64")}`;
    };
    const images = [
      "https://example.org/pixel.png",
      "data:image/svg+xml;base64,PHN2Zy8+",
      "data:text/html;base64,PGI+",
      "data:image/webp;base64,UklGRg==",
      "data:image/webp;base64,%22",
      webp(16383, 16383),
      webp(0, 10),
      7,
      { toString: "x" },
    ];

    for (const [i, image] of images.entries()) {
      const message = JSON.parse(chatMessage(`image ${i}`));
      client.send(JSON.stringify({ ...message, image }));
    }
    await shows(page, images.map((_, i) => `image ${i}`));
    assert.equal(await page.locator("#log img").count(), 0);
    assert.deepEqual(page.problems, []);
    client.close();
  });
});

describe("the chat page where messages are short", () => {
  const stage = useStage({ args: ["--max-message-size", "2K"] });

  it("says kindly that an image does not fit, and keeps the text", async () => {
    const page = await openChat(stage.browser, stage.url);

    await page.locator("#text").fill("look at this");
    await paste(page, { width: 800, height: 600 });
    await page.getByRole("alert").filter({ hasText: "This image does not fit into a message here" }).waitFor();
    assert.equal(await page.locator("#attachment").isVisible(), false);
    await page.locator("#text").press("Enter");
    await shows(page, ["look at this"]);
  });
});
