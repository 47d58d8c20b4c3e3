// A reader that is never ahead of what it was allowed, in a process of its own: in the test's it would have
// to wait for whatever else is read there.
//
//     const slow = await SlowReader.open(gateway);
//     slow.allow(50_000);              // bytes of frames that it may have read by now, at 1 MB/s
//     slow.taken                       // bytes that it has read, as it last said
//     await slow.finish(frames.length) // its SHA-256 of all, which it now reads as fast as it can
//     slow.stop();

import { fileURLToPath } from "node:url";

import { spawnChild } from "./children.js";
import { until } from "./wait.js";

const PROGRAM = fileURLToPath(new URL("slow_reader_process.js", import.meta.url));

export class SlowReader {
  taken = 0;
  #said = {}; // the last message of the process

  static async open(gateway) {
    const reader = new SlowReader();
    const stdio = ["ignore", "inherit", "inherit", "ipc"];

    reader.child = spawnChild(process.execPath, [PROGRAM, String(gateway.port)], { stdio });
    reader.child.on("message", (said) => {
      reader.#said = said;
      reader.taken = said.taken;
    });
    await until(() => reader.#said.taken === 0, "the slow reader's handshake");
    return reader;
  }

  allow(bytes) {
    this.child.send({ allowed: bytes });
  }

  async finish(bytes) {
    this.child.send({ allowed: bytes, isInHurry: true });
    await until(
      () => this.taken >= bytes || this.#said.hasEnded,
      () => `${bytes} bytes; ${this.taken} were taken`,
    );
    if (this.#said.hasEnded) throw new Error(`its connection ended after ${this.taken} of ${bytes} bytes`);
    return this.#said.sha256;
  }

  stop() {
    this.child.kill("SIGKILL");
  }
}
