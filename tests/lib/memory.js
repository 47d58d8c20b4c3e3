// What a gateway takes of the machine's memory.

import { readFile } from "node:fs/promises";

const NO_QUARANTINE = "quarantine_size_mb=0:thread_local_quarantine_size_kb=0";

// The environment in which the address sanitizer does not keep what is freed, to notice its use.
export const KEEP_NOTHING = { ASAN_OPTIONS: NO_QUARANTINE };

// And in which small pieces of it go back to the system at once, which makes freeing slow.
export const FREE_AT_ONCE = { ASAN_OPTIONS: `${NO_QUARANTINE}:allocator_release_to_os_interval_ms=0` };

// How many times what it uses a process may take: the thread sanitizer notes of each word who used it last.
export async function sanitizerShare({ pid }) {
  return (await readFile(`/proc/${pid}/maps`, "utf8")).includes("/libtsan.so") ? 4 : 1;
}

// Resident memory, in bytes.
export async function residentBytes({ pid }) {
  const [, kib] = (await readFile(`/proc/${pid}/status`, "utf8")).match(/^VmRSS:\s+(\d+) kB$/m);
  return Number(kib) * 1024;
}
