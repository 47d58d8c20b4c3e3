// What operators find on the admin port: the console's page, /state, /log; and that nobody else finds it.

import assert from "node:assert/strict";
import http from "node:http";
import { after, before, describe, it } from "node:test";

import { Client, closeClients, openClients } from "../lib/client.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { RawClient } from "../lib/raw_client.js";
import { Router } from "../lib/router.js";
import { until } from "../lib/wait.js";

const FILES = ["/", "/console.js", "/console.css", "/tiles.js", "/panels.js", "/parse.js", "/icon.svg"];

const ask = ({ adminPort }, path, options) => fetch(`http://127.0.0.1:${adminPort}${path}`, options);
const stateOf = async (gateway) => (await ask(gateway, "/state")).json();

// Of the answer to who asks this machine for another host.
function statusFor({ adminPort: port }, path, host) {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: "127.0.0.1", port, path, headers: { host } });
    request.once("response", (response) => resolve(response.resume().statusCode));
    request.once("error", reject);
  });
}

// Until a survey has seen what `condition` wants.
async function stateWhere(gateway, condition) {
  let state;
  await until(async () => {
    state = await stateOf(gateway);
    return condition(state);
  }, () => `a state in ${JSON.stringify(state)}`);
  return state;
}

describe("the console", () => {
  const programs = {};

  before(async () => {
    programs.router = await Router.start();
    programs.gateway = await start({ args: ["--bus", programs.router.url] });
  });
  after(async () => {
    await programs.gateway?.stop();
    await programs.router?.stop();
  });

  for (const name of ["gateway", "router"]) {
    it(`of a ${name} is a page that loads nothing from elsewhere and that nobody frames`, async () => {
      for (const path of FILES) {
        const response = await ask(programs[name], path);
        const body = await response.text();
        const policy = response.headers.get("content-security-policy");

        assert.equal(response.status, 200, path);
        assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';.*frame-ancestors 'none'$/);
        assert.equal(response.headers.get("x-content-type-options"), "nosniff");
        assert.equal(response.headers.get("cache-control"), "no-store");
        assert.doesNotMatch(body.replaceAll("http://www.w3.org/2000/svg", ""), /https?:\/\//, path);
        assert.doesNotMatch(body, /innerHTML|<script>|style="/, path);
      }
      assert.match((await ask(programs[name], "/")).headers.get("content-type"), /^text\/html/);
      assert.match((await ask(programs[name], "/console.js")).headers.get("content-type"), /^text\/javascript/);
    });

    it(`of a ${name} is read only`, async () => {
      for (const path of [...FILES, "/state", "/log"]) {
        for (const method of ["POST", "DELETE"]) {
          const { status, headers } = await ask(programs[name], path, { method });
          assert.deepEqual([status, headers.get("allow")], [405, "GET, HEAD"], `${method} ${path}`);
        }
        const head = await ask(programs[name], path, { method: "HEAD" });
        assert.deepEqual([head.status, await head.text()], [200, ""], path);
      }
    });

    it(`of a ${name} has the log, and only what is new of it for those who say what they have`, async () => {
      const lines = async (query) => (await (await ask(programs[name], `/log${query}`)).text()).split("\n").slice(0, -1);
      const all = await lines("");
      const last = Number(all.at(-1).split(" ")[0]);

      assert.ok(all.some((line) => /^\d+ time=\S+ level=info event="listening" role=admin address=/.test(line)));
      assert.deepEqual(all.map((line) => Number(line.split(" ")[0])), all.map((_, i) => last - all.length + 1 + i));
      // More may have been written meanwhile, but nothing old comes again.
      assert.equal((await lines(`?after=${last - 1}`))[0], all.at(-1));
      assert.ok((await lines(`?after=${last}`)).every((line) => Number(line.split(" ")[0]) > last));
      for (const query of ["?after=", "?after=x", "?after=%zz", "?after=-0", `?after=${"9".repeat(22)}x`]) {
        assert.ok(Array.isArray(await lines(query)), query);
      }
    });
  }

  for (const name of ["gateway", "router"]) {
    it(`of a ${name} is for nobody who has a name of his own point to this machine`, async () => {
      const { adminPort: port } = programs[name];
      const status = (path, host) => statusFor(programs[name], path, host);
      for (const path of ["/", "/log", "/state", "/metrics", "/ready"]) {
        for (const host of ["evil.example", `evil.example:${port}`, `127.0.0.1.evil.example:${port}`]) {
          assert.equal(await status(path, host), 421, `${path} ${host}`);
        }
        for (const host of [`localhost:${port}`, `[::1]:${port}`, "gateway-1"]) {
          assert.equal(await status(path, host), 200, `${path} ${host}`);
        }
      }
    });
  }

  it("on another address than this machine's own has any name, as Prometheus asks for it", async () => {
    const gateway = await start({ args: ["--admin-listen", "0.0.0.0:0"] });
    assert.equal(await statusFor(gateway, "/metrics", `gateway.example:${gateway.adminPort}`), 200);
    await gateway.stop();
  });

  it("is not on the port of clients", async () => {
    for (const path of ["/console.js", "/panels.js", "/state", "/log", "/metrics"]) {
      assert.equal((await fetch(`${programs.gateway.url}${path}`)).status, 404, path);
    }
  });
});

describe("/log", () => {
  it("keeps the newest lines of very many, in JSON where the log is", async () => {
    const gateway = await start({ args: ["--log-level", "debug", "--log-format", "json"] });

    for (let i = 0; i < 230; i++) await (await Client.open(gateway)).close();
    await until(async () => (await metric(gateway, "carillon_connections")) === 0, "all to be gone");
    const lines = (await (await ask(gateway, "/log")).text()).trimEnd().split("\n");
    assert.equal(lines.length, 200);
    for (const line of lines) assert.ok(JSON.parse(line.slice(line.indexOf(" "))).event, line);
    assert.ok(gateway.log.includes(lines.at(-1).slice(lines.at(-1).indexOf(" ") + 1)), "the log says the same");
    await gateway.stop();
  });
});

describe("/state", () => {
  it("says what kind of gateway this is, and how it is", async () => {
    const router = await Router.start();
    const gateway = await start({ args: ["--bus", router.url, "--threads", "3"] });
    const state = await stateWhere(gateway, ({ bus }) => bus.up);

    assert.deepEqual(
      [state.program, state.bus, state.draining, state.threads, state.channel_count, state.channels, state.slow],
      ["gateway", { kind: "router", up: true }, false, 3, 0, [], []],
    );
    assert.match(state.version, /^\d+\.\d+\.\d+$/);
    assert.equal(state.started, await metric(gateway, "carillon_start_time_seconds"));
    await router.kill();
    await stateWhere(gateway, ({ bus }) => !bus.up);
    await gateway.stop();
    await router.stop();
  });

  it("has the largest channels of all threads, whatever they are called", async () => {
    const gateway = await start({ args: ["--threads", "3"] });
    const names = ["lobby", "<b>&\"'\\", "ünï#codé 🔔"];
    const people = [];

    for (const [i, name] of names.entries()) {
      people.push(...(await openClients(gateway, 30 - 10 * i, { channel: name })));
    }
    const { channels, channel_count: count } = await stateWhere(gateway, (state) => state.channels.length === 3);
    assert.deepEqual(channels, names.map((channel, i) => ({ channel, subscribers: 30 - 10 * i })));
    assert.equal(count, 3);
    closeClients(people);
    await stateWhere(gateway, (state) => state.channels.length === 0 && state.channel_count === 0);
    await gateway.stop();
  });

  it("has fifty of more, the largest first, and says how many there are", async () => {
    const gateway = await start({ args: ["--threads", "2"] });
    const people = [];

    for (let i = 0; i < 120; i++) people.push(...(await openClients(gateway, 1, { channel: `room${i}` })));
    // So many that each thread has several, and not one that is not among its fifty largest.
    people.push(...(await openClients(gateway, 40, { channel: "room119" })));
    const state = await stateWhere(gateway, ({ channels }) => channels[0]?.subscribers === 41);
    assert.equal(state.channels.length, 50);
    assert.equal(state.channels[0].channel, "room119");
    assert.equal(state.channel_count, 120);
    closeClients(people);
    await gateway.stop();
  });

  it("names a client that reads too slowly", async () => {
    const gateway = await start({ args: ["--message-rate", "0", "--threads", "1"] });
    const [speaker] = await openClients(gateway, 1);
    const stopped = await RawClient.upgrade(gateway);
    const { localPort } = stopped.socket;
    let state = { slow: [] };

    stopped.socket.pause();
    await until(async () => {
      for (let i = 0; i < 5; i++) speaker.send("x".repeat(60_000));
      state = await stateOf(gateway);
      return state.slow.some(({ closed }) => closed);
    }, "the slow one to be closed, and told");
    const [slow] = state.slow;
    assert.equal(slow.address, `127.0.0.1:${localPort}`);
    assert.ok(slow.queued_bytes > 512 * 1024);
    assert.match(gateway.log, new RegExp(`connection=${slow.connection} address=${slow.address} code=1013`));
    stopped.destroy();
    closeClients([speaker]);
    await gateway.stop();
  });
});
