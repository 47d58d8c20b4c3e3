// How a gateway of a test hands what its clients are sent to the kernel.
//
//     await start({ env: sendingOn(Bus) });
//
// Tests that run on every bus see every way, each on one bus: a way that loses, doubles or swaps something is found
// out there, and no test runs twice for it.

import { spawnSync } from "node:child_process";

// Whether a gateway could start that insists on something of the kernel's.
const canInsistOn = (option) =>
  spawnSync(process.env.CARILLON_GATEWAY ?? "", ["--check-config", option, "on"], { env: {} }).status === 0;

// Containers often forbid it, and a build may be without.
export const HAS_IO_URING = canInsistOn("--io-uring");

// A module of the kernel's, which root has to load.
export const HAS_KERNEL_TLS = canInsistOn("--kernel-tls");

const ways = { local: HAS_IO_URING ? "on" : "auto", redis: "auto", router: "off" };

// Environment of a gateway on that bus.
export function sendingOn(Bus) {
  return { CARILLON_IO_URING: ways[Bus.word] ?? "auto" };
}
