// What the browser tests share: the browser, pages that remember what went wrong in them, and a few
// verbs of a person at the chat page.

import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { chromium } from "playwright-core";
import { WebSocket } from "ws";

import { start } from "../lib/gateway.js";
import { freePort } from "../lib/port.js";

const DEADLINE_MS = 20_000;
const POLL_MS = 20;
const START_TRIES = 5;

// For the body of a `describe`: a gateway, started with `options`, and a browser for all of its tests.
// Nobody whom a test has brought in is there in the next one, which is held in a room of its own
// (`stage.url`, `stage.query`): rooms remember.
export function useStage(options) {
  const stage = { room: 0 };

  const setRoom = (room) => {
    stage.room = room;
    stage.query = `?channel=test-${room}`;
    stage.url = `${stage.gateway.url}/${stage.query}`;
  };

  before(async () => {
    stage.gateway = await start(options);
    stage.browser = await launchBrowser();
    setRoom(1);
  });
  afterEach(async () => {
    for (const context of stage.browser.contexts()) await context.close();
    setRoom(stage.room + 1);
  });
  after(async () => {
    await stage.browser?.close();
    await stage.gateway?.stop();
  });
  return stage;
}

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

// A gateway that can be stopped and followed by another one on its port: start({ port: gateway.port }).
export async function startRestartable() {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start({ port: await freePort() });
    } catch (error) {
      if (attempt === START_TRIES) throw error;
    }
  }
}

// Opens a page in a context of its own: another person, with nothing in common but the gateway. `script`
// runs in it first. `page.problems` collects what a developer would see in red.
export async function openPage(browser, url, { script, ...options } = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();

  page.setDefaultTimeout(DEADLINE_MS);
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) page.problems.push(message.text());
  });
  if (script) await page.addInitScript(script);
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

// A script for `openPage`: a backoff that never ends, so that only an event brings the next attempt.
export function waitForever() {
  const real = window.setTimeout;

  Math.random = () => 0.4; // so that no backoff is as long as the deadline of an attempt
  window.setTimeout = (run, delay) => (delay >= 10_000 ? real(run, delay) : 0);
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
export function chatMessage(text, { id = createId(), name = "Tester", time = Date.now() } = {}) {
  return JSON.stringify({ carillon: "chat", id, name, text, time });
}

function createId() {
  return `test-${Math.random().toString(36).slice(2)}`;
}
