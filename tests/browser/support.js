// What the browser tests share: the browser, pages that remember what went wrong in them, and a few
// verbs of a person at the chat page.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

import { chromium } from "playwright-core";
import { WebSocket } from "ws";

const DEADLINE_MS = 20_000;
const POLL_MS = 20;

export function launchBrowser() {
  return chromium.launch({
    executablePath: process.env.CARILLON_CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

// Opens a page in a context of its own: another person, with nothing in common but the gateway.
// `page.problems` collects what a developer would see in red.
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();

  page.setDefaultTimeout(DEADLINE_MS);
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) page.problems.push(message.text());
  });
  await page.goto(url);
  return page;
}

// Opens the chat page and waits until it is connected.
export async function openChat(browser, url, { name, ...options } = {}) {
  const page = await openPage(browser, url, options);

  await stateIs(page, "Connected");
  if (name) await page.getByLabel("Your name").fill(name);
  return page;
}

export async function stateIs(page, state) {
  await page.getByRole("status").filter({ hasText: state }).waitFor();
}

export async function say(page, ...texts) {
  const input = page.getByRole("textbox", { name: "Message" });

  for (const text of texts) {
    await input.fill(text);
    await input.press("Enter");
  }
}

// The texts of the log, oldest first; those on their way are not among them.
export function texts(page) {
  return page.locator("#log .text").allTextContents();
}

// Waits until the log holds exactly these texts and nothing is on its way.
export async function shows(page, expected) {
  await eventually(async () => {
    assert.deepEqual(await texts(page), expected);
    assert.equal(await page.locator("#outbox li").count(), 0);
  });
}

// Runs a check until it passes; what it says last is the error.
export async function eventually(check, deadlineMs = DEADLINE_MS) {
  const deadline = performance.now() + deadlineMs;

  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await pause(POLL_MS);
  }
}

// A client that is no browser: `received` holds what came, `send` and `close` are those of ws.
export async function connectClient(gateway, query = "") {
  const client = new WebSocket(`ws://127.0.0.1:${gateway.port}/ws${query}`);

  client.received = [];
  client.on("message", (data, isBinary) => client.received.push(isBinary ? data : String(data)));
  await new Promise((resolve, reject) => client.once("open", resolve).once("error", reject));
  return client;
}

// A message as the chat page sends it.
export function chatMessage(text, { id = `test-${Math.random().toString(36).slice(2)}`, name = "Tester" } = {}) {
  return JSON.stringify({ carillon: "chat", id, name, text, time: Date.now() });
}
