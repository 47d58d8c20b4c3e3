// The application's backend behind the gateway's hooks: a real HTTP server, and the official SDK before the gateway.
// What each hook may say, and what becomes of clients where the backend says nothing, or nonsense.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";

import { Backend, closesTheConnection, neverAnswers, raw } from "../lib/backend.js";
import { Authority } from "../lib/certificates.js";
import { CommandClient, PATH } from "../lib/command_client.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { FORMATS, SdkClient } from "../lib/sdk.js";
import { until, within } from "../lib/wait.js";

const ALL_HOOKS = ["connect", "subscribe", "publish", "rpc"];
const PROXIED = ["--subscribe-proxy", "--publish-proxy", "--message-rate", "0"];
const QUICKLY = ["--proxy-timeout", "500ms"];
const PATIENTLY = ["--proxy-timeout", "30s"];

const requests = (gateway, hook, outcome) =>
  metric(gateway, `carillon_backend_requests_total{hook="${hook}",outcome="${outcome}"}`);

// What is no answer, and what the metrics call it.
const FAILURES = {
  "is slow": [neverAnswers, "timeout"],
  "closes the connection": [closesTheConnection, "away"],
  "answers 500": [raw(500, '{"result":{"user":"ann"}}'), "refused"],
  "answers 201": [raw(201, '{"result":{"user":"ann"}}'), "refused"],
  "redirects": [raw(302, "", { location: "/hooks/other" }), "refused"],
  "answers garbage": [raw(200, "<html>It works!</html>"), "answered"],
  "answers nothing": [raw(200, ""), "answered"],
  "answers half of it": [raw(200, '{"result":{"user":"ann"'), "answered"],
  "answers without end": [raw(200, `{"result":{"user":"${"a".repeat(1 << 20)}"}}`), "too_large"],
  "breaks off": [
    (_, response) => {
      response.writeHead(200, { "content-length": "100" }).write('{"result":{}}');
      response.socket.end();
      return response;
    },
    "away",
  ],
};

let backend;

before(async () => (backend = await Backend.start()));
after(() => backend.stop());
beforeEach(() => {
  backend.answers = {};
  for (const list of Object.values(backend.asked)) list.length = 0;
});

function wait() {
  let go;
  const promise = new Promise((resolve) => (go = resolve));
  return { promise, go };
}

