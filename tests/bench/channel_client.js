// A client of the channel protocol that costs its own process little, so that it can be had by the thousand: JSON over
// a WebSocket, of which it understands what a gateway sends it.

import { connect } from "node:net";

const HANDSHAKE =
  "GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const TEXT = 0x81;

// A masked frame (RFC 6455 §5.3) whose mask changes nothing.
function frame(text) {
  const payload = Buffer.from(text);
  const length = payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.from([TEXT, ...length, 0, 0, 0, 0]), payload]);
}

export class ChannelClient {
  #port;
  #socket;
  #rest = Buffer.alloc(0);
  #isOpen = false;
  #lastId = 0;
  #waiting = null; // { count, done, failed }: replies that are still to come
  #publication = null;

  constructor(port) {
    this.#port = port;
  }

  // Resolves once it is connected in the words of the protocol.
  open() {
    this.#socket = connect(this.#port, "127.0.0.1").setNoDelay();
    this.#socket.on("data", (chunk) => this.#read(chunk));
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error("the gateway closed the connection")));
    this.#socket.write(HANDSHAKE);
    return this.askAll([{ connect: {} }]);
  }

  // Sends the commands in one frame; resolves when all are answered, and rejects on the first error.
  askAll(commands) {
    const lines = commands.map((command) => JSON.stringify({ id: ++this.#lastId, ...command }));
    this.#socket.write(frame(lines.join("\n")));
    return new Promise((done, failed) => {
      this.#waiting = { count: commands.length, done, failed };
    });
  }

  nextPublication() {
    return new Promise((resolve) => {
      this.#publication = resolve;
    });
  }

  close() {
    this.#waiting = null;
    this.#socket.destroy();
  }

  #fail(error) {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.failed(error);
  }

  #read(chunk) {
    this.#rest = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    if (!this.#isOpen && !this.#readHandshake()) return;
    for (let payload; (payload = this.#nextFrame()) !== null; ) {
      for (const line of payload.split("\n")) this.#take(line);
    }
  }

  #readHandshake() {
    const end = this.#rest.indexOf("\r\n\r\n");
    if (end < 0) return false;
    if (!this.#rest.subarray(0, end).toString().startsWith("HTTP/1.1 101 ")) this.#fail(new Error("no 101"));
    this.#rest = this.#rest.subarray(end + 4);
    this.#isOpen = true;
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
    return bytes[0] === TEXT ? bytes.subarray(head, head + size).toString() : "";
  }

  #take(line) {
    if (line === "") return;
    const reply = JSON.parse(line);
    if (reply.push?.pub) this.#publication?.(reply.push);
    else if (reply.error) this.#fail(new Error(`${reply.error.code} ${reply.error.message}`));
    else if (reply.id && this.#waiting && --this.#waiting.count === 0) this.#waiting.done();
    else if (Object.keys(reply).length === 0) this.#socket.write(frame("{}")); // a ping
  }
}
