// The Debian package as it is built, without installing it.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { Client } from "../lib/client.js";
import { start } from "../lib/gateway.js";
import { runToEnd } from "../lib/program.js";
import { Router } from "../lib/router.js";
import { buildPackage, run, succeed, temporaryDirectory } from "./package.js";

// What systemd-analyze calls OK ends at 2.0 of 10; it takes tenths.
const EXPOSURE_LIMIT = "20";

describe("the Debian package", () => {
  let directory, file, root;
  const inside = (path) => join(root, path);
  before(async () => {
    directory = await temporaryDirectory();
    file = await buildPackage(directory.path);
    root = join(directory.path, "root");
    await succeed("dpkg-deb", ["-x", file, root]);
  });
  after(() => directory.remove());

  it("depends on the libraries of both programs, and keeps the configuration that an operator changed", async () => {
    const depends = await succeed("dpkg-deb", ["-f", file, "Depends"]);
    const libraries = ["libuv1", "libhiredis", "libssl3", "libcurl4", "libprotobuf-c1", "libhttp-parser"];
    // An older one is not used.
    const { code } = await runToEnd(["pkg-config", "--atleast-version=2.2", "liburing"]);
    if (code === 0) libraries.push("liburing2");
    for (const name of [...libraries, "passwd"]) {
      assert.ok(depends.includes(name), `${name} in ${depends}`);
    }

    const conffiles = await succeed("dpkg-deb", ["-I", file, "conffiles"]);
    assert.deepEqual(conffiles.trim().split("\n"), ["/etc/carillon/gateway.conf", "/etc/carillon/router.conf"]);
    assert.doesNotMatch(await succeed("file", [inside("usr/bin/carillon-gateway")]), /not stripped/);
  });

  it("has control scripts that a shell understands", async () => {
    const control = join(directory.path, "control");
    await succeed("dpkg-deb", ["-e", file, control]);
    for (const script of ["postinst", "prerm", "postrm"]) await succeed("sh", ["-n", join(control, script)]);
  });

  it("has a gateway that serves its page and a chat, with the configuration as it is shipped", async () => {
    const gateway = await start({
      binary: inside("usr/bin/carillon-gateway"),
      webRoot: inside("usr/share/carillon/web"),
      args: ["--config", inside("etc/carillon/gateway.conf")],
    });
    const page = await fetch(gateway.url);
    const ada = await Client.open(gateway);

    assert.match(await page.text(), /<html/);
    ada.send("hello");
    await ada.received(1);
    assert.deepEqual(ada.messages, ["hello"]);
    ada.destroy();
    await gateway.stop();

    const { stdout } = await runToEnd([inside("usr/bin/carillon-gateway"), "--help"]);
    assert.match(stdout, /\[\/usr\/share\/carillon\/web\]/);
  });

  it("has a router that becomes ready, with the configuration as it is shipped", async () => {
    const router = await Router.start({
      program: inside("usr/bin/carillon-router"),
      args: ["--config", inside("etc/carillon/router.conf")],
    });
    await router.stop();
  });

  for (const program of ["carillon-gateway", "carillon-router"]) {
    it(`has a manual page of ${program} with all that --help lists`, async () => {
      const page = await readFile(inside(`usr/share/man/man8/${program}.8`), "utf8");
      const { stdout } = await runToEnd([inside(`usr/bin/${program}`), "--help"]);
      const options = stdout.match(/^ {2}--\S+/gm).map((text) => text.trim());
      const plain = page.replaceAll("\\-", "-").replaceAll(/\\f[BIR]/g, "");

      assert.ok(options.length > 10);
      for (const option of options) assert.ok(plain.includes(option), `${option} in the manual page`);
    });

    it(`has a unit of ${program} that systemd finds whole and well shut in`, async () => {
      const unit = `${program}.service`;
      const text = await readFile(inside(`usr/lib/systemd/system/${unit}`), "utf8");
      const [, line] = text.match(/^ExecStart=(.*)$/m);

      assert.match(line, new RegExp(`^/usr/bin/${program} --config /etc/carillon/\\w+\\.conf$`));
      // The program is not where the unit says, this machine having it not installed.
      const moved = join(directory.path, unit);
      await writeFile(moved, text.replaceAll("=/usr/bin/carillon", `=${inside("usr/bin/carillon")}`));
      const verified = await run("systemd-analyze", ["verify", "--man=no", moved]);
      assert.deepEqual([verified.code, verified.output.trim()], [0, ""]);

      const limit = `--threshold=${EXPOSURE_LIMIT}`;
      await succeed("systemd-analyze", ["--no-pager", "security", "--offline=true", limit, moved]);
    });
  }
});