describe("what a backend says", () => {
  let gateway;
  before(async () => {
    const args = [...backend.args(...ALL_HOOKS), ...PROXIED, ...PATIENTLY, "--proxy-header", "Cookie,X-Tenant"];
    gateway = await start({ args: [...args, "--threads", "2"] });
  });
  after(() => gateway.stop());

  for (const format of FORMATS) {
    describe(format, () => {
      it("says who connects, and what it listens to", async () => {
        backend.answers.connect = {
          result: {
            user: "ann",
            info: { name: "Ann" },
            data: { hello: [1, "é"] },
            meta: { role: 7 },
            channels: ["news"],
            subs: { "room": { data: { topic: "tea" } } },
          },
        };
        const data = format === "json" ? { ticket: "t" } : new TextEncoder().encode('{"ticket":"t"}');
        const ann = new SdkClient(gateway, { format, data, name: "tests", version: "9" });
        const subscribed = [];
        ann.sdk.on("subscribed", (context) => subscribed.push(context));
        await ann.connect();

        assert.deepEqual(ann.decode(ann.welcome.data), { hello: [1, "é"] });
        await until(() => subscribed.length === 2, "two server-side subscriptions");
        assert.deepEqual(subscribed.map(({ channel }) => channel).sort(), ["news", "room"]);
        const [{ body, headers, method }] = backend.asked.connect;
        assert.equal(method, "POST");
        assert.match(headers["user-agent"], /^carillon-gateway\/\d/);
        assert.equal(headers["content-type"], "application/json");
        assert.deepEqual(body, {
          client: ann.welcome.client,
          transport: "websocket",
          protocol: format,
          encoding: "json",
          name: "tests",
          version: "9",
          data: { ticket: "t" },
        });

        backend.answers.rpc = ({ method: name, data: question }) => ({ result: { data: { name, question } } });
        const { data: reply } = await ann.sdk.rpc("sum", ann.encode({ of: [1, 2] }));
        assert.deepEqual(ann.decode(reply), { name: "sum", question: { of: [1, 2] } });
        const asked = backend.asked.rpc[0].body;
        assert.equal(asked.user, "ann");
        assert.equal(asked.client, ann.welcome.client);
        assert.deepEqual(asked.meta, { role: 7 });
        ann.leave();
      });

      it("lets a client subscribe, with what goes with it, or not", async () => {
        const client = await SdkClient.open(gateway, { format });
        backend.answers.subscribe = ({ channel }) =>
          channel === "open" ? { result: { data: { topic: channel } } } : { error: { code: 403, message: "not you" } };
        const open = client.subscribe("open", { data: client.encode({ key: 1 }) });
        const shut = client.subscribe("shut");
        await open.isOn();
        await within(shut.ended, "the other to end");

        assert.deepEqual(client.decode(open.beginnings[0].data), { topic: "open" });
        assert.deepEqual([shut.endings[0].code, shut.endings[0].reason], [403, "not you"]);
        assert.deepEqual(backend.asked.subscribe.find(({ body }) => body.channel === "open").body.data, { key: 1 });
        client.leave();
      });

      it("changes what is published, or refuses it", async () => {
        const client = await SdkClient.open(gateway, { format });
        const room = client.subscribe(`edited-${format}`);
        await room.isOn();
        backend.answers.publish = ({ data }) =>
          data.bad ? { error: { code: 1400, message: "mind your words" } } : { result: { data: { ...data, seen: true } } };
        await room.publish({ text: "hello" });
        await assert.rejects(room.publish({ bad: true }), { code: 1400, message: "mind your words" });
        assert.equal((await room.history({ limit: 10 })).publications.length, 1);
        backend.answers.publish = { result: { skip_history: true } };
        await room.publish({ text: "secret" });
        await room.heard(2);

        assert.deepEqual(room.data, [{ text: "hello", seen: true }, { text: "secret" }]);
        const { publications } = await room.history({ limit: 10 });
        assert.deepEqual(publications.map(({ data }) => data), [{ text: "hello", seen: true }]);
        client.leave();
      });
    });
  }

  it("is given binary data in base64, and answers in it", async () => {
    const bytes = new Uint8Array([0, 1, 255, 254]);
    const client = await SdkClient.open(gateway, { format: "protobuf" });
    backend.answers.rpc = ({ b64data, encoding }) => ({ result: { b64data: encoding === "binary" ? b64data : "" } });
    const { data } = await client.sdk.rpc("echo", bytes);
    assert.deepEqual([...data], [...bytes]);
    client.leave();
  });

  it("passes numbers on as they were written", async () => {
    const client = await CommandClient.connect(gateway);
    const text = '{"n": 123456789012345678901234567890, "m": 0.1e+2}';
    backend.answers.rpc = raw(200, `{"result":{"data":${text}}}`);
    client.send('{"id":77,"rpc":{"method":"m"}}');
    await client.reply(77);
    assert.ok(client.socket.messages.some((message) => message.includes(text)), client.socket.messages.join("\n"));
    client.socket.close();
  });

  it("sends clients away from any hook", async () => {
    const end = { disconnect: { code: 4500, reason: "go home" } };
    backend.answers.connect = end;
    const stranger = new SdkClient(gateway);
    stranger.sdk.connect();
    assert.deepEqual(await within(stranger.disconnected, "the end"), { code: 4500, reason: "go home" });
    delete backend.answers.connect;

    for (const [hook, act] of [
      ["subscribe", (client) => client.subscribe("room")],
      ["publish", (client) => client.sdk.publish("room", "x").catch(() => {})],
      ["rpc", (client) => client.sdk.rpc("x", {}).catch(() => {})],
    ]) {
      const client = await SdkClient.open(gateway);
      backend.answers = { [hook]: end };
      act(client);
      assert.deepEqual(await within(client.disconnected, `the end after ${hook}`), { code: 4500, reason: "go home" });
      backend.answers = {};
    }
  });

  it("refuses a connect for good or for now, as it says", async () => {
    backend.answers.connect = { error: { code: 1010, message: "banned" } };
    const banned = new SdkClient(gateway);
    banned.sdk.connect();
    assert.equal((await within(banned.disconnected, "the end")).code, 1010);

    let tries = 0;
    backend.answers.connect = () =>
      ++tries < 3 ? { error: { code: 1011, message: "wait", temporary: true } } : { result: { user: "ann" } };
    const patient = await SdkClient.open(gateway);
    assert.equal(tries, 3);
    patient.leave();
  });

  it("is not asked about those with a token, nor about what the name of a channel decides", async () => {
    const withToken = await CommandClient.open(gateway);
    withToken.send({ id: 1, connect: { token: "x.y.z" } });
    assert.equal((await withToken.closed).code, 3500);
    assert.equal(backend.asked.connect.length, 0);

    backend.answers.connect = { result: { user: "ann" } };
    const ann = await CommandClient.connect(gateway);
    assert.ok((await ann.ask({ subscribe: { channel: "#ann" } })).subscribe);
    assert.equal((await ann.ask({ subscribe: { channel: "#bob" } })).error.code, 103);
    assert.equal((await ann.ask({ subscribe: { channel: "$secret" } })).error.code, 103);
    assert.equal(backend.asked.subscribe.length, 0);
    ann.socket.close();
  });

  it("closes proxied channels to clients of the plain protocol, which nobody is asked about", async () => {
    const response = await fetch(`${gateway.url}/ws?channel=room`, {
      headers: { connection: "upgrade", upgrade: "websocket" },
    }).catch((error) => error);
    assert.notEqual(response.status, 101);
    assert.equal(backend.asked.subscribe.length, 0);
  });

  it("is sent the headers that the list names, and no others", async () => {
    const headers = { Cookie: "session=s3cret", "X-Tenant": "blue", Authorization: "Bearer no" };
    const client = await CommandClient.open(gateway, { headers });
    await client.ask({ connect: {} });
    await client.ask({ rpc: { method: "m" } });
    for (const { headers: seen } of [backend.asked.connect[0], backend.asked.rpc[0]]) {
      assert.equal(seen.cookie, "session=s3cret");
      assert.equal(seen["x-tenant"], "blue");
      assert.equal(seen.authorization, undefined);
    }
    assert.doesNotMatch(gateway.log, /s3cret/);
    client.socket.close();
  });

  it("is asked over connections that are kept", async () => {
    const client = await CommandClient.connect(gateway);
    for (let i = 0; i < 5; i++) await client.ask({ rpc: { method: "m" } });
    assert.equal(new Set(backend.asked.rpc.map(({ port }) => port)).size, 1);
    client.socket.close();
  });

  it("publishes in the order of sending, whatever the order of its answers", async () => {
    const client = await CommandClient.connect(gateway);
    await client.ask({ subscribe: { channel: "ordered" } });
    const turns = Array.from({ length: 10 }, wait);
    backend.answers.publish = ({ data }) => turns[data].promise.then(() => ({ result: {} }));
    const replies = turns.map((_, data) => client.ask({ publish: { channel: "ordered", data } }));
    await until(() => backend.asked.publish.length === 10, "all publishes to be asked about");
    for (const turn of turns.toReversed()) turn.go();
    await Promise.all(replies);
    await until(() => client.pushes.length >= 10, "ten pushes");
    assert.deepEqual(
      client.pushes.map(({ pub }) => pub.data),
      turns.map((_, data) => data),
    );
    client.socket.close();
  });

  it("may answer when the client has gone", async () => {
    const turn = wait();
    for (const hook of ALL_HOOKS) backend.answers[hook] = () => turn.promise.then(() => ({ result: {} }));
    const early = await CommandClient.open(gateway);
    early.send({ id: 1, connect: {} });
    await until(() => backend.asked.connect.length === 1, "the connect hook");
    backend.answers.connect = undefined;
    const late = await CommandClient.connect(gateway);
    late.send(
      { id: 11, subscribe: { channel: "gone" } },
      { id: 12, publish: { channel: "gone", data: 1 } },
      { id: 13, publish: { channel: "gone", data: 2 } },
      { id: 14, rpc: { method: "m" } },
    );
    await until(() => backend.asked.rpc.length === 1 && backend.asked.publish.length === 2, "the hooks");
    early.socket.close();
    late.socket.close();
    await Promise.all([early.closed, late.closed]);
    turn.go();
    await until(async () => (await metric(gateway, "carillon_backend_requests_in_flight")) === 0, "all answers");
    backend.answers = {};
    const witness = await CommandClient.connect(gateway);
    const { history } = await witness.ask({ history: { channel: "gone", limit: 10 } });
    assert.deepEqual(history.publications ?? [], []);
    witness.socket.close();
  });

  it("may answer when the subscription has been given up, and asked for again", async () => {
    const first = wait();
    const client = await CommandClient.connect(gateway);
    backend.answers.subscribe = () => first.promise.then(() => ({ error: { code: 400, message: "too late" } }));
    client.send({ id: 21, subscribe: { channel: "again" } });
    await until(() => backend.asked.subscribe.length === 1, "the hook");
    backend.answers.subscribe = undefined;
    client.send({ id: 22, unsubscribe: { channel: "again" } }, { id: 23, subscribe: { channel: "again" } });
    assert.ok((await client.reply(23)).subscribe);
    first.go();
    await until(async () => (await metric(gateway, "carillon_backend_requests_in_flight")) === 0, "all answers");
    assert.ok((await client.ask({ publish: { channel: "again", data: "x" } })).publish);
    await client.pushed(({ pub }) => pub?.data === "x");
    assert.equal((await client.reply(21)).error.code, 107);
    client.socket.close();
  });

  it("is asked about so much of one client and no more", async () => {
    const turn = wait();
    const client = await CommandClient.connect(gateway);
    backend.answers.rpc = () => turn.promise.then(() => ({ result: { data: 1 } }));
    const ids = Array.from({ length: 65 }, () => client.nextId());
    client.send(...ids.map((id) => ({ id, rpc: { method: "m" } })));
    assert.equal((await client.reply(ids.at(-1))).error.code, 111);
    turn.go();
    for (const id of ids.slice(0, -1)) assert.deepEqual((await client.reply(id)).rpc, { data: 1 });
    client.socket.close();
  });
});

