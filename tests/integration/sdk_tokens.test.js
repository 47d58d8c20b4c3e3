// Who clients of the channel protocol are, as tokens say it to the official SDK, and how their connections and
// subscriptions end.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { Client } from "../lib/client.js";
import { CommandClient, PATH } from "../lib/command_client.js";
import { removeDirectory, temporaryDirectory } from "../lib/directory.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { frame, RawClient } from "../lib/raw_client.js";
import { FORMATS, leaveAll, SdkClient } from "../lib/sdk.js";
import { assemble, inSeconds, TokenKeys } from "../lib/tokens.js";
import { until } from "../lib/wait.js";

const LEEWAY_S = 60; // of clocks, in which a token is still let in after its time
const GRACE_S = 25; // and after that may still be refreshed

describe("tokens", () => {
  let keys;
  let gateway;
  let token;
  before(async () => {
    keys = await TokenKeys.create();
    // The long timeout is that of another use of the same timer, which must not be what an end comes from.
    const times = ["--token-leeway", `${LEEWAY_S}s`, "--handshake-timeout", "60s"];
    gateway = await start({ args: [...keys.args, "--message-rate", "0", ...times] });
    token = (...args) => keys.token(...args);
  });
  after(async () => {
    await gateway.stop();
    await keys.remove();
  });

  // Who a client with this token is to others.
  async function userOf(someToken, format) {
    const client = await SdkClient.open(gateway, { token: someToken, format });
    const room = client.subscribe("who");
    await room.isOn();
    await room.publish("me");
    await room.heard(1);
    client.leave();
    return room.publications[0].info.user;
  }

  async function endOf(someToken) {
    const client = await CommandClient.open(gateway);
    client.send({ id: 1, connect: { token: someToken } });
    return client.closed;
  }

  for (const algorithm of ["HS256", "RS256", "ES256", "EdDSA"]) {
    for (const format of FORMATS) {
      it(`signed by ${algorithm} says who a client is, in ${format}`, async () => {
        assert.equal(await userOf(keys.sign(algorithm, { sub: "ann", exp: inSeconds(60) }), format), "ann");
      });
    }
  }

  it("signed by a key of the set is found by its name", async () => {
    assert.equal(await userOf(keys.signByName({ sub: "ben" })), "ben");
  });

  const wrong = {
    none: () => "",
    "no token at all": () => "nonsense",
    "alg: none": () => assemble({ alg: "none" }, { sub: "eve" }, ""),
    "another's signature": () => assemble({ alg: "HS256" }, { sub: "eve" }, Buffer.alloc(32)),
    "a signature cut short": () => token("eve").slice(0, -4),
    "the public key for a secret": () =>
      assemble({ alg: "HS256" }, { sub: "eve" }, keys.rsa.publicKey.export({ type: "spki", format: "der" })),
    "the name of another key": () => keys.sign("HS256", { sub: "eve" }, { kid: "in the set" }),
    "a time to come": () => token("eve", { nbf: inSeconds(3600) }),
    "a channel": () => token("eve", { channel: "room" }),
    "60,000 bytes": () => token("eve", { info: "x".repeat(44_000) }),
  };
  for (const [what, forge] of Object.entries(wrong)) {
    it(`with ${what} ends with 3500`, async () => {
      const refused = await metric(gateway, "carillon_tokens_refused_total");
      const someToken = forge();
      assert.deepEqual(await endOf(someToken), { code: 3500, reason: "invalid token" });
      assert.equal(await metric(gateway, "carillon_tokens_refused_total"), refused + (someToken ? 1 : 0));
    });
  }

  it("that is wrong keeps the SDK from coming back", async () => {
    const client = new SdkClient(gateway, { token: "nonsense" });
    client.sdk.connect();
    assert.equal((await client.disconnected).code, 3500);
  });

  it("whose time is over is answered with 109, and the SDK fetches another", async () => {
    const old = token("ann", { exp: inSeconds(-1000) });
    const raw = await CommandClient.open(gateway);
    assert.deepEqual(await raw.ask({ connect: { token: old } }), {
      id: 1,
      error: { code: 109, message: "token expired" },
    });
    raw.destroy();

    let asked = 0;
    const getToken = async () => {
      asked++;
      return token("ann", { exp: inSeconds(60) });
    };
    const client = await SdkClient.open(gateway, { token: old, getToken });
    assert.equal(asked, 1);
    client.leave();
  });

  it("whose time comes is refreshed without a break", async () => {
    let asked = 0;
    const getToken = async () => token("ann", { exp: inSeconds(++asked === 1 ? 1 : 3600) });
    const client = await SdkClient.open(gateway, { getToken });

    await until(() => asked >= 2, "a second token");
    const raw = await CommandClient.connect(gateway, { token: token("ann", { exp: inSeconds(5) }) });
    assert.deepEqual([raw.welcome.connect.expires, raw.welcome.connect.ttl <= 5], [true, true]);
    const { refresh } = await raw.ask({ refresh: { token: token("ann", { exp: inSeconds(1000) }) } });
    assert.ok(refresh.expires && refresh.ttl > 900, JSON.stringify(refresh));
    assert.equal((await raw.ask({ refresh: { token: token("ann", { exp: inSeconds(-1000) }) } })).error.code, 109);
    assert.deepEqual(client.disconnections, []);
    client.leave();
    raw.send({ id: 9, refresh: { token: token("eve") } }); // somebody else's
    assert.equal((await raw.closed).code, 3500);
  });

  it("that nobody refreshes ends the connection with 3005", async () => {
    const over = token("ann", { expire_at: inSeconds(1 - GRACE_S - LEEWAY_S) });
    const client = await CommandClient.connect(gateway, { token: over });
    assert.deepEqual(await client.closed, { code: 3005, reason: "connection expired" });
  });

  it("that comes late in the leeway has time to be refreshed", async () => {
    const late = await CommandClient.connect(gateway, { token: token("ann", { exp: inSeconds(-LEEWAY_S + 5) }) });
    const later = await CommandClient.connect(gateway, {
      token: token("ben", { expire_at: inSeconds(3 - GRACE_S - LEEWAY_S) }),
    });

    assert.deepEqual([late.welcome.connect.expires, late.welcome.connect.ttl], [true, 1]);
    assert.equal((await later.closed).code, 3005); // a while after the late one has come
    assert.ok((await late.ask({ refresh: { token: token("ann", { exp: inSeconds(60) }) } })).refresh.ttl > 50);
    late.destroy();
  });

  it("that is refreshed says who a client is from then on", async () => {
    const ann = await CommandClient.connect(gateway, { token: token("ann", { info: { mood: 1 } }) });
    const channel = "$mood";
    const seat = (claims) => token("ann", { channel, ...claims });
    const seen = async () => Object.values((await ann.ask({ presence: { channel } })).presence.presence)[0];
    const becomes = (...infos) => {
      const isThere = async () => {
        const { conn_info, chan_info } = await seen();
        return JSON.stringify([conn_info, chan_info]) === JSON.stringify(infos);
      };
      return until(isThere, `presence to say ${JSON.stringify(infos)}`);
    };

    await ann.ask({ subscribe: { channel, token: seat({ info: { row: 1 } }) } });
    await becomes({ mood: 1 }, { row: 1 });
    await ann.ask({ refresh: { token: token("ann", { info: { mood: 2 } }) } });
    await becomes({ mood: 2 }, { row: 1 });
    await ann.ask({ sub_refresh: { channel, token: seat({ info: { row: 2 } }) } });
    await becomes({ mood: 2 }, { row: 2 });
    await ann.ask({ refresh: { token: token("ann") } }); // which says nothing of it
    await ann.ask({ sub_refresh: { channel, token: seat({ exp: inSeconds(60) }) } });
    await ann.ask({ publish: { channel, data: "as I am" } });
    const { pub } = await ann.pushed((push) => push.pub);
    assert.deepEqual([pub.info.conn_info, pub.info.chan_info], [{ mood: 2 }, { row: 2 }]);
    await becomes({ mood: 2 }, { row: 2 });
    ann.destroy();
  });

  it("for a subscription opens a private channel to its bearer alone", async () => {
    const secret = (user, claims) => token(user, { channel: "$secret", info: { role: "host" }, ...claims });
    const ann = await CommandClient.connect(gateway, { token: token("ann") });
    const subscribe = async (someToken) =>
      (await ann.ask({ subscribe: { channel: "$secret", token: someToken } })).error?.code;

    assert.equal(await subscribe(undefined), 103);
    assert.equal(await subscribe(secret("ben")), 103);
    assert.equal(await subscribe(token("ann", { channel: "$other" })), 103);
    assert.equal(await subscribe(secret("ann", { client: "another" })), 103);
    assert.equal(await subscribe(token("ann")), 103);
    assert.equal(await subscribe("nonsense"), 103);
    assert.equal(await subscribe(secret("ann", { exp: inSeconds(-1000) })), 109);
    assert.equal((await ann.ask({ publish: { channel: "$secret", data: 1 } })).error.code, 103);
    assert.equal((await ann.ask({ history: { channel: "$secret", limit: 1 } })).error.code, 103);
    assert.equal(await subscribe(secret("ann")), undefined);
    assert.equal(await subscribe(secret("ann")), 105);
    await ann.ask({ publish: { channel: "$secret", data: "in" } });
    const { pub } = await ann.pushed((push) => push.pub);
    assert.deepEqual([pub.info.user, pub.info.chan_info], ["ann", { role: "host" }]);
    ann.destroy();
  });

  it("with an info that is no JSON does not break what JSON clients are told", async () => {
    const channel = "bytes";
    const b64info = Buffer.from([0x7b, 0xff, 0x0a]).toString("base64");
    const ann = await SdkClient.open(gateway, { token: token("ann", { b64info }) });
    const room = ann.subscribe(channel);

    await room.isOn();
    await room.publish("hi");
    await room.heard(1);
    assert.equal(room.publications[0].info.connInfo, b64info);
    const { clients } = await room.sdk.presence();
    assert.equal(clients[ann.welcome.client].connInfo, b64info);
    ann.leave();
  });

  it("for a subscription says what its bearer is told with it", async () => {
    const channel = "$told";
    const ann = await CommandClient.connect(gateway, { token: token("ann") });
    const request = { channel, token: token("ann", { channel, data: { motto: "welcome" } }) };
    const { subscribe } = await ann.ask({ subscribe: request });
    assert.deepEqual(subscribe.data, { motto: "welcome" });
    ann.destroy();
  });

  for (const format of FORMATS) {
    it(`for a subscription is fetched and refreshed by the SDK, in ${format}`, async () => {
      const channel = `$${format}`;
      const client = await SdkClient.open(gateway, { format, token: token("ann") });
      let asked = 0;
      const getToken = async () => token("ann", { channel, exp: inSeconds(++asked === 1 ? 1 : 3600) });
      const room = client.subscribe(channel, { getToken });

      await room.isOn();
      await until(() => asked >= 2, "a second token");
      await room.publish("still here");
      await room.heard(1);
      assert.deepEqual(room.endings, []);
      client.leave();
    });
  }

  it("for a subscription is refreshed by sub_refresh, or ends it with 2501", async () => {
    const channel = "$short";
    const sub = (expire_at) => token("ann", { channel, expire_at });
    const ann = await CommandClient.connect(gateway, { token: token("ann") });
    const ben = await CommandClient.connect(gateway, { token: token("ann") });

    for (const client of [ann, ben]) {
      const { subscribe } = await client.ask({ subscribe: { channel, token: sub(inSeconds(2 - GRACE_S - LEEWAY_S)) } });
      assert.equal(subscribe.expires, true);
    }
    const { sub_refresh } = await ann.ask({ sub_refresh: { channel, token: sub(inSeconds(1000)) } });
    assert.ok(sub_refresh.expires && sub_refresh.ttl > 900, JSON.stringify(sub_refresh));
    assert.equal((await ann.ask({ sub_refresh: { channel: "no such", token: sub(0) } })).error.code, 107);
    assert.equal((await ann.ask({ sub_refresh: { channel, token: token("eve", { channel }) } })).error.code, 103);
    const { unsubscribe } = await ben.pushed((push) => push.unsubscribe);
    assert.equal(unsubscribe.code, 2501);
    assert.ok(!ann.pushes.some((push) => push.unsubscribe));
    for (const client of [ann, ben]) client.destroy();
  });

  for (const format of FORMATS) {
    it(`with channels subscribes to them, and recovers them, in ${format}`, async () => {
      const [one, other] = [`one ${format}`, `other ${format}`];
      const subs = { [one]: { data: { motto: "welcome" } }, [other]: {} };
      const ann = new SdkClient(gateway, { format, token: token("ann", { subs }) });
      const ben = await SdkClient.open(gateway, { token: token("ben") });
      const told = {};
      const heard = [];
      ann.sdk.on("subscribed", (context) => (told[context.channel] = context));
      ann.sdk.on("publication", ({ channel, data }) => heard.push([channel, ann.decode(data)]));

      await ann.connect();
      await until(() => told[one] && told[other], "two subscriptions");
      assert.deepEqual(ann.decode(told[one].data), { motto: "welcome" });
      await ben.sdk.publish(one, "live");
      await until(() => heard.length === 1, "a publication");
      await ann.sdk.presence(other); // who was let in by a token is one of them
      ann.leave();
      await ben.sdk.publish(one, "away");
      await ann.connect();
      await ben.sdk.publish(other, "back");
      await until(() => heard.at(-1)[1] === "back", "a publication after the break");
      if (told[one].recoverable) assert.ok(heard.some(([, data]) => data === "away"));
      leaveAll([ann, ben]);
    });
  }

  it("names whose a personal channel is", async () => {
    const ann = await SdkClient.open(gateway, { token: token("ann") });
    const eve = await SdkClient.open(gateway, { token: token("eve") });
    const mine = ann.subscribe("#ann");
    const hers = eve.subscribe("#ann");

    await mine.isOn();
    assert.equal((await hers.ended).code, 103);
    await assert.rejects(eve.sdk.publish("#ann", "hi"), { code: 103 });
    await assert.rejects(eve.sdk.history("#ann", { limit: 1 }), { code: 103 });
    await assert.rejects(eve.sdk.presence("#ann"), { code: 103 });
    await mine.publish("mine");
    await mine.heard(1);
    leaveAll([ann, eve]);
  });
});

