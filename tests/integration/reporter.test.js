// What tests/run prints of a test file, for which a file that fails in every way is run here.

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { spawnChild } from "../lib/children.js";
import { removeDirectory, temporaryDirectory } from "../lib/directory.js";
import { endOfLog } from "../lib/program.js";
import { shorten } from "../lib/reporter.js";

const REPORTER = fileURLToPath(new URL("../lib/reporter.js", import.meta.url));

const FILE = `
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
describe("a suite", () => {
  it("passes", () => {});
  it("fails", () => assert.equal(1, 2));
  it("is left out", { skip: "too loud" }, () => {});
  describe("another", () => it("fails, too", () => { throw new Error("for a reason"); }));
});
describe("a suite that passes", () => {
  after(() => { throw new Error("at its end"); });
  it("passes", () => {});
});
describe("a suite that cannot start", () => {
  before(() => { throw new Error("at its start"); });
  it("never runs", () => {});
});
`;

// What a file prints, and the exit code of its run.
async function run(text) {
  const directory = await temporaryDirectory("reporter");
  const { NODE_TEST_CONTEXT, ...env } = process.env; // it would make the run a part of this one
  let output = "";

  await writeFile(join(directory, "some.test.js"), text);
  await writeFile(join(directory, "package.json"), '{ "type": "module" }');
  const child = spawnChild(process.execPath, ["--test", `--test-reporter=${REPORTER}`, "some.test.js"], {
    cwd: directory,
    env,
  });
  child.stdout.on("data", (data) => (output += data));
  const code = await new Promise((resolve) => child.once("close", resolve));
  await removeDirectory(directory);
  return { code, output };
}

describe("the report of a test file", () => {
  let output;
  before(async () => {
    ({ output } = await run(FILE));
  });

  it("names a failed test with its suites, its error and its place", () => {
    assert.match(output, /FAILED: a suite > fails\n(.*\n)*.*1 !== 2\n(.*\n)*.*some\.test\.js:6/);
    assert.match(output, /FAILED: a suite > another > fails, too\n +for a reason\n/);
  });

  it("counts a hook that fails, though all tests of its suite passed", () => {
    assert.match(output, /FAILED: a suite that passes\n +at its end\n/);
  });

  it("only names the tests that a hook kept from running", () => {
    assert.match(output, /CANCELLED: a suite that cannot start > never runs\nFAILED: a suite that cannot start\n +at its start\n/);
  });

  it("says no more than that something runs of what passes", () => {
    const lines = output.split("\n").filter((line) => !line.startsWith("running: "));
    assert.ok(!lines.some((line) => / > passes$/.test(line)));
    assert.ok(!lines.includes("FAILED: a suite"));
  });

  it("says why a test is left out", () => {
    assert.match(output, /SKIPPED: a suite > is left out: too loud\n/);
  });

  it("ends with the counts", () => {
    assert.equal(output.trimEnd().split("\n").at(-1), "2 passed, 5 failed, 1 skipped");
  });

  it("has a file that ends early as a failure", async () => {
    const early = await run("process.exit(3);");
    assert.equal(early.code, 1);
    assert.match(early.output, /FAILED: .*some\.test\.js\n(.*\n)*.*ended with 3\n/);
    assert.match(early.output, /0 passed, 1 failed, 0 skipped\n$/);
  });
});

describe("a long error", () => {
  const lines = (count) => Array.from({ length: count }, (_, i) => `line ${i}`);

  it("is shown by its beginning and its end", () => {
    const shown = shorten(lines(1000).join("\n")).split("\n");
    assert.equal(shown[0], "    line 0");
    assert.ok(shown.includes("    [...]"));
    assert.equal(shown.at(-2), "    line 999");
    assert.ok(shown.length < 100);
  });

  it("is shown with what a sanitizer reported in the middle", () => {
    const text = [...lines(500), "WARNING: ThreadSanitizer: data race", "  in here", ...lines(500)].join("\n");
    assert.match(shorten(text), /\[\.\.\.\]\n +WARNING: ThreadSanitizer: data race\n +in here\n/);
  });

  it("is shown with the whole trace of a sanitizer", () => {
    const stacks = lines(100).map((line) => `  #${line}`);
    const what = "AddressSanitizer: heap-use-after-free";
    const report = [`==1==ERROR: ${what}`, ...stacks, `SUMMARY: ${what}`];
    const log = [...lines(500), ...report, ...lines(30)].join("\n");
    const shown = shorten([...lines(200), endOfLog(log, 40), ...lines(200)].join("\n"));
    for (const line of report) assert.ok(shown.includes(`    ${line}\n`), line);
    assert.equal(endOfLog(log, 40).split("\n")[0], report[0]);
    assert.equal(endOfLog(lines(500).join("\n"), 40).split("\n").length, 40);
    assert.equal(endOfLog("one", 40), "one");
  });
});

describe("a test file that is told to end", () => {
  it("leaves no directory behind", async () => {
    const library = new URL("../lib/directory.js", import.meta.url);
    const text = `
      import { temporaryDirectory } from "${library}";
      console.log(await temporaryDirectory("told"));
      setInterval(() => {}, 1000);
    `;
    const child = spawnChild(process.execPath, ["--input-type=module", "--eval", text]);
    const ended = once(child, "close");
    const [line] = await once(child.stdout.setEncoding("utf8"), "data");
    const directory = line.trim();

    assert.match(directory, /carillon-told-/);
    assert.ok(existsSync(directory));
    child.kill("SIGTERM");
    await ended;
    assert.ok(!existsSync(directory));
  });
});
