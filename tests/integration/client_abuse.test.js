// Clients of the channel protocol who send what no SDK would: each is answered with the protocol's error, or sent away
// with the protocol's code, and two who talk beside them notice nothing.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { Bystanders } from "../lib/bystanders.js";
import { Client } from "../lib/client.js";
import { CommandClient, PATH } from "../lib/command_client.js";
import { start } from "../lib/gateway.js";
import { CLOSE, PING, RawClient, frame } from "../lib/raw_client.js";
import { within } from "../lib/wait.js";

const BAD_REQUEST = 3501;
const CONNECT = '{"id":1,"connect":{}}';
const LARGEST = (1n << 64n) - 1n;

// A protobuf varint, and a field that is announced with another length than it has.
function varint(number) {
  const bytes = [];
  for (let left = BigInt(number); ; left >>= 7n) {
    if (left < 128n) return Buffer.from([...bytes, Number(left)]);
    bytes.push(Number(left & 127n) | 128);
  }
}

function field(number, payload, length = payload.length) {
  return Buffer.concat([varint((number << 3) | 2), varint(length), payload]);
}

function number(at, value) {
  return Buffer.concat([varint(at << 3), varint(value)]);
}

function command(...fields) {
  const bytes = Buffer.concat(fields);
  return Buffer.concat([varint(bytes.length), bytes]);
}

