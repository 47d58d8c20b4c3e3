// 10,000 people on two gateways, of which one is started anew: how many come back in a second, when the last one
// is back, and that nobody has missed anything. README.md has the figures; `tests/run bench restart` runs it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";

import { Redis } from "../lib/redis.js";
import { restartOne } from "../lib/rolling_restart.js";
import { RouterCluster } from "../lib/router.js";

const WANTED = 10_000;
const SPARE_FILES = 500; // in this process and in a gateway that has everybody
const TALK = { talkers: 20, intervalMs: 500 };

const limit = execFileSync("bash", ["-c", "ulimit -Hn"], { encoding: "utf8" }).trim();
const count = limit === "unlimited" ? WANTED : Math.min(WANTED, Number(limit) - SPARE_FILES);

const CASES = [
  { title: "drained over 5 s", args: ["--drain-time", "5s"] },
  { title: "drained over 5 s, --accept-rate 500", args: ["--drain-time", "5s", "--accept-rate", "500"] },
  { title: "killed", isKilled: true },
  { title: "killed, --accept-rate 500", args: ["--accept-rate", "500"], isKilled: true },
];

// The runner shows what a test file writes to stderr.
function show(cells) {
  const [title, ...rest] = cells;
  process.stderr.write(`  ${title.padEnd(38)}${rest.map((cell) => String(cell).padStart(10)).join("")}\n`);
}

for (const Bus of [Redis, RouterCluster]) {
  describe(`one of two gateways with ${count} people on a ${Bus.title}`, () => {
    for (const { title, ...options } of CASES) {
      it(title, async () => {
        const bus = await Bus.start();
        try {
          const { verdict, rush, refusals } = await restartOne({ bus: bus.url, count, ...TALK, ...options });
          const { said, saidTwice, codes, ...rest } = verdict;
          if (title === CASES[0].title) show([Bus.title, "came back", "peak/s", "last, s", "503", "said", "again", "lost"]);
          show([title, rush.count, rush.peak, (rush.lastMs / 1000).toFixed(1), refusals, said, saidTwice, rest.lost]);
          assert.deepEqual(rest, { lost: 0, gaps: 0, disturbed: 0, incomplete: 0 });
          assert.deepEqual(codes, options.isKilled ? [] : [1001]);
        } finally {
          await bus.stop();
        }
      });
    }
  });
}