describe("a backend that says nothing", () => {
  let gateway;
  before(async () => {
    gateway = await start({ args: [...backend.args(...ALL_HOOKS), ...PROXIED, ...QUICKLY] });
  });
  after(() => gateway.stop());

  for (const [what, [answer, outcome]] of Object.entries(FAILURES)) {
    it(`${what}: every request gets a temporary error, and then it goes on`, async () => {
      const client = await CommandClient.connect(gateway);
      const before = await requests(gateway, "rpc", outcome);
      backend.answers = { subscribe: answer, publish: answer, rpc: answer };
      const replies = await Promise.all([
        client.ask({ subscribe: { channel: "room" } }),
        client.ask({ publish: { channel: "room", data: 1 } }),
        client.ask({ rpc: { method: "m" } }),
      ]);
      for (const { error } of replies) assert.deepEqual([error.code, error.temporary], [100, true]);
      assert.equal(await requests(gateway, "rpc", outcome), before + 1);
      assert.equal(backend.asked.connect.length, 1);

      backend.answers = {};
      assert.ok((await client.ask({ subscribe: { channel: "room" } })).subscribe);
      assert.ok((await client.ask({ publish: { channel: "room", data: 1 } })).publish);
      client.socket.close();

      backend.answers.connect = answer;
      const patient = new SdkClient(gateway);
      patient.sdk.connect();
      await until(() => patient.errors.length > 0, "the SDK to be refused");
      assert.deepEqual([patient.errors[0].code, patient.errors[0].temporary], [100, true]);
      backend.answers.connect = { result: { user: "ann" } };
      await within(patient.sdk.ready(), "the SDK to connect");
      patient.leave();
    });
  }

  it("is stopped and comes back: clients connect and subscribe then", async () => {
    const own = await Backend.start();
    const other = await start({ args: [...own.args(...ALL_HOOKS), ...PROXIED, ...QUICKLY] });
    await own.stop();
    const client = new SdkClient(other);
    client.sdk.connect();
    await until(() => client.errors.length >= 2, "two attempts");
    const back = await Backend.start({ port: own.port });
    await within(client.sdk.ready(), "the client to connect");
    await back.stop();
    const room = client.subscribe("room");
    await until(() => room.errors.length >= 2, "two attempts to subscribe");
    assert.equal(room.errors[0].code, 100);
    const again = await Backend.start({ port: own.port });
    await room.isOn();
    await other.waitForLog(/event="the backend does not answer a hook" hook=connect outcome=away/);
    client.leave();
    await other.stop();
    await again.stop();
  });

  it("does not hold up a gateway that stops", async () => {
    const other = await start({ args: [...backend.args(...ALL_HOOKS), ...PROXIED, ...PATIENTLY] });
    const client = await CommandClient.connect(other);
    backend.answers = { rpc: neverAnswers, publish: neverAnswers, connect: neverAnswers };
    client.send({ id: 5, rpc: { method: "m" } }, { id: 6, publish: { channel: "room", data: 1 } });
    const newcomer = await CommandClient.open(other);
    newcomer.send({ id: 1, connect: {} });
    await until(() => backend.asked.connect.length === 2 && backend.asked.publish.length === 1, "the hooks");
    await other.stop();
  });
});

