// carillon-router by itself: how it starts, whom it lets in, what it makes of nonsense, how it goes.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import net from "node:net";
import { basename, join } from "node:path";
import { after, before, describe, it } from "node:test";

import { Client, closeClients, openClients } from "../lib/client.js";
import { ready, status } from "../lib/cluster.js";
import { assertSameChat, chatter } from "../lib/delivery.js";
import { removeDirectory, temporaryDirectory } from "../lib/directory.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { freePort } from "../lib/port.js";
import { runToEnd } from "../lib/program.js";
import { Router, RouterCluster, ailmentsOf, servedBy } from "../lib/router.js";
import { Stranger } from "../lib/stranger.js";
import { until } from "../lib/wait.js";

const run = (...args) => runToEnd([process.env.CARILLON_ROUTER, ...args]);

describe("the command line of carillon-router", () => {
  it("--help lists every option with its default, on stdout", async () => {
    const { code, stdout, stderr } = await run("--help");

    assert.equal(code, 0);
    assert.equal(stderr, "");
    for (const option of ["--listen", "--peers", "--advertise", "--shards", "--secret-file", "--history-size"]) {
      assert.ok(stdout.includes(option), option);
    }
    assert.match(stdout, /\[0\.0\.0\.0:9000\]/);
    for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
  });

  it("--version prints name and version", async () => {
    assert.match((await run("--version")).stdout, /^carillon-router \d+\.\d+\.\d+\n$/);
  });

  for (const [args, message] of [
    [["--lissten", "x"], /--lissten: unknown option; did you mean listen/],
    [["--shards", "0"], /--shards/],
    [["--shards", "many"], /--shards: "many" is not a whole number/],
    [["--peers", "a:b:c"], /--peers: expected HOST/],
    [["--advertise", "router.example:9000"], /--advertise: expected a numeric/],
    [["--listen", "nowhere"], /--listen: expected/],
    [["--waiting-memory", "1M"], /--waiting-memory: too little/],
    [["--memory-limit", "63M"], /--memory-limit: expected at least 64M/],
    [["--history-memory", "513M"], /--link-memory: less than --history-memory/],
    [["--history-memory", "8M", "--link-memory", "127M"], /--link-memory: must be at least twice --max-message-size/],
    [["--link-queue-limit", "64M"], /--link-queue-limit: must be at least 1M more than --max-message-size/],
    [["--link-queue-limit", "65M", "--shards", "1"], /--link-queue-limit: less than --history-memory divided by --shards/],
    [["--listen", "127.0.0.1:0", "--secret-file", "/nonexistent"], /--secret-file: \/nonexistent: no such file/],
  ]) {
    it(`${args.join(" ")} ends the start with one line and exit code 2`, async () => {
      const { code, stderr } = await run("--admin-listen", "off", ...args);

      assert.equal(code, 2);
      assert.match(stderr, message);
      assert.equal(stderr.trimEnd().split("\n").length, 1);
    });
  }

  // Before its threads run, which use what is freed at the end, and before other routers have seen it.
  it("an admin port that is taken ends the start before anybody is let in", async () => {
    const taken = net.createServer();
    await new Promise((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address();
    const peers = ["--peers", "127.0.0.1:1,127.0.0.1:2"];
    const { code, stderr } = await run("--listen", "127.0.0.1:0", "--admin-listen", `127.0.0.1:${port}`, ...peers);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`cannot listen.*--admin-listen.*127.0.0.1:${port}.*address already in use`));
    assert.doesNotMatch(stderr, /role=router|router unreachable|Sanitizer/);
    await new Promise((resolve) => taken.close(resolve));
  });

  it("--check-config tells everything that is wrong, a line each, or nothing", async () => {
    const bad = await run("--check-config", "--listen", "nowhere", "--shards", "0", "--secret-file", "/nonexistent");
    assert.equal(bad.code, 2);
    assert.deepEqual(
      bad.stderr.trimEnd().split("\n").map((line) => line.match(/^carillon-router: (\S+?):/)[1]).sort(),
      ["--listen", "--secret-file", "--shards"],
    );
    const good = await run("--check-config", "--peers", "elsewhere.example:9000");
    assert.deepEqual(good, { code: 0, stdout: "", stderr: "" });
  });
});

