// deploy/smoke prepares the images and runs this: the cluster of deploy/compose.yaml, with Redis and with routers.

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { WebSocket } from "ws";

import { launchBrowser, openChat, shows, say as write } from "../browser/support.js";
import { until } from "../lib/wait.js";
import { Cluster, docker, logsOf } from "./compose.js";
import { faultsOf } from "./faults.js";
import { Travellers } from "./travellers.js";

const PEOPLE = 12;
// Beyond the base. Debian's own has 75 MB, and all are to be less than 100; one that debootstrap made is larger.
const IMAGE_LIMIT_BYTES = 25_000_000;
const USER = "65532"; // as the manifests of Kubernetes have it, too

const FORMS = [
  { bus: "redis", files: ["compose.yaml"] },
  { bus: "router", files: ["compose.yaml", "compose.router.yaml"] },
];

const say = (text) => process.stderr.write(`${text}\n`);

function countsOf(list) {
  const counts = new Map();
  for (const item of list) counts.set(item, (counts.get(item) ?? 0) + 1);
  return [...counts];
}

describe("the image", () => {
  const size = async (image) => Number(await docker("image", "inspect", "--format", "{{.Size}}", image));

  it("is small, and has a numeric user that is not root", async () => {
    const added = (await size("carillon")) - (await size("debian:bookworm-slim"));

    assert.match(await docker("image", "inspect", "--format", "{{.Config.User}}", "carillon"), /^[1-9]\d*:[1-9]\d*$/);
    assert.ok(added < IMAGE_LIMIT_BYTES, `${added} bytes`);
    say(`  the image adds ${(added / 1e6).toFixed(1)} MB to its base`);
  });

  for (const program of ["carillon-gateway", "carillon-router"]) {
    it(`runs ${program} on a read-only root and without a privilege, and ends on SIGTERM as process 1`, async (test) => {
      const hardened = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
      const id = await docker("run", "-d", ...hardened, "--network", "none", "--entrypoint", program, "carillon");
      test.after(() => docker("rm", "-f", id));
      const ask = () => docker("exec", id, program, "--health").then(() => true, () => false);

      await until(ask, `${program} to be healthy`);
      assert.equal(await docker("exec", id, "id", "-u"), USER);
      await assert.rejects(docker("exec", id, "touch", "/here"), /Read-only file system/);
      const [, effective] = (await docker("exec", id, "cat", "/proc/1/status")).match(/^CapEff:\s*(\w+)$/m);
      assert.equal(Number(effective), 0);
      await docker("stop", "--time", "30", id);
      assert.equal(await docker("inspect", "--format", "{{.State.ExitCode}}", id), "0", await logsOf(id));
    });
  }
});

for (const { bus, files } of FORMS) {
  describe(`compose with ${bus}`, () => {
    let cluster, people;
    before(async () => {
      cluster = await Cluster.up(files, ["balancer", "gateway", bus, "prometheus"]);
      people = await Travellers.gather(`${cluster.url.replace("http", "ws")}/ws?channel=smoke`, PEOPLE);
    });
    after(async () => {
      people?.dismiss();
      await cluster?.down();
    });

    it("spreads people over three gateways, which are all healthy and in Prometheus", async () => {
      const gateways = await cluster.containers("gateway");
      assert.equal(gateways.length, 3);
      for (const gateway of gateways) await cluster.isHealthy(gateway);

      const query = `${cluster.prometheusUrl}/api/v1/query?query=`;
      const value = async (name) => (await (await fetch(query + encodeURIComponent(name))).json()).data.result;
      await until(async () => (await value('up{job="gateway"} == 1')).length === 3, "three targets to be up", 60_000);
      if (bus === "router") {
        await until(async () => (await value('up{job="router"} == 1')).length === 2, "two routers to be up", 60_000);
      }
      const rules = await (await fetch(`${cluster.prometheusUrl}/api/v1/rules`)).json();
      assert.ok(rules.data.groups.length > 0, "Prometheus has read the alerts");
    });

    it("serves the page through the balancer", async () => {
      const page = await fetch(cluster.url);
      assert.equal(page.status, 200);
      assert.match(await page.text(), /<html/);
    });

    it("knows people by the address that the balancer saw, whatever they say", async () => {
      const claimed = "198.51.100.7";
      const options = { protocolVersion: 8, headers: { "X-Forwarded-For": claimed } }; // is refused, and logged
      const socket = new WebSocket(`${cluster.url.replace("http", "ws")}/ws`, options);
      await assert.rejects(once(socket, "open"), /426|400/);

      const gateways = await cluster.containers("gateway");
      let address;
      const look = async () => {
        const logs = await Promise.all(gateways.map(logsOf));
        return (address = logs.join("\n").match(/event="?refused.* address=(\S+)/)?.[1]);
      };
      await until(look, "the refusal in a log");
      const [balancer] = await cluster.containers("balancer");
      assert.notEqual(address, claimed);
      assert.notEqual(address, await cluster.addressOf(balancer, "front"), "the balancer's own");
    });

    it("carries a chat between two browsers", async (test) => {
      const chromium = [process.env.CARILLON_CHROMIUM, "/usr/bin/chromium"].find((path) => path && existsSync(path));
      if (!chromium) return void test.skip("there is no Chromium here");
      const browser = await launchBrowser();
      test.after(() => browser.close());
      const url = `${cluster.url}/?channel=browser`;
      const ada = await openChat(browser, url, { name: "Ada" });
      const bob = await openChat(browser, url, { name: "Bob" });

      await write(ada, "through the balancer");
      await write(bob, "and back");
      for (const page of [ada, bob]) {
        await shows(page, ["through the balancer", "and back"]);
        assert.deepEqual(page.problems, []);
      }
      const picture = join(tmpdir(), `carillon-smoke-${bus}.png`);
      await ada.screenshot({ path: picture });
      say(`  a picture of the page: ${picture}`);
    });

    it("loses nothing, doubles nothing and keeps one order whatever befalls its parts", async (test) => {
      people.talk();
      await people.progress(20);
      for (const { name, befall } of faultsOf(cluster, bus)) {
        const [acknowledged, closes] = [people.acknowledged, people.closes.length];
        await test.test(name, async () => {
          try {
            await befall(people);
            await people.settle();
            people.check();
          } catch (error) {
            say(await cluster.logs());
            throw error;
          }
          people.talk();
        });
        const codes = countsOf(people.closes.slice(closes));
        const ends = codes.map(([code, count]) => `${count} by ${code}`).join(", ") || "none";
        say(`  ${name}: ${people.acknowledged - acknowledged} messages accounted for; connections ended: ${ends}`);
      }
    });
  });
}