describe("without keys", () => {
  it("everybody may connect, and a token is wrong", async () => {
    const gateway = await start();
    const client = await SdkClient.open(gateway);
    const other = new SdkClient(gateway, { token: "any" });

    other.sdk.connect();
    assert.equal((await other.disconnected).code, 3500);
    client.leave();
    await gateway.stop();
  });
});

describe("the end", () => {
  it("of the gateway is a shutdown, 3001, and the SDK comes back to the next", async () => {
    const gateway = await start();
    const clients = await Promise.all(FORMATS.map((format) => SdkClient.open(gateway, { format })));
    const raw = await CommandClient.connect(gateway);

    const { port } = gateway;
    await gateway.stop();
    assert.deepEqual(await raw.closed, { code: 3001, reason: "shutdown" });
    const next = await start({ port });
    await Promise.all(clients.map(({ sdk }) => sdk.ready(20_000)));
    for (const { disconnections } of clients) assert.equal(disconnections[0].code, 3001);
    leaveAll(clients);
    await next.stop();
  });

  it("of a slow consumer is 3008, and nobody else notices", async () => {
    const gateway = await start({ args: ["--send-queue-limit", "256K", "--message-rate", "0"] });
    const slow = await RawClient.upgrade(gateway, { path: PATH });
    const ada = await SdkClient.open(gateway);
    const room = ada.subscribe("flood");
    await room.isOn();

    slow.send(frame({ payload: '{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"flood"}}' }));
    await slow.message();
    slow.socket.pause();
    let count = 0;
    while (!(await metric(gateway, "carillon_slow_consumers_total"))) {
      await Promise.all(Array.from({ length: 20 }, () => room.publish("x".repeat(50_000))));
      count += 20;
    }
    await room.heard(count);
    slow.socket.resume();
    assert.equal(await slow.closeCode(), 3008);
    assert.deepEqual(ada.disconnections, []);
    ada.leave();
    await gateway.stop();
  });

  it("of who answers no ping is theirs, while others, busy or not, are pinged at even times", async () => {
    const gateway = await start({ args: ["--ping-interval", "1s", "--pong-timeout", "1s", "--message-rate", "0"] });
    const mute = await CommandClient.connect(gateway);
    const quiet = await SdkClient.open(gateway, { maxServerPingDelay: 1500 });
    const busy = await SdkClient.open(gateway, { maxServerPingDelay: 1500 });
    const heard = [];
    const plain = await Client.open(gateway, { channel: "busy" });
    const room = busy.subscribe("busy");
    await room.isOn();

    const talk = setInterval(() => room.publish("on and on").catch(() => {}), 100);
    const { code } = await mute.closed;
    heard.push(...mute.heard.filter((message) => Object.keys(message).length === 0));
    assert.equal(heard.length, 1);
    assert.equal(code, 3012);
    await until(() => plain.messages.length >= 40, "a while of talk");
    clearInterval(talk);
    for (const { disconnections } of [quiet, busy]) assert.deepEqual(disconnections, []);
    leaveAll([quiet, busy]);
    plain.destroy();
    await gateway.stop();
  });

  it("of a channel for everybody with max-subscribers is 106 for one more", async () => {
    const gateway = await start({ args: ["--max-subscribers", "2", "--threads", "1"] });
    const people = await Promise.all([1, 2, 3].map(() => CommandClient.connect(gateway)));
    const answers = [];
    for (const person of people) answers.push((await person.ask({ subscribe: { channel: "full" } })).error?.code);
    assert.deepEqual(answers, [undefined, undefined, 106]);
    assert.equal((await people[0].ask({ unsubscribe: { channel: "full" } })).error, undefined);
    assert.equal((await people[2].ask({ subscribe: { channel: "full" } })).error, undefined);
    for (const person of people) person.destroy();
    await gateway.stop();
  });
});

