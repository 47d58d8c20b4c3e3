// How long to wait before the next attempt to connect: a random time between 0 and a limit that doubles
// up to a cap ("full jitter"), so that the clients of a gateway that died do not arrive at the others
// all at once.

const FIRST_LIMIT_MS = 500;
const LAST_LIMIT_MS = 20_000;

// `attempt` counts from 0, `random` is from [0, 1).
export function backoff(attempt, random) {
  return random * Math.min(LAST_LIMIT_MS, FIRST_LIMIT_MS * 2 ** attempt);
}