describe("bad input", () => {
  let gateway;
  let bystanders;
  before(async () => {
    gateway = await start({ args: ["--message-rate", "0", "--client-channel-limit", "10", "--threads", "1"] });
    bystanders = await Bystanders.open(gateway);
  });
  after(async () => {
    bystanders.close();
    await gateway.stop();
  });

  // What `frames` are answered with in the end: the code of the close.
  async function endOf(frames, options) {
    return bystanders.during(async () => {
      const client = await Client.open(gateway, { path: PATH, ...options });
      for (const frame of frames) client.send(frame);
      const { code } = await within(client.closed, "the end of a connection");
      return code;
    });
  }

  const ends = {
    "no JSON": [CONNECT, "hello"],
    "an array": [CONNECT, "[]"],
    "a number": [CONNECT, "1"],
    "JSON cut short": [CONNECT, '{"id":2,"publish":{"channel":"x"'],
    "JSON of depth 10,000": [CONNECT, `{"id":2,"publish":{"channel":"x","data":${"[".repeat(10_000)}${"]".repeat(10_000)}}}`],
    "depth where nobody looks": [CONNECT, `{"id":2,"other":${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}}`],
    "an id that is a text": [CONNECT, '{"id":"2","publish":{"channel":"x","data":1}}'],
    "an id below zero": [CONNECT, '{"id":-1,"publish":{"channel":"x","data":1}}'],
    "an id of 2^32": [CONNECT, '{"id":4294967296,"publish":{"channel":"x","data":1}}'],
    "an offset of 2^64": [CONNECT, '{"id":2,"subscribe":{"channel":"x","recover":true,"offset":18446744073709551616}}'],
    "an offset below zero": [CONNECT, '{"id":2,"subscribe":{"channel":"x","recover":true,"offset":-1}}'],
    "a limit of 2^31": [CONNECT, '{"id":2,"history":{"channel":"x","limit":2147483648}}'],
    "a field that comes twice": [CONNECT, '{"id":2,"publish":{"channel":"a","channel":"b","data":1}}'],
    "a payload that comes twice": [CONNECT, '{"id":2,"publish":{"channel":"a","data":1,"data":2}}'],
    "an id that comes twice": [CONNECT, '{"id":2,"id":3,"ping":{}}'],
    "two methods in one command": [CONNECT, '{"id":2,"ping":{},"publish":{"channel":"a","data":1}}'],
    "a channel that is a number": [CONNECT, '{"id":2,"subscribe":{"channel":5}}'],
    "bytes that are no UTF-8": [CONNECT, Buffer.from('{"id":2,"subscribe":{"channel":"\xff"}}', "latin1")],
    "a command before connect": ['{"id":1,"subscribe":{"channel":"x"}}'],
    "a publish before connect": ['{"id":1,"publish":{"channel":"x","data":1}}'],
    "a ping before connect": ['{"id":1,"ping":{}}'],
    "a second connect": [CONNECT, '{"id":2,"connect":{}}'],
    "a second connect in one frame": [`${CONNECT}\n${CONNECT}`],
    "an unknown method before connect": ['{"id":1,"dance":{}}'],
    "subs of a connect without end": [`{"id":1,"connect":{"subs":{${Array.from({ length: 200 }, (_, i) => `"c${i}":{}`)}}}}`],
  };
  for (const [what, frames] of Object.entries(ends)) {
    it(`${what} ends with ${BAD_REQUEST}`, async () => assert.equal(await endOf(frames), BAD_REQUEST));
  }

  it("a token of 60,000 bytes ends with 3500", async () => {
    assert.equal(await endOf([JSON.stringify({ id: 1, connect: { token: "x".repeat(60_000) } })]), 3500);
  });

  it("a token of 64 KiB is more than a message may have, 1009", async () => {
    assert.equal(await endOf([JSON.stringify({ id: 1, connect: { token: "x".repeat(65_536) } })]), 1009);
  });

  const connect = command(number(1, 1), field(4, Buffer.alloc(0)));
  const protobufEnds = {
    "a command longer than its frame": [Buffer.concat([varint(1000), connect])],
    "a length of 2^64-1": [Buffer.concat([varint(LARGEST), connect])],
    "a length that never ends": [Buffer.alloc(50, 0xff)],
    "a field longer than its command": [command(number(1, 1), field(4, Buffer.alloc(3), 1000))],
    "a field of 2^63 bytes": [command(number(1, 1), field(4, Buffer.alloc(3), 1n << 63n))],
    "a field within a field longer than that": [
      command(number(1, 1), field(4, Buffer.concat([field(1, Buffer.from("token"), 200)]))),
    ],
    "a group that nobody knows": [command(Buffer.from([0x0b, 0x0b, 0x0b]))],
    "JSON": [CONNECT],
    "a text that is no UTF-8": [connect, command(number(1, 2), field(5, field(1, Buffer.from([0xff]))))],
    "a command before connect": [command(number(1, 1), field(5, field(1, Buffer.from("x"))))],
    "a second connect": [connect, connect],
  };
  for (const [what, frames] of Object.entries(protobufEnds)) {
    it(`in protobuf, ${what} ends with ${BAD_REQUEST}`, async () => {
      assert.equal(await endOf(frames.map((frame) => Buffer.from(frame)), { protocols: ["centrifuge-protobuf"] }), BAD_REQUEST);
    });
  }

  describe("is answered with an error, and the client stays:", () => {
    let client;
    beforeEach(async () => {
      client = await CommandClient.connect(gateway);
    });

    const longName = "x".repeat(256);
    const errors = [
      ["an unknown method", { dance: {} }, 104],
      ["no method", {}, 104],
      ["an rpc", { rpc: { method: "x", data: {} } }, 104],
      ["a channel without a name", { subscribe: { channel: "" } }, 107],
      ["a channel of 256 bytes", { subscribe: { channel: longName } }, 107],
      ["a channel with a control character", { subscribe: { channel: "a\u0001" } }, 107],
      ["a channel with a zero", { subscribe: { channel: "a\u0000b" } }, 107],
      ["a publish to no channel", { publish: { data: 1 } }, 107],
      ["a publish of nothing", { publish: { channel: "x" } }, 107],
      ["a key that is too long", { publish: { channel: "x", data: 1, idempotency_key: "k".repeat(1000) } }, 107],
      ["a limit of -5", { history: { channel: "x", limit: -5 } }, 107],
      ["an epoch that is too long", { history: { channel: "x", limit: 1, since: { offset: 1, epoch: longName } } }, 112],
      ["another epoch", { history: { channel: "x", limit: 1, since: { offset: 1, epoch: "other" } } }, 112],
      ["a refresh for no subscription", { sub_refresh: { channel: "x", token: "y" } }, 107],
      ["history of a channel without a name", { history: { channel: "" } }, 107],
      ["presence of a channel without a name", { presence: { channel: "" } }, 107],
    ];
    for (const [what, request, code] of errors) {
      it(`${what}: ${code}`, async () => {
        await bystanders.during(async () => {
          assert.equal((await client.ask(request)).error?.code, code);
          assert.deepEqual(await client.ask({ ping: {} }), { id: 3, ping: {} });
        });
        client.destroy();
      });
    }

    it("one subscription more than there may be: 106", async () => {
      const answers = await Promise.all(
        Array.from({ length: 12 }, (_, i) => client.ask({ subscribe: { channel: `limit ${i}` } })),
      );
      assert.deepEqual(
        answers.map(({ error }) => error?.code),
        [...Array(10).fill(undefined), 106, 106],
      );
      await client.ask({ unsubscribe: { channel: "limit 3" } });
      assert.equal((await client.ask({ subscribe: { channel: "limit 11" } })).error, undefined);
      client.destroy();
    });

    it("the same channel twice: 105, at once or later", async () => {
      client.send({ id: 50, subscribe: { channel: "twice" } }, { id: 51, subscribe: { channel: "twice" } });
      assert.equal((await client.reply(51)).error.code, 105);
      assert.ok((await client.reply(50)).subscribe);
      assert.equal((await client.ask({ subscribe: { channel: "twice" } })).error.code, 105);
      client.destroy();
    });
  });

  it("an id that comes again is answered again", async () => {
    const client = await CommandClient.connect(gateway);

    client.send({ id: 7, publish: { channel: "ids", data: 1 } }, { id: 7, publish: { channel: "ids", data: 2 } });
    await client.ask({ publish: { channel: "ids", data: 3 } });
    assert.deepEqual(
      client.heard.filter(({ id }) => id === 7).map(({ publish }) => publish.offset),
      [1, 2],
    );
    client.destroy();
  });

  it("keys that come twice within data are the application's", async () => {
    const client = await CommandClient.connect(gateway);

    client.send('{"id":20,"publish":{"channel":"doubles","data":{"k":1,"k":2}}}');
    assert.equal((await client.reply(20)).publish.offset, 1);
    await client.ask({ history: { channel: "doubles", limit: 1 } });
    assert.ok(client.socket.messages.at(-1).includes('"data":{"k":1,"k":2}'), client.socket.messages.at(-1));
    client.destroy();
  });

  it("a position that cannot be is not recovered, and told where the channel is", async () => {
    const client = await CommandClient.connect(gateway);
    const { publish } = await client.ask({ publish: { channel: "far", data: 1 } });
    const cases = [
      { offset: LARGEST, epoch: publish.epoch },
      { offset: LARGEST - 1n, epoch: publish.epoch },
      { offset: 2, epoch: publish.epoch },
      { offset: 1n << 53n, epoch: publish.epoch },
      { offset: 1, epoch: "e".repeat(1000) },
      { offset: 1, epoch: "" },
    ];

    await bystanders.during(async () => {
      for (const { offset, epoch } of cases) {
        const id = client.nextId();
        client.send(`{"id":${id},"subscribe":{"channel":"far","recover":true,"offset":${offset},"epoch":"${epoch}"}}`);
        const { subscribe } = await client.reply(id);
        assert.deepEqual(
          [subscribe.recovered ?? false, subscribe.was_recovering, subscribe.offset, subscribe.epoch],
          [false, true, 1, publish.epoch],
          `offset ${offset}, epoch ${epoch.slice(0, 8)}`,
        );
        await client.ask({ unsubscribe: { channel: "far" } });
      }
      const id = client.nextId();
      const since = `{"offset":${LARGEST},"epoch":"${publish.epoch}"}`;
      client.send(`{"id":${id},"history":{"channel":"far","limit":5,"since":${since}}}`);
      const answer = await client.reply(id);
      assert.ok(answer.error?.code === 112 || !answer.history.publications, JSON.stringify(answer));
    });
    client.destroy();
  });

  it("thousands of commands in a frame are answered, each", async () => {
    await bystanders.during(async () => {
      const client = await CommandClient.connect(gateway);
      const least = '{"id":9}'; // 10,000 of more would not fit into 64 KiB
      const count = Math.floor(65_536 / (least.length + 1));
      client.send(...Array(count).fill(least));
      assert.ok(await client.ask({ ping: {} }));
      assert.equal(client.heard.filter(({ id, error }) => id === 9 && error.code === 104).length, count);
      client.send("{}\n".repeat(20_000).trim()); // pongs, which nobody answers
      assert.ok(await client.ask({ ping: {} }));
      client.destroy();
    });
  });

  it("history and presence asked for without end are answered or refused, 111", async () => {
    await bystanders.during(async () => {
      const client = await CommandClient.connect(gateway);
      const ids = Array.from({ length: 500 }, () => client.nextId());
      client.send(...ids.map((id) => ({ id, [id % 2 ? "history" : "presence"]: { channel: "asked" } })));
      const answers = await Promise.all(ids.map((id) => client.reply(id)));
      for (const { error, history, presence } of answers) assert.ok(history || presence || error.code === 111);
      client.destroy();
    });
  });
});

