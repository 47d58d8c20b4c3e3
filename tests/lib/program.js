// One of our programs as a process of a test: its log, its end, and what went wrong inside it.
//
//     const program = new Program("the gateway", [path, "--listen", "127.0.0.1:0"]);
//     await program.waitForLog(/event="client connected"/);
//     await program.stop();

import { spawnChild } from "./children.js";
import { within } from "./wait.js";

const LOG_DEADLINE_MS = 10_000;
const STOP_DEADLINE_MS = 30_000; // the sanitizers look for leaks at the end

const SANITIZER_REPORT = /(ERROR|WARNING): \w+Sanitizer|runtime error:/;

// Options of the surrounding shell do not reach in.
function environment(env) {
  const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith("CARILLON_"));
  return { ...Object.fromEntries(inherited), ...env };
}

// The last lines of a log, for the error of a test that fails: more of them where a sanitizer reported something, whose
// traces are longer.
export function endOfLog(log, lineCount) {
  const lines = log.split("\n");
  const report = lines.findIndex((line) => SANITIZER_REPORT.test(line));
  const start = Math.max(0, lines.length - lineCount);

  return lines.slice(report < 0 ? start : Math.min(report, start)).join("\n");
}

// Runs a program to its end: { code, stdout, stderr }.
export async function runToEnd([command, ...args], env = {}) {
  const child = spawnChild(command, args, { env: environment(env), stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };

  child.stdout.on("data", (data) => (output.stdout += data));
  child.stderr.on("data", (data) => (output.stderr += data));
  const code = await within(new Promise((resolve) => child.once("close", resolve)), `${command} to end`);
  return { code, ...output };
}

export class Program {
  #name;
  #child;
  #exit; // resolves to { code, signal }
  #ended = null; // what #exit resolved to
  #log = "";
  #watchers = new Set(); // called when the log grows or the process ends

  // `env` is more environment.
  constructor(name, [command, ...args], env = {}) {
    this.#name = name;
    this.#child = spawnChild(command, args, {
      env: environment(env),
      stdio: ["ignore", "ignore", "pipe"],
    });
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
      this.#ended = end;
      this.#notify();
      return end;
    });
  }

  get pid() {
    return this.#child.pid;
  }

  // Everything written to stderr so far.
  get log() {
    return this.#log;
  }

  get hasEnded() {
    return this.#ended !== null;
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
        else if (this.#ended) finish(reject, this.error(`ended before it logged ${pattern}`));
      };
      const timer = setTimeout(
        () => finish(reject, this.error(`did not log ${pattern} within ${deadlineMs} ms`)),
        deadlineMs,
      );
      this.#watchers.add(look);
      look();
    });
  }

  // The port that the listener of a role was given.
  async listeningPort(role, options) {
    // In logfmt (address=127.0.0.1:8000) and in JSON ("address":"127.0.0.1:8000").
    const pattern = new RegExp(`"listening".*role"?[=:]"?${role}"?.*address"?[=:]"?[\\d.]+:(\\d+)`);
    const [, port] = await this.waitForLog(pattern, options);
    return Number(port);
  }

  signal(name) {
    if (!this.#ended) this.#child.kill(name);
  }

  // Resolves to { code, signal } when the process has ended by itself.
  exited() {
    return this.#exit;
  }

  // Asks it to stop, waits, and fails unless it was a clean end.
  async stop() {
    this.signal("SIGTERM");

    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_DEADLINE_MS);
    const { code } = await this.#exit;
    clearTimeout(timer);
    this.#checkSanitizers();
    if (code !== 0) throw this.error("did not stop cleanly");
  }

  // Ends it as a crash would. Harmless if it has ended.
  async kill() {
    this.signal("SIGKILL");
    await this.#exit;
    this.#checkSanitizers();
  }

  error(what) {
    const end = this.#ended
      ? `exit code ${this.#ended.code}, signal ${this.#ended.signal}`
      : "still running";
    return new Error(`${this.#name} ${what} (${end}); its log:\n${this.#log || "(empty)"}`);
  }

  #checkSanitizers() {
    if (SANITIZER_REPORT.test(this.#log)) throw this.error("was reported by a sanitizer");
  }

  #notify() {
    for (const look of [...this.#watchers]) look();
  }
}
