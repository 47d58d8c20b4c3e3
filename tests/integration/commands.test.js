// The two commands of the README as a newcomer meets them. deploy/start builds the release preset, if that is not
// built yet, and runs it; the gateway that CARILLON_GATEWAY names has no part in this.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chmod, readFile, readdir, symlink, writeFile } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { spawnChild } from "../lib/children.js";
import { removeDirectory, temporaryDirectory } from "../lib/directory.js";
import { until, within } from "../lib/wait.js";

const TOP = fileURLToPath(new URL("../../", import.meta.url));
const BUILD_DEADLINE_MS = 300_000;

const ANNOUNCEMENT = /The chat page: (http:\/\/\S+)/;

// Runs a command of the top folder: `output` is what it has written so far, `ended` resolves to { code, signal } when
// all who could write there are gone, `says(pattern)` to the match.
class Command {
  output = "";

  constructor(path, args = [], { env = {}, cwd = TOP } = {}) {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("CARILLON_"));
    const environment = { ...Object.fromEntries(inherited), ...env };

    this.child = spawnChild(join(TOP, path), args, { cwd, env: environment, stdio: ["ignore", "pipe", "pipe"] });
    this.ended = new Promise((resolve) => {
      this.child.once("close", (code, signal) => resolve({ code, signal }));
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        this.output += text;
        this.child.emit("output");
      });
    }
  }

  says(pattern) {
    const said = new Promise((resolve, reject) => {
      const look = () => pattern.test(this.output) && resolve(this.output.match(pattern));
      this.child.on("output", look);
      this.ended.then(() => reject(new Error(`ended without ${pattern}:\n${this.output}`)));
      look();
    });
    return within(said, () => `${pattern} in:\n${this.output}`, BUILD_DEADLINE_MS);
  }

  kill(signal) {
    this.child.kill(signal);
  }
}

function start(options, settings) {
  return new Command("deploy/start", ["--", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", ...options], settings);
}

describe("deploy/start", () => {
  let directory;
  before(async () => {
    directory = await temporaryDirectory("commands");
  });
  after(() => removeDirectory(directory));

  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
    it(`says where the page is, and ends cleanly with the gateway on ${signal}`, async () => {
      const command = start([]);
      const [, page] = await command.says(ANNOUNCEMENT);

      assert.match(await (await fetch(page)).text(), /<title>/);
      command.kill(signal);
      assert.deepEqual(await within(command.ended, "the end"), { code: 0, signal: null });
      assert.match(command.output, /event="stopped"/);
      await assert.rejects(fetch(page));
    });
  }

  it("does not leave the gateway behind when it is killed", async () => {
    const command = start([]);
    const [, page] = await command.says(ANNOUNCEMENT);

    command.kill("SIGKILL");
    await within(command.ended, "the gateway's end");
    assert.match(command.output, /event="stopped"/);
    await assert.rejects(fetch(page));
  });

  it("finds the address where the gateway does: in the config file, which is beside the caller", async () => {
    await writeFile(join(directory, "gateway.conf"), "listen = [::1]:0\nadmin-listen = off\nlog-format = json\n");
    const command = new Command("deploy/start", ["--", "--config", "gateway.conf"], { cwd: directory });
    const [, page] = await command.says(ANNOUNCEMENT);

    assert.match(page, /^http:\/\/\[::1\]:\d+\/$/);
    assert.equal((await fetch(page)).status, 200);
    command.kill("SIGTERM");
    assert.equal((await command.ended).code, 0);
  });

  it("announces nothing when the gateway ends for want of its second port", async () => {
    const taken = net.createServer();
    await new Promise((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const command = start(["--admin-listen", `127.0.0.1:${taken.address().port}`]);

    assert.equal((await command.ended).code, 1);
    assert.match(command.output, /cannot listen.*--admin-listen/);
    assert.doesNotMatch(command.output, ANNOUNCEMENT);
    await new Promise((resolve) => taken.close(resolve));
  });

  it("passes on what the gateway is asked, and how it ended", async () => {
    const help = start(["--help"]);
    assert.equal((await help.ended).code, 0);
    assert.match(help.output, /--max-message-size/);

    const wrong = start(["--lissen", "x"]);
    assert.equal((await wrong.ended).code, 2);
    assert.match(wrong.output, /--lissen: unknown option/);
  });
});

// A machine on which no package is installed, for somebody who is not root: `programs` are scripts that stand before
// those of the system. It goes with the test.
async function poorMachine(test, programs = {}) {
  const directory = await temporaryDirectory("machine");
  test.after(() => removeDirectory(directory));
  const scripts = { "dpkg-query": "exit 1", id: "echo 1000", ...programs };

  for (const name of await readdir("/usr/bin")) {
    if (name !== "sudo" && !(name in scripts)) await symlink(join("/usr/bin", name), join(directory, name));
  }
  for (const [name, script] of Object.entries(scripts)) {
    await writeFile(join(directory, name), `#!/bin/bash\n${script}\n`);
    await chmod(join(directory, name), 0o755);
  }
  return { env: { PATH: directory } };
}

async function runOn(machine, path, args) {
  const command = new Command(path, args, { env: machine.env });
  const { code } = await within(command.ended, "the end");
  return { code, lines: command.output.trimEnd().split("\n") };
}

describe("where packages are missing", () => {
  it("without root and sudo, either command prints the one line to run", async (test) => {
    const machine = await poorMachine(test);
    const line = /^ {2}apt-get update && apt-get install -y --no-install-recommends .*\bcmake\b.*\blibuv1-dev\b/;

    const start = await runOn(machine, "deploy/start");
    assert.equal(start.code, 1);
    assert.equal(start.lines.length, 2);
    assert.match(start.lines[1], line);

    const tests = await runOn(machine, "tests/run", ["unit", "integration", "fuzz"]);
    const toRun = tests.lines.filter((text) => text.includes("apt-get"));
    assert.equal(toRun.length, 1);
    assert.match(toRun[0], line);
    for (const name of ["libcmocka-dev", "redis-server", "clang", /libclang-rt-(\d+-)?dev/]) {
      assert.match(toRun[0], new RegExp(` ${name.source ?? name}( |$)`));
    }
  });

  it("an installation that fails is one failed test, and the tally comes all the same", async (test) => {
    const machine = await poorMachine(test, { sudo: 'echo "E: no such luck" >&2; exit 100' });
    const { code, lines } = await runOn(machine, "tests/run", ["unit"]);

    assert.equal(code, 1);
    assert.ok(lines.includes("E: no such luck"));
    assert.equal(lines.at(-1), "0 passed, 1 failed");
  });
});

describe("tests/run", () => {
  it("ends what it runs when it is told to end", async (test) => {
    const machine = await poorMachine(test, {
      "dpkg-query": 'shift 3; printf "installed %s\\n" "$@"',
      cmake: "exit 0",
      node: 'echo $$ >"$(dirname "$0")/pid"; exec sleep 1h',
    });
    const command = new Command("tests/run", ["integration"], { env: machine.env });
    let pid;

    await until(async () => {
      pid = Number(await readFile(join(machine.env.PATH, "pid"), "utf8").catch(() => 0));
      return pid > 0;
    }, () => `a test to run:\n${command.output}`);
    command.kill("SIGTERM");
    await within(command.ended, "the end");
    await until(() => !existsSync(`/proc/${pid}`), "the test to end");
  });
});
