// Starts the real gateway for a test, and ends it in a way that notices what went wrong inside.
//
//     const gateway = await start({ args: ["--max-message-size", "1K"] });
//     …gateway.url, gateway.port, gateway.adminPort, gateway.pid…
//     await gateway.waitForLog(/event="client connected"/);
//     await gateway.stop();
//
// The program is the one that CARILLON_GATEWAY names.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export const WEB_ROOT = fileURLToPath(new URL("../../web", import.meta.url));

const START_DEADLINE_MS = 20_000;
const LOG_DEADLINE_MS = 10_000;
const STOP_DEADLINE_MS = 30_000; // the sanitizers look for leaks at the end

const SANITIZER_REPORT = /(ERROR|WARNING): \w+Sanitizer|runtime error:/;

const running = new Set();

// A test run that is cut short leaves nothing behind.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

// Options: `port` and `adminPort` (0: any free one), `args` (more options, which win), `env` (more
// environment), `binary`, `webRoot`.
export async function start(options = {}) {
  const gateway = new Gateway(options);
  await gateway.listening();
  return gateway;
}

class Gateway {
  #child;
  #exit; // resolves to { code, signal }
  #ended = null; // what #exit resolved to
  #log = "";
  #watchers = new Set(); // called when the log grows or the process ends

  constructor({ port = 0, adminPort = 0, args = [], env = {}, binary, webRoot = WEB_ROOT }) {
    const program = binary ?? process.env.CARILLON_GATEWAY;
    if (!program) throw new Error("CARILLON_GATEWAY: set it to the path of carillon-gateway");

    const line = ["--listen", `127.0.0.1:${port}`, "--admin-listen", `127.0.0.1:${adminPort}`];
    line.push("--web-root", webRoot, ...args);

    // Options of the surrounding shell must not reach in; a test does not wait for a gentle drain.
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("CARILLON_"));
    const environment = { ...Object.fromEntries(inherited), CARILLON_DRAIN_TIME: "100ms", ...env };

    this.#child = spawn(program, line, { env: environment, stdio: ["ignore", "ignore", "pipe"] });
    running.add(this.#child);
    this.#child.stderr.setEncoding("utf8").on("data", (text) => {
      this.#log += text;
      this.#notify();
    });
    this.#exit = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.#log += `${error.message}\n`;
        resolve({ code: null, signal: null });
      });
      this.#child.once("close", (code, signal) => resolve({ code, signal }));
    }).then((end) => {
      running.delete(this.#child);
      this.#ended = end;
      this.#notify();
      return end;
    });
  }

  get pid() {
    return this.#child.pid;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  // Everything written to stderr so far.
  get log() {
    return this.#log;
  }

  async listening() {
    const deadline = { deadlineMs: START_DEADLINE_MS };
    try {
      this.port = await this.#listeningPort("public", deadline);
      this.adminPort = await this.#listeningPort("admin", deadline);
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  // Resolves to the match of `pattern` in the log, at once if it is there already. `after` is a length of
  // `log` from which on it counts. Fails when the process ends first.
  async waitForLog(pattern, { after = 0, deadlineMs = LOG_DEADLINE_MS } = {}) {
    return new Promise((resolve, reject) => {
      const finish = (settle, value) => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        settle(value);
      };
      const look = () => {
        const match = this.#log.slice(after).match(pattern);
        if (match) finish(resolve, match);
        else if (this.#ended) finish(reject, this.#error(`ended before it logged ${pattern}`));
      };
      const timer = setTimeout(
        () => finish(reject, this.#error(`did not log ${pattern} within ${deadlineMs} ms`)),
        deadlineMs,
      );
      this.#watchers.add(look);
      look();
    });
  }

  // Resolves to { code, signal } when the process has ended by itself.
  exited() {
    return this.#exit;
  }

  // Asks it to stop, waits, and fails unless it was a clean end.
  async stop() {
    if (!this.#ended) this.#child.kill("SIGTERM");

    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_DEADLINE_MS);
    const { code } = await this.#exit;
    clearTimeout(timer);
    if (SANITIZER_REPORT.test(this.#log)) throw this.#error("was reported by a sanitizer");
    if (code !== 0) throw this.#error("did not stop cleanly");
  }

  // Ends it as a crash would. Harmless if it has ended.
  async kill() {
    if (!this.#ended) this.#child.kill("SIGKILL");
    await this.#exit;
    if (SANITIZER_REPORT.test(this.#log)) throw this.#error("was reported by a sanitizer");
  }

  async #listeningPort(role, options) {
    const pattern = new RegExp(`event="?listening"? .*role="?${role}"? .*address="?\\S+:(\\d+)"?\\s`);
    const [, port] = await this.waitForLog(pattern, options);
    return Number(port);
  }

  #notify() {
    for (const look of [...this.#watchers]) look();
  }

  #error(what) {
    const end = this.#ended
      ? `exit code ${this.#ended.code}, signal ${this.#ended.signal}`
      : "still running";
    return new Error(`the gateway ${what} (${end}); its log:\n${this.#log || "(empty)"}`);
  }
}
