// Waiting for what somebody would see. A deadline is there only to fail.

import { setTimeout as pause } from "node:timers/promises";

export const DEADLINE_MS = 30_000;
const POLL_MS = 10;

// Waits until `condition` (may be async) is true; `what` says what was waited for.
export async function until(condition, what, deadlineMs = DEADLINE_MS) {
  const end = Date.now() + deadlineMs;

  while (!(await condition())) {
    if (Date.now() > end) {
      throw new Error(`waited ${deadlineMs} ms for ${typeof what === "function" ? what() : what}`);
    }
    await pause(POLL_MS);
  }
}

// The promise's result, or an error that names what did not happen.
export async function within(promise, what, deadlineMs = DEADLINE_MS) {
  let timer;
  const expiry = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`waited ${deadlineMs} ms for ${typeof what === "function" ? what() : what}`)),
      deadlineMs,
    );
  });
  try {
    return await Promise.race([promise, expiry]);
  } finally {
    clearTimeout(timer);
  }
}
