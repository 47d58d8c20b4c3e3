// A real redis-server of a test's own, in a directory that goes with it.
//
//     const redis = await Redis.start();
//     redis.url   // for --bus
//     await redis.command("PUBSUB", "CHANNELS", "*");
//     redis.pause(); redis.resume(); await redis.kill(); await redis.restart();
//     await redis.stop();
//
// What tests of any bus need of it: title, word (its name for CARILLON_TEST_BUSES), start, url, stop. And of one
// that gateways can share: start({ persistent, historySize }), port, urlAt, pause, resume, kill, restart, cutClients,
// cuts, subscriberCount, and what it can do:
//     isDurable        `persistent` keeps everything over a restart
//     keepsNothing     its death takes the history along, and people are told; epochOf shows that it is another one
//     gathersGateways  nobody publishes after an outage before all who were there are back
//     isReplicated     of its `routers` one may die
//     forget()         where it can lose all that it keeps and live on

import net from "node:net";
import { join } from "node:path";

import { spawnChild } from "./children.js";
import { removeDirectory, temporaryDirectory } from "./directory.js";
import { freePort } from "./port.js";
import { until, within } from "./wait.js";

const START_TRIES = 5;

export class Redis {
  static title = "Redis";
  static word = "redis";
  static isDurable = true;
  static gathersGateways = true;
  static givenUp = /event="redis unavailable".* link=commands/; // the second of two connections that are

  // Options: `persistent` (append-only file, every write on disk before its answer), `args` (more
  // options of redis-server), `password` (that `command` logs in with).
  static async start({ persistent = false, args = [], password } = {}) {
    const redis = new Redis();
    redis.directory = await temporaryDirectory("redis");
    redis.socket = join(redis.directory, "redis.sock");
    redis.password = password;
    redis.args = [
      ...["--bind", "127.0.0.1", "--unixsocket", redis.socket, "--dir", redis.directory, "--save", ""],
      ...(persistent ? ["--appendonly", "yes", "--appendfsync", "always"] : []),
      ...args,
    ];
    for (let attempt = 1; ; attempt++) {
      redis.port = await freePort();
      try {
        await redis.restart();
        return redis;
      } catch (error) {
        if (attempt === START_TRIES) throw error; // else somebody was faster: another port
      }
    }
  }

  get url() {
    return this.urlAt(this.port);
  }

  // The same server as it is reached through another port, a relay's.
  urlAt(port) {
    return `redis://127.0.0.1:${port}`;
  }

  get unixUrl() {
    return `redis+unix://${this.socket}`;
  }

  async restart() {
    this.launch();
    await until(
      async () => {
        if (this.hasEnded) throw new Error(`redis-server ended:\n${this.log}`);
        return this.answers();
      },
      () => `redis-server on port ${this.port}:\n${this.log}`,
    );
  }

  // Starts it and does not wait until it can serve.
  launch() {
    const args = ["--port", String(this.port), ...this.args];
    const child = spawnChild("redis-server", args, { stdio: ["ignore", "pipe", "ignore"] });

    this.child = child;
    this.log = "";
    this.hasEnded = false;
    child.stdout.setEncoding("utf8").on("data", (text) => {
      this.log = (this.log + text).slice(-4000);
    });
    this.ended = new Promise((resolve) => {
      child.once("error", resolve);
      child.once("close", resolve);
    }).then(() => {
      this.hasEnded = true;
    });
  }

  // Whether it serves, and not some other server that is on its port by now.
  async answers() {
    try {
      return (await this.command("INFO", "server")).includes(`process_id:${this.child.pid}\r`);
    } catch {
      return false;
    }
  }

  pause() {
    this.child.kill("SIGSTOP");
  }

  resume() {
    this.child.kill("SIGCONT");
  }

  // As a crash would.
  async kill() {
    this.child.kill("SIGKILL");
    await this.ended;
  }

  // Loses all that it keeps, and lives on.
  forget() {
    return this.command("FLUSHALL");
  }

  // Each way in which its connections with gateways can break.
  get cuts() {
    return [
      () => this.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
      () => this.command("CLIENT", "KILL", "TYPE", "pubsub"),
    ];
  }

  // Cuts all gateways off; they may come back at once.
  async cutClients() {
    for (const cut of this.cuts) await cut();
  }

  // How many gateways are subscribed to a channel of the chat.
  async subscriberCount(channel) {
    return (await this.command("PUBSUB", "NUMSUB", `carillon:0:{${channel}}`))[1];
  }

  async stop() {
    await this.kill();
    await removeDirectory(this.directory);
  }

  // One command on a connection of its own; an error reply is thrown.
  async command(...words) {
    const socket = net.connect(this.port, "127.0.0.1");
    const replies = [];
    let pending = Buffer.alloc(0);
    const wanted = this.password ? 2 : 1;

    try {
      return await within(
        new Promise((resolve, reject) => {
          socket.on("error", reject);
          socket.on("close", () => reject(new Error("Redis closed the connection")));
          socket.on("data", (data) => {
            pending = Buffer.concat([pending, data]);
            for (let reply = parse(pending, 0); reply; reply = parse(pending, 0)) {
              pending = pending.subarray(reply.end);
              replies.push(reply.value);
            }
            if (replies.length < wanted) return;
            const last = replies.at(-1);
            if (last instanceof Error) reject(last);
            else resolve(last);
          });
          if (this.password) socket.write(format(["AUTH", this.password]));
          socket.write(format(words));
        }),
        `Redis' answer to ${words[0]}`,
        5_000,
      );
    } finally {
      socket.destroy();
    }
  }
}

export function format(words) {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`).join("")}`;
}

// RESP2: the value that starts at `at` and where it ends, or null while it is incomplete.
export function parse(buffer, at) {
  const lineEnd = buffer.indexOf("\r\n", at);
  if (lineEnd < 0) return null;
  const text = buffer.toString("utf8", at + 1, lineEnd);
  const end = lineEnd + 2;

  switch (String.fromCharCode(buffer[at])) {
    case "+":
      return { value: text, end };
    case "-":
      return { value: new Error(text), end };
    case ":":
      return { value: Number(text), end };
    case "$": {
      const size = Number(text);
      if (size < 0) return { value: null, end };
      if (buffer.length < end + size + 2) return null;
      return { value: buffer.toString("utf8", end, end + size), end: end + size + 2 };
    }
    case "*": {
      const items = [];
      let next = end;
      for (let i = 0; i < Number(text); i++) {
        const item = parse(buffer, next);
        if (!item) return null;
        items.push(item.value);
        next = item.end;
      }
      return { value: items, end: next };
    }
    default:
      throw new Error(`not RESP: ${buffer.toString("utf8", at, at + 40)}`);
  }
}
