// Every rule of RFC 6455 that a client can break: the code that ends its connection, while two others
// talk on.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Bystanders } from "../lib/bystanders.js";
import { Client } from "../lib/client.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { BINARY, CLOSE, PING, PONG, RawClient, TEXT, closePayload, frame, request } from "../lib/raw_client.js";
import { until } from "../lib/wait.js";

const ELSEWHERE = "/ws?channel=elsewhere"; // where the violations happen

let gateway;
let bystanders;
let witness; // hears what of them is passed on
before(async () => {
  gateway = await start({
    args: ["--message-rate", "0", "--close-timeout", "500ms", "--max-message-size", "64K"],
  });
  bystanders = await Bystanders.open(gateway);
  witness = await Client.open(gateway, { path: ELSEWHERE });
});
after(async () => {
  bystanders.close();
  witness.destroy();
  await gateway.stop();
});

// Waits until the gateway knows nobody but the two who talk and the witness, and their channels.
async function everybodyElseIsGone() {
  await until(async () => (await metric(gateway, "carillon_connections")) === 3, "the others' connections to go");
  await until(async () => (await metric(gateway, "carillon_bus_subscriptions")) === 2, "their channels to go");
}

// Sends `bytes` on a connection of its own and checks the close code, that it says why, that it is counted,
// and that nobody was given anything of it.
function ends(name, code, ...bytes) {
  it(`${name}: ${code}`, () =>
    bystanders.during(async () => {
      const counter = `carillon_closes_total{code="${code}"}`;
      const before = await metric(gateway, counter);
      const raw = await RawClient.upgrade(gateway, { path: ELSEWHERE });

      for (const part of bytes) raw.send(part);
      const end = await raw.close();
      assert.equal(end.code, code);
      assert.notEqual(end.reason, "");
      assert.equal(await metric(gateway, counter), before + 1);
      assert.deepEqual(witness.messages, []);
      raw.destroy();
    }));
}