// What came before in the same segment counts. Of a publish no more is certain than that it is done: its acknowledgement
// may not be back from the bus by then.
describe("a segment that ends badly", () => {
  const ENDS = {
    "no command": [frame({ payload: "nonsense" }), BAD_REQUEST],
    "a broken frame": [frame({ payload: "{}", rsv: 4 }), 1002],
    "a control frame that is too large": [frame({ opcode: PING, payload: "x".repeat(126) }), 1002],
  };
  let gateway;
  before(async () => {
    gateway = await start({ args: ["--message-rate", "0", "--threads", "1"] });
  });
  after(() => gateway.stop());

  for (const [what, [end, code]] of Object.entries(ENDS)) {
    it(`with ${what}: what stands before is done, and answered before the end`, async () => {
      const listener = await CommandClient.connect(gateway);
      const raw = await RawClient.upgrade(gateway, { path: PATH });
      const say = (command) => frame({ payload: JSON.stringify(command) });

      await listener.ask({ subscribe: { channel: what } });
      raw.send(say({ id: 1, connect: {} }));
      assert.equal(JSON.parse(await raw.message()).id, 1);
      raw.send(
        Buffer.concat([
          say({ id: 2, publish: { channel: what, data: "done" } }),
          say({ id: 3, presence_stats: { channel: "" } }),
          end,
        ]),
      );

      const answers = [];
      let heard;
      while ((heard = await raw.frame()).opcode !== CLOSE) {
        answers.push(...`${heard.payload}`.split("\n").map((line) => JSON.parse(line)));
      }
      assert.equal(heard.payload.readUInt16BE(0), code);
      assert.ok(answers.some(({ id, error }) => id === 3 && error.code === 107));
      raw.destroy();
      assert.ok(await listener.pushed(({ pub }) => pub?.data === "done"));
      listener.destroy();
    });
  }
});

describe("too much", () => {
  it("from one client ends with 3013, whatever it is", async () => {
    const gateway = await start({ args: ["--message-rate", "10", "--message-burst", "20"] });
    const bystanders = await Bystanders.open(gateway);
    const requests = [
      { publish: { channel: "x", data: 1 } },
      { dance: {} },
      { subscribe: { channel: "" } },
      { subscribe: { channel: "same" } },
      { unsubscribe: { channel: "x" } },
      { ping: {} },
    ];
    for (const request of requests) {
      const client = await CommandClient.connect(gateway);
      client.send(...Array.from({ length: 100 }, (_, i) => ({ id: i + 10, ...request })));
      assert.equal((await client.closed).code, 3013, JSON.stringify(request));
    }
    await bystanders.talk();
    bystanders.close();
    await gateway.stop();
  });

  it("silence at the beginning ends with 3502", async () => {
    const gateway = await start({ args: ["--handshake-timeout", "1s"] });
    const silent = await CommandClient.open(gateway);
    const ponging = await CommandClient.open(gateway);

    ponging.send("{}");
    for (const client of [silent, ponging]) assert.equal((await client.closed).code, 3502);
    await gateway.stop();
  });
});