// Unit tests have the whole matrix of options and roles; here are some of each through the protocol.
describe("namespaces", () => {
  const sections = {
    closed: [],
    readers: ["allow-subscribe-for-client = on", "history-size = 10", "allow-history-for-subscriber = on"],
    writers: ["allow-subscribe-for-client = on", "allow-publish-for-subscriber = on", "presence = on"],
    open: [
      "allow-subscribe-for-client = on",
      "allow-subscribe-for-anonymous = on",
      "allow-publish-for-client = on",
      "allow-publish-for-anonymous = on",
      "allow-presence-for-client = on",
      "presence = on",
      "history-size = 2",
      "allow-history-for-client = on",
      "allow-history-for-anonymous = on",
      "message-size = 20",
    ],
    named: ["allow-user-limited-channels = on", "allow-publish-for-subscriber = on", "history-size = 5", "force-recovery = on"],
  };
  // What subscribe, publish, history and presence are answered, in this order: a code, or 0.
  const matrix = [
    ["closed:x", "ann", [103, 103, 108, 108]],
    ["closed:x", "", [103, 103, 108, 108]],
    ["readers:x", "ann", [0, 103, 0, 108]],
    ["readers:x", "", [103, 103, 103, 108]],
    ["writers:x", "ann", [0, 0, 108, 103]],
    ["writers:x", "", [103, 103, 108, 103]],
    ["open:x", "ann", [0, 0, 0, 0]],
    ["open:x", "", [0, 0, 0, 103]],
    ["named:x#ann,ben", "ann", [0, 0, 103, 108]],
    ["named:x#ann,ben", "eve", [103, 103, 103, 108]],
    ["named:x#ann,ben", "", [103, 103, 103, 108]],
    ["unknown:x", "ann", [102, 102, 102, 102]],
    ["anything", "", [0, 0, 0, 0]],
    ["$private", "ann", [103, 103, 103, 103]],
  ];
  let directory;
  let keys;
  let gateway;
  before(async () => {
    directory = await temporaryDirectory("namespaces");
    const config = join(directory, "carillon.conf");
    const lines = Object.entries(sections).map(([name, options]) => [`[namespace ${name}]`, ...options].join("\n"));
    await writeFile(config, `allow-anonymous = on\n${lines.join("\n")}\n`);
    keys = await TokenKeys.create();
    gateway = await start({ args: ["--config", config, ...keys.args] });
  });
  after(async () => {
    await gateway.stop();
    await keys.remove();
    await removeDirectory(directory);
  });

  for (const [channel, user, codes] of matrix) {
    it(`${user || "anonymous"} on ${channel} is answered ${codes}`, async () => {
      const client = await CommandClient.connect(gateway, user ? { token: keys.token(user) } : {});
      const commands = [
        { subscribe: { channel } },
        { publish: { channel, data: 1 } },
        { history: { channel, limit: 1 } },
        { presence: { channel } },
      ];
      const answers = [];
      for (const command of commands) answers.push((await client.ask(command)).error?.code ?? 0);
      assert.deepEqual(answers, codes);
      const stats = (await client.ask({ presence_stats: { channel } })).error?.code ?? 0;
      assert.equal(stats, codes[3]);
      client.destroy();
    });
  }

  it("nothing happens when an act is denied", async () => {
    const ann = await CommandClient.connect(gateway, { token: keys.token("ann") });
    const ben = await CommandClient.connect(gateway, { token: keys.token("ben") });

    await ann.ask({ subscribe: { channel: "readers:quiet" } });
    assert.equal((await ben.ask({ publish: { channel: "readers:quiet", data: 1 } })).error.code, 103);
    const { history } = await ann.ask({ history: { channel: "readers:quiet", limit: 10 } });
    assert.deepEqual([history.publications ?? [], history.offset ?? 0], [[], 0]);
    for (const client of [ann, ben]) client.destroy();
  });

  it("an act is limited as its namespace says", async () => {
    const ann = await CommandClient.connect(gateway, { token: keys.token("ann") });

    assert.equal((await ann.ask({ publish: { channel: "open:limits", data: "x".repeat(30) } })).error.code, 106);
    for (let i = 0; i < 5; i++) await ann.ask({ publish: { channel: "open:limits", data: i } });
    const { history } = await ann.ask({ history: { channel: "open:limits", limit: 10 } });
    assert.deepEqual(
      history.publications.map(({ data }) => data),
      [3, 4],
    );
    ann.destroy();
  });

  it("recovery is for all where it is forced", async () => {
    const ann = await CommandClient.connect(gateway, { token: keys.token("ann") });
    const forced = await ann.ask({ subscribe: { channel: "named:r#ann" } });
    const free = await ann.ask({ subscribe: { channel: "writers:r", recoverable: true } });
    assert.equal(forced.subscribe.recoverable, true);
    assert.ok(!free.subscribe.recoverable);
    ann.destroy();
  });
});