describe("the framing of §5", () => {
  ends("an unmasked frame", 1002, frame({ payload: "x", mask: false }));
  for (const rsv of [1, 2, 4]) ends(`reserved bits ${rsv}`, 1002, frame({ rsv, payload: "x" }));
  for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
    ends(`reserved opcode ${opcode}`, 1002, frame({ opcode, payload: "x" }));
  }
  ends("an unmasked close", 1002, frame({ opcode: CLOSE, payload: closePayload(1000), mask: false }));
  ends("an unmasked frame, as soon as it shows", 1002, Buffer.from([0x81, 0x7f]));
  ends("reserved bits on a control frame", 1002, frame({ opcode: PING, rsv: 4 }));
  ends("reserved bits on a continuation", 1002, frame({ fin: false }), frame({ opcode: 0, rsv: 1 }));
  ends("a length of 0 in two bytes", 1002, frame({ lengthBytes: 2 }));
  ends("a length of 125 in two bytes", 1002, frame({ payload: "x".repeat(125), lengthBytes: 2 }));
  ends("a length of 125 in eight bytes", 1002, frame({ payload: "x".repeat(125), lengthBytes: 8 }));
  ends("a length of 65535 in eight bytes", 1002, frame({ payload: "x".repeat(65535), lengthBytes: 8 }));
  ends("a length of 2^63", 1002, frame({ length: 1n << 63n }));
  ends("a length of 2^64 - 1", 1002, frame({ length: (1n << 64n) - 1n }));
  ends("a length of 2^63 - 1", 1009, frame({ length: (1n << 63n) - 1n }));
  ends("a message above the limit", 1009, frame({ opcode: BINARY, length: 65537 }));
  ends(
    "fragments above the limit",
    1009,
    frame({ opcode: BINARY, fin: false, payload: Buffer.alloc(40_000) }),
    frame({ opcode: 0, fin: false, payload: Buffer.alloc(40_000) }),
  );
  for (const [name, opcode] of Object.entries({ close: CLOSE, ping: PING, pong: PONG })) {
    ends(`a ${name} in fragments`, 1002, frame({ opcode, fin: false }));
    ends(`a ${name} of 126 bytes`, 1002, frame({ opcode, payload: closePayload(1000, "x".repeat(124)) }));
    ends(`a ${name} that announces 2^63 bytes`, 1002, frame({ opcode, length: 1n << 63n }));
  }
  ends("a continuation of nothing", 1002, frame({ opcode: 0, payload: "x" }));
  ends("a continuation of nothing, in fragments", 1002, frame({ opcode: 0, fin: false, payload: "x" }));
  ends(
    "a message inside another's fragments",
    1002,
    frame({ fin: false, payload: "x" }),
    frame({ payload: "y" }),
  );
  ends(
    "a message inside another's fragments, with a ping between",
    1002,
    frame({ fin: false, payload: "x" }),
    frame({ opcode: PING }),
    frame({ opcode: BINARY, fin: false, payload: "y" }),
  );

  it("a continuation of a message that was whole: 1002, and the message counts", () =>
    bystanders.during(async () => {
      const listener = await Client.open(gateway, { channel: "whole" });
      const raw = await RawClient.upgrade(gateway, { path: "/ws?channel=whole" });
      raw.send(Buffer.concat([frame({ payload: "whole" }), frame({ opcode: 0, payload: "more" })]));
      assert.equal(await raw.closeCode(), 1002);
      listener.send("end");
      await listener.received(2);
      assert.deepEqual(listener.messages, ["whole", "end"]);
      raw.destroy();
      listener.destroy();
    }));

  it("a violation in the same packet as the handshake: 101, then 1002", () =>
    bystanders.during(async () => {
      const raw = await RawClient.connect(gateway);
      raw.send(Buffer.concat([Buffer.from(request({ path: ELSEWHERE })), frame({ payload: "x", mask: false })]));
      assert.equal((await raw.response()).status, 101);
      assert.equal(await raw.closeCode(), 1002);
      raw.destroy();
    }));

  it("a violation in single bytes, with more behind it: 1002", () =>
    bystanders.during(async () => {
      const raw = await RawClient.upgrade(gateway, { path: ELSEWHERE });
      raw.socket.setNoDelay(true);
      for (const byte of Buffer.concat([frame({ opcode: 3, payload: "x" }), frame({ payload: "y" })])) {
        raw.send(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal(await raw.closeCode(), 1002);
      raw.destroy();
    }));
});

describe("the UTF-8 of §8.1", () => {
  const invalid = {
    "a stray continuation byte": [0x80],
    "an overlong slash": [0xc0, 0xaf],
    "a surrogate": [0xed, 0xa0, 0x80],
    "beyond U+10FFFF": [0xf4, 0x90, 0x80, 0x80],
    "a character cut short": [0xe2, 0x82],
  };
  for (const [name, bytes] of Object.entries(invalid)) ends(name, 1007, frame({ payload: Buffer.from(bytes) }));
  ends(
    "a character that goes wrong in the next fragment",
    1007,
    frame({ fin: false, payload: Buffer.from([0xe2, 0x82]) }),
    frame({ opcode: 0, fin: false, payload: Buffer.from([0x20]) }),
  );
  ends(
    "a character that the last fragment does not complete",
    1007,
    frame({ fin: false, payload: Buffer.from([0xe2, 0x82]) }),
    frame({ opcode: 0, payload: "" }),
  );
  ends(
    "a character that a ping between its halves does not excuse",
    1007,
    frame({ fin: false, payload: Buffer.from([0xe2]) }),
    frame({ opcode: PING, payload: Buffer.from([0x82, 0xac]) }),
    frame({ opcode: 0, fin: false, payload: Buffer.from([0xe2]) }),
  );
  ends(
    "the first wrong byte, long before the end of its frame",
    1007,
    frame({ payload: Buffer.from([0x61, 0xff]), length: 60_000 }),
  );
  ends(
    "the first wrong byte of a later fragment, long before its end",
    1007,
    frame({ fin: false, payload: "fine" }),
    frame({ opcode: 0, fin: false, payload: Buffer.from([0x61, 0xc0]), length: 60_000 }),
  );
  ends("a close reason that is none", 1007, frame({ opcode: CLOSE, payload: Buffer.from([3, 232, 0xff]) }));

  it("bytes in a binary message need not be UTF-8", async () => {
    const raw = await RawClient.upgrade(gateway, { path: "/ws?channel=bytes" });
    raw.send(frame({ opcode: BINARY, payload: Buffer.from([0xff, 0xfe]) }));
    assert.deepEqual(await raw.message(BINARY), Buffer.from([0xff, 0xfe]));
    raw.destroy();
  });

  it("a character may be spread over fragments", async () => {
    const raw = await RawClient.upgrade(gateway, { path: "/ws?channel=spread" });
    raw.send(frame({ fin: false, payload: Buffer.from([0xf0, 0x9f]) }));
    raw.send(frame({ opcode: 0, fin: false, payload: "" }));
    raw.send(frame({ opcode: 0, payload: Buffer.from([0x98, 0x80]) }));
    assert.equal((await raw.message()).toString(), "😀");
    raw.destroy();
  });
});

describe("the closing of §5.5.1 and §7.4", () => {
  ends("a close payload of one byte", 1002, frame({ opcode: CLOSE, payload: "x" }));
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]) {
    ends(`close code ${code}`, 1002, frame({ opcode: CLOSE, payload: closePayload(code) }));
  }
  ends("a bad close inside a message's fragments", 1002, frame({ fin: false }), frame({ opcode: CLOSE, payload: "x" }));

  // 1012 to 1014 were registered with IANA after the RFC; what is registered may be sent.
  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]) {
    it(`close code ${code} is answered with itself`, async () => {
      const raw = await RawClient.upgrade(gateway, { path: ELSEWHERE });
      raw.send(frame({ opcode: CLOSE, payload: closePayload(code, "why: ü") }));
      assert.equal(await raw.closeCode(), code);
      raw.destroy();
    });
  }

  it("a close without a code is answered with one", async () => {
    const raw = await RawClient.upgrade(gateway, { path: ELSEWHERE });
    raw.send(frame({ opcode: CLOSE }));
    const answer = await raw.frame();
    assert.deepEqual([answer.opcode, answer.payload.length], [CLOSE, 0]);
    assert.equal(await raw.frame(), null);
    raw.destroy();
  });

  it("a message half sent before a close is forgotten", () =>
    bystanders.during(async () => {
      const raw = await RawClient.upgrade(gateway, { path: ELSEWHERE });
      raw.send(frame({ fin: false, payload: "half" }));
      raw.send(frame({ opcode: CLOSE, payload: closePayload(1000) }));
      assert.equal(await raw.closeCode(), 1000);
      assert.deepEqual(witness.messages, []);
      raw.destroy();
    }));

  it("nothing counts behind a close frame", () =>
    bystanders.during(async () => {
      const listener = await Client.open(gateway, { channel: "behind" });
      const raw = await RawClient.upgrade(gateway, { path: "/ws?channel=behind" });
      raw.send(
        Buffer.concat([
          frame({ payload: "before" }),
          frame({ opcode: CLOSE, payload: closePayload(1000) }),
          frame({ opcode: TEXT, payload: "after" }),
        ]),
      );
      assert.equal(await raw.closeCode(), 1000);
      listener.send("end");
      await listener.received(2);
      assert.deepEqual(listener.messages, ["before", "end"]);
      raw.destroy();
      listener.destroy();
    }));

  it("a client that does not hang up after a protocol error is cut off after --close-timeout", () =>
    bystanders.during(async () => {
      const raw = await RawClient.upgrade(gateway, { path: ELSEWHERE });
      raw.send(frame({ opcode: 3 }));
      const end = await raw.frame();
      assert.equal(end.opcode, CLOSE);
      assert.equal(await raw.frame(), null); // our own side stays open all the while
      await everybodyElseIsGone();
      raw.destroy();
    }));

  it("a client that vanishes in the middle of a frame leaves nothing behind", () =>
    bystanders.during(async () => {
      const broken = () => metric(gateway, 'carillon_closes_total{code="1006"}');
      await everybodyElseIsGone();
      const before = await broken();
      const raw = await RawClient.upgrade(gateway, { path: "/ws?channel=vanishing" });
      assert.equal(await metric(gateway, "carillon_bus_subscriptions"), 3);
      raw.send(frame({ length: 50_000, payload: "beginning" }));
      raw.destroy();
      await everybodyElseIsGone();
      assert.equal(await broken(), before + 1);
    }));
});