describe("the admin listener of carillon-router", () => {
  let router, gateway, client;
  before(async () => {
    router = await Router.start();
    gateway = await start({ args: ["--bus", router.url] });
    await ready(gateway);
    client = await Client.open(gateway, { channel: "ä room" });
    client.send("one", "two");
    await client.received(2);
  });
  after(async () => {
    client.destroy();
    await gateway.stop();
    await router.stop();
  });

  const said = async (path, options) => {
    const answer = await router.ask(path, options);
    return [answer.status, await answer.text()];
  };

  it("says that it lives and is ready, and takes no other method or path", async () => {
    assert.deepEqual(await said("/health"), [200, "alive\n"]);
    assert.deepEqual(await said("/ready"), [200, "ready\n"]);
    assert.deepEqual(await said("/ready", { method: "HEAD" }), [200, ""]);
    assert.equal((await said("/ready", { method: "POST" }))[0], 405);
    assert.equal((await said("/nothing"))[0], 404);
  });

  it("counts in /metrics", async () => {
    assert.equal(await metric(router, "carillon_router_published_total"), 2);
    assert.equal(await metric(router, "carillon_router_delivered_total"), 2);
    assert.equal(await metric(router, "carillon_router_subscriptions"), 1);
  });

  it("shows links and channels in /state", async () => {
    const { shards, node, name } = await router.state();
    const place = await router.place("ä room");

    assert.match(node, /^[0-9a-f]{16}$/);
    assert.ok(name.endsWith(`:${router.ownPort}`), name);
    assert.equal(shards.length, 4);
    for (const { links } of shards) assert.deepEqual(links.map(({ role }) => role), ["gateway"]);
    assert.deepEqual(
      [place.role, place.offset, place.committed, place.history, place.subscribers, place.mirror],
      ["owner", 2, 2, 2, 1, ""],
    );
  });
});

describe("/state of carillon-router", () => {
  it("shows the routers that it cannot reach, since when, and why", async () => {
    const port = await freePort();
    const router = await Router.start({ peers: [`127.0.0.1:${port}`] });
    const missing = async () => (await router.state()).shards.map((shard) => shard.missing.map(({ address, error }) => `${address} ${error}`));

    await until(async () => (await missing()).every(([one]) => one === `127.0.0.1:${port} connection refused`), "the refusals");
    const [one] = (await router.state()).shards[0].missing;
    assert.equal(one.host, "127.0.0.1");
    assert.equal(typeof one.missing_ms, "number");

    const other = await Router.start({ port, peers: [`127.0.0.1:${router.ownPort}`] });
    await until(async () => (await missing()).flat().length === 0, "the other router");
    await other.stop();
    await router.stop();
  });
});

describe("the log of carillon-router", () => {
  it("names who connects and from where", async () => {
    const router = await Router.start();
    const gateway = await start({ args: ["--bus", router.urlAt(router.ownPort)] });
    const seen = (event) => router.program.waitForLog(new RegExp(`event="${event}" role=gateway name=\\S+ address=127\\.0\\.0\\.1:\\d+ shard=`));

    await seen("connected");
    await gateway.stop();
    await seen("disconnected");
    await router.stop();
  });
});

