// A well-behaved client (the `ws` library), which remembers everything that it was sent.
//
//     const ada = await Client.open(gateway, { channel: "room" });
//     ada.send("hello");
//     await ada.received(1);
//     ada.messages   // texts; a binary message is a Buffer
//     await ada.closed   // { code, reason }

import { WebSocket } from "ws";

import { within } from "./wait.js";

export class Client {
  messages = [];
  #waiting = []; // { count, resolve }

  static async open(gateway, { path = "/ws", channel, ...options } = {}) {
    const query = channel === undefined ? "" : `?channel=${encodeURIComponent(channel)}`;
    const client = new Client(`ws://127.0.0.1:${gateway.port}${path}${query}`, options);
    await within(client.opened, `a connection to port ${gateway.port}`);
    return client;
  }

  // The status of the answer to a handshake that must be refused.
  static async refusal(gateway, { path = "/ws", ...options } = {}) {
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}${path}`, options);

    return within(
      new Promise((resolve, reject) => {
        socket.on("unexpected-response", (request, response) => {
          resolve(response.statusCode);
          request.destroy();
        });
        socket.on("open", () => reject(new Error("the handshake was accepted")));
        socket.on("error", reject);
      }),
      "the refusal of a handshake",
    );
  }

  // Options: `protocols` (subprotocols that it asks for), and those of the library.
  constructor(url, { protocols = [], ...options } = {}) {
    this.socket = new WebSocket(url, protocols, { perMessageDeflate: false, ...options });
    this.opened = new Promise((resolve, reject) => {
      this.socket.once("open", resolve);
      this.socket.once("error", reject);
    });
    this.closed = new Promise((resolve) => {
      this.socket.once("close", (code, reason) => {
        this.end = { code, reason: reason.toString() };
        resolve(this.end);
      });
    });
    this.socket.on("error", () => {}); // `closed` tells
    this.socket.on("message", (data, isBinary) => {
      this.messages.push(isBinary ? data : data.toString());
      this.#waiting = this.#waiting.filter(({ count, resolve }) => {
        if (this.messages.length < count) return true;
        resolve();
        return false;
      });
    });
  }

  get isOpen() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  send(...messages) {
    for (const message of messages) this.socket.send(message);
  }

  // Waits until `count` messages have come in all; fails when the connection ends before.
  async received(count, deadlineMs) {
    if (this.messages.length >= count) return;
    const arrival = new Promise((resolve) => this.#waiting.push({ count, resolve }));
    const end = this.closed.then(({ code, reason }) => {
      if (this.messages.length < count) {
        throw new Error(`closed with ${code} (${reason}) after ${this.messages.length} of ${count} messages`);
      }
    });
    await within(
      Promise.race([arrival, end]),
      () => `${count} messages; ${this.messages.length} came, the last: ${this.messages.at(-1)}`,
      deadlineMs,
    );
  }

  async close() {
    this.socket.close(1000);
    return within(this.closed, "the end of a connection");
  }

  // Ends it without a word, as a lost network would.
  destroy() {
    this.socket.terminate();
  }
}

export function openClients(gateway, count, options) {
  return Promise.all(Array.from({ length: count }, () => Client.open(gateway, options)));
}

export function closeClients(clients) {
  for (const client of clients) client.destroy();
}
