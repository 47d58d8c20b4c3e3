// permessage-deflate (RFC 7692): what is agreed on with whom, that everybody hears the same whatever was agreed, and
// how those end who compress what they may not.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";

import { Bystanders } from "../lib/bystanders.js";
import { Client, closeClients, openClients } from "../lib/client.js";
import { CommandClient } from "../lib/command_client.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { BINARY, CLOSE, PING, PONG, RawClient, TEXT, closePayload, frame, request } from "../lib/raw_client.js";
import { FORMATS, SdkClient, leaveAll } from "../lib/sdk.js";

const MESSAGE_LIMIT = 64 * 1024;
const COMPRESS_MIN = 100;
const NOTHING_KEPT = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);
const HELLO = Buffer.from([0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]); // RFC 7692 §7.2.3.1

const OFFER = { "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" };

let gateway;
let bystanders;
before(async () => {
  gateway = await start({
    args: ["--compress-min", String(COMPRESS_MIN), "--max-message-size", "64K", "--message-rate", "0", "--threads", "2"],
  });
  bystanders = await Bystanders.open(gateway, { perMessageDeflate: true });
});
after(async () => {
  bystanders?.people.forEach((person) => person.destroy());
  await gateway?.stop();
});

// What a plain client says in JSON is a text of JSON to others.
const read = (data) => (typeof data === "string" ? JSON.parse(data) : data);

let lastRoom = 0;
const room = () => `room-${++lastRoom}`;

function deflated(data, options) {
  const payload = deflateRawSync(Buffer.from(data), { finishFlush: constants.Z_SYNC_FLUSH, ...options });
  assert.deepEqual(payload.subarray(-4), TAIL);
  return payload.subarray(0, -4);
}

function inflated(payload, windowBits = 15) {
  const finishFlush = constants.Z_SYNC_FLUSH;
  return inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush, windowBits }).toString();
}

async function agreed(extensions) {
  const raw = await RawClient.connect(gateway);
  raw.send(request({ headers: { "Sec-WebSocket-Extensions": extensions } }));
  const { status, headers } = await raw.response();
  raw.destroy();
  return { status, extensions: headers["sec-websocket-extensions"] };
}

describe("the negotiation", () => {
  const agrees = (offer, answer) =>
    it(`of ${[offer].flat().join(" and ")}: ${answer ?? "nothing"}`, async () => {
      assert.deepEqual(await agreed(offer), { status: 101, extensions: answer });
    });

  agrees("permessage-deflate", NOTHING_KEPT);
  agrees("permessage-deflate; client_max_window_bits", NOTHING_KEPT);
  agrees('permessage-deflate; client_max_window_bits="12"; server_no_context_takeover', NOTHING_KEPT);
  agrees("permessage-deflate; server_max_window_bits=15", `${NOTHING_KEPT}; server_max_window_bits=15`);
  agrees("permessage-deflate; server_max_window_bits=10", `${NOTHING_KEPT}; server_max_window_bits=9`);
  agrees("permessage-deflate; server_max_window_bits=8", undefined);
  agrees("permessage-deflate; server_max_window_bits=8, permessage-deflate", NOTHING_KEPT);
  agrees(["x-mux", "permessage-deflate; colour=red", "permessage-deflate"], NOTHING_KEPT);
  agrees("permessage-deflate; client_no_context_takeover; client_no_context_takeover", undefined);
  agrees("x-webkit-deflate-frame", undefined);
  agrees("", undefined);

  it("of what is no list of extensions ends in 400", async () => {
    assert.equal((await agreed("permessage-deflate; client_max_window_bits=")).status, 400);
    assert.equal((await agreed(["permessage-deflate", ";"])).status, 400);
  });

  it("is counted", async () => {
    const before = await metric(gateway, "carillon_handshakes_deflate_total");
    await agreed("permessage-deflate");
    await agreed("x-mux");
    assert.equal(await metric(gateway, "carillon_handshakes_deflate_total"), before + 1);
  });

  for (const [name, perMessageDeflate] of Object.entries({
    "as it is": true,
    "with smaller windows": { serverMaxWindowBits: 10, clientMaxWindowBits: 9 },
    "with no context kept": { serverNoContextTakeover: true, clientNoContextTakeover: true },
    "that compresses everything": { threshold: 0 },
    "that compresses as well as it can": { threshold: 0, zlibDeflateOptions: { level: 9, memLevel: 9 } },
    "that stores": { threshold: 0, zlibDeflateOptions: { level: 0 } },
  })) {
    it(`lets the ws library ${name} talk`, async () => {
      const channel = room();
      const people = [await Client.open(gateway, { channel, perMessageDeflate }), await Client.open(gateway, { channel })];
      const said = ["", "short", "long ".repeat(500), Buffer.alloc(0), Buffer.alloc(3000, 7), "x".repeat(MESSAGE_LIMIT)];

      assert.match(people[0].socket.extensions, /permessage-deflate/);
      people[0].send(...said);
      for (const person of people) {
        await person.received(said.length);
        assert.deepEqual(person.messages, said);
      }
      closeClients(people);
    });
  }
});

