// The configurations of deploy/haproxy, nginx and caddy, each run as it is but for its ports, in front of three gateways.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { WebSocket } from "ws";

import { Client, closeClients, openClients } from "../lib/client.js";
import { assertSameChat } from "../lib/delivery.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { freePort } from "../lib/port.js";
import { Program } from "../lib/program.js";
import { Router } from "../lib/router.js";
import { until } from "../lib/wait.js";
import { TOP, temporaryDirectory } from "./package.js";

const PEOPLE = 12;
const TRUST = ["--trusted-proxy", "127.0.0.1", "--log-level", "debug"];
const PUBLIC_PORT = 8000; // as it stands in the configurations
const GATEWAY_PORTS = [8010, 8020, 8030];

// `files` of deploy/, changed by `adapt`; the command that runs them, given the folder that they are in.
const BALANCERS = [
  {
    name: "haproxy",
    files: ["haproxy/haproxy.cfg", "haproxy/gateways.cfg"],
    command: (folder) => ["haproxy", "-W", "-db", "-f", `${folder}/haproxy.cfg`, "-f", `${folder}/gateways.cfg`],
  },
  {
    name: "nginx",
    files: ["nginx/carillon.conf"],
    async prepare(folder) {
      const scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
      await writeFile(
        `${folder}/nginx.conf`,
        `daemon off; pid ${folder}/nginx.pid; error_log stderr;
         events { }
         http {
             access_log off;
             ${scratch.map((name) => `${name}_temp_path ${folder}/${name};`).join(" ")}
             include ${folder}/carillon.conf;
         }`,
      );
    },
    command: (folder) => ["nginx", "-p", folder, "-e", "stderr", "-c", `${folder}/nginx.conf`],
  },
  {
    name: "caddy",
    files: ["caddy/Caddyfile"],
    adapt: (text) => `{\n\tadmin off\n}\n${text}`,
    command: (folder) => ["caddy", "run", "--config", `${folder}/Caddyfile`, "--adapter", "caddyfile"],
    env: (folder) => ({ HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }),
  },
];

function isInstalled(name) {
  try {
    execFileSync("sh", ["-c", `command -v ${name}`]);
    return true;
  } catch {
    return false;
  }
}

// The ports of the configuration become those of this test, and its listener the loopback's.
function withPorts(text, port, gateways) {
  const ports = new Map([[PUBLIC_PORT, port], ...GATEWAY_PORTS.map((known, i) => [known, gateways[i].port])]);
  return text.replaceAll(/(?<![\d.])(127\.0\.0\.1)?:?\b(8000|80[123]0)\b/g, (all, host, known) =>
    all.replace(known, ports.get(Number(known))),
  );
}

async function startBalancer({ name, files, prepare, adapt, command, env }, gateways) {
  const port = await freePort();
  const folder = await temporaryDirectory();

  for (const file of files) {
    const text = withPorts(await readFile(join(TOP, "deploy", file), "utf8"), port, gateways);
    await writeFile(join(folder.path, file.split("/").at(-1)), adapt ? adapt(text) : text);
  }
  await prepare?.(folder.path);
  const program = new Program(name, command(folder.path), env?.(folder.path));
  const balancer = { port, url: `http://127.0.0.1:${port}`, program, folder };
  await until(
    async () => {
      if (program.hasEnded) throw program.error("ended");
      return (await fetch(`${balancer.url}/ready`).catch(() => null))?.status === 200;
    },
    () => program.error("passes nothing on").message,
  );
  return balancer;
}

for (const kind of BALANCERS) {
  const skip = isInstalled(kind.name) ? false : `${kind.name} is not installed`;

  describe(`behind ${kind.name}`, { skip }, () => {
    let router, gateways, balancer;
    const connections = () =>
      Promise.all(gateways.map(({ adminPort }) => metric({ adminPort }, "carillon_connections").catch(() => 0)));
    const startGateway = (port = 0) =>
      start({ port, args: ["--bus", router.url, "--allow-origin", "same", "--threads", "1", ...TRUST] });
    before(async () => {
      router = await Router.start();
      gateways = await Promise.all([startGateway(), startGateway(), startGateway()]);
      for (const { adminPort } of gateways) {
        await until(async () => (await fetch(`http://127.0.0.1:${adminPort}/ready`)).ok, "a gateway to be ready");
      }
      balancer = await startBalancer(kind, gateways);
    });
    after(async () => {
      balancer?.program.signal("SIGTERM"); // which nginx and HAProxy pass on to their workers
      await balancer?.program.exited();
      await balancer?.folder.remove();
      await Promise.all((gateways ?? []).map((gateway) => gateway.kill()));
      await router?.stop();
    });

    it("there is the page", async () => {
      const page = await fetch(balancer.url);
      assert.equal(page.status, 200);
      assert.match(await page.text(), /<html/);
    });

    it("people are spread over all gateways, and all hear all", async () => {
      let people;
      await until(async () => {
        closeClients(people ?? []);
        people = await openClients(balancer, PEOPLE);
        return (await connections()).every((count) => count > 0);
      }, "people on every gateway");

      people.forEach((person, i) => person.send(`from ${i}`));
      await Promise.all(people.map((person) => person.received(PEOPLE)));
      assertSameChat(people, people.map((_, i) => [`from ${i}`]));
      closeClients(people);
    });

    it("a message of the greatest size passes, whole and binary", async () => {
      const ada = await Client.open(balancer);
      const message = Buffer.alloc(64 * 1024, 7);

      ada.send(message);
      await ada.received(1);
      assert.ok(message.equals(ada.messages[0]));
      ada.destroy();
    });

    it("the gateway sees the host that the page has, so that --allow-origin same holds", async () => {
      const ada = await Client.open(balancer, { origin: balancer.url });
      ada.destroy();
      assert.equal(await Client.refusal(balancer, { origin: "http://elsewhere.example" }), 403);
    });

    it("the gateway that trusts it knows the client's own address, whatever the client says it is", async () => {
      const headers = { "x-forwarded-for": "198.51.100.7" };
      const socket = new WebSocket(`ws://127.0.0.1:${balancer.port}/ws`, { localAddress: "127.0.0.2", headers });
      const logs = () => gateways.map(({ log }) => log).join("");

      await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
      await until(() => /"connection opened" .*address=127\.0\.0\.2\b/.test(logs()), "the address in a log");
      assert.doesNotMatch(logs(), /address=198\.51\.100\.7/);
      socket.close();
    });

    it("a gateway that stops lets its people go with 1001, and they come back to the others", async () => {
      const people = await openClients(balancer, PEOPLE);
      const counts = await connections();
      const busiest = counts.indexOf(Math.max(...counts));

      await gateways[busiest].stop();
      const ends = await Promise.all(people.filter(({ end, isOpen }) => end || !isOpen).map(({ closed }) => closed));
      assert.ok(ends.length > 0);
      assert.deepEqual(new Set(ends.map(({ code }) => code)), new Set([1001]));
      closeClients(await openClients(balancer, PEOPLE)); // nobody is refused
      closeClients(people);
      gateways[busiest] = await startGateway(gateways[busiest].port);
    });

    it("a gateway that dies is replaced by another one before anybody is refused", async () => {
      await gateways[0].kill();
      closeClients(await openClients(balancer, PEOPLE));
    });
  });
}