describe("the secret", () => {
  let folder;
  const file = async (name, text) => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  before(async () => {
    folder = await temporaryDirectory("secret");
  });
  after(() => removeDirectory(folder));

  const right = () => file("right", "sixteen bytes or more\n");
  const withRouter = async (args, body) => {
    const router = await Router.start({ args });
    try {
      await body(router);
    } finally {
      await router.stop();
    }
  };

  for (const cluster of ["carillon", "bells"]) {
    it(`lets in who has the same one, and is in nobody's log, in the cluster ${cluster}`, async () =>
      withRouter(["--cluster", cluster, "--secret-file", await right()], async (router) => {
        const args = ["--bus", router.url, "--router-cluster", cluster, "--router-secret-file", await right()];
        const gateway = await start({ args });
        const client = await Client.open(gateway);

        await ready(gateway);
        client.send("hello");
        await client.received(1);
        client.destroy();
        await gateway.stop();
        for (const { log } of [router, gateway]) assert.doesNotMatch(log, /sixteen bytes/);
      }));
  }

  for (const [what, own, theirs, reason] of [
    ["another one", "another secret of 16", "sixteen bytes or more", /shared secret is another one/],
    ["none where one is asked for", null, "sixteen bytes or more", /shared secret is missing/],
    ["one where the router has none", "sixteen bytes or more", null, /shared secret is missing/],
  ]) {
    const option = async (name, text) => (text ? [name, await file(`${text.length}`, text)] : []);

    it(`keeps a gateway out that has ${what}; both logs say so`, async () =>
      withRouter(await option("--secret-file", theirs), async (router) => {
        const gateway = await start({ args: ["--bus", router.url, ...(await option("--router-secret-file", own))] });

        await gateway.waitForLog(reason);
        await router.program.waitForLog(reason);
        assert.equal(await status(gateway, "/ready"), 503);
        assert.deepEqual((await router.state()).shards.flatMap(({ links }) => links), []);
        await gateway.stop();
      }));

    it(`keeps a router out that has ${what}; both logs say so`, async () =>
      withRouter(await option("--secret-file", theirs), async (router) => {
        const peers = [`127.0.0.1:${router.ownPort}`];
        const other = await Router.start({ peers, args: await option("--secret-file", own) });

        await other.program.waitForLog(reason);
        await router.program.waitForLog(reason);
        assert.deepEqual((await router.state()).shards.flatMap(({ links }) => links), []);
        await other.stop();
      }));
  }

  it("cannot be passed by who repeats what a gateway said that knows it", async () =>
    withRouter(["--secret-file", await right()], async (router) => {
      const recorded = [];
      const recorder = net.createServer((near) => {
        const far = net.connect(router.ownPort, "127.0.0.1");
        const heard = [];
        recorded.push(heard);
        near.on("data", (data) => heard.push(data));
        near.pipe(far).pipe(near);
        for (const socket of [near, far]) socket.on("error", () => {});
      });
      await new Promise((resolve) => recorder.listen(0, "127.0.0.1", resolve));
      const bus = `router://127.0.0.1:${recorder.address().port}`;
      const gateway = await start({ args: ["--bus", bus, "--router-secret-file", await right()] });
      const client = await Client.open(gateway);
      await ready(gateway);

      const [hello, proof] = recorded.find((heard) => heard.length >= 2);
      const already = router.log.length;
      const stranger = await Stranger.connect(router);
      assert.match(await stranger.isLetGo(hello, proof), /the shared secret is another one/);
      await router.program.waitForLog(/shared secret is another one/, { after: already });
      client.send("still here");
      await client.received(1);
      client.destroy();
      await gateway.stop();
      recorder.close();
    }));

  it("ends the start with one line where it is too short", async () => {
    const { code, stderr } = await run("--listen", "127.0.0.1:0", "--secret-file", await file("short", "hush"));

    assert.equal(code, 2);
    assert.match(stderr, /^carillon-router: --secret-file: .*: expected 16 to 4095 bytes\n$/);
  });
});

describe("another number of --shards", () => {
  it("is refused, and both routers say so", async () => {
    const router = await Router.start({ args: ["--shards", "2"] });
    const other = await Router.start({ args: ["--shards", "3"], peers: [`127.0.0.1:${router.ownPort}`] });

    await other.program.waitForLog(/another number of --shards/);
    await router.program.waitForLog(/another number of --shards/);
    for (const one of [router, other]) {
      assert.deepEqual((await one.state()).shards.flatMap(({ links }) => links), []);
    }
    await other.stop();
    await router.stop();
  });
});