describe("limits", () => {
  it("asks so much at a time, and lets the rest wait", async () => {
    const gateway = await start({ args: [...backend.args("rpc"), ...PATIENTLY, "--proxy-concurrency", "3"] });
    const clients = await Promise.all(Array.from({ length: 2 }, () => CommandClient.connect(gateway)));
    const turn = wait();
    backend.answers.rpc = () => turn.promise.then(() => ({ result: { data: 1 } }));
    const replies = clients.flatMap((client) => Array.from({ length: 10 }, () => client.ask({ rpc: { method: "m" } })));
    await until(async () => (await metric(gateway, "carillon_backend_requests_waiting")) === 17, "17 to wait");
    assert.equal(await metric(gateway, "carillon_backend_requests_in_flight"), 3);
    backend.mostUnderWay = 0;
    turn.go();
    for (const { rpc } of await Promise.all(replies)) assert.equal(rpc.data, 1);
    assert.ok(backend.mostUnderWay <= 3, `${backend.mostUnderWay} at a time`);
    assert.ok((await metric(gateway, "carillon_backend_request_seconds_count")) >= 20);
    for (const client of clients) client.socket.close();
    await gateway.stop();
  });

  it("turns away at once what is beyond those that wait", async () => {
    const args = [...backend.args("rpc"), ...PATIENTLY, "--proxy-concurrency", "1", "--message-rate", "0"];
    const gateway = await start({ args });
    const turn = wait();
    backend.answers.rpc = () => turn.promise.then(() => ({ result: { data: 1 } }));
    const clients = await Promise.all(Array.from({ length: 18 }, () => CommandClient.connect(gateway)));
    for (const client of clients)
      client.send(...Array.from({ length: 64 }, () => ({ id: client.nextId(), rpc: { method: "m" } })));
    const busy = 18 * 64 - 1025;
    await until(async () => (await requests(gateway, "rpc", "busy")) === busy, "the others to be turned away");
    turn.go();
    await until(async () => (await requests(gateway, "rpc", "answered")) === 1025, "those that waited");
    const heard = () => clients.flatMap((client) => client.heard.filter(({ connect }) => !connect));
    await until(() => heard().length === 18 * 64, "all replies");
    assert.equal(heard().filter(({ error }) => error?.code === 100).length, busy);
    for (const client of clients) client.socket.close();
    await gateway.stop();
  });

  it("has no procedures to call where there is no hook", async () => {
    const gateway = await start();
    const client = await CommandClient.connect(gateway);
    assert.equal((await client.ask({ rpc: { method: "m" } })).error.code, 104);
    client.socket.close();
    await gateway.stop();
  });
});

