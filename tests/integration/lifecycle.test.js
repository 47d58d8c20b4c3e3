// How a gateway starts, is told things while it runs, and stops.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";

import { BUSES, gatewaysOn, onEachBus } from "../lib/buses.js";
import { spawnChild } from "../lib/children.js";
import { Client, closeClients, openClients } from "../lib/client.js";
import { removeDirectory, temporaryDirectory } from "../lib/directory.js";
import { WEB_ROOT, start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { RawClient, frame, request } from "../lib/raw_client.js";
import { until, within } from "../lib/wait.js";

// Runs the program to its end: { code, stdout, stderr }.
async function run(args, env = {}) {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("CARILLON_")));
  const child = spawnChild(process.env.CARILLON_GATEWAY, args, { env: { ...clean, ...env } });
  const output = { stdout: "", stderr: "" };

  child.stdout.on("data", (data) => (output.stdout += data));
  child.stderr.on("data", (data) => (output.stderr += data));
  const code = await within(new Promise((resolve) => child.once("close", resolve)), "the program to end");
  return { code, ...output };
}

describe("the command line", () => {
  it("--help lists every option with its default, on stdout", async () => {
    const { code, stdout, stderr } = await run(["--help"]);
    assert.equal(code, 0);
    assert.equal(stderr, "");
    for (const option of ["--listen", "--bus", "--max-message-size", "--send-queue-limit", "--drain-time", "--config"]) {
      assert.ok(stdout.includes(option), option);
    }
    assert.match(stdout, /\[0\.0\.0\.0:8000\] \(restart\)/);
    assert.match(stdout, /\[info\]\n/);
    assert.match(stdout, /SIGHUP .* \(restart\)/);
    assert.match(stdout, /In a section \[namespace NAME\][^]*\n {2}history-size = N \[0\]\n/);
    for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
  });

  it("--version prints name and version", async () => {
    const { code, stdout } = await run(["--version"]);
    assert.equal(code, 0);
    assert.match(stdout, /^carillon-gateway \d+\.\d+\.\d+\n$/);
  });

  const refused = (name, args, message, env) =>
    it(`${name} ends the start with one line and exit code 2`, async () => {
      const { code, stderr } = await run(args, env);
      assert.equal(code, 2);
      assert.match(stderr, message);
      assert.equal(stderr.trimEnd().split("\n").length, 1);
    });

  refused("an unknown option", ["--max-conections", "5"], /--max-conections: unknown option; did you mean max-connections/);
  refused("a bad value", ["--max-message-size", "big"], /--max-message-size: "big" is not a size/);
  refused("a bad variable", [], /CARILLON_THREADS: "x" is not a whole number/, { CARILLON_THREADS: "x" });
  refused("a bad bus", ["--bus", "kafka://x"], /--bus: expected local, redis/);
  refused("a bad Redis URL, without its password,", ["--bus", "redis://:secret@host:port"], /^(?!.*secret).*--bus/);
  refused("a bad address", ["--listen", "nowhere"], /--listen: expected/);
  refused("a web root that is not there", ["--web-root", "/nonexistent"], /--web-root: cannot read \/nonexistent/);
  refused("limits that do not fit together", ["--send-queue-limit", "4K"], /--send-queue-limit: must be at least 128K plus twice --max-message-size/);

  it("--check-config tells everything that is wrong, a line each, and starts nothing", async () => {
    const args = ["--listen", "nowhere", "--bus", "redis://", "--web-root", "/nonexistent", "--max-channels", "many"];
    const { code, stdout, stderr } = await run(["--check-config", ...args], { CARILLON_LOBY: "x" });

    assert.equal(code, 2);
    assert.equal(stdout, "");
    const told = stderr.trimEnd().split("\n");
    assert.deepEqual(
      told.map((line) => line.match(/^carillon-gateway: (\S+?):/)[1]).sort(),
      ["--bus", "--listen", "--max-channels", "--web-root", "CARILLON_LOBY"],
    );
  });

  it("--check-config tells what is wrong in sections of the config file, too", async () => {
    const directory = await temporaryDirectory("config");
    const config = join(directory, "gateway.conf");
    const sections = ["[namespace chat]", "presense = on", "force-recovery = on", "[namespace chat]", "[room hall]"];

    await writeFile(config, sections.join("\n"));
    const { code, stderr } = await run(["--check-config", "--config", config]);
    assert.equal(code, 2);
    const told = stderr.replaceAll(`${config}:`, "").trimEnd().split("\n");
    assert.deepEqual(
      told.map((line) => line.replace("carillon-gateway: ", "")),
      [
        "2: presense: unknown option; did you mean presence? (--help lists all)",
        "4: [namespace chat]: the section began in line 1 already",
        "5: [room hall]: unknown section; expected [namespace NAME]",
        "[namespace chat] force-recovery: needs a history-size above 0",
      ],
    );
    await removeDirectory(directory);
  });

  it("--check-config says nothing of what is right, though the port is taken and the bus away", async () => {
    const gateway = await start();
    const bus = ["--bus", "redis://127.0.0.1:1"];
    const good = await run(["--check-config", "--listen", `127.0.0.1:${gateway.port}`, ...bus, "--web-root", ""]);

    assert.deepEqual(good, { code: 0, stdout: "", stderr: "" });
    await gateway.stop();
  });

  it("a port that is taken ends the start with exit code 1", async () => {
    const taken = net.createServer();
    await new Promise((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address();
    const { code, stderr } = await run(["--listen", `127.0.0.1:${port}`, "--admin-listen", "off"]);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`cannot listen.*--listen.*127.0.0.1:${port}.*address already in use`));
    await new Promise((resolve) => taken.close(resolve));
  });

  it("an admin port that is taken ends the start before anybody is let in", async () => {
    const taken = net.createServer();
    await new Promise((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address();
    const { code, stderr } = await run(["--listen", "127.0.0.1:0", "--admin-listen", `127.0.0.1:${port}`]);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`cannot listen.*--admin-listen.*127.0.0.1:${port}.*address already in use`));
    assert.doesNotMatch(stderr, /role=public|Sanitizer/);
    await new Promise((resolve) => taken.close(resolve));
  });

  it("says at start when the built-in page is missing, and only then", async () => {
    const { stdout } = await run(["--help"]);
    const [, builtIn] = stdout.match(/--web-root [^[]*\[([^\]]+)\]/);
    const said = async (webRoot) => {
      const gateway = await start({ webRoot });
      await gateway.stop();
      return gateway.log.match(/event="no page, the web root is missing" web_root=(\S+)/)?.[1];
    };

    assert.equal(await said(builtIn), existsSync(builtIn) ? undefined : builtIn);
    assert.equal(await said(""), undefined);
    assert.equal(await said(WEB_ROOT), undefined);
  });

  it("two gateways cannot share a port", async () => {
    const gateway = await start();
    const { code } = await run(["--listen", `127.0.0.1:${gateway.port}`, "--admin-listen", "off"]);
    assert.equal(code, 1);
    await gateway.stop();
  });

});

