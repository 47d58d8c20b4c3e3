// A bus over TLS: Redis with rediss://, routers with routers://, and who is refused, with the reason in the log.

import assert from "node:assert/strict";
import { copyFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";

import { Authority } from "../lib/certificates.js";
import { Client, closeClients } from "../lib/client.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { freePort } from "../lib/port.js";
import { runToEnd } from "../lib/program.js";
import { Redis } from "../lib/redis.js";
import { Router, RouterCluster } from "../lib/router.js";
import { until } from "../lib/wait.js";

let authority;
let files;
let chats = 0;

before(async () => {
  authority = await Authority.create();
  files = await authority.issue("member");
});
after(() => authority.remove());

// A Redis that speaks TLS on `tlsPort`, with this certificate.
async function startRedis({ certificate, key } = files, { wantsCertificate = false } = {}) {
  const tlsPort = await freePort();
  const redis = await Redis.start({
    args: [
      ...["--tls-port", String(tlsPort), "--tls-cert-file", certificate, "--tls-key-file", key],
      ...["--tls-ca-cert-file", authority.file, "--tls-auth-clients", wantsCertificate ? "yes" : "no"],
    ],
  });
  redis.tlsPort = tlsPort;
  return redis;
}

const trusting = () => ["--bus-tls-ca", authority.file];
const showing = () => ["--bus-tls-cert", files.certificate, "--bus-tls-key", files.key];

const isUp = (gateway) => until(async () => (await metric(gateway, "carillon_bus_up")) === 1, "the bus to be up");

// Everybody on these gateways hears everything, in one order, once all are subscribed at `bus`. Who comes while a
// gateway has no bus yet hears what comes after it has.
async function assertOneChat(bus, gateways) {
  for (const gateway of gateways) await isUp(gateway);

  const channel = `room ${++chats}`; // of which nobody has been a subscriber
  const clients = await Promise.all(gateways.map((gateway) => Client.open(gateway, { channel })));
  const count = 60 * clients.length;

  await until(async () => (await bus.subscriberCount(channel)) === gateways.length, "everybody to be subscribed");
  for (let i = 0; i < 60; i++) clients.forEach((client, index) => client.send(`${index} says ${i} ${"x".repeat(i * 50)}`));
  for (const client of clients) await client.received(count);
  for (const client of clients) assert.deepEqual(client.messages, clients[0].messages);
  assert.equal(new Set(clients[0].messages).size, count);
  closeClients(clients);
}

// The reason that the log gives why this gateway does not come to its bus.
async function refusal(args, event) {
  const gateway = await start({ args });
  const [, reason] = await gateway.waitForLog(new RegExp(`event="${event}".* reason="?([^"\\n]*?)"?( attempt|$)`, "m"));

  assert.equal(await metric(gateway, "carillon_bus_up"), 0);
  await gateway.stop();
  return reason;
}

// After its connections were cut.
const isBack = (gateway) =>
  until(
    async () =>
      (await metric(gateway, "carillon_bus_reconnects_total")) >= 1 && (await metric(gateway, "carillon_bus_up")) === 1,
    "the bus to be back",
  );

const DAY_S = 86_400;

// How many days the certificate in a file is good for, by the metric of a program that has it in this role.
async function daysLeft(program, role, file) {
  const name = `carillon_tls_certificate_expiry_timestamp_seconds{role="${role}",file="${file}"}`;
  return Math.round(((await metric(program, name)) - Date.now() / 1000) / DAY_S);
}

describe("rediss://", () => {
  it("carries a chat of two gateways, also when Redis cuts them off", async () => {
    const redis = await startRedis();
    const args = ["--bus", `rediss://localhost:${redis.tlsPort}`, ...trusting()];
    const gateways = [await start({ args }), await start({ args })];
    await assertOneChat(redis, gateways);
    await redis.cutClients();
    for (const gateway of gateways) await isBack(gateway);
    await assertOneChat(redis, gateways);
    for (const gateway of gateways) await gateway.stop();
    await redis.stop();
  });

  it("shows a certificate to a Redis that wants one, and says so where there is none", async () => {
    const redis = await startRedis(files, { wantsCertificate: true });
    const bus = ["--bus", `rediss://127.0.0.1:${redis.tlsPort}`, ...trusting()];
    const gateway = await start({ args: [...bus, ...showing()] });
    await assertOneChat(redis, [gateway]);
    await gateway.stop();
    assert.match(await refusal(bus, "redis unavailable"), /certificate required|connection reset/);
    await redis.stop();
  });

  it("is refused with the reason: expired, of another host, of a stranger, no TLS", async () => {
    const reasonFor = async (certificate, host = "localhost", ca = trusting()) => {
      const redis = await startRedis(certificate);
      const reason = await refusal(["--bus", `rediss://${host}:${redis.tlsPort}`, ...ca], "redis unavailable");
      await redis.stop();
      return reason;
    };
    const expired = await authority.issue("expired", { days: -1 });
    const other = await authority.issue("other", { names: "DNS:redis.example" });
    const stranger = await Authority.create("stranger");
    assert.equal(await reasonFor(expired), "certificate has expired");
    assert.equal(await reasonFor(other), "hostname mismatch");
    assert.equal(await reasonFor(other, "127.0.0.1"), "IP address mismatch");
    assert.match(await reasonFor(files, "localhost", ["--bus-tls-ca", stranger.file]), /self-signed certificate/);
    await stranger.remove();

    const redis = await startRedis();
    const reason = await refusal(["--bus", `rediss://localhost:${redis.port}`, ...trusting()], "redis unavailable");
    assert.match(reason, /^no TLS connection within 3 s$/);
    await redis.stop();
  });

  it("takes --bus-tls-server-name for the name that the certificate must bear", async () => {
    const redis = await startRedis(await authority.issue("named", { names: "DNS:redis.example" }));
    const bus = ["--bus", `rediss://127.0.0.1:${redis.tlsPort}`, ...trusting()];
    const gateway = await start({ args: [...bus, "--bus-tls-server-name", "redis.example"] });
    await assertOneChat(redis, [gateway]);
    gateway.signal("SIGHUP");
    await gateway.waitForLog(/event="?reloaded/);
    await redis.cutClients();
    await isBack(gateway);
    await assertOneChat(redis, [gateway]);
    await gateway.stop();
    await redis.stop();
  });

  it("ends the start where its files cannot be used", async () => {
    const line = [process.env.CARILLON_GATEWAY, "--listen", "127.0.0.1:0", "--admin-listen", "off"];
    for (const check of [[], ["--check-config"]]) {
      const bus = ["--bus", "rediss://localhost", "--bus-tls-ca", "/nowhere.pem"];
      const { code, stderr } = await runToEnd([...line, ...bus, ...check]);
      assert.equal(code, 2);
      assert.match(stderr, /^carillon-gateway: --bus-tls: cannot use the CA file \/nowhere\.pem: No such file or directory\n$/);
    }
  });
});

describe("routers://", () => {
  // Links are handed from thread to thread with what TLS knows of them.
  const secured = (pair = files, ca = authority.file) => [
    ...["--threads", "2", "--tls-ca", ca, "--tls-cert", pair.certificate, "--tls-key", pair.key],
  ];
  const tlsUrl = (bus) => bus.url.replace("router://", "routers://");

  it("carries a chat over two routers that know each other by certificate, also when one dies", async () => {
    const cluster = await RouterCluster.start({ args: secured() });
    const args = ["--bus", tlsUrl(cluster), ...trusting(), ...showing()];
    const gateways = [await start({ args }), await start({ args })];
    await assertOneChat(cluster, gateways);
    for (const [program, role] of [[gateways[0], "bus"], [cluster.routers[0], "links"]]) {
      for (const file of [files.certificate, authority.file]) assert.equal(await daysLeft(program, role, file), 2);
    }
    await cluster.routers[0].kill();
    await assertOneChat(cluster.routers[1], gateways);
    await cluster.routers[0].restart();
    await until(() => cluster.isWhole(), "the routers to be linked");
    await assertOneChat(cluster, gateways);
    for (const gateway of gateways) await gateway.stop();
    await cluster.stop();
  });

  it("lets in nobody without a certificate of the CA, and nobody without TLS", async () => {
    const router = await Router.start({ args: secured() });
    const stranger = await Authority.create("stranger");
    const foreign = await stranger.issue("foreign");
    const foreigner = ["--bus-tls-cert", foreign.certificate, "--bus-tls-key", foreign.key];
    const bus = ["--bus", tlsUrl(router), ...trusting()];
    assert.match(await refusal(bus, "router unreachable"), /certificate required|it hung up|connection reset/);
    assert.match(await refusal([...bus, ...foreigner], "router unreachable"), /unknown ca|connection reset/);
    await router.program.waitForLog(/event="connection refused" reason="peer did not return a certificate"/);
    await router.program.waitForLog(/event="connection refused" reason="unable to get local issuer certificate"/);
    await refusal(["--bus", router.url], "router unreachable");
    await router.program.waitForLog(/event="connection refused" reason="this is no TLS"/);
    await router.stop();
    await stranger.remove();
  });

  it("is refused with the reason: expired, of another host, no TLS", async () => {
    const reasonFor = async (args) => {
      const router = await Router.start({ args });
      const reason = await refusal(["--bus", tlsUrl(router), ...trusting(), ...showing()], "router unreachable");
      await router.stop();
      return reason;
    };
    const other = await authority.issue("other", { names: "DNS:router.example" });
    assert.equal(await reasonFor(secured(other)), "IP address mismatch");
    assert.equal(await reasonFor(secured(await authority.issue("expired", { days: -1 }))), "certificate has expired");
    assert.match(await reasonFor([]), /no TLS|hung up|connection reset|no handshake/);

    const router = await Router.start({ args: secured(other) });
    const bus = ["--bus", tlsUrl(router), ...trusting(), ...showing()];
    const gateway = await start({ args: [...bus, "--bus-tls-server-name", "router.example"] });
    await assertOneChat(router, [gateway]);
    await gateway.stop();
    await router.stop();
  });

  it("takes new certificates for new links, and keeps the old links", async () => {
    const live = { certificate: authority.path("live.pem"), key: authority.path("live.key") };
    const put = async (pair) => {
      await copyFile(pair.key, live.key);
      await copyFile(pair.certificate, live.certificate);
    };
    await put(files);
    const router = await Router.start({ args: secured(live) });
    const args = ["--bus", tlsUrl(router), ...trusting(), ...showing()];
    const gateway = await start({ args });
    await assertOneChat(router, [gateway]);
    await put(await authority.issue("other", { names: "DNS:router.example" }));
    const length = router.log.length;
    for (const role of ["links to routers", "links"]) {
      await router.program.waitForLog(new RegExp(`event="certificates loaded" role="?${role}"? `), { after: length });
    }
    assert.equal(await refusal(args, "router unreachable"), "IP address mismatch");
    await assertOneChat(router, [gateway]);
    await gateway.stop();
    await router.stop();
  });

  it("ends the start of a router whose files do not fit", async () => {
    const refused = async (args, pattern) => {
      const line = [process.env.CARILLON_ROUTER, "--listen", "127.0.0.1:0", "--admin-listen", "off"];
      for (const check of [[], ["--check-config"]]) {
        const { code, stderr } = await runToEnd([...line, ...args, ...check]);
        assert.equal(code, 2, stderr);
        assert.match(stderr, pattern);
      }
    };
    await refused(["--tls-ca", authority.file], /--tls-ca: belongs together with --tls-cert and --tls-key/);
    await refused(["--tls-cert", files.certificate], /--tls-key: expected the key/);
    await refused(secured(files, "/nowhere.pem"), /--tls: cannot use the CA file \/nowhere\.pem: No such file/);
  });
});
