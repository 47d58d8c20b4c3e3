// One of two gateways is started anew, under a crowd that talks.

import { start } from "./gateway.js";
import { freePort } from "./port.js";
import { ready } from "./cluster.js";
import { ReturningCrowd } from "./returning_crowd.js";

const START_TRIES = 5;

// A gateway that can be followed by another one on its port.
async function startOnOwnPort(args) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start({ port: await freePort(), args });
    } catch (error) {
      if (attempt === START_TRIES) throw error; // else somebody was faster: another port
    }
  }
}

// Options: `bus` (its URL), `count` and `talkers` of the crowd, `intervalMs` between two messages, `args` (more of
// the gateways'), `isKilled` (the first gateway dies, in place of draining). Calls `look` with the crowd and both
// gateways when everybody is back. Resolves to what the crowd says of it: { verdict, rush, refusals, failures }.
export async function restartOne({ bus, count, talkers, intervalMs, args = [], isKilled = false }, look) {
  const options = ["--bus", bus, "--message-rate", "0", ...args];
  const gateways = [await startOnOwnPort(options), await startOnOwnPort(options)];
  let crowd;

  try {
    await Promise.all(gateways.map(ready));
    crowd = await ReturningCrowd.open({ ports: gateways.map(({ port }) => port), count, talkers });
    crowd.talk(intervalMs);
    crowd.watch();
    // A balancer that asks for /ready sends nobody to a gateway that drains, nor to one that has no bus yet: who is
    // let in there hears what is said from when it has one.
    if (isKilled) await gateways[0].kill();
    crowd.ports = [gateways[1].port];
    if (!isKilled) await gateways[0].stop();
    gateways[0] = await start({ port: gateways[0].port, args: options });
    await ready(gateways[0]);
    crowd.ports = gateways.map(({ port }) => port);
    await crowd.isBack();
    await look?.(crowd, gateways);
    await crowd.settle();
    const { refusals, failures, rush } = crowd;
    return { verdict: crowd.verdict(), rush, refusals, failures };
  } finally {
    crowd?.close();
    await Promise.all(gateways.map((gateway) => gateway.kill()));
  }
}
