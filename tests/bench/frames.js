// A WebSocket whose frames a benchmark can afford by the thousand. It understands what a gateway sends: whole text
// frames; pings it answers.

import { connect } from "node:net";

const TEXT = 0x81;
const PING = 0x89;
const PONG = 0x8a;
const CLOSE = 0x88;

// A masked frame (RFC 6455 §5.3) whose mask changes nothing.
function frame(kind, payload) {
  const length = payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.from([kind, ...length, 0, 0, 0, 0]), payload]);
}

const handshake = (path) =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

// Who extends it has take(text), for each message, and failed(error).
export class FrameSocket {
  #port;
  #path;
  #socket;
  #rest = Buffer.alloc(0);
  #opened = null; // { resolve, reject } until the handshake is answered
  #ended = null;

  constructor(port, path) {
    this.#port = port;
    this.#path = path;
  }

  // Resolves when the handshake is answered.
  connect() {
    this.#socket = connect(this.#port, "127.0.0.1").setNoDelay();
    this.#socket.on("data", (chunk) => this.#read(chunk));
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error("the gateway closed the connection")));
    this.#socket.write(handshake(this.#path));
    return new Promise((resolve, reject) => {
      this.#opened = { resolve, reject };
    });
  }

  send(text) {
    this.#socket.write(frame(TEXT, Buffer.from(text)));
  }

  // Closes it, and resolves when the gateway has.
  end() {
    this.#socket.write(frame(CLOSE, Buffer.from([0x03, 0xe8])));
    return new Promise((resolve) => {
      this.#ended = resolve;
    });
  }

  destroy() {
    this.#ended = () => {};
    this.#socket.destroy();
  }

  #fail(error) {
    if (this.#ended) {
      this.#ended();
      return;
    }
    this.#opened?.reject(error);
    this.failed(error);
  }

  #read(chunk) {
    this.#rest = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    if (this.#opened && !this.#readHandshake()) return;
    for (let next; (next = this.#nextFrame()); ) {
      if (next.kind === TEXT) this.take(next.payload.toString());
      else if (next.kind === PING) this.#socket.write(frame(PONG, next.payload));
    }
  }

  #readHandshake() {
    const end = this.#rest.indexOf("\r\n\r\n");
    if (end < 0) return false;
    if (this.#rest.subarray(0, 13).toString() === "HTTP/1.1 101 ") this.#opened.resolve();
    else this.#fail(new Error(this.#rest.subarray(0, end).toString()));
    this.#rest = this.#rest.subarray(end + 4);
    this.#opened = null;
    return true;
  }

  #nextFrame() {
    const bytes = this.#rest;
    if (bytes.length < 2) return null;
    const short = bytes[1];
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < head) return null;
    const size = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (bytes.length < head + size) return null;
    this.#rest = bytes.subarray(head + size);
    return { kind: bytes[0], payload: bytes.subarray(head, head + size) };
  }
}