describe("another --cluster", () => {
  const mixedUp = (asked, asker) =>
    new RegExp(`a router of the cluster \\\\?"${asked}\\\\?" was asked for the cluster \\\\?"${asker}\\\\?"`);

  it("is refused, both sides name the two, and each cluster goes on by itself", async () => {
    const own = await Router.start();
    const other = await Router.start({ args: ["--cluster", "bells"], peers: [`127.0.0.1:${own.ownPort}`] });
    const both = `router://127.0.0.1:${own.ownPort},127.0.0.1:${other.ownPort}`;
    const gateways = await Promise.all([[], ["--router-cluster", "bells"]].map((args) => start({ args: ["--bus", both, ...args] })));
    const people = await Promise.all(gateways.map((gateway) => Client.open(gateway)));

    for (const { program } of [own, other]) await program.waitForLog(mixedUp("carillon", "bells"));
    await gateways[0].waitForLog(mixedUp("bells", "carillon"));
    await gateways[1].waitForLog(mixedUp("carillon", "bells"));
    await Promise.all(gateways.map(ready));
    for (const [i, person] of people.entries()) person.send(`cluster ${i}`);
    await Promise.all(people.map((person) => person.received(1)));

    assert.deepEqual(people.map(({ messages }) => messages), [["cluster 0"], ["cluster 1"]]);
    assert.deepEqual((await Promise.all([own, other].map((router) => router.state()))).map(({ cluster }) => cluster), ["carillon", "bells"]);
    for (const router of [own, other]) {
      const roles = (await router.state()).shards.flatMap(({ links }) => links.map(({ role }) => role));
      assert.deepEqual(roles, ["gateway", "gateway", "gateway", "gateway"]);
    }
    for (const person of people) person.destroy();
    for (const gateway of gateways) await gateway.stop();
    for (const router of [other, own]) await router.stop();
  });

  it("cannot be named so that logs are spoiled", async () => {
    const { code, stderr } = await run("--listen", "127.0.0.1:0", "--cluster", "two\nlines");

    assert.equal(code, 2);
    assert.match(stderr, /--cluster: expected 1 to 64 bytes of UTF-8 without control characters/);
  });
});