onEachBus(BUSES, (Bus) => {
  const launch = gatewaysOn(Bus);

  describe("SIGTERM", () => {
    for (const threads of [1, 2]) {
      it(`turns /ready red, refuses newcomers, and sends everybody away with 1001 (--threads ${threads})`, async () => {
        const gateway = await launch({ args: ["--drain-time", "2s", "--threads", `${threads}`] });
        const people = await openClients(gateway, 20);
        const lines = await Promise.all([RawClient.connect(gateway), RawClient.connect(gateway)]);

        process.kill(gateway.pid, "SIGTERM");
        await gateway.waitForLog(/event="?draining"?/);
        const ready = await fetch(`http://127.0.0.1:${gateway.adminPort}/ready`);
        assert.equal(ready.status, 503);
        assert.equal((await fetch(`http://127.0.0.1:${gateway.adminPort}/health`)).status, 200);
        await assert.rejects(Client.open(gateway), "newcomers are refused");
        const ends = await Promise.all(people.map((person) => person.closed));
        assert.deepEqual(new Set(ends.map(({ code }) => code)), new Set([1001]));
        assert.equal((await gateway.exited()).code, 0);
        for (const line of lines) line.destroy();
      });
    }

    it("spreads the closes over --drain-time", async () => {
      const gateway = await launch({ args: ["--drain-time", "2s", "--threads", "2"] });
      const people = await openClients(gateway, 200);
      const slots = new Map(); // how many closes came in each tenth of a second

      for (const person of people) {
        person.closed.then(() => {
          const slot = Math.floor(Date.now() / 100);
          slots.set(slot, (slots.get(slot) ?? 0) + 1);
        });
      }
      process.kill(gateway.pid, "SIGTERM");
      for (const { code } of await Promise.all(people.map((person) => person.closed))) assert.equal(code, 1001);
      const counts = [...slots.values()];
      assert.ok(counts.length >= 5, `the closes came in groups of ${counts}`);
      assert.ok(Math.max(...counts) <= people.length / 2, `the closes came in groups of ${counts}`);
      assert.equal((await gateway.exited()).code, 0);
    });

    it("delivers first what was accepted", async () => {
      const gateway = await launch({ args: ["--message-rate", "0", "--drain-time", "0"] });
      const [listener, speaker] = await Promise.all([RawClient.upgrade(gateway), RawClient.upgrade(gateway)]);
      const count = 500;

      speaker.send(Buffer.concat(Array.from({ length: count }, (_, i) => frame({ payload: `last words ${i}` }))));
      await until(async () => (await metric(gateway, "carillon_messages_received_total")) === count, "them to arrive");
      process.kill(gateway.pid, "SIGTERM");
      for (let i = 0; i < count; i++) assert.equal((await listener.message()).toString(), `last words ${i}`);
      assert.equal(await listener.closeCode(), 1001);
      speaker.socket.end();
      await gateway.exited();
      speaker.destroy();
    });

    it("twice ends the process at once", async () => {
      const gateway = await launch({ args: ["--drain-time", "1h"] });
      const person = await Client.open(gateway);

      process.kill(gateway.pid, "SIGTERM");
      await gateway.waitForLog(/event="?draining"?/);
      process.kill(gateway.pid, "SIGTERM");
      assert.equal((await gateway.exited()).code, 1);
      assert.equal((await person.closed).code, 1006);
    });

    it("does not wait for ever for a client that does not answer its close", async () => {
      const gateway = await launch({ args: ["--close-timeout", "300ms"] });
      const deaf = await RawClient.upgrade(gateway);

      await gateway.stop();
      deaf.destroy();
    });
  });

  describe("SIGHUP", () => {
    // A gateway with this config file; `act` is given it and a function that rewrites the file, sends SIGHUP and
    // waits for a part of the log.
    async function reconfigured(text, act) {
      const directory = await temporaryDirectory("reload");
      const config = join(directory, "gateway.conf");
      await writeFile(config, text);
      const gateway = await launch({ args: ["--config", config] });
      const reload = async (changed, pattern = /event="reloaded"/) => {
        const after = gateway.log.length;
        await writeFile(config, changed);
        process.kill(gateway.pid, "SIGHUP");
        await gateway.waitForLog(pattern, { after });
      };

      await act(gateway, reload);
      await gateway.stop();
      await removeDirectory(directory);
    }

    it("reloads limits and the page, and keeps everybody", async () => {
      const directory = await temporaryDirectory("reload");
      const config = join(directory, "gateway.conf");
      await writeFile(config, "message-rate = 1\nmessage-burst = 1\n");
      await writeFile(join(directory, "index.html"), "old");
      const gateway = await launch({ webRoot: directory, args: ["--config", config] });
      const [one, two] = await openClients(gateway, 2);
      const page = async () => (await fetch(gateway.url)).text();

      assert.equal(await page(), "old");
      await writeFile(config, "message-rate = 0\n");
      await writeFile(join(directory, "index.html"), "new");
      process.kill(gateway.pid, "SIGHUP");
      await gateway.waitForLog(/event="?reloaded"?/);
      await until(async () => (await page()) === "new", "the new page");
      one.send("ding", "dong", "bell");
      await two.received(3);

      await writeFile(config, "message-rate = none\n");
      process.kill(gateway.pid, "SIGHUP");
      await gateway.waitForLog(/event="reload refused, the old settings stay" error=.*gateway\.conf:1: message-rate/);
      one.send("ding", "dong", "bell");
      await two.received(6);
      closeClients([one, two]);
      await gateway.stop();
      await removeDirectory(directory);
    });

    it("reloads the limit on connections and the log, for everybody", () =>
      reconfigured("max-connections = 3\n", async (gateway, reload) => {
        const clients = await openClients(gateway, 3);
        assert.equal(await Client.refusal(gateway), 503);
        await reload("max-connections = 5\nlog-level = debug\nlog-format = json\n", /"event":"reloaded"/);
        clients.push(...(await openClients(gateway, 2)));
        assert.equal(await Client.refusal(gateway), 503);
        await clients[0].close();
        await gateway.waitForLog(/"level":"debug"/);
        closeClients(clients);
      }));

    it("reloads sections, with a history-size of their own", () =>
      reconfigured("[namespace chat]\nhistory-size = 5\n", async (gateway, reload) => {
        const before = gateway.log.length;

        await reload("[namespace chat]\nhistory-size = 7\n[namespace news]\n");
        assert.doesNotMatch(gateway.log.slice(before), /take a restart/);
        await reload("[namespace chat]\nhistory-siz = 7\n", /event="reload refused, .*:2: history-siz: unknown option/);
      }));

    it("names what takes a restart, each time, and applies the rest", () =>
      reconfigured("max-message-size = 1K\n", async (gateway, reload) => {
        const warning = /event="options that were changed take a restart" options="threads, history-size"/;
        const [one, two] = await openClients(gateway, 2);

        for (let round = 0; round < 2; round++) {
          await reload("threads = 7\nhistory-size = 7\nmax-message-size = 2K\n", warning);
        }
        one.send("x".repeat(2048)); // what takes none is applied all the same
        await two.received(1);
        const before = gateway.log.length;
        await reload("max-message-size = 1K\n");
        assert.doesNotMatch(gateway.log.slice(before), /take a restart/);
        closeClients([one, two]);
      }));
  });

  describe("metrics and log", () => {
    it("count what happened", async () => {
      const gateway = await launch({ args: ["--threads", "2"] });
      const people = await openClients(gateway, 3);

      people[0].send("hello", "again");
      await Promise.all(people.map((person) => person.received(2)));
      assert.equal(await metric(gateway, "carillon_websockets"), 3);
      assert.equal(await metric(gateway, "carillon_handshakes_total"), 3);
      assert.equal(await metric(gateway, "carillon_messages_received_total"), 2);
      assert.equal(await metric(gateway, "carillon_deliveries_total"), 6);
      await until(async () => (await metric(gateway, "carillon_bus_up")) === 1, "the bus to be up");
      assert.ok((await metric(gateway, "carillon_sent_bytes_total")) >= 3 * 12);
      assert.ok((await metric(gateway, "carillon_loop_lag_seconds_count")) > 0);
      await people[0].close();
      people[1].destroy();
      await until(async () => (await metric(gateway, "carillon_websockets")) === 1, "two to be gone");
      assert.equal(await metric(gateway, 'carillon_closes_total{code="1000"}'), 1);
      assert.equal(await metric(gateway, 'carillon_closes_total{code="1006"}'), 1);
      people[2].destroy();
      await gateway.stop();
    });

    it("name the address of a client that did wrong, and no more than one a second", async () => {
      const gateway = await launch({ args: ["--threads", "2"] });
      const misbehave = async () => {
        const raw = await RawClient.connect(gateway, { localAddress: "127.0.0.3" });
        const { localPort } = raw.socket;
        raw.send(request());
        assert.equal((await raw.response()).status, 101);
        raw.send(frame({ mask: false }));
        assert.equal(await raw.closeCode(), 1002);
        raw.destroy();
        return localPort;
      };
      const line = /level=info event="closing" connection=\d+ address=(\S+) code=1002 reason="the frame is not masked" left_out=(\d+)/;

      const port = await misbehave();
      const [, address] = await gateway.waitForLog(line);
      assert.equal(address, `127.0.0.3:${port}`);

      // Those that the log has no line of are counted in the next one.
      let count = 1;
      await until(async () => {
        await misbehave();
        count++;
        const leftOut = gateway.log.split("\n").flatMap((text) => line.exec(text)?.[2] ?? []).map(Number);
        return leftOut.at(-1) > 0 && leftOut.reduce((sum, more) => sum + more, leftOut.length) === count;
      }, "all to be told or counted");
      await gateway.stop();
    });

    it("of a client that goes of its own will are for those who debug", async () => {
      const gateway = await launch({ args: ["--log-level", "debug"] });
      const person = await Client.open(gateway, { localAddress: "127.0.0.4" });

      await person.close();
      await gateway.waitForLog(/level=debug event="connection ended" connection=\d+ address=127\.0\.0\.4:\d+ reason="closed by the peer"/);
      await gateway.stop();
      assert.doesNotMatch(gateway.log, /event="closing"/);
    });

    it("one event is one line, in logfmt or JSON, without what people say", async () => {
      const gateway = await launch({ args: ["--log-format", "json", "--log-level", "debug"] });
      const person = await Client.open(gateway);

      person.send("between you and me");
      await person.received(1);
      await person.close();
      await gateway.stop();
      for (const line of gateway.log.trimEnd().split("\n")) {
        const event = JSON.parse(line);
        assert.ok(event.time && event.level && event.event, line);
      }
      assert.doesNotMatch(gateway.log, /between you and me/);
    });
  });
});

describe("lines about connections", () => {
  it("name connection and address of everything that befalls one, and no token that somebody sent", async () => {
    const options = ["--log-level", "debug", "--threads", "1", "--ping-interval", "1s", "--pong-timeout", "1s"];
    const limits = ["--max-connections", "4", "--allow-origin", "https://a.example", "--handshake-timeout", "1s"];
    const gateway = await start({ args: [...options, ...limits] });
    const said = (pattern) => gateway.waitForLog(pattern);
    const path = "/ws?token=secret";

    const deaf = await RawClient.connect(gateway);
    deaf.send(request({ path })); // and answers no ping
    await deaf.response();
    await said(/level=debug event="connection opened" connection=\d+ address=127\.0\.0\.1:\d+$/m);
    await said(/event="connection ended" connection=\d+ address=127\.0\.0\.1:\d+ reason="no answer to a ping"/);

    const foreign = await RawClient.connect(gateway);
    foreign.send(request({ path, headers: { Origin: "https://b.example", Authorization: "Bearer secret" } }));
    assert.equal((await foreign.response()).status, 403);
    await said(/level=info event="refused" connection=\d+ address=127\.0\.0\.1:\d+ status=403 reason="this page's origin/);

    const slow = await RawClient.connect(gateway);
    slow.send("GET /ws?token=secret HTTP/1.1\r\n");
    await said(/event="connection ended" connection=\d+ address=127\.0\.0\.1:\d+ reason="the request took too long/);

    for (const client of [deaf, foreign, slow]) client.destroy();
    await until(async () => (await metric(gateway, "carillon_connections")) === 0, "them to be gone");
    const crowd = await openClients(gateway, 4);
    await until(async () => {
      assert.equal(await Client.refusal(gateway), 503);
      return /event="refused" connection=\d+ address=127\.0\.0\.1:\d+ status=503 reason="this gateway takes no more/.test(gateway.log);
    }, "a line on those who are refused");

    const lines = gateway.log.split("\n").filter((line) => / (opened|ended|refused|closing)"/.test(line));
    assert.ok(lines.length >= 8);
    for (const line of lines) assert.match(line, /connection=\d+ address=\S+/);
    assert.doesNotMatch(gateway.log, /secret|token/);
    closeClients(crowd);
    await gateway.stop();
  });
});
