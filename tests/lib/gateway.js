// Starts the real gateway for a test, and ends it in a way that notices what went wrong inside.
//
//     const gateway = await start({ args: ["--max-message-size", "1K"] });
//     …gateway.url, gateway.port, gateway.adminPort, gateway.pid…
//     await gateway.waitForLog(/event="client connected"/);
//     await gateway.stop();
//
// The program is the one that CARILLON_GATEWAY names.

import { fileURLToPath } from "node:url";

import { Program } from "./program.js";

export const WEB_ROOT = fileURLToPath(new URL("../../web", import.meta.url));

const START_DEADLINE_MS = 20_000;

// Options: `port` and `adminPort` (0: any free one), `args` (more options, which win), `env` (more
// environment), `binary` (or the words of a command that becomes it), `webRoot`, `descriptors` (the
// process may have so many).
export async function start(options = {}) {
  const gateway = new Gateway(options);
  await gateway.listening();
  return gateway;
}

class Gateway extends Program {
  constructor({ port = 0, adminPort = 0, args = [], env = {}, binary, webRoot = WEB_ROOT, descriptors }) {
    const program = binary ?? process.env.CARILLON_GATEWAY;
    if (!program) throw new Error("CARILLON_GATEWAY: set it to the path of carillon-gateway");

    const line = [...[program].flat(), "--listen", `127.0.0.1:${port}`, "--admin-listen", `127.0.0.1:${adminPort}`];
    line.push("--web-root", webRoot, ...args);
    if (descriptors) line.unshift("prlimit", `--nofile=${descriptors}`); // which becomes the program

    // A test does not wait for a gentle drain.
    super("the gateway", line, { CARILLON_DRAIN_TIME: "100ms", ...env });
    this.isPublic = args[args.indexOf("--listen") + 1] !== "off";
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async listening() {
    const deadline = { deadlineMs: START_DEADLINE_MS };
    try {
      if (this.isPublic) this.port = await this.listeningPort("public", deadline);
      this.adminPort = await this.listeningPort("admin", deadline);
    } catch (error) {
      await this.kill();
      throw error;
    }
  }
}
