// Redis says no, or talks nonsense: the log says what, nobody is disconnected for it who did nothing, and
// all is well when Redis is.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Bystanders } from "../lib/bystanders.js";
import { Client, closeClients, openClients } from "../lib/client.js";
import { ready, status } from "../lib/cluster.js";
import { assertSameChat } from "../lib/delivery.js";
import { FakeRedis, bulk, spoiled } from "../lib/fake_redis.js";
import { start } from "../lib/gateway.js";
import { Redis } from "../lib/redis.js";
import { Relay } from "../lib/relay.js";

// What the log says of a fault.
const unavailable = (reason) => new RegExp(`event="redis unavailable".* reason="${reason}`);
const refuses = (reason) => new RegExp(`event="redis refuses for now" reason="${reason}`);
const refused = (reason) => new RegExp(`event="publish refused" reason="${reason}`);
const unreadable = (reason) => new RegExp(`event="history unreadable" reason="${reason}`);

describe("a Redis that refuses for a while", () => {
  // What is said meanwhile waits, and is delivered in order when it is over.
  async function waits(begin, end, message, { redisOptions, login = "" } = {}) {
    const redis = await Redis.start(redisOptions);
    const gateway = await start({ args: ["--bus", `redis://${login}127.0.0.1:${redis.port}`] });
    await ready(gateway);
    const people = await openClients(gateway, 2);
    const sent = [["before"], []];

    people[0].send("before");
    await people[1].received(1);
    await begin(redis);
    for (let i = 0; i < 20; i++) {
      people[i % 2].send(`meanwhile ${i}`);
      sent[i % 2].push(`meanwhile ${i}`);
    }
    await gateway.waitForLog(message);
    assert.equal(await status(gateway, "/health"), 200);
    await end(redis);
    await Promise.all(people.map((person) => person.received(21)));
    assertSameChat(people, sent);
    await ready(gateway);
    closeClients(people);
    await gateway.stop();
    await redis.stop();
  }

  const changePassword = async (redis) => {
    await redis.command("CONFIG", "SET", "requirepass", "new");
    redis.password = "new";
    await redis.cutClients();
  };

  it("for want of memory (OOM)", () =>
    waits(
      (redis) => redis.command("CONFIG", "SET", "maxmemory", "1"),
      (redis) => redis.command("CONFIG", "SET", "maxmemory", "0"),
      refuses("OOM "),
    ));

  it("because it has become a replica (READONLY)", () =>
    waits(
      (redis) => redis.command("REPLICAOF", "127.0.0.1", "1"),
      (redis) => redis.command("REPLICAOF", "NO", "ONE"),
      unavailable("READONLY "),
    ));

  it("because it wants a password (NOAUTH)", () =>
    waits(changePassword, (redis) => redis.command("CONFIG", "SET", "requirepass", ""), unavailable("NOAUTH ")));

  it("because its password has changed (WRONGPASS)", () =>
    waits(changePassword, (redis) => redis.command("CONFIG", "SET", "requirepass", "old"), unavailable("WRONGPASS "), {
      redisOptions: { args: ["--requirepass", "old"], password: "old" },
      login: ":old@",
    }));
});

describe("a key of another type (WRONGTYPE)", () => {
  it("costs those who speak on that channel their connection (1011), and nobody else anything", async () => {
    const redis = await Redis.start();
    const gateway = await start({ args: ["--bus", redis.url] });
    await ready(gateway);
    const [speaker, listener] = await openClients(gateway, 2, { channel: "errors" });
    const others = await Bystanders.open(gateway, { channel: "others" });

    speaker.send("before");
    await listener.received(1);
    for (const key of await redis.command("KEYS", "*errors*")) {
      await redis.command("DEL", key);
      await redis.command("SET", key, "not what it should be");
    }
    await others.during(async () => {
      speaker.send("into the void");
      assert.equal((await speaker.closed).code, 1011);
      await gateway.waitForLog(refused("WRONGTYPE "));
    });
    for (const key of await redis.command("KEYS", "*errors*")) await redis.command("DEL", key);
    const again = await Client.open(gateway, { channel: "errors" });
    again.send("after");
    await Promise.all([again.received(1), listener.received(2)]);
    assert.deepEqual(again.messages, ["after"]);
    assert.deepEqual(listener.messages, ["before", "after"]);
    others.close();
    closeClients([again, listener]);
    await gateway.stop();
    await redis.stop();
  });
});

