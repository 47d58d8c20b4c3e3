// The Debian package in a Debian that has nothing else. Takes root, debootstrap, and a minute.

import assert from "node:assert/strict";
import { appendFile, copyFile, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { after, before, describe, it } from "node:test";

import { Client } from "../lib/client.js";
import { start } from "../lib/gateway.js";
import { buildPackage, run, succeed, temporaryDirectory } from "./package.js";

const QUIET = { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" } };

describe("the Debian package in a fresh Debian", () => {
  let directory, root, file;
  const inside = (path) => join(root, path);
  const chroot = (...command) => succeed("chroot", [root, ...command], QUIET);
  // A program of the package as its unit starts it: as the package's user.
  const asUser = (program) => ["chroot", "--userspec=carillon:carillon", root, `/usr/bin/${program}`];
  before(async () => {
    directory = await temporaryDirectory();
    root = join(directory.path, "root");
    const suite = (await readFile("/etc/os-release", "utf8")).match(/^VERSION_CODENAME=(\w+)$/m)[1];
    await succeed("debootstrap", ["--variant=minbase", suite, root]);
    file = await buildPackage(directory.path);
    await copyFile(file, inside(basename(file)));
    await chroot("apt-get", "install", "-y", "-q", "--no-install-recommends", `./${basename(file)}`);
  });
  after(() => directory.remove());

  it("brings a system user, and a configuration that only root and that user can read", async () => {
    const [, , uid, gid, , , shell] = (await chroot("getent", "passwd", "carillon")).trim().split(":");
    const configuration = await stat(inside("etc/carillon"));

    assert.ok(Number(uid) < 1000);
    assert.match(shell, /nologin$/);
    assert.deepEqual([configuration.uid, configuration.gid, configuration.mode & 0o777], [0, Number(gid), 0o750]);
    assert.notEqual((await run("chroot", ["--userspec=nobody", root, "cat", "/etc/carillon/gateway.conf"])).code, 0);
  });

  it("brings a gateway that its user can run, and the page", async () => {
    const gateway = await start({
      binary: asUser("carillon-gateway"),
      webRoot: "/usr/share/carillon/web",
      args: ["--config", "/etc/carillon/gateway.conf"],
    });
    const ada = await Client.open(gateway);

    assert.match(await (await fetch(gateway.url)).text(), /<html/);
    ada.send("hello");
    await ada.received(1);
    ada.destroy();
    await gateway.stop();
  });

  it("keeps a changed configuration over an upgrade", async () => {
    await appendFile(inside("etc/carillon/gateway.conf"), "lobby = hall\n");
    await chroot("dpkg", "-i", `/${basename(file)}`);
    assert.match(await readFile(inside("etc/carillon/gateway.conf"), "utf8"), /^lobby = hall$/m);
  });

  it("leaves the configuration when removed, and nothing when purged", async () => {
    await chroot("dpkg", "--remove", "carillon");
    await assert.rejects(stat(inside("usr/bin/carillon-gateway")), { code: "ENOENT" });
    await assert.rejects(stat(inside("usr/share/carillon")), { code: "ENOENT" });
    await stat(inside("etc/carillon/gateway.conf"));

    await chroot("dpkg", "--purge", "carillon");
    await assert.rejects(stat(inside("etc/carillon")), { code: "ENOENT" });
  });
});
