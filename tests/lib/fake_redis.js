// A server that is asked like Redis and answers what a test says.
//
//     const fake = await FakeRedis.start((words, socket) => "-LOADING not yet\r\n");
//     const fake = await FakeRedis.start(spoiled({ publish: () => ":1\r\n" }));

import { createHash } from "node:crypto";
import net from "node:net";

import { parse } from "./redis.js";

export class FakeRedis {
  #sockets = new Set();

  // `answer` is called for each command with its words and the socket, and returns what to write (text or
  // bytes) or nothing; `greeting` is written before anything was asked.
  static async start(answer = () => {}, { greeting } = {}) {
    const fake = new FakeRedis();
    fake.server = net.createServer((socket) => fake.#accept(socket, answer, greeting));
    await new Promise((resolve) => fake.server.listen(0, "127.0.0.1", resolve));
    fake.server.unref(); // a test that failed before it stopped this one is over all the same
    fake.port = fake.server.address().port;
    return fake;
  }

  #accept(socket, answer, greeting) {
    let pending = Buffer.alloc(0);

    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    if (greeting !== undefined) socket.write(greeting);
    socket.on("data", (data) => {
      pending = Buffer.concat([pending, data]);
      for (let command = parse(pending, 0); command; command = parse(pending, 0)) {
        pending = pending.subarray(command.end);
        const bytes = answer(command.value, socket);
        if (bytes !== undefined && socket.writable) socket.write(bytes);
      }
    });
  }

  async stop() {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

// What the words of a command ask for: an EVALSHA is told by its keys (see gateway/redis_script.h).
function subjectOf([verb, , keyCount, ...rest]) {
  if (verb !== "EVALSHA") return verb;
  if (keyCount === "1") return rest[0].endsWith(":boot") ? "hello" : "forget";
  if (keyCount === "2" && rest[0].endsWith(":w")) return "presence";
  if (keyCount === "2") return rest.length === 2 + 5 ? "attach" : "history";
  return rest[2].endsWith(":p:") ? "restore" : "publish";
}

export const bulk = (text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
const isSubscribing = new WeakSet(); // sockets

// What an empty Redis with too little memory for any message would answer.
const sane = {
  PING: (words, socket) => (isSubscribing.has(socket) ? `*2\r\n${bulk("pong")}${bulk("")}` : "+PONG\r\n"),
  SCRIPT: ([, , text]) => bulk(createHash("sha1").update(text).digest("hex")),
  SUBSCRIBE: ([, ...topics], socket) => {
    isSubscribing.add(socket);
    return topics.map((topic, i) => `*3\r\n${bulk("subscribe")}${bulk(topic)}:${i + 1}\r\n`).join("");
  },
  UNSUBSCRIBE: ([, ...topics]) =>
    topics.map((topic) => `*3\r\n${bulk("unsubscribe")}${bulk(topic)}:0\r\n`).join(""),
  hello: () => `*2\r\n${bulk("")}:0\r\n`,
  attach: ([, , , , , epoch, position]) => {
    const offset = Math.max(Number(position), 0);
    return `*5\r\n${bulk("at")}${bulk(epoch)}:${offset}\r\n:${offset}\r\n*0\r\n`;
  },
  publish: () => "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
};

// The answers of a server that is sane but for what `spoilt` says: a function like `answer` for each
// subject (PING, SCRIPT, SUBSCRIBE, UNSUBSCRIBE, hello, attach, restore, publish); where it returns nothing,
// the answer is the sane one.
export function spoiled(spoilt) {
  return (words, socket) => {
    const subject = subjectOf(words);
    return spoilt[subject]?.(words, socket) ?? sane[subject]?.(words, socket) ?? "+OK\r\n";
  };
}
