// `--health`, for supervisors that can only run a command.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { removeDirectory, temporaryDirectory } from "../lib/directory.js";
import { start } from "../lib/gateway.js";
import { freePort } from "../lib/port.js";
import { runToEnd } from "../lib/program.js";
import { Router } from "../lib/router.js";

const ask = (...args) => runToEnd([process.env.CARILLON_GATEWAY, "--health", ...args]);

// A server that answers each connection with `text` and ends it, or holds it in silence.
async function answering(test, text) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    if (text !== undefined) socket.once("data", () => socket.end(text));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  test.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${server.address().port}`;
}

describe("carillon-gateway --health", () => {
  let gateway;
  before(async () => {
    gateway = await start({ args: ["--bus", `redis://127.0.0.1:${await freePort()}`] });
  });
  after(() => gateway.stop());

  it("says nothing and exits with 0 while the gateway is alive, its bus being away or not", async () => {
    const { code, stdout, stderr } = await ask("--admin-listen", `127.0.0.1:${gateway.adminPort}`);

    assert.equal((await fetch(`http://127.0.0.1:${gateway.adminPort}/ready`)).status, 503);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: "", stderr: "" });
  });

  it("finds a gateway that listens on every address", async () => {
    assert.equal((await ask("--admin-listen", `0.0.0.0:${gateway.adminPort}`)).code, 0);
  });

  it("goes by environment and config file, as the gateway does", async (test) => {
    const directory = await temporaryDirectory("health");
    test.after(() => removeDirectory(directory));
    const file = join(directory, "gateway.conf");
    const address = `127.0.0.1:${gateway.adminPort}`;
    const command = [process.env.CARILLON_GATEWAY, "--health"];

    await writeFile(file, `admin-listen = ${address}\nweb-root = /nonexistent\n`);
    assert.equal((await runToEnd(command, { CARILLON_ADMIN_LISTEN: address })).code, 0);
    assert.equal((await ask("--config", file)).code, 0);
  });

  it("exits with 1 and one line where nobody listens", async () => {
    const { code, stderr } = await ask("--admin-listen", `127.0.0.1:${await freePort()}`);

    assert.equal(code, 1);
    assert.match(stderr, /^carillon-gateway: --health: 127\.0\.0\.1:\d+: connection refused\n$/);
  });

  for (const [answer, text, message] of [
    ["an answer other than 200", "HTTP/1.1 503 Service Unavailable\r\n\r\n", /answered with 503\n$/],
    ["an answer that is no HTTP", "220 mail.example.org ESMTP\r\n", /the answer is not HTTP\n$/],
    ["an answer that ends too early", "HTTP/1.1", /the answer is not HTTP\n$/],
    ["no answer", undefined, /connection timed out\n$/],
  ]) {
    it(`exits with 1 after ${answer}`, async (test) => {
      const { code, stderr } = await ask("--admin-listen", await answering(test, text));

      assert.equal(code, 1);
      assert.match(stderr, message);
    });
  }

  it("exits with 2 where there is nothing to ask, or an option is wrong", async () => {
    const off = await ask("--admin-listen", "off");
    assert.equal(off.code, 2);
    assert.match(off.stderr, /there is no admin listener to ask/);

    const wrong = await ask("--admin-lissen", "off");
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /--admin-lissen: unknown option; did you mean admin-listen/);
  });
});

describe("carillon-router --health", () => {
  const askRouter = (port) => runToEnd([process.env.CARILLON_ROUTER, "--admin-listen", `127.0.0.1:${port}`, "--health"]);

  it("exits with 0 while the router is alive, else with 1", async () => {
    const router = await Router.start();

    assert.equal((await askRouter(router.adminPort)).code, 0);
    await router.stop();
    const { code, stderr } = await askRouter(router.adminPort);
    assert.equal(code, 1);
    assert.match(stderr, /^carillon-router: --health: .*connection refused\n$/);
  });
});
