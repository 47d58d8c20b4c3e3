// The pure functions of the page's modules, in the browser that runs them.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { start } from "../lib/gateway.js";
import { launchBrowser, openPage } from "./support.js";

describe("the page's modules", () => {
  let gateway, browser, page; // one for all: a pure function leaves nothing behind

  before(async () => {
    gateway = await start();
    browser = await launchBrowser();
    page = await openPage(browser, gateway.url);
  });
  after(async () => {
    await browser?.close();
    await gateway?.stop();
  });

  // What a module's function returns for each list of arguments.
  const call = (module, name, calls) =>
    page.evaluate(
      async ([module, name, calls]) => {
        const exports = await import(`./${module}`);
        return calls.map((parameters) => exports[name](...parameters));
      },
      [module, name, calls],
    );

  it("derives the socket's address from the page's own", async () => {
    const addresses = await call("gateway.js", "socketUrl", [
      ["http://example.org/"],
      ["https://example.org:8443/a/b/index.html?x=1&channel=a#y"],
      ["https://[::1]/chat/"],
    ]);
    assert.deepEqual(addresses, [
      "ws://example.org/connection/websocket",
      "wss://example.org:8443/a/b/connection/websocket",
      "wss://[::1]/chat/connection/websocket",
    ]);
  });

  it("backs off to twice as long each time, up to a cap", async () => {
    const attempts = [0, 1, 2, 3, 4, 5, 6, 7, 2000];
    const delays = await call("backoff.js", "backoff", attempts.map((attempt) => [attempt, 0.5]));
    assert.deepEqual(delays, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
  });

  it("spreads the backoff over all of the time up to its limit", async () => {
    const delays = await call("backoff.js", "backoff", [[4, 0], [4, 0.25], [4, 0.75], [4, 0.9999]]);
    assert.deepEqual(delays, [0, 2000, 6000, 7999.2]);
  });

  it("makes names visible and leaves the words of every script", async () => {
    const names = {
      " Ada\t Lovelace\n": "Ada Lovelace",
      "\u202eadA\u202c": "adA",
      "A\u200bd\u200e\u200fa\u061c\ufeff\u00ad": "Ada",
      "\u2066Ada\u2069 \u{e0041}": "Ada",
      "A\u0000da": "A da",
      "A\u200d\u200dda\u200c": "Ada",
      "می\u200cخواهم": "می\u200cخواهم",
      "क्\u200dष": "क्\u200dष",
      "👩🏽\u200d💻 ❤\ufe0f": "👩🏽\u200d💻 ❤\ufe0f",
      "\u200b\u200c\u200d\u3164\u115f\u2800\ufe0f": "",
      [`${"x".repeat(39)}🔔`]: "x".repeat(39),
    };
    const cleaned = await call("message.js", "cleanName", Object.keys(names).map((name) => [name]));
    assert.deepEqual(cleaned, Object.values(names));
  });

  it("knows a text of which nothing can be seen", async () => {
    const texts = { "": true, " \n\t": true, "\u200b\u200f\u3164": true, " .": false, "\u200b!": false };
    const blanks = await call("message.js", "isBlank", Object.keys(texts).map((text) => [text]));
    assert.deepEqual(blanks, Object.values(texts));
    const unsent = await call("message.js", "createMessage", [["Ada", " "], ["Ada", "\u200b"]]);
    assert.deepEqual(unsent, [null, null]);
  });

  it("makes no message that the gateway's 64 KiB do not hold, whatever it is made of", async () => {
    for (const character of ["\u0001", "\\", "\n", "é", "€", "\ud800"]) {
      const text = `.${character.repeat(9998)}.`;
      const [message, tooLong] = await call("message.js", "createMessage", [
        [character.repeat(40), text],
        [character.repeat(40), `${text}.`],
      ]);
      assert.equal(message.text.length, 10_000);
      assert.ok(Buffer.byteLength(message.raw) <= 64 * 1024);
      assert.equal(tooLong, null);
    }
  });

  it("reads what it wrote, and takes everything else for another program's", async () => {
    const [{ raw, ...written }] = await call("message.js", "createMessage", [["Ada", "hello"]]);
    const foreign = ["[".repeat(9000), '{"a":'.repeat(9000), "{}", '{"carillon":"chat"}', "null"];
    const parsed = await call("message.js", "parseMessage", [raw, ...foreign].map((data) => [data]));
    assert.deepEqual(parsed, [written, ...foreign.map((text) => ({ kind: "text", text }))]);
  });

  it("cuts only what is longer than the gateway's default allows, and says so", async () => {
    const whole = "x".repeat(65_536);
    const [first, second] = await call("message.js", "parseMessage", [[whole], [`${whole}yz`]]);
    assert.deepEqual(first, { kind: "text", text: whole });
    assert.deepEqual(second, {
      kind: "text",
      text: `${whole}…`,
      note: "The first 65,536 of 65,538 characters",
    });
  });

  it("makes an excerpt of long texts alone", async () => {
    const excerpts = await call("message.js", "excerpt", [
      ["x".repeat(1500)],
      ["x\n".repeat(23)],
      ["x".repeat(1501)],
      ["x\n".repeat(24)],
      [`${"x".repeat(749)}🔔${"x".repeat(1000)}`],
    ]);
    const lines = `${"x\n".repeat(11)}x…`;
    assert.deepEqual(excerpts, [null, null, `${"x".repeat(750)}…`, lines, `${"x".repeat(749)}…`]);
  });

  it("finds the channel beside a room's, for the same users", async () => {
    const channels = {
      lobby: "lobby/people",
      "chat:room": "chat:room/people",
      "room#ann,bob": "room/people#ann,bob",
      "a#b#c": "a#b/people#c",
      "$closed": "$closed/people",
      "#ann": null,
      "news:#ann": null,
      [`${"é".repeat(124)}`]: `${"é".repeat(124)}/people`,
      [`${"é".repeat(125)}`]: null,
    };
    const beside = await call("people.js", "peopleChannel", Object.keys(channels).map((channel) => [channel]));
    assert.deepEqual(beside, Object.values(channels));
  });

  it("reads what the channel protocol brings: objects, other clients' text, and bytes", async () => {
    const chat = { carillon: "chat", id: "x", name: "Ada", text: "t", time: 0 };
    const parsed = await call("message.js", "parseMessage", [
      [chat],
      [JSON.stringify(chat)],
      [{ carillon: "chat" }],
      [[1, null]],
      [null],
      ["AQIDBA==", { kind: "binary" }],
      ["AQIDBA==", { kind: "text" }],
      ["", { kind: "binary" }],
      [{ long: "x".repeat(65_536) }],
    ]);
    const read = { kind: "chat", id: "x", name: "Ada", text: "t", time: 0 };
    assert.deepEqual(parsed.slice(0, 8), [
      read,
      read,
      { kind: "text", text: '{"carillon":"chat"}' },
      { kind: "text", text: "[1,null]" },
      { kind: "text", text: "null" },
      { kind: "binary", size: 4 },
      { kind: "text", text: "AQIDBA==" },
      { kind: "binary", size: 0 },
    ]);
    assert.match(parsed[8].note, /^The first 65,536 of 65,547/);
  });

  it("leaves room for an image beside the longest text, whatever it is made of", async () => {
    for (const character of ["x", "\u0001", "€"]) {
      const text = `.${character.repeat(2998)}.`;
      const channel = character.repeat(80);
      const [room] = await call("message.js", "roomForImage", [[64 * 1024, text, channel]]);
      const image = `data:image/webp;base64,${"A".repeat(room - 23)}`;
      const [{ raw, id }] = await call("message.js", "createMessage", [[character.repeat(40), text, image]]);
      const command = { id: 2 ** 31, publish: { channel, data: JSON.parse(raw), idempotency_key: id } };
      const size = Buffer.byteLength(JSON.stringify(command));
      assert.ok(size <= 64 * 1024 && size > 63 * 1024 - 512, `${size} bytes`);
    }
  });

  it("reads the size of images before anything is decoded", async () => {
    const webp = (type, ...bytes) => [...Buffer.from(`RIFF....WEBP${type}`), 0, 0, 0, 0, ...bytes];
    const images = [
      ["webp", webp("VP8 ", 0, 0, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xf0, 0), [320, 240]],
      ["webp", webp("VP8L", 0x2f, 0x3f, 0xc1, 0x3b, 0), [320, 240]],
      ["webp", webp("VP8X", 0, 0, 0, 0, 0x3f, 1, 0, 0xef, 0, 0, 0), [320, 240]],
      ["webp", webp("VP8X", 2, 0, 0, 0, 0x3f, 1, 0, 0xef, 0, 0, 0), null], // moves
      ["webp", webp("VP8 "), null],
      ["webp", [], null],
      ["jpeg", [0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, 0xff, 0xc2, 0, 17, 8, 0, 240, 1, 64, 3], [320, 240]],
      ["jpeg", [0xff, 0xd8, 0xff, 0xe0, 0xff, 0xff], null],
      ["jpeg", [0xff, 0xd8, 0xff, 0xda, 0, 4, 0, 0], null],
      ["jpeg", [0x89, 0x50], null],
    ];
    const sizes = await page.evaluate(async (images) => {
      const { sizeOf } = await import("./image.js");
      return images.map(([type, bytes]) => sizeOf(type, new Uint8Array(bytes)));
    }, images);
    assert.deepEqual(sizes, images.map(([, , size]) => size));
  });
});