describe("messages to those who agreed", () => {
  it("are compressed from --compress-min on, where that makes them smaller", async () => {
    const channel = room();
    const raw = await RawClient.upgrade(gateway, { path: `/ws?channel=${channel}`, headers: OFFER });
    const noise = Buffer.from(Array.from({ length: 300 }, (_, i) => (i * i * 31 + i * 17 + (i >> 3) * 101) & 255));
    const cases = [
      { said: "x".repeat(COMPRESS_MIN), rsv: 4 },
      { said: "x".repeat(COMPRESS_MIN - 1), rsv: 0 },
      { said: deflateRawSync(noise), opcode: BINARY, rsv: 0 },
      { said: "", rsv: 0 },
    ];

    for (const { said, opcode = TEXT, rsv } of cases) {
      raw.send(frame({ opcode, payload: said }));
      const heard = await raw.frame();
      assert.equal(heard.rsv, rsv);
      assert.equal(heard.opcode, opcode);
      assert.ok(heard.fin);
      if (rsv) assert.equal(inflated(heard.payload), said);
      else assert.deepEqual(heard.payload, Buffer.from(said));
    }
    raw.destroy();
  });

  it("keep to the window that was asked for", async () => {
    const channel = room();
    const headers = { "Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=9" };
    const narrow = await RawClient.upgrade(gateway, { path: `/ws?channel=${channel}`, headers });
    const wide = await RawClient.upgrade(gateway, { path: `/ws?channel=${channel}`, headers: OFFER });
    // Words that come again only after a thousand others.
    const words = Array.from({ length: 1000 }, (_, i) => `${(i * 2654435761) % 4294967296}`).join(" ");
    const said = `${words} ${words}`;

    wide.send(frame({ payload: said }));
    const [toNarrow, toWide] = await Promise.all([narrow.frame(), wide.frame()]);
    assert.equal(inflated(toNarrow.payload, 9), said);
    assert.equal(inflated(toWide.payload), said);
    assert.ok(toWide.payload.length < toNarrow.payload.length, "the wide window is used");
    narrow.destroy();
    wide.destroy();
  });

  it("are compressed once for all of them", async () => {
    const single = await start({ args: ["--compress-min", "1", "--threads", "1"] });
    const people = await openClients(single, 20, { perMessageDeflate: true });
    const others = await openClients(single, 5);
    const said = "once and for all ".repeat(100);

    others[0].send(said);
    for (const person of [...people, ...others]) {
      await person.received(1);
      assert.deepEqual(person.messages, [said]);
    }
    assert.equal(await metric(single, "carillon_deflate_input_bytes_total"), said.length);
    const output = await metric(single, "carillon_deflate_output_bytes_total");
    assert.ok(output > 0 && output < said.length / 10);
    closeClients([...people, ...others]);
    await single.stop();
  });
});

