// Clients who are there and say nothing: by the thousand on one channel, or with many channels each. They read
// whatever comes and throw it away, so that a gateway has them to deliver to.

import { connect } from "node:net";

const AT_ONCE = 200;
const MASKED_TEXT = 0x81;

// A text frame of a client, under the mask 0, which changes nothing.
function frame(text) {
  const payload = Buffer.from(text);
  const size = payload.length;
  const head = size < 126 ? [MASKED_TEXT, 0x80 | size] : [MASKED_TEXT, 0x80 | 126, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), payload]);
}

function upgrade(path) {
  const fields = ["Host: bench", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
  return [`GET ${path} HTTP/1.1`, ...fields, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", ""].join("\r\n");
}

class Client {
  #socket;
  #seen = ""; // the end of what came while somebody waits
  #wanted = null;
  #id = 0;

  static async open(port, path) {
    const client = new Client();
    client.#socket = connect(port, "127.0.0.1").setEncoding("latin1");
    client.#socket.on("data", (chunk) => client.#read(chunk));
    client.#socket.on("error", () => {}); // `close` says it
    client.#socket.on("close", () => client.#fail?.(new Error("the gateway hung up")));
    client.#socket.write(upgrade(path));
    await client.#await("\r\n\r\n");
    return client;
  }

  #fail = null;

  #read(chunk) {
    if (!this.#wanted) return;
    this.#seen = this.#seen.slice(-200) + chunk;
    if (!this.#seen.includes(this.#wanted.text)) return;
    this.#wanted.resolve();
    this.#wanted = this.#fail = null;
  }

  #await(text) {
    this.#seen = "";
    return new Promise((resolve, reject) => {
      this.#wanted = { text, resolve };
      this.#fail = reject;
    });
  }

  // Sends commands of the channel protocol; resolves when the last one is answered.
  async ask(...commands) {
    for (const command of commands) this.#socket.write(frame(JSON.stringify({ id: ++this.#id, ...command })));
    await this.#await(`"id":${this.#id},`);
  }

  close() {
    this.#fail = null;
    this.#socket.destroy();
  }
}

export class Population {
  #clients = [];

  constructor(port) {
    this.port = port;
  }

  async #grow(count, open) {
    for (let done = 0; done < count; done += AT_ONCE) {
      const batch = Array.from({ length: Math.min(AT_ONCE, count - done) }, (_, index) => open(done + index));
      this.#clients.push(...(await Promise.all(batch)));
    }
  }

  // Clients of the plain protocol, all on one channel.
  async listen(count, channel) {
    await this.#grow(count, () => Client.open(this.port, `/?channel=${channel}`));
  }

  // Clients of the channel protocol, without a channel so far.
  async connect(count) {
    await this.#grow(count, async () => {
      const client = await Client.open(this.port, "/connection/websocket");
      await client.ask({ connect: {} });
      return client;
    });
  }

  // Has the clients take turns to subscribe to the channels with these numbers, or ("unsubscribe") to leave them.
  async change(what, from, to) {
    const perClient = new Map();
    for (let number = from; number < to; number++) {
      const client = this.#clients[number % this.#clients.length];
      if (!perClient.has(client)) perClient.set(client, []);
      perClient.get(client).push({ [what]: { channel: `channel-${number}` } });
    }
    const all = [...perClient];
    for (let at = 0; at < all.length; at += AT_ONCE)
      await Promise.all(all.slice(at, at + AT_ONCE).map(([client, commands]) => client.ask(...commands)));
  }

  close() {
    for (const client of this.#clients) client.close();
    this.#clients = [];
  }
}
