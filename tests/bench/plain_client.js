// A client of the plain protocol that costs its own process little; see frames.js for what it understands.

import { FrameSocket } from "./frames.js";

export class PlainClient extends FrameSocket {
  #message = null;

  constructor(port) {
    super(port, "/");
  }

  open() {
    return this.connect();
  }

  nextMessage() {
    return new Promise((resolve, reject) => {
      this.#message = { resolve, reject };
    });
  }

  take(text) {
    this.#message?.resolve(text);
  }

  failed(error) {
    this.#message?.reject(error);
  }
}
