// A server of the channel protocol that a test plays: it answers politely until the test says otherwise, and
// remembers what it was asked.
//
//     const server = new ChannelServer();
//     server.handlers.publish = () => SILENCE;
//     const socket = server.attach({ send, close });    // then socket.receive(frame) for each that comes
//
// `listen()` puts it behind a real WebSocket; in a browser it stands behind page.routeWebSocket.

import { once } from "node:events";

import { WebSocketServer } from "ws";

export const SILENCE = Symbol("no answer");

export class ChannelServer {
  commands = []; // { method, parameters, id, socket }, oldest first
  sockets = []; // all that there ever were
  pongs = 0;
  epoch = "e1";
  offset = 0;

  // Each returns a result, { error }, SILENCE, or a promise of one.
  handlers = {
    connect: () => ({ client: `client-${this.sockets.length}`, version: "played" }),
    subscribe: ({ recover }) => ({
      ...{ recoverable: true, positioned: true, epoch: this.epoch, offset: this.offset },
      ...(recover && { was_recovering: true, recovered: false }),
    }),
    publish: ({ channel }) => (channel.endsWith("/people") ? {} : { epoch: this.epoch, offset: ++this.offset }),
    history: () => ({ epoch: this.epoch, offset: this.offset }),
  };

  attach({ send, close }) {
    const socket = {
      isOpen: true,
      say: (...messages) => send(messages.map((message) => JSON.stringify(message)).join("\n")),
      push: (channel, push) => socket.say({ push: { channel, ...push } }),
      close: (code, reason) => close(code, reason),
      receive: (frame) => String(frame).split("\n").forEach((line) => this.#obey(socket, JSON.parse(line))),
    };

    this.sockets.push(socket);
    return socket;
  }

  get socket() {
    return this.sockets.at(-1);
  }

  asked(method) {
    return this.commands.filter((command) => command.method === method);
  }

  // What was published, but for what pages tell each other beside a room.
  get published() {
    return this.asked("publish").filter(({ parameters }) => !parameters.channel.endsWith("/people"));
  }

  // Takes a publication that the test has left without an answer.
  take({ parameters: { channel, data }, id, socket }) {
    this.offset++;
    socket.say({ push: { channel, pub: { data, offset: this.offset } } }, { id, publish: { offset: this.offset } });
  }

  async #obey(socket, command) {
    const { id, ...rest } = command;
    const [method] = Object.keys(rest);

    if (!id && !method) return void this.pongs++;
    this.commands.push({ id, method, parameters: rest[method], socket });
    const answer = await (this.handlers[method] ?? (() => ({})))(rest[method], socket);
    if (answer === SILENCE || !socket.isOpen) return;
    socket.say(answer.error ? { id, error: answer.error } : { id, [method]: answer });
  }

  async listen() {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });

    server.on("connection", (webSocket) => {
      const socket = this.attach({
        send: (text) => webSocket.send(text),
        close: (code, reason) => webSocket.close(code, reason),
      });
      webSocket.on("message", (data) => socket.receive(data));
      webSocket.on("close", () => (socket.isOpen = false));
    });
    await once(server, "listening");
    this.url = `ws://127.0.0.1:${server.address().port}/connection/websocket`;
    this.stop = async () => {
      for (const client of server.clients) client.terminate();
      await new Promise((resolve) => server.close(resolve));
    };
    return this;
  }
}
