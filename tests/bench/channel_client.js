// A client of the channel protocol, JSON, that costs its own process little.

import { FrameSocket } from "./frames.js";

export class ChannelClient extends FrameSocket {
  #lastId = 0;
  #waiting = null; // { count, resolve, reject }: replies that are still to come
  #publication = null;

  constructor(port) {
    super(port, "/connection/websocket");
  }

  // Resolves once it is connected in the words of the protocol.
  async open() {
    await this.connect();
    await this.askAll([{ connect: {} }]);
  }

  // Sends the commands in one frame; resolves when all are answered, and rejects on the first error.
  askAll(commands) {
    this.send(commands.map((command) => JSON.stringify({ id: ++this.#lastId, ...command })).join("\n"));
    return new Promise((resolve, reject) => {
      this.#waiting = { count: commands.length, resolve, reject };
    });
  }

  nextPublication() {
    return new Promise((resolve) => {
      this.#publication = resolve;
    });
  }

  take(text) {
    for (const line of text.split("\n")) {
      if (line !== "") this.#takeReply(JSON.parse(line));
    }
  }

  failed(error) {
    this.#waiting?.reject(error);
  }

  #takeReply(reply) {
    if (reply.push?.pub) this.#publication?.(reply.push);
    else if (reply.error) this.failed(new Error(`${reply.error.code} ${reply.error.message}`));
    else if (reply.id && this.#waiting && --this.#waiting.count === 0) this.#waiting.resolve();
    else if (Object.keys(reply).length === 0) this.send("{}"); // a ping
  }
}
