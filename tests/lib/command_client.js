// The channel protocol (JSON) command by command, for what no SDK would send, and to see what is answered.
//
//     const ada = await CommandClient.connect(gateway, { token });
//     await ada.ask({ subscribe: { channel: "room" } })     // the reply: { id, subscribe: {…} } or { id, error: {…} }
//     await ada.pushed(({ pub }) => pub?.data === "hello")  // the first such push
//     await ada.closed                                      // { code, reason }

import { Client } from "./client.js";
import { within } from "./wait.js";

export const PATH = "/connection/websocket";

export class CommandClient {
  #lastId = 0;
  #read = 0; // frames
  heard = []; // all that it was sent: replies and pushes, a ping being {}
  #replies = new Map(); // the first for each id
  #waiting = []; // { look, resolve, reject, what }

  static async open(gateway, options = {}) {
    const client = new CommandClient();
    client.socket = await Client.open(gateway, { path: PATH, ...options });
    client.socket.socket.on("message", () => client.#hear());
    client.#hear();
    client.closed.then(() => client.#notify());
    return client;
  }

  static async connect(gateway, request = {}) {
    const client = await CommandClient.open(gateway);
    client.welcome = await client.ask({ connect: request });
    if (client.welcome.error) throw new Error(`refused: ${JSON.stringify(client.welcome.error)}`);
    return client;
  }

  get pushes() {
    return this.heard.filter(({ push }) => push).map(({ push }) => push);
  }

  get closed() {
    return this.socket.closed;
  }

  // A text is sent as it is; commands (of which several go in one frame) as JSON.
  send(...commands) {
    const texts = commands.map((command) => (typeof command === "string" ? command : JSON.stringify(command)));
    this.socket.send(texts.join("\n"));
  }

  nextId() {
    return ++this.#lastId;
  }

  async ask(command) {
    const id = this.nextId();
    this.send({ id, ...command });
    return this.reply(id);
  }

  // The first reply with that id.
  reply(id) {
    return this.#find(
      () => this.#replies.get(id),
      () => `the reply to command ${id}`,
    );
  }

  pushed(isWanted) {
    return this.#find(
      () => this.pushes.find(isWanted),
      () => `a push; these came: ${JSON.stringify(this.pushes)}`,
    );
  }

  #hear() {
    const { messages } = this.socket;
    for (; this.#read < messages.length; this.#read++) {
      for (const line of messages[this.#read].split("\n")) {
        const message = JSON.parse(line);
        this.heard.push(message);
        if (message.id && !this.#replies.has(message.id)) this.#replies.set(message.id, message);
      }
    }
    this.#notify();
  }

  #notify() {
    this.#waiting = this.#waiting.filter(({ look, resolve, reject, what }) => {
      const found = look();
      if (found) resolve(found);
      else if (this.socket.end) reject(new Error(`closed with ${this.socket.end.code} before ${what()}`));
      return !found && !this.socket.end;
    });
  }

  #find(look, what) {
    const found = new Promise((resolve, reject) => this.#waiting.push({ look, resolve, reject, what }));
    this.#notify();
    return within(found, what);
  }

  destroy() {
    this.socket.destroy();
  }
}
