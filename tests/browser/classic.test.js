// Pages that know nothing of Carillon, as any tutorial has them.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";

import { removeDirectory, temporaryDirectory } from "../lib/directory.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { eventually, launchBrowser, openChat, openPage, say, texts } from "./support.js";

// The seed of the project: a page that a person saved on disk and opened in two browsers.
const seedPage = (port) => `<!DOCTYPE html>
<html>
<head><title>Online Chat</title></head>
<body>
<div id="messages"></div>
<input id="message" type="text">
<button onclick="sendMessage()">Send</button>
<script>
  const socket = new WebSocket('ws://localhost:${port}');

  socket.onopen = () => { document.title = 'open'; };
  socket.onmessage = (event) => {
    const line = document.createElement('p');
    line.textContent = event.data;
    document.getElementById('messages').appendChild(line);
  };

  function sendMessage() {
    const input = document.getElementById('message');
    socket.send(input.value);
    input.value = '';
  }
</script>
</body>
</html>`;

describe("classic pages", () => {
  let browser, gateway, folder, seedUrl;

  before(async () => {
    gateway = await start({ args: ["--compress-min", "100"] });
    browser = await launchBrowser();
    folder = await temporaryDirectory("seed");
    await writeFile(path.join(folder, "chat.html"), seedPage(gateway.port));
    seedUrl = pathToFileURL(path.join(folder, "chat.html")).href;
  });

  after(async () => {
    await browser?.close();
    await removeDirectory(folder);
    await gateway?.stop();
  });

  const lines = (page) => page.locator("#messages > *").allTextContents();
  const seesLines = (page, expected) =>
    eventually(async () => assert.deepEqual(await lines(page), expected));

  async function write(page, text) {
    await page.locator("input").fill(text);
    await page.getByRole("button", { name: "Send" }).click();
  }

  async function openSeed() {
    const page = await openPage(browser, seedUrl);
    await eventually(async () => assert.equal(await page.title(), "open"));
    return page;
  }

  it("the seed page talks both ways between two browsers", async () => {
    const one = await openSeed();
    const two = await openSeed();

    await write(one, "Hello from one");
    await seesLines(two, ["Hello from one"]);
    await write(two, "Grüße von zwei 🔔");
    for (const page of [one, two]) await seesLines(page, ["Hello from one", "Grüße von zwei 🔔"]);
    assert.deepEqual([...one.problems, ...two.problems], []);
    await one.context().close();
    await two.context().close();
  });

  it("the seed page hears compressed messages, which its browser has offered by itself", async () => {
    const counters = () =>
      Promise.all(["handshakes_deflate", "deflate_input_bytes"].map((name) => metric(gateway, `carillon_${name}_total`)));
    const [agreed, compressed] = await counters();
    const page = await openSeed();
    const long = "ding dong ".repeat(50).trim();

    await write(page, long);
    await seesLines(page, [long]);
    assert.deepEqual(await counters(), [agreed + 1, compressed + long.length]);
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });

  it("classic.html of the gateway talks to the seed page and to the chat page", async () => {
    const seed = await openSeed();
    const classic = await openPage(browser, `${gateway.url}/classic.html`);
    const chat = await openChat(browser, gateway.url, { name: "Ada" });

    // It has no sign of its connection: what the seed page says proves it. The last question is
    // waited for, or it might yet arrive amid what follows.
    let asked = 0;
    await eventually(async () => {
      await write(seed, `are you there? ${++asked}`);
      assert.ok((await lines(classic)).length > 0);
    });
    await eventually(async () =>
      assert.equal((await lines(classic)).at(-1), `are you there? ${asked}`),
    );
    const before = await lines(classic);
    await write(classic, "<b>yes</b>");
    await seesLines(classic, [...before, "<b>yes</b>"]);
    await eventually(async () => assert.equal((await texts(chat)).at(-1), "<b>yes</b>"));

    await say(chat, "hello, old friend");
    await eventually(async () => {
      const { name, text } = JSON.parse((await lines(classic)).at(-1));
      assert.deepEqual({ name, text }, { name: "Ada", text: "hello, old friend" });
    });
    assert.deepEqual([...seed.problems, ...classic.problems, ...chat.problems], []);
  });

  it("a channel in the address of classic.html is passed on", async () => {
    const classic = await openPage(browser, `${gateway.url}/classic.html?channel=side`);
    const chat = await openChat(browser, `${gateway.url}/?channel=side`);

    await eventually(async () => {
      await say(chat, "are you there?");
      assert.ok((await lines(classic)).length > 0);
    });
    await write(classic, "heard");
    await eventually(async () => assert.ok((await texts(chat)).includes("heard")));
    assert.deepEqual(classic.problems, []);
  });
});