describe("a close that the gateway begins", () => {
  // A client that says too much is told 1008, and stays connected until it has answered.
  async function tooLoud(closeTimeout, act) {
    const strict = await start({
      args: ["--message-rate", "1000", "--message-burst", "100", "--close-timeout", closeTimeout],
    });
    const others = await Bystanders.open(strict);
    const raw = await RawClient.upgrade(strict, { path: ELSEWHERE });

    await others.during(async () => {
      raw.send(Buffer.concat(Array.from({ length: 5000 }, () => frame({ payload: "x" }))));
      await raw.message(CLOSE).then((payload) => assert.equal(payload.readUInt16BE(0), 1008));
      await act(raw);
    });
    others.close();
    raw.destroy();
    await strict.stop();
  }

  it("ends when the client has answered it, without waiting for --close-timeout", () =>
    tooLoud("1h", async (raw) => {
      raw.send(frame({ opcode: CLOSE, payload: closePayload(1008) }));
      assert.equal(await raw.frame(), null);
    }));

  it("makes the gateway deaf: nothing that comes before the answer is heard", () =>
    tooLoud("1h", async (raw) => {
      raw.send(frame({ opcode: PING, payload: "anybody?" }));
      raw.send(frame({ payload: "too late" }));
      raw.send(frame({ opcode: CLOSE, payload: closePayload(1000) }));
      assert.equal(await raw.frame(), null);
    }));

  it("ends after --close-timeout when the client answers nothing, and when it talks on", async () => {
    await tooLoud("300ms", async (raw) => {
      assert.equal(await raw.frame(), null);
    });
    await tooLoud("300ms", async (raw) => {
      const talk = setInterval(() => raw.send(frame({ payload: "on and on" })), 20);
      assert.equal(await raw.frame(), null);
      clearInterval(talk);
    });
  });
});