describe("a channel on which some compress and some do not", () => {
  it("tells all the same, over the plain protocol, JSON and protobuf", async () => {
    const channel = room();
    const plain = await Promise.all(
      [false, true, { serverMaxWindowBits: 11 }].map((perMessageDeflate) =>
        Client.open(gateway, { channel, perMessageDeflate }),
      ),
    );
    const sdks = await Promise.all(FORMATS.map((format) => SdkClient.open(gateway, { format })));
    const subscriptions = sdks.map((sdk) => sdk.subscribe(channel));
    await Promise.all(subscriptions.map((subscription) => subscription.isOn()));
    const uncompressed = await CommandClient.open(gateway);
    await uncompressed.ask({ connect: {} });
    await uncompressed.ask({ subscribe: { channel } });

    const said = Array.from({ length: 30 }, (_, i) => ({ number: i, text: "ding dong ".repeat(i * 10) }));
    for (const [i, data] of said.entries()) {
      if (i % 3 === 0) plain[(i / 3) % plain.length].send(JSON.stringify(data));
      else await subscriptions[i % 2].publish(data);
      await subscriptions[0].heard(i + 1); // one order among several who speak
    }
    for (const person of plain) {
      await person.received(said.length);
      assert.deepEqual(person.messages.map(read), said);
    }
    for (const subscription of subscriptions) {
      await subscription.heard(said.length);
      assert.deepEqual(subscription.data.map(read), said);
    }
    await uncompressed.pushed(({ pub }) => read(pub.data).number === said.length - 1);
    assert.deepEqual(uncompressed.pushes.map(({ pub }) => read(pub.data)), said);
    closeClients([...plain, uncompressed]);
    leaveAll(sdks);
  });

  it("tells differences, compressed or not", async () => {
    const other = await start({ args: ["--compress-min", "1", "--delta", "--history-size", "10"] });
    const channel = room();
    const clients = await Promise.all(FORMATS.map((format) => SdkClient.open(other, { format })));
    const subscriptions = clients.map((client) => client.subscribe(channel, { delta: "fossil" }));
    await Promise.all(subscriptions.map((subscription) => subscription.isOn()));
    const said = Array.from({ length: 10 }, (_, i) => ({ text: "ding dong ".repeat(50), count: i }));

    const plain = await Client.open(other, { channel });
    for (const data of said) plain.send(JSON.stringify(data));
    for (const subscription of subscriptions) {
      await subscription.heard(said.length);
      assert.deepEqual(subscription.data.map(read), said);
    }
    leaveAll(clients);
    plain.destroy();
    await other.stop();
  });

  it("leaves streams of HTTP as they are", async () => {
    const channel = room();
    const stream = await SdkClient.open(gateway, { transport: "http_stream" });
    const events = await SdkClient.open(gateway, { transport: "sse" });
    const subscriptions = [stream, events].map((client) => client.subscribe(channel));
    await Promise.all(subscriptions.map((subscription) => subscription.isOn()));
    const said = "once more ".repeat(100);
    const speaker = await Client.open(gateway, { channel, perMessageDeflate: { threshold: 0 } });

    speaker.send(said);
    for (const subscription of subscriptions) {
      await subscription.heard(1);
      assert.deepEqual(subscription.data, [said]);
    }
    leaveAll([stream, events]);
    speaker.destroy();
  });

  it("answers one client compressed, too", async () => {
    const path = "/connection/websocket";
    const raw = await RawClient.upgrade(gateway, { path, headers: OFFER });
    const channel = "long-name-".repeat(20);

    const data = "x".repeat(1000);
    const commands = [{ connect: {} }, { subscribe: { channel } }, { publish: { channel, data } }, { history: { channel, limit: 1 } }];

    for (const [i, command] of commands.entries()) {
      raw.send(frame({ rsv: 4, payload: deflated(JSON.stringify({ id: i + 1, ...command })) }));
    }
    for (;;) {
      const { rsv, payload } = await raw.frame();
      const text = rsv ? inflated(payload) : payload.toString();
      const reply = text.split("\n").map((line) => JSON.parse(line)).find(({ id }) => id === commands.length);
      if (!reply) continue;
      assert.equal(rsv, 4);
      assert.equal(reply.history.publications[0].data, data);
      break;
    }
    raw.destroy();
  });
});

