// Random schedules of faults. CHAOS_SEED is the first seed, CHAOS_COUNT how many there are; one schedule is run
// again with its seed and a count of 1.

import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { CHANNELS, Crowd } from "./crowd.js";
import { describe as text, scheduleOf } from "./schedule.js";
import { Stage } from "./stage.js";

const FIRST = Number(process.env.CHAOS_SEED ?? 1);
const COUNT = Number(process.env.CHAOS_COUNT ?? 5);
const AT_ONCE = Number(process.env.CHAOS_JOBS ?? 2);

async function play(schedule) {
  const stage = await Stage.start(schedule);
  let crowd;

  try {
    crowd = await Crowd.gather(stage);
    crowd.talk();
    await (schedule.isMild ? playMild(stage, schedule) : playRough(stage, schedule));
    await stage.isWell(CHANNELS);
    await crowd.settle();
    crowd.check({ isSplit: !schedule.isMild });
    crowd.dismiss();
    await stage.end();
  } catch (error) {
    error.message = `${text(schedule)}\n${error.message}\n${stage.report()}`;
    throw error;
  } finally {
    crowd?.dismiss();
    await stage.destroy();
  }
}

async function playMild(stage, { faults }) {
  for (const { method, args } of faults) {
    await stage[method](...args);
    await stage.isWell(CHANNELS);
  }
}

async function playRough(stage, { faults }) {
  await Promise.all(
    faults.map(async ({ method, args, at }) => {
      await pause(at);
      await stage[method](...args);
    }),
  );
}

describe(`${COUNT} random schedules of faults`, { concurrency: AT_ONCE }, () => {
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    const schedule = scheduleOf(seed);
    it(text(schedule), () => play(schedule));
  }
});
