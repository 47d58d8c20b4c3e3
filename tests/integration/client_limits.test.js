// The limits that namespaces and answers have, in either protocol; and commands that cannot be done yet or not at all.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { apiFiles, call, token } from "../lib/api.js";
import { Client } from "../lib/client.js";
import { CommandClient } from "../lib/command_client.js";
import { removeDirectory, temporaryDirectory } from "../lib/directory.js";
import { start } from "../lib/gateway.js";

const OPEN = [
  ...["subscribe", "publish"].map((act) => `allow-${act}-for-client = on`),
  ...["subscribe", "publish"].map((act) => `allow-${act}-for-anonymous = on`),
];

const LIMITS = ["--max-message-size", "16K", "--send-queue-limit", "160K", "--message-rate", "0"];

describe("the limits of a channel", () => {
  let directory;
  let gateway;
  before(async () => {
    directory = await temporaryDirectory("limits");
    const config = join(directory, "gateway.conf");
    const sections = [
      ["[namespace short]", ...OPEN, "message-size = 100"],
      ["[namespace slow]", ...OPEN, "message-rate = 1", "message-burst = 3"],
    ];
    await writeFile(config, sections.map((lines) => `${lines.join("\n")}\n`).join("\n"));
    gateway = await start({ args: ["--config", config, ...LIMITS] });
  });
  after(async () => {
    await gateway.stop();
    await removeDirectory(directory);
  });

  it("size: 106, and 1009 for plain clients", async () => {
    const ann = await CommandClient.connect(gateway);
    const plain = await Client.open(gateway, { channel: "short:room" });
    assert.equal((await ann.ask({ publish: { channel: "short:room", data: "x".repeat(99) } })).error?.code, 106);
    assert.equal((await ann.ask({ publish: { channel: "short:room", data: "x".repeat(90) } })).error, undefined);
    await plain.received(1);
    plain.send("y".repeat(100));
    await plain.received(2);
    plain.send("y".repeat(101));
    assert.equal((await plain.closed).code, 1009);
    ann.destroy();
  });

  it("rate: 111 however often one comes again, and 1008 for plain clients", async () => {
    const ann = await CommandClient.connect(gateway);
    const codes = [];
    for (let i = 0; i < 30; i++) {
      await ann.ask({ subscribe: { channel: "slow:room" } });
      codes.push((await ann.ask({ publish: { channel: "slow:room", data: i } })).error?.code);
      await ann.ask({ unsubscribe: { channel: "slow:room" } });
    }
    assert.ok(codes.filter((code) => code === 111).length > 15, JSON.stringify(codes));
    const plain = await Client.open(gateway, { channel: "slow:room" });
    for (let i = 0; i < 30; i++) plain.send(String(i));
    assert.equal((await plain.closed).code, 1008);
    ann.destroy();
  });

  it("a history that is longer than what may be queued comes in parts", async () => {
    const ann = await CommandClient.connect(gateway);
    for (let i = 0; i < 40; i++) await ann.ask({ publish: { channel: "long", data: `${i} ${"x".repeat(10_000)}` } });
    const seen = [];
    let parts = 0;
    let since;
    do {
      const { history } = await ann.ask({ history: { channel: "long", limit: -1, ...(since && { since }) } });
      const publications = history.publications ?? [];
      seen.push(...publications.map(({ data }) => parseInt(data, 10)));
      since = { epoch: history.epoch, offset: publications.at(-1)?.offset };
      parts++;
    } while (seen.length < 40 && parts < 20);
    assert.deepEqual(seen, Array.from({ length: 40 }, (_, i) => i));
    assert.ok(parts > 2 && parts < 8, `${parts} parts`);
    ann.destroy();
  });

  it("what this server does not do with a subscription is refused", async () => {
    const ann = await CommandClient.connect(gateway);
    for (const wish of [{ tf: { key: "a", cmp: "ex" } }, { delta: "zip" }, { type: 1 }])
      assert.equal((await ann.ask({ subscribe: { channel: "room", ...wish } })).error?.code, 107, JSON.stringify(wish));
    assert.ok((await ann.ask({ subscribe: { channel: "room", delta: "fossil", type: 0, tf: null } })).subscribe);
    ann.destroy();
  });
});

describe("commands behind a connect", () => {
  let files;
  let gateway;
  before(async () => {
    files = await apiFiles();
    gateway = await start({ args: files.args });
  });
  after(async () => {
    await gateway.stop();
    await files.remove();
  });

  it("wait for it, whether its channels take time or not", async () => {
    for (const claims of [{}, { channels: ["news", "sport"] }]) {
      const ann = await CommandClient.open(gateway);
      const ids = [1, 2, 3, 4].map(() => ann.nextId());
      ann.send(
        { id: ids[0], connect: { token: token("ann", claims) } },
        { id: ids[1], subscribe: { channel: "room" } },
        { id: ids[2], publish: { channel: "room", data: "hello" } },
      );
      ann.send({ id: ids[3], history: { channel: "room", limit: 1 } });
      assert.ok((await ann.reply(ids[0])).connect);
      assert.ok((await ann.reply(ids[1])).subscribe);
      assert.ok((await ann.reply(ids[2])).publish);
      assert.ok((await ann.reply(ids[3])).history);
      ann.destroy();
    }
  });

  it("are bounded while they wait", async () => {
    const eve = await CommandClient.open(gateway);
    eve.send({ id: 1, connect: { token: token("eve", { channels: ["news"] }) } }, ...Array(3).fill({ id: 2, rpc: { data: "x".repeat(60_000) } }));
    assert.ok([1009, 3501].includes((await eve.closed).code));
  });

  it("tell when something was published, by clients or by the application", async () => {
    const ann = await CommandClient.connect(gateway, { token: token("ann") });
    const before = Date.now();
    await ann.ask({ subscribe: { channel: "timed" } });
    await call(gateway, "publish", { channel: "timed", data: 1 });
    const { pub } = await ann.pushed(({ pub }) => pub?.data === 1);
    assert.equal(pub.time, undefined); // just now
    const { history } = await ann.ask({ history: { channel: "timed", limit: 1 } });
    assert.ok(history.publications[0].time >= before && history.publications[0].time <= Date.now());
    ann.destroy();
  });
});