describe("messages of a client that agreed", () => {
  // Sends frames on a channel of their own, and checks what somebody else hears there.
  const heard = (name, frames, ...expected) =>
    it(name, async () => {
      const channel = room();
      const witness = await Client.open(gateway, { channel });
      const raw = await RawClient.upgrade(gateway, { path: `/ws?channel=${channel}`, headers: OFFER });

      raw.send(Buffer.concat(frames));
      await witness.received(expected.length);
      assert.deepEqual(witness.messages, expected);
      raw.destroy();
      witness.destroy();
    });
  const long = "to be cut into pieces, ".repeat(1000);
  const payload = deflated(long);

  heard("may be compressed or not", [frame({ rsv: 4, payload: HELLO }), frame({ payload: "plain" })], "Hello", "plain");
  heard("may be binary", [frame({ rsv: 4, opcode: BINARY, payload: deflated("bytes") })], Buffer.from("bytes"));
  heard("may be empty", [frame({ rsv: 4, payload: Buffer.from([0]) }), frame({ payload: "next" })], "", "next");
  heard(
    "may come in fragments, with control frames between them",
    [
      frame({ rsv: 4, fin: false, payload: payload.subarray(0, 10) }),
      frame({ opcode: PING, payload: "?" }),
      frame({ opcode: 0, fin: false, payload: "" }),
      frame({ opcode: PONG }),
      frame({ opcode: 0, fin: false, payload: payload.subarray(10, 11) }),
      frame({ opcode: 0, payload: payload.subarray(11) }),
      frame({ fin: false, payload: "and in " }),
      frame({ opcode: 0, payload: "plain" }),
    ],
    long,
    "and in plain",
  );
  heard(
    "may end with a last block",
    [
      frame({ rsv: 4, payload: Buffer.concat([deflateRawSync("Hello"), Buffer.from([0])]) }),
      frame({ rsv: 4, payload: deflateRawSync("Hello") }),
    ],
    "Hello",
    "Hello",
  );
  heard(
    "may be stored, and be of the limit",
    [frame({ rsv: 4, payload: deflated("y".repeat(MESSAGE_LIMIT), { level: 0 }) })],
    "y".repeat(MESSAGE_LIMIT),
  );

  it("arrive whatever the pieces in which they come", async () => {
    const channel = room();
    const witness = await Client.open(gateway, { channel });
    const bytes = frame({ rsv: 4, payload: HELLO });

    for (let at = 1; at < bytes.length; at++) {
      const raw = await RawClient.upgrade(gateway, { path: `/ws?channel=${channel}`, headers: OFFER });
      raw.socket.setNoDelay(true);
      raw.send(bytes.subarray(0, at));
      await new Promise((resolve) => raw.socket.write("", resolve));
      raw.send(bytes.subarray(at));
      await witness.received(at);
      raw.destroy();
    }
    assert.deepEqual(witness.messages, Array(bytes.length - 1).fill("Hello"));
    witness.destroy();
  });

  // Sends `frames` and checks the close code, that it says why, that nobody else notices, and that nothing is passed on.
  const ends = (name, code, frames, headers = OFFER) =>
    it(`${name}: ${code}`, () =>
      bystanders.during(async () => {
        const channel = room();
        const witness = await Client.open(gateway, { channel });
        const raw = await RawClient.upgrade(gateway, { path: `/ws?channel=${channel}`, headers });

        for (const bytes of frames) raw.send(bytes);
        const end = await raw.close();
        assert.equal(end.code, code);
        assert.notEqual(end.reason, "");
        assert.deepEqual(witness.messages, []);
        raw.destroy();
        witness.destroy();
      }));

  const bomb = deflated(Buffer.alloc(50 * 1024 * 1024));
  ends("a bomb", 1009, [frame({ rsv: 4, opcode: BINARY, payload: bomb })]);
  ends(
    "a bomb in fragments",
    1009,
    Array.from({ length: 10 }, (_, i) =>
      frame({ rsv: i ? 0 : 4, fin: i === 9, opcode: i ? 0 : TEXT, payload: bomb.subarray(i * 5000, i * 5000 + 5000) }),
    ),
  );
  ends("one byte more than the limit", 1009, [frame({ rsv: 4, payload: deflated("x".repeat(MESSAGE_LIMIT + 1)) })]);
  ends("what is over the limit before it is inflated", 1009, [frame({ rsv: 4, length: 2 * MESSAGE_LIMIT })]);
  ends("what does not inflate", 1007, [frame({ rsv: 4, payload: "this is no deflate" })]);
  ends("what ends in the middle", 1007, [frame({ rsv: 4, payload: payload.subarray(0, -5) })]);
  ends("what refers to the message before", 1007, [frame({ rsv: 4, payload: Buffer.from("f200110000", "hex") })]);
  ends("text that is not UTF-8", 1007, [frame({ rsv: 4, payload: deflated(Buffer.from([0x61, 0xff])) })]);
  ends("text that ends in a character", 1007, [frame({ rsv: 4, payload: deflated(Buffer.from([0xc3])) })]);
  ends("RSV1 on a control frame", 1002, [frame({ rsv: 4, opcode: PING })]);
  ends("RSV1 on a close", 1002, [frame({ rsv: 4, opcode: CLOSE, payload: closePayload(1000) })]);
  ends("RSV1 on a continuation", 1002, [
    frame({ rsv: 4, fin: false, payload: HELLO }),
    frame({ rsv: 4, opcode: 0, payload: "" }),
  ]);
  ends("RSV2", 1002, [frame({ rsv: 6, payload: HELLO })]);
  ends("RSV1 without an offer", 1002, [frame({ rsv: 4, payload: HELLO })], {});
  ends("RSV1 after an offer that was declined", 1002, [frame({ rsv: 4, payload: HELLO })], {
    "Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=8",
  });
});

describe("--compress-min", () => {
  it("is off unless it is given", async () => {
    const other = await start();
    const client = await Client.open(other, { perMessageDeflate: true });

    assert.equal(client.socket.extensions, "");
    client.send("x".repeat(10_000));
    await client.received(1);
    assert.equal(await metric(other, "carillon_deflate_input_bytes_total"), 0);
    client.destroy();
    await other.stop();
  });
});
