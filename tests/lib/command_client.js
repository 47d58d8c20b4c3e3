// The channel protocol (JSON) command by command, for what no SDK would send, and to see what is answered.
//
//     const ada = await CommandClient.connect(gateway, { token });
//     await ada.ask({ subscribe: { channel: "room" } })     // the reply: { id, subscribe: {…} } or { id, error: {…} }
//     await ada.pushed(({ pub }) => pub?.data === "hello")  // the first such push
//     await ada.closed                                      // { code, reason }

import { Client } from "./client.js";
import { until } from "./wait.js";

export const PATH = "/connection/websocket";

export class CommandClient {
  #lastId = 0;

  static async open(gateway, options = {}) {
    const client = new CommandClient();
    client.socket = await Client.open(gateway, { path: PATH, ...options });
    return client;
  }

  static async connect(gateway, request = {}) {
    const client = await CommandClient.open(gateway);
    client.welcome = await client.ask({ connect: request });
    if (client.welcome.error) throw new Error(`refused: ${JSON.stringify(client.welcome.error)}`);
    return client;
  }

  // All that it was sent: replies and pushes, a ping being {}.
  get heard() {
    return this.socket.messages.flatMap((text) => text.split("\n").map((line) => JSON.parse(line)));
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
      () => this.heard.find((message) => message.id === id),
      () => `the reply to command ${id}`,
    );
  }

  pushed(isWanted) {
    return this.#find(
      () => this.pushes.find(isWanted),
      () => `a push; these came: ${JSON.stringify(this.pushes)}`,
    );
  }

  async #find(look, what) {
    let found;
    await until(
      () => {
        found = look();
        if (!found && this.socket.end) throw new Error(`closed with ${this.socket.end.code} before ${what()}`);
        return found;
      },
      what,
    );
    return found;
  }

  destroy() {
    this.socket.destroy();
  }
}
