// Clients over TLS for whom the kernel encrypts, where it can, and for whom the gateway does, where it cannot: they see
// the same. Most machines have no kernel TLS until its module is loaded; `tests/run ktls` brings a kernel that has it.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Authority } from "../lib/certificates.js";
import { closeClients } from "../lib/client.js";
import { assertSameChat, chatter } from "../lib/delivery.js";
import { metric } from "../lib/metrics.js";
import { runToEnd } from "../lib/program.js";
import { HAS_KERNEL_TLS } from "../lib/sending.js";
import { openTls, startWithTls } from "../lib/tls.js";

const skip = !HAS_KERNEL_TLS && "THE KERNEL HAS NO TLS (modprobe tls); tests/run ktls brings one that has";
const ciphers = [
  ["TLSv1.3", "TLS_AES_128_GCM_SHA256"],
  ["TLSv1.3", "TLS_AES_256_GCM_SHA384"],
  ["TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"],
  ["TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"],
  ["TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"],
];

let authority;

before(async () => (authority = await Authority.create()));
after(() => authority.remove());

const launch = (how, ...args) =>
  startWithTls(authority, { args: ["--kernel-tls", how, "--message-rate", "0", "--threads", "1", ...args] });
const taken = (gateway) => metric(gateway, "carillon_kernel_tls_connections_total");
const declined = (gateway) => metric(gateway, "carillon_kernel_tls_declined_total");

// People who offer one cipher alone.
function openWith(gateway, count, [version, cipher], options) {
  const tls = { minVersion: version, maxVersion: version, ciphers: cipher };
  return Promise.all(Array.from({ length: count }, () => openTls(gateway, { ...tls, ...options })));
}

// What people say to each other, short and long, and that they are told goodbye; whoever encrypts.
function talkOn(launchGateway, share) {
  for (const cipher of ciphers) {
    it(`brings short and long messages to all, and a goodbye (${cipher.join(", ")})`, async () => {
      const gateway = await launchGateway();
      const people = await openWith(gateway, 6, cipher);
      const sent = await chatter(people.slice(0, 3), 100, { batch: 10 });

      await Promise.all(people.map((person) => person.received(300)));
      assertSameChat(people, sent);

      const texts = Array.from({ length: 30 }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat(60_000));
      const room = await openWith(gateway, 4, cipher, { channel: "large" });
      room[0].send(...texts);
      await Promise.all(room.map((person) => person.received(texts.length)));
      for (const person of room) assert.deepEqual(person.messages, texts);

      assert.equal(await taken(gateway), share * 10);
      await gateway.stop();
      await Promise.all([...people, ...room].map((person) => person.closed));
    });
  }
}

describe("--kernel-tls auto", () => {
  talkOn(() => launch("auto"), HAS_KERNEL_TLS ? 1 : 0);

  it("says who encrypts", async () => {
    const gateway = await launch("auto");

    await gateway.waitForLog(
      HAS_KERNEL_TLS
        ? /event="encryption for clients" kernel_tls=auto by="the kernel"/
        : /event="no kernel TLS" kernel_tls=auto reason="/,
    );
    assert.equal(await declined(gateway), 0);
    await gateway.stop();
  });
});

describe("--kernel-tls on", { skip }, () => {
  talkOn(() => launch("on", "--io-uring", "off"), 1);
});

describe("--kernel-tls on, where the kernel has none", { skip: HAS_KERNEL_TLS && "it has" }, () => {
  it("does not start, and says why", async () => {
    const { code, stderr } = await runToEnd([process.env.CARILLON_GATEWAY, "--check-config", "--kernel-tls", "on"]);

    assert.equal(code, 2);
    assert.match(stderr, /--kernel-tls: cannot be on: ./);
  });
});

describe("--kernel-tls off", () => {
  it("is said, and the kernel gets no keys", async () => {
    const gateway = await launch("off");
    const people = await openWith(gateway, 3, ciphers[0]);
    const sent = await chatter(people.slice(0, 1), 50, { batch: 10 });

    await gateway.waitForLog(/event="encryption for clients" kernel_tls=off by=us/);
    await Promise.all(people.map((person) => person.received(50)));
    assertSameChat(people, sent);
    assert.equal(await taken(gateway), 0);
    assert.equal(await declined(gateway), 0);
    closeClients(people);
    await gateway.stop();
  });
});
