// What befalls whom and when: a schedule follows from its seed alone.
//
// A mild schedule is one fault after the other, each when all is well: nobody may notice anything. In a
// rough one they overlap, and something may be lost; then those who missed it are told, and nobody else's
// messages are doubled or out of order.
//
//     { seed, isMild, routerCount, faults: [{ at, ms, method, args }] }
//
// A fault is a method of the stage with its arguments, the last of which is how long it lasts.

import { Random } from "./random.js";

const GATEWAYS = 3;
const ROUGH_MS = 4000; // in which the faults of a rough schedule begin
const REST_MS = 300; // between two faults of one process or line

export function scheduleOf(seed) {
  const random = new Random(seed);
  const isMild = random.below(5) < 3;
  const routerCount = random.between(2, 3);
  const count = isMild ? random.between(2, 3) : random.between(3, 7);
  const faults = Array.from({ length: count }, () => faultOf(random, routerCount, isMild));

  if (!isMild) spread(random, faults);
  return { seed, isMild, routerCount, faults };
}

function faultOf(random, routerCount, isMild) {
  const r = random.below(routerCount);
  const router = `R${r}`;
  const other = random.of(Array.from({ length: routerCount }, (_, i) => `R${i}`).filter((name) => name !== router));
  const gateway = `G${random.below(GATEWAYS)}`;
  const way = random.of(["both", "both", "there", "back"]);
  const ms = random.of([random.between(0, 400), random.between(200, 1500), random.between(1000, 4000)]);
  const kinds = [
    { method: "kill", who: router, args: [r] },
    { method: "kill", who: router, args: [r] },
    { method: "stop", who: router, args: [r] },
    { method: "stop", who: router, args: [r] },
    { method: "leave", who: router, args: [r] },
    { method: "cut", who: [router, other].sort().join(" "), args: [router, other, way] },
    { method: "cut", who: `${gateway} ${router}`, args: [gateway, router, way] },
    { method: "breakLine", who: [router, other].sort().join(" "), args: [router, other] },
    { method: "breakLine", who: `${gateway} ${router}`, args: [gateway, router] },
    ...(isMild ? [] : [{ method: "killAll", who: "all", args: [] }]),
  ];
  const { method, who, args } = random.of(kinds);

  return { method, who, args: [...args, ms], ms };
}

// Gives each its time. What befalls one process or line comes one after the other.
function spread(random, faults) {
  const free = new Map();

  for (const fault of faults) {
    const names = fault.who === "all" ? ["R0", "R1", "R2"] : [fault.who];
    const at = Math.max(random.below(ROUGH_MS), ...names.map((name) => free.get(name) ?? 0));

    fault.at = at;
    for (const name of names) free.set(name, at + fault.ms + REST_MS);
  }
}

export function describe({ seed, isMild, routerCount, faults }) {
  const list = faults.map(({ method, args, at }) => `${at === undefined ? "" : `${at}: `}${method} ${args.join(" ")}`);
  return `seed ${seed}, ${isMild ? "mild" : "rough"}, ${routerCount} routers: ${list.join(", ")}`;
}