describe("a line to Redis that leads to", () => {
  let redis, neighbour, bystanders;
  let channels = 0;
  before(async () => {
    redis = await Redis.start();
    neighbour = await start({ args: ["--bus", redis.url, "--message-rate", "0"] });
    await ready(neighbour);
    bystanders = await Bystanders.open(neighbour, { channel: "bystanders" });
  });
  after(async () => {
    bystanders.close();
    await neighbour.stop();
    await redis.stop();
  });

  // Calls `body` with a gateway whose line to Redis can be led to a fake that gives `answer`, or leads there
  // from the start, with two people on it, and with a witness on the neighbour.
  async function withFake({ answer, isThereFirst = false }, body) {
    const fake = await FakeRedis.start(answer);
    const relay = await Relay.start(isThereFirst ? fake.port : redis.port);
    const gateway = await start({ args: ["--bus", redis.urlAt(relay.port)] });
    const channel = `errors ${channels++}`;
    if (!isThereFirst) await ready(gateway);
    const people = await openClients(gateway, 2, { channel });
    const witness = await Client.open(neighbour, { channel });
    const everybody = [...people, witness];

    if (!isThereFirst) {
      people[0].send("before");
      await Promise.all(everybody.map((person) => person.received(1)));
      relay.redirect(fake.port);
    }
    await bystanders.during(() => body({ relay, gateway, channel, people, witness, everybody }));
    closeClients(everybody);
    await gateway.stop();
    await relay.stop();
    await fake.stop();
  }

  // The log names `cause`; whoever is there stays, whoever comes is let in, and what they say waits and is
  // said once when the line leads to Redis again. `isLate`: the fake does not tell at once, and the gateway is
  // ready now and then.
  function outlives({ answer, cause, isLate = false, isThereFirst }) {
    return withFake({ answer, isThereFirst }, async ({ relay, gateway, channel, people, witness, everybody }) => {
      const said = [...(isThereFirst ? [] : ["before"]), "meanwhile"];

      people[0].send("meanwhile");
      await gateway.waitForLog(cause);
      assert.equal(await status(gateway, "/health"), 200);
      if (!isLate) assert.equal(await status(gateway, "/ready"), 503);
      const newcomer = await Client.open(gateway, { channel });

      relay.redirect(redis.port);
      await ready(gateway);
      await witness.received(said.length);
      newcomer.send("after");
      await Promise.all(everybody.map((person) => person.received(said.length + 1)));
      assertSameChat(everybody, [said, ["after"]]);
      await newcomer.received(2);
      assert.deepEqual(newcomer.messages, ["meanwhile", "after"]);
      newcomer.destroy();
    });
  }

  const strangers = {
    "says LOADING": ["-LOADING Redis is loading the dataset in memory\r\n", "LOADING "],
    "says NOAUTH": ["-NOAUTH Authentication required.\r\n", "NOAUTH "],
    "says something else": ["-ERR I am a teapot\r\n", "ERR I am a teapot"],
    "talks HTTP": ["HTTP/1.1 400 Bad Request\r\n\r\n", "Protocol error, got .*H"],
    "says bytes without an end": ["\u0000\u00ff\u0001garbage", "Protocol error, got .*x00"],
    "announces an endless array": ["*2147483647\r\n", "reply is larger than"],
    "announces an endless string": ["$9223372036854775807\r\n", "not ready within 3 s"],
    "answers with the wrong type": [":1\r\n", "SCRIPT LOAD answered nonsense"],
    "answers with nothing": ["$-1\r\n", "SCRIPT LOAD answered nonsense"],
    "nests without end": ["*1\r\n".repeat(1000), "No support for nested"],
    "says OK to everything": ["+OK\r\n", "SCRIPT LOAD answered nonsense"],
    "answers twice": ["+OK\r\n+OK\r\n", "SCRIPT LOAD answered nonsense"],
    "says nothing": [undefined, "not ready within 3 s"],
  };
  for (const [name, [answer, reason]] of Object.entries(strangers)) {
    for (const isThereFirst of [true, false]) {
      it(`one that ${name}, ${isThereFirst ? "from the start" : "after a while"}, is found out and outlived`, () =>
        outlives({ answer: () => answer, cause: unavailable(reason), isThereFirst }));
    }
  }

  const isLate = true;
  const nonsense = () => ":1\r\n";
  const wrongType = () => "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
  const pings = new WeakMap(); // how many came on a socket
  const faults = {
    "does not load scripts": { spoilt: { SCRIPT: () => "-ERR unknown command\r\n" }, cause: unavailable("ERR unknown") },
    "loads other scripts": { spoilt: { SCRIPT: () => bulk("abc") }, cause: unavailable("SCRIPT LOAD answered nonsense") },
    "says hello in numbers": { spoilt: { hello: nonsense }, cause: unavailable("the hello script answered nonsense") },
    "has something else at its key": { spoilt: { hello: wrongType }, cause: unavailable("WRONGTYPE ") },
    "subscribes to nothing": {
      spoilt: { SUBSCRIBE: nonsense },
      cause: unavailable("answer that no subscriber gets"),
      isLate,
    },
    "delivers garbage": {
      spoilt: {
        SUBSCRIBE([, topic], socket) {
          setImmediate(() => socket.write(`*3\r\n${bulk("message")}${bulk(topic)}${bulk("garbage")}`));
        },
      },
      cause: /event="redis message is garbage"/,
      isLate,
    },
    "attaches to nothing": {
      spoilt: { attach: nonsense },
      cause: unavailable("the attach script answered nonsense"),
      isLate,
    },
    "has no readable history": { spoilt: { attach: wrongType }, cause: unreadable("WRONGTYPE "), isLate },
    "acknowledges nonsense": {
      spoilt: { publish: nonsense },
      cause: unavailable("the publish script answered nonsense"),
      isLate,
    },
    "has no memory": { spoilt: {}, cause: refuses("OOM "), isLate },
    "starts to load": {
      spoilt: {
        PING(words, socket) {
          pings.set(socket, (pings.get(socket) ?? 0) + 1);
          return pings.get(socket) > 2 ? "-LOADING Redis is loading the dataset in memory\r\n" : undefined;
        },
      },
      cause: unavailable("LOADING "),
      isLate,
    },
  };
  for (const [name, { spoilt, ...fault }] of Object.entries(faults)) {
    it(`one that ${name} is found out and outlived`, () => outlives({ answer: spoiled(spoilt), ...fault }));
  }

  it("one that refuses a message for good costs its sender the connection (1011), and nobody else anything", () =>
    withFake(
      { answer: spoiled({ publish: () => "-ERR I am a teapot\r\n" }) },
      async ({ relay, gateway, people: [sender, listener], witness }) => {
        sender.send("into the void");
        assert.equal((await sender.closed).code, 1011);
        await gateway.waitForLog(refused("ERR I am a teapot"));
        relay.redirect(redis.port);
        await ready(gateway);
        listener.send("after");
        await Promise.all([listener, witness].map((person) => person.received(2)));
        assertSameChat([listener, witness], [["before"], ["after"]]);
      },
    ));

  it("one that has lost the history and does not take it back is told of with 1012", () =>
    withFake(
      { answer: spoiled({ attach: () => `*5\r\n${bulk("lost")}${bulk("")}:0\r\n:0\r\n*0\r\n`, restore: () => ":0\r\n" }) },
      async ({ relay, gateway, channel, people, witness }) => {
        for (const { code } of await Promise.all(people.map((person) => person.closed))) assert.equal(code, 1012);
        relay.redirect(redis.port);
        await ready(gateway);
        const newcomer = await Client.open(gateway, { channel });
        newcomer.send("after");
        await Promise.all([newcomer.received(1), witness.received(2)]);
        assert.deepEqual(newcomer.messages, ["after"]);
        assert.deepEqual(witness.messages, ["before", "after"]);
        newcomer.destroy();
      },
    ));
});