describe("the way down of a router", () => {
  it("gives all it has to the others, and nobody notices", async () => {
    const cluster = await RouterCluster.start({ size: 2 });
    const gateways = await Promise.all([0, 1].map(() => start({ args: ["--bus", cluster.url, "--message-rate", "0"] })));
    await Promise.all(gateways.map(ready));
    const people = await Promise.all(gateways.map((gateway) => Client.open(gateway)));

    const talk = chatter(people, 1000, { batch: 5, pauseMs: 5 });
    await people[0].received(100);
    await cluster.routers[0].leave();
    await people[0].received(people[0].messages.length + 100);
    await cluster.routers[0].restart();
    await cluster.routers[1].leave();
    const sent = await talk;
    await Promise.all(people.map((client) => client.received(2000)));
    assertSameChat(people, sent);
    for (const gateway of gateways) assert.equal(await metric(gateway, "carillon_bus_losses_total"), 0);
    closeClients(people);
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await cluster.stop();
  });

  it("is red in /ready while it lasts, and a second signal ends it at once", async () => {
    const cluster = await RouterCluster.start({ size: 2, args: ["--drain-time", "60s"] });
    const gateway = await start({ args: ["--bus", cluster.url] });
    await ready(gateway);
    const clients = await Promise.all(Array.from({ length: 20 }, (_, i) => Client.open(gateway, { channel: `${i}` })));
    await until(() => cluster.isWhole(), "everything to be at two routers");
    const owners = await Promise.all(cluster.routers.map((router) => router.place("0")));
    const leaver = cluster.routers[owners.findIndex(({ role }) => role === "owner")];
    const other = cluster.routers.find((router) => router !== leaver);

    other.pause(); // takes nothing
    leaver.program.signal("SIGTERM");
    await leaver.program.waitForLog(/event="?leaving/);
    assert.equal((await leaver.ask("/ready")).status, 503);
    assert.equal((await leaver.ask("/health")).status, 200);
    leaver.program.signal("SIGTERM");
    assert.deepEqual(await leaver.program.exited(), { code: 1, signal: null });
    assert.match(leaver.log, /stopped at once by a second signal/);
    other.resume();
    closeClients(clients);
    await gateway.stop();
    await cluster.stop();
  });

  it("is over at once where there is nobody to give to", async () => {
    const router = await Router.start({ args: ["--drain-time", "60s"] });
    const gateway = await start({ args: ["--bus", router.url] });
    const [client] = await openClients(gateway, 1);

    client.send("hello");
    await client.received(1);
    await router.leave();
    assert.doesNotMatch(router.log, /stopping before everything was given/);
    assert.ok(client.isOpen);
    client.destroy();
    await gateway.stop();
    await router.stop();
  });
});

describe("a router that comes back empty", () => {
  it("begins a new epoch; who has heard something is told with 1012, and nobody else", async () => {
    const router = await Router.start();
    const gateway = await start({ args: ["--bus", router.url] });
    await ready(gateway);
    const [ada, ben] = await openClients(gateway, 2, { channel: "heard" });
    const quiet = await Client.open(gateway, { channel: "quiet" });

    ada.send("hello");
    await Promise.all([ada, ben].map((client) => client.received(1)));
    const { epoch } = await router.place("heard");
    await router.kill();
    await router.restart();
    for (const { code } of await Promise.all([ada, ben].map((client) => client.closed))) assert.equal(code, 1012);
    await ready(gateway);
    const [cleo] = await openClients(gateway, 1, { channel: "heard" });
    cleo.send("anybody?");
    quiet.send("anybody?");
    await Promise.all([cleo, quiet].map((client) => client.received(1)));
    assert.notEqual((await router.place("heard")).epoch, epoch);
    closeClients([cleo, quiet]);
    await gateway.stop();
    await router.stop();
  });
});

describe("a router that a gateway reaches at two addresses", () => {
  it("has one link of each shard with it", async () => {
    const router = await Router.start();
    const gateways = [];
    const links = async () => (await router.state()).shards.map((shard) => shard.links.length);

    // Both are tried at the same time, and either may come first.
    for (let i = 1; i <= 8; i++) {
      gateways.push(await start({ args: ["--bus", `${router.urlAt(router.ownPort)},127.0.0.1:${router.port}`] }));
      await until(async () => (await links()).every((count) => count === i), "one link more in each shard");
    }
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await router.stop();
  });
});

describe("a gateway that was told of one router only", () => {
  it("survives its death after it has heard of the others", async () => {
    const cluster = await RouterCluster.start({ size: 3 });
    const first = cluster.routers[0];
    const gateway = await start({ args: ["--bus", `router://127.0.0.1:${first.ownPort}`] });
    const links = async () => (await Promise.all(cluster.routers.map((router) => router.state())))
      .map(({ shards }) => shards.flatMap((shard) => shard.links).filter(({ role }) => role === "gateway").length);

    await until(async () => (await links()).every((count) => count === 4), "the gateway to be at all routers");
    const people = await openClients(gateway, 2);
    people[0].send("before");
    await Promise.all(people.map((client) => client.received(1)));
    await first.kill();
    people[0].send("after");
    await Promise.all(people.map((client) => client.received(2)));
    assertSameChat(people, [["before", "after"]]);
    await ready(gateway);
    closeClients(people);
    await gateway.stop();
    await cluster.stop();
  });
});

describe("one name that resolves to several routers", async () => {
  // A mount namespace of its own gives a program another /etc/hosts.
  const { code, stderr } = await runToEnd(["unshare", "-rm", "mount", "--bind", "/etc/hosts", "/etc/hosts"]);
  const skip = code === 0 ? false : `no mount namespace for another /etc/hosts: ${stderr.trim()}`;

  let folder;
  before(async () => {
    folder = await temporaryDirectory("hosts");
    await writeFile(join(folder, "hosts"), "127.0.0.1 routers.test\n127.0.0.2 routers.test\n127.0.0.3 routers.test\n");
  });
  after(() => removeDirectory(folder));

  async function withHosts(program) {
    const script = join(folder, basename(program));
    const command = `mount --bind ${folder}/hosts /etc/hosts && exec ${program} "$@"`;
    await writeFile(script, `#!/bin/sh\nexec unshare -rm sh -c '${command}' sh "$@"\n`, { mode: 0o700 });
    return script;
  }

  it("leads a gateway and the routers to all of them", { skip }, async () => {
    const program = await withHosts(process.env.CARILLON_ROUTER);
    const port = await freePort();
    const routers = await Promise.all(
      [1, 2, 3].map((i) =>
        Router.start({ program, name: `router-${i}`, host: `127.0.0.${i}`, port, peers: [`routers.test:${port}`] }),
      ),
    );
    await until(async () => (await ailmentsOf(routers)).length === 0, "the routers to find each other");
    const binary = await withHosts(process.env.CARILLON_GATEWAY);
    const gateway = await start({ binary, args: ["--bus", `router://routers.test:${port}`] });
    await until(
      async () => (await servedBy(routers, 1)).ailments.length === 0,
      "the gateway to be linked with all of them",
    );
    const client = await Client.open(gateway);
    client.send("hello");
    await client.received(1);
    client.destroy();
    await gateway.stop();
    await Promise.all(routers.map((router) => router.stop()));
  });
});