describe("refresh", () => {
  const seconds = (from = 0) => Math.floor(Date.now() / 1000) + from;
  let gateway;
  before(async () => (gateway = await start({ args: [...backend.args("connect", "refresh"), ...QUICKLY] })));
  after(() => gateway.stop());

  it("is asked for when the time is over, and the client need not know", async () => {
    backend.answers.connect = () => ({ result: { user: "ann", expire_at: seconds(1), meta: { m: 1 } } });
    backend.answers.refresh = () => ({ result: { expire_at: seconds(1) } });
    const client = await CommandClient.connect(gateway);
    assert.equal(client.welcome.connect.expires, undefined);
    await until(() => backend.asked.refresh.length === 2, "two refreshes");
    assert.equal(backend.asked.refresh[0].body.user, "ann");
    assert.deepEqual(backend.asked.refresh[0].body.meta, { m: 1 });
    backend.answers.refresh = { result: { expired: true } };
    assert.equal((await client.closed).code, 3005);
  });

  it("keeps clients while the backend is away", async () => {
    backend.answers.connect = () => ({ result: { user: "ann", expire_at: seconds(1) } });
    backend.answers.refresh = closesTheConnection;
    const client = await CommandClient.connect(gateway);
    await until(async () => (await requests(gateway, "refresh", "away")) === 1, "a refresh that fails");
    assert.ok((await client.ask({ ping: {} })).id);
    client.socket.close();
  });

  it("sends a client away with the backend's own words", async () => {
    backend.answers.connect = () => ({ result: { user: "ann", expire_at: seconds(1) } });
    backend.answers.refresh = { disconnect: { code: 4001, reason: "later" } };
    const client = await CommandClient.connect(gateway);
    assert.deepEqual({ ...(await client.closed) }, { code: 4001, reason: "later" });
  });
});

describe("a backend behind TLS", () => {
  let authority;
  before(async () => (authority = await Authority.create()));
  after(() => authority.remove());

  it("is believed where its certificate is, and is away elsewhere", async () => {
    const { certificate, key } = await authority.issue("backend");
    const { readFile } = await import("node:fs/promises");
    const secure = await Backend.start({ tls: { cert: await readFile(certificate), key: await readFile(key) } });
    secure.answers.rpc = { result: { data: "ok" } };
    const knows = await start({ args: [...secure.args("rpc"), ...PATIENTLY, "--proxy-tls-ca", authority.file] });
    const doesNot = await start({ args: [...secure.args("rpc"), ...PATIENTLY] });
    const clients = [await CommandClient.connect(knows), await CommandClient.connect(doesNot)];

    assert.equal((await clients[0].ask({ rpc: { method: "m" } })).rpc.data, "ok");
    assert.equal((await clients[1].ask({ rpc: { method: "m" } })).error.code, 100);
    assert.equal(secure.asked.rpc.length, 1);
    for (const client of clients) client.socket.close();
    await Promise.all([knows.stop(), doesNot.stop()]);
    await secure.stop();
  });
});
