// wss:// and https:// beside what is plain: what is spoken, who is shown which certificate, who comes back
// cheaply, and what befalls those who speak something else.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import { after, before, describe, it } from "node:test";
import https from "node:https";

import { Bystanders } from "../lib/bystanders.js";
import { Authority } from "../lib/certificates.js";
import { spawnChild } from "../lib/children.js";
import { Client, closeClients } from "../lib/client.js";
import { metric } from "../lib/metrics.js";
import { runToEnd } from "../lib/program.js";
import { handshake, nameShown, openTls, startWithTls } from "../lib/tls.js";
import { until, within } from "../lib/wait.js";

const handshakes = (gateway, result) => metric(gateway, `carillon_tls_handshakes_total{result="${result}"}`);

let authority;

before(async () => (authority = await Authority.create()));
after(() => authority.remove());

// A gateway with these options, and two who talk on over plain sockets while `act` happens on it.
async function secured(options, act) {
  const gateway = await startWithTls(authority, options);
  const bystanders = await Bystanders.open(gateway, { channel: "bystanders" });

  await bystanders.during(() => act(gateway));
  bystanders.close();
  await gateway.stop();
}

// What `openssl s_client` says, with this input.
async function sClient(gateway, args, input = "") {
  const child = spawnChild("openssl", ["s_client", "-connect", `127.0.0.1:${gateway.tlsPort}`, ...args], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  let output = "";

  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
  child.stdin.on("error", () => {});
  if (input) child.stdin.write(input);
  else child.stdin.end();
  await within(new Promise((resolve) => child.once("close", resolve)), `s_client ${args.join(" ")}`);
  return output;
}

function get(gateway, path, options = {}) {
  return new Promise((resolve, reject) => {
    https
      .get(
        { host: "localhost", family: 4, port: gateway.tlsPort, path, ca: authority.pem, agent: false, ...options },
        resolve,
      )
      .once("error", reject);
  });
}

// What a plain connection to this port is answered, to its end.
async function answer(port, bytes) {
  const socket = net.connect(port, "127.0.0.1", () => socket.write(bytes));
  let text = "";

  socket.on("data", (data) => (text += data.toString("latin1")));
  socket.on("error", () => {});
  await within(new Promise((resolve) => socket.once("close", resolve)), "the end of a connection");
  return text;
}

describe("a gateway with TLS", () => {
  it("carries one chat over wss and ws, messages of all sizes in one order", () =>
    secured({ args: ["--message-rate", "0", "--send-queue-limit", "64M"] }, async (gateway) => {
      const ada = await openTls(gateway, { channel: "room" });
      const bob = await Client.open(gateway, { channel: "room" });
      const sent = [];
      for (let i = 0; i < 300; i++) {
        sent.push(`${i} ${"x".repeat(i * 200)}`);
        (i % 2 ? ada : bob).send(sent[i]);
      }
      await Promise.all([ada.received(300), bob.received(300)]);
      assert.deepEqual(ada.messages, bob.messages);
      assert.deepEqual([...ada.messages].sort(), [...sent].sort());
      assert.deepEqual(await ada.close(), { code: 1000, reason: "" });
      closeClients([bob]);
    }));

  it("serves nothing but TLS with --listen off", async () => {
    const gateway = await startWithTls(authority, { args: ["--listen", "off"] });
    const ada = await openTls(gateway);
    ada.send("hello");
    await ada.received(1);
    assert.doesNotMatch(gateway.log, /role=public/);
    ada.destroy();
    await gateway.stop();
  });

  it("speaks TLS 1.2 and 1.3 with sound ciphers, http/1.1, and nothing older", () =>
    secured({}, async (gateway) => {
      assert.match(await sClient(gateway, ["-tls1_3", "-alpn", "h2,http/1.1"]), /TLSv1\.3[^]*ALPN protocol: http\/1\.1/);
      const modern = await sClient(gateway, ["-tls1_2"]);
      assert.match(modern, /New, TLSv1\.2, Cipher is ECDHE-ECDSA-(AES\d+-GCM|CHACHA20)/);
      assert.match(modern, /Compression: NONE/);
      for (const old of ["-tls1", "-tls1_1"]) {
        assert.match(await sClient(gateway, [old, "-cipher", "ALL:@SECLEVEL=0"]), /Cipher is \(NONE\)/);
      }
      for (const cipher of ["ECDHE-ECDSA-AES128-SHA256", "AES128-GCM-SHA256", "NULL"]) {
        const said = await sClient(gateway, ["-tls1_2", "-cipher", `${cipher}:@SECLEVEL=0`]);
        assert.match(said, /Cipher is \(NONE\)/, cipher);
      }
      await assert.rejects(handshake(gateway, { ALPNProtocols: ["h2"] }), { code: /NO_APPLICATION_PROTOCOL/ });
    }));

  it("does not renegotiate", () =>
    secured({}, async (gateway) => {
      assert.match(await sClient(gateway, ["-tls1_2"], "R\n"), /RENEGOTIATING[^]*no renegotiation/);
    }));

  it("speaks TLS 1.3 alone with --tls-min-version 1.3", () =>
    secured({ args: ["--tls-min-version", "1.3"] }, async (gateway) => {
      assert.match(await sClient(gateway, ["-tls1_3"]), /New, TLSv1\.3/);
      assert.match(await sClient(gateway, ["-tls1_2"]), /Cipher is \(NONE\)/);
    }));

  it("shows the certificate of the name that is asked for, else the first", async () => {
    const pairs = [
      await authority.issue("one", { names: "DNS:one.example" }),
      await authority.issue("two", { names: "DNS:two.example,DNS:*.two.example" }),
    ];
    await secured({ pairs }, async (gateway) => {
      assert.equal(await nameShown(gateway, { servername: "one.example" }), "one");
      assert.equal(await nameShown(gateway, { servername: "two.example" }), "two");
      assert.equal(await nameShown(gateway, { servername: "www.two.example" }), "two");
      assert.equal(await nameShown(gateway, { servername: "three.example" }), "one");
      assert.equal(await nameShown(gateway, { servername: "" }), "one");
    });
  });

  it("has an RSA and an ECDSA certificate for the same names, and shows each client the one that it can use", async () => {
    const pairs = [await authority.issue("ecdsa"), await authority.issue("rsa", { isRsa: true })];
    await secured({ pairs }, async (gateway) => {
      for (const version of ["TLSv1.2", "TLSv1.3"]) {
        const limits = { minVersion: version, maxVersion: version };
        assert.equal(await nameShown(gateway, limits), "ecdsa");
        assert.equal(await nameShown(gateway, { ...limits, sigalgs: "RSA-PSS+SHA256" }), "rsa");
        assert.equal(await nameShown(gateway, { ...limits, sigalgs: "ECDSA+SHA256" }), "ecdsa");
      }
    });
  });

  it("says of every certificate when it ends", async () => {
    const pairs = [await authority.issue("month", { days: 30 }), await authority.issue("week", { days: 7 })];
    await secured({ pairs }, async (gateway) => {
      for (const [index, days] of [30, 7].entries()) {
        const labels = `role="clients",file="${pairs[index].certificate}"`;
        const end = await metric(gateway, `carillon_tls_certificate_expiry_timestamp_seconds{${labels}}`);
        assert.equal(Math.round((end - Date.now() / 1000) / 86_400), days);
      }
    });
  });

  it("takes --allow-origin same for pages that came over TLS, too", () =>
    secured({ args: ["--allow-origin", "same"] }, async (gateway) => {
      const ada = await openTls(gateway, { origin: `https://localhost:${gateway.tlsPort}` });
      ada.destroy();
      const other = new Client(`wss://localhost:${gateway.tlsPort}/ws`, {
        ...{ ca: authority.pem, family: 4, origin: `http://localhost:${gateway.tlsPort}` },
      });
      await assert.rejects(within(other.opened, "a refusal"), /403/);
    }));

  it("tells browsers of --hsts over TLS and only there", () =>
    secured({ args: ["--hsts", "24h"] }, async (gateway) => {
      for (const path of ["/health", "/", "/nowhere"]) {
        const response = await get(gateway, path);
        response.resume();
        assert.equal(response.headers["strict-transport-security"], "max-age=86400", path);
        const plain = await fetch(`${gateway.url}${path}`);
        assert.equal(plain.headers.get("strict-transport-security"), null);
      }
    }));

  it("answers 503 over TLS when it is full", () =>
    secured({ args: ["--max-connections", "3", "--hsts", "1h"] }, async (gateway) => {
      const ada = await openTls(gateway);
      const response = await get(gateway, "/health");
      assert.equal(response.statusCode, 503);
      assert.match(response.headers["retry-after"], /^([1-9]|10)$/);
      assert.equal(response.headers["strict-transport-security"], "max-age=3600");
      response.resume();
      ada.destroy();
    }));

  it("answers 503 over TLS when too many come at once, and over TLS alone tells of --hsts", () =>
    secured({ args: ["--accept-rate", "2", "--hsts", "1h", "--trusted-proxy", "127.0.0.2"] }, async (gateway) => {
      const upgrade = {
        ...{ Connection: "Upgrade", Upgrade: "websocket" },
        ...{ "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" },
      };
      const refusal = async (act) => {
        for (;;) {
          const response = await act();
          if (response.statusCode === 503) return response.headers["strict-transport-security"];
        }
      };
      const ask = (protocol, port, options) =>
        new Promise((resolve, reject) => {
          const request = protocol.get({
            ...{ host: "localhost", family: 4, port, path: "/ws", agent: false },
            ...{ ca: authority.pem, headers: upgrade, ...options },
          });
          request.once("response", (response) => resolve(response.resume()));
          request.once("upgrade", (response, socket) => resolve((socket.destroy(), response)));
          request.once("error", reject);
        });
      const overTls = () => ask(https, gateway.tlsPort);
      const overHttp = (options) => ask(http, gateway.port, options);
      const proxy = (scheme) => ({ localAddress: "127.0.0.2", headers: { ...upgrade, "X-Forwarded-Proto": scheme } });
      assert.equal(await refusal(overTls), "max-age=3600");
      assert.equal(await refusal(() => overHttp()), undefined);
      assert.equal(await refusal(() => overHttp(proxy("https"))), "max-age=3600");
      assert.equal(await refusal(() => overHttp(proxy("http"))), undefined);
    }));
});

describe("a session ticket", () => {
  const KEY_A = "0123456789abcdef".repeat(4);
  const KEY_B = "fedcba9876543210".repeat(4);

  async function wasResumed(gateway, options) {
    const { socket, session } = await handshake(gateway, options);
    const reused = socket.isSessionReused();
    const ticket = reused ? null : await within(session, "a session ticket");
    socket.end(); // not before the server has heard that the handshake is done
    return { reused, session: ticket };
  }

  it("is good at every gateway with its key, through a rotation, and at no other", async () => {
    const keys = authority.path("ticket-keys");
    await writeFile(keys, `${KEY_A}\n`);
    const args = ["--tls-ticket-keys", keys];
    const first = await startWithTls(authority, { args });
    const second = await startWithTls(authority, { args });
    const stranger = await startWithTls(authority);
    for (const version of ["TLSv1.3", "TLSv1.2"]) {
      await writeFile(keys, `${KEY_A}\n`);
      for (const gateway of [first, second]) {
        const length = gateway.log.length;
        gateway.signal("SIGHUP");
        await gateway.waitForLog(/event="?reloaded/, { after: length });
      }
      const limits = { minVersion: version, maxVersion: version };
      const { reused, session } = await wasResumed(first, limits);
      assert.equal(reused, false);
      assert.equal((await wasResumed(second, { ...limits, session })).reused, true);
      assert.equal((await wasResumed(stranger, { ...limits, session })).reused, false);

      const length = second.log.length;
      await writeFile(keys, `# rotated\n${KEY_B}\n${KEY_A}\n`);
      second.signal("SIGHUP");
      await second.waitForLog(/event="?reloaded/, { after: length });
      assert.equal((await wasResumed(second, { ...limits, session })).reused, true);
    }
    await until(async () => (await handshakes(second, "resumed")) === 4, "four resumed sessions");
    assert.equal(await handshakes(first, "full"), 2);
    for (const gateway of [first, second, stranger]) await gateway.stop();
  });
});

describe("who does not speak the port's language", () => {
  it("is told so in plain HTTP on the TLS port, and named in the log", () =>
    secured({}, async (gateway) => {
      const text = await answer(gateway.tlsPort, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assert.match(text, /^HTTP\/1\.1 400 [^]*this port speaks TLS/);
      await gateway.waitForLog(/event="no TLS handshake".*address=127\.0\.0\.1:\d+ reason="http request"/);
      assert.equal(await handshakes(gateway, "failed"), 1);
    }));

  it("is cut off for nonsense on the TLS port, at any length", () =>
    secured({}, async (gateway) => {
      for (const bytes of ["\x00".repeat(5), "nonsense\r\n\r\n", "\x16\x03\x01\xff\xff", "\x16\x03\x01\x00\x05hello"]) {
        assert.doesNotMatch(await answer(gateway.tlsPort, Buffer.from(bytes, "latin1")), /HTTP/);
      }
      await gateway.waitForLog(/event="no TLS handshake".*reason="this is no TLS"/);
      await until(async () => (await handshakes(gateway, "failed")) === 4, "four failures");
    }));

  it("is answered 400 for TLS on the plain port, and named in the log", () =>
    secured({}, async (gateway) => {
      const hello = Buffer.from("16030100c8010000c40303", "hex");
      assert.match(await answer(gateway.port, hello), /^HTTP\/1\.1 400 /);
      await gateway.waitForLog(/event="TLS on the port without".*address=127\.0\.0\.1:\d+/);
    }));

  it("and hangs up, having said nothing or not enough, is forgotten at once", () =>
    secured({ args: ["--handshake-timeout", "1h"] }, async (gateway) => {
      const hello = Buffer.from("16030100c8010000c40303", "hex");
      let failures = 0;

      for (const [bytes, leave] of [
        ["", (socket) => socket.end()],
        [hello, (socket) => socket.end()],
        ["", (socket) => socket.resetAndDestroy()],
        [hello, (socket) => socket.resetAndDestroy()],
      ]) {
        const known = await metric(gateway, "carillon_connections_accepted_total");
        const socket = net.connect(gateway.tlsPort, "127.0.0.1");
        socket.on("error", () => {});
        await until(async () => (await metric(gateway, "carillon_connections_accepted_total")) > known, "it to be known");
        if (bytes) await new Promise((resolve) => socket.write(bytes, resolve));
        leave(socket);
        failures++;
        await until(async () => (await handshakes(gateway, "failed")) === failures, "it to be forgotten");
      }
    }));

  it("and says nothing, or not enough, is let go after --handshake-timeout", () =>
    secured({ args: ["--handshake-timeout", "500ms"] }, async (gateway) => {
      const hello = Buffer.from("16030100c8010000c40303", "hex");
      await Promise.all([answer(gateway.tlsPort, ""), answer(gateway.tlsPort, hello)]);
      assert.equal(await handshakes(gateway, "timeout"), 2);
      await gateway.waitForLog(/event="no TLS handshake".*reason="the handshake took too long"/);
    }));
});

describe("a storm of handshakes", () => {
  const STORM = 400;

  it("all succeed, and those who are in already talk on", () =>
    secured({ args: ["--message-rate", "0"] }, async (gateway) => {
      const ada = await openTls(gateway, { channel: "room" });
      const bob = await openTls(gateway, { channel: "room" });
      const storm = Promise.all(Array.from({ length: STORM }, () => handshake(gateway)));
      for (let i = 0; i < 500; i++) ada.send(`message ${i}`);
      await Promise.all([bob.received(500), ada.received(500)]);
      assert.deepEqual(
        bob.messages,
        Array.from({ length: 500 }, (_, i) => `message ${i}`),
      );
      for (const { socket } of await storm) socket.end();
      await until(async () => (await handshakes(gateway, "full")) === STORM + 2, "the last of the storm");
      closeClients([ada, bob]);
    }));
});

describe("--tls-handshakes", () => {
  const HELLO = Buffer.from("16030100c8010000c40303", "hex"); // which does not go on
  const waiting = (gateway) => metric(gateway, "carillon_tls_handshakes_waiting");
  const running = (gateway) => metric(gateway, "carillon_tls_handshakes_running");
  const isAt = (figure, count) => until(async () => (await figure()) === count, `${count} handshakes`);

  async function bounded(args, act) {
    const gateway = await startWithTls(authority, { args: ["--threads", "1", "--tls-handshakes", "1", ...args] });
    const ada = await openTls(gateway, { channel: "room" });
    await act(gateway);
    ada.send("still here");
    await ada.received(1);
    await isAt(() => running(gateway), 0);
    await isAt(() => waiting(gateway), 0);
    ada.destroy();
    await gateway.stop();
  }

  // One that begins a handshake and says no more.
  async function dawdler(gateway) {
    const socket = net.connect(gateway.tlsPort, "127.0.0.1", () => socket.write(HELLO));
    socket.on("error", () => {});
    socket.ended = new Promise((resolve) => socket.once("close", resolve));
    socket.resume();
    return socket;
  }

  it("lets others wait until one has ended, whoever says nothing at all aside", () =>
    bounded(["--handshake-timeout", "1h"], async (gateway) => {
      const silent = net.connect(gateway.tlsPort, "127.0.0.1");
      const one = await dawdler(gateway);
      await isAt(() => running(gateway), 1);
      const left = await dawdler(gateway);
      await isAt(() => waiting(gateway), 1);
      left.destroy(); // whose turn comes all the same
      one.destroy(); // if it was not given up
      const over = async () => (await handshakes(gateway, "failed")) + (await handshakes(gateway, "timeout"));
      const { socket } = await handshake(gateway);
      await isAt(() => handshakes(gateway, "full"), 2);
      await isAt(over, 2);
      silent.destroy();
      await isAt(over, 3);
      socket.destroy();
    }));

  it("gives those up who let others wait, though they have time", () =>
    bounded(["--handshake-timeout", "1h"], async (gateway) => {
      const dawdlers = [await dawdler(gateway), await dawdler(gateway)];
      await isAt(() => running(gateway), 1);
      const { socket } = await handshake(gateway);
      await Promise.all(dawdlers.map((one) => within(one.ended, "the end of a dawdler")));
      assert.equal(await handshakes(gateway, "timeout"), 2);
      socket.destroy();
    }));

  it("has --handshake-timeout count from when a handshake begins", () =>
    bounded(["--handshake-timeout", "500ms"], async (gateway) => {
      const dawdlers = [];
      for (let i = 0; i < 4; i++) dawdlers.push(await dawdler(gateway));
      await isAt(async () => (await running(gateway)) + (await waiting(gateway)), 4);
      const { socket } = await handshake(gateway); // after four times as long
      assert.equal(await handshakes(gateway, "timeout"), 4);
      await Promise.all(dawdlers.map((one) => within(one.ended, "the end of a dawdler")));
      socket.destroy();
    }));

  it("makes a crowd wait, and all of it comes in", () =>
    bounded([], async (gateway) => {
      const crowd = await Promise.all(Array.from({ length: 100 }, () => handshake(gateway)));
      await isAt(() => handshakes(gateway, "full"), 101);
      for (const { socket } of crowd) socket.destroy();
    }));

  it("ends for those who wait when the gateway is drained", async () => {
    const args = ["--threads", "1", "--tls-handshakes", "1", "--handshake-timeout", "1h"];
    const gateway = await startWithTls(authority, { args });
    const dawdlers = [await dawdler(gateway), await dawdler(gateway)];
    await isAt(() => waiting(gateway), 1);
    await gateway.stop();
    await Promise.all(dawdlers.map((one) => within(one.ended, "the end of a dawdler")));
  });
});

describe("a slow reader over TLS", () => {
  it("is closed with 1013, which it can still read behind what it was sent before", () =>
    secured({ args: ["--message-rate", "0", "--send-queue-limit", "256K"] }, async (gateway) => {
      const slow = await openTls(gateway, { channel: "room" });
      const fast = await openTls(gateway, { channel: "room" });
      slow.socket._socket.pause();
      for (let i = 0; (await metric(gateway, "carillon_slow_consumers_total")) < 1; i += 20) {
        for (let j = 0; j < 20; j++) fast.send(`${i + j} ${"x".repeat(60_000)}`);
        await fast.received(i + 20);
      }
      slow.socket._socket.resume();
      assert.equal((await within(slow.closed, "the end")).code, 1013);
      assert.deepEqual(slow.messages, fast.messages.slice(0, slow.messages.length));
      assert.ok(slow.messages.length > 0);
      fast.destroy();
    }));
});

describe("a start with TLS", () => {
  const gatewayOf = (args) => [
    ...[process.env.CARILLON_GATEWAY, "--listen", "off", "--admin-listen", "off"],
    ...["--tls-listen", "127.0.0.1:0", ...args],
  ];

  async function refused(args, pattern) {
    for (const check of [[], ["--check-config"]]) {
      const { code, stderr } = await runToEnd([...gatewayOf(args), ...check]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, pattern);
      assert.equal(stderr.trim().split("\n").length, 1);
    }
  }

  it("ends with one line and code 2 where files are missing or do not fit, as --check-config does", async () => {
    const one = await authority.issue("one");
    const two = await authority.issue("two");
    const pair = (certificate, key) => ["--tls-cert", certificate, "--tls-key", key];
    await refused([], /--tls-listen: needs --tls-cert and --tls-key/);
    await refused(["--tls-cert", one.certificate], /--tls-key: expected one for each --tls-cert/);
    await refused(pair("/nowhere.pem", one.key), /--tls-cert: .*\/nowhere\.pem: No such file/);
    await refused(pair(one.certificate, two.key), /--tls-cert: .*two\.key: key values mismatch/);
    const keys = authority.path("bad-keys");
    await writeFile(keys, "secret\n");
    await refused([...pair(one.certificate, one.key), "--tls-ticket-keys", keys], /bad-keys: line 1 is not 64/);
    const encrypted = authority.path("encrypted.key");
    const encryption = ["pkey", "-in", one.key, "-aes128", "-passout", "pass:secret", "-out", encrypted];
    await within(new Promise((resolve) => spawnChild("openssl", encryption).once("close", resolve)), "openssl pkey");
    await refused(pair(one.certificate, encrypted), /--tls-cert: .*encrypted\.key: it is encrypted, and nobody is asked/);
    const good = await runToEnd([...gatewayOf(pair(one.certificate, one.key)), "--check-config"]);
    assert.deepEqual(good, { code: 0, stdout: "", stderr: "" });
  });
});
