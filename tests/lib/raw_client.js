// A client that sends whatever a test wants, right or wrong, over a plain socket.
//
//     const raw = await RawClient.upgrade(gateway);
//     raw.send(frame({ opcode: 1, payload: "hi", mask: false }));
//     await raw.closeCode();   // 1002; undefined when the connection just ended

import net from "node:net";

import { until, within } from "./wait.js";

export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

export const HANDSHAKE_HEADERS = {
  Host: "localhost",
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version": "13",
};

// An HTTP request; a header whose value is null is left out, one with a list is repeated.
export function request({ method = "GET", path = "/ws", version = "1.1", headers = {} } = {}) {
  const lines = [`${method} ${path} HTTP/${version}`];

  for (const [name, value] of Object.entries({ ...HANDSHAKE_HEADERS, ...headers })) {
    for (const one of value === null ? [] : [value].flat()) lines.push(`${name}: ${one}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
}

// A frame. `length` announces another length than the payload's, `lengthBytes` (0, 2, 8) chooses its form.
export function frame({ fin = true, rsv = 0, opcode = TEXT, payload = "", mask = true, length, lengthBytes }) {
  const data = Buffer.from(payload);
  const announced = BigInt(length ?? data.length);
  const form = lengthBytes ?? (announced < 126n ? 0 : announced < 65536n ? 2 : 8);
  const head = Buffer.alloc(2 + form);

  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  head[1] = (mask ? 0x80 : 0) | (form === 0 ? Number(announced) : form === 2 ? 126 : 127);
  if (form === 2) head.writeUInt16BE(Number(announced), 2);
  if (form === 8) head.writeBigUInt64BE(announced, 2);
  if (!mask) return Buffer.concat([head, data]);
  return Buffer.concat([head, MASK, data.map((byte, index) => byte ^ MASK[index % 4])]);
}

export function closePayload(code, reason = "") {
  return Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]);
}

export class RawClient {
  #pending = Buffer.alloc(0);
  isEnded = false; // no more will come

  static async connect(gateway, options = {}) {
    const raw = new RawClient();
    raw.socket = net.connect({ port: gateway.port, host: "127.0.0.1", allowHalfOpen: true, ...options });
    raw.socket.on("data", (data) => {
      raw.#pending = Buffer.concat([raw.#pending, data]);
    });
    for (const event of ["end", "close"]) {
      raw.socket.on(event, () => {
        raw.isEnded = true;
      });
    }
    raw.socket.on("error", () => {
      raw.isEnded = true;
    });
    await within(
      new Promise((resolve, reject) => raw.socket.once("connect", resolve).once("error", reject)),
      "a TCP connection",
    );
    return raw;
  }

  // Connects and does the handshake as it should be.
  static async upgrade(gateway, options = {}) {
    const raw = await RawClient.connect(gateway);
    raw.send(request(options));
    const { status } = await raw.response();
    if (status !== 101) throw new Error(`the handshake was answered with ${status}`);
    return raw;
  }

  send(data) {
    this.socket.write(data);
  }

  // The next HTTP response: { status, headers, body }.
  async response({ isHead = false } = {}) {
    let headEnd;
    await until(() => {
      headEnd = this.#pending.indexOf("\r\n\r\n");
      return headEnd >= 0 || this.isEnded;
    }, "the head of an HTTP response");
    if (headEnd < 0) throw new Error("the connection ended without an HTTP response");
    const [statusLine, ...lines] = this.#pending.toString("latin1", 0, headEnd).split("\r\n");
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
    );
    const size = isHead ? 0 : Number(headers["content-length"] ?? 0);
    const bodyStart = headEnd + 4;

    await until(() => this.#pending.length >= bodyStart + size || this.isEnded, "the body of an HTTP response");
    const body = this.#pending.toString("utf8", bodyStart, bodyStart + size);
    this.#pending = this.#pending.subarray(bodyStart + size);
    return { status: Number(statusLine.split(" ")[1]), headers, body };
  }

  // The next line, without its end.
  async line() {
    let end;
    await until(() => {
      end = this.#pending.indexOf("\n");
      return end >= 0 || this.isEnded;
    }, "a line");
    const line = this.#pending.toString("utf8", 0, end);
    this.#pending = this.#pending.subarray(end + 1);
    return line;
  }

  // What comes from here to the end, as text.
  async rest() {
    await until(() => this.isEnded, "the end of the connection");
    return this.#pending.toString("latin1");
  }

  // The next frame: { fin, rsv, opcode, payload }; null when the connection ends first.
  async frame() {
    let found;
    await until(() => {
      found = parseFrame(this.#pending);
      return found || this.isEnded;
    }, "a frame");
    if (!found) return null;
    this.#pending = this.#pending.subarray(found.size);
    return found;
  }

  // Waits for the next frame that is a message (or a control frame asked for), and gives its payload.
  async message(opcode = TEXT) {
    for (let next = await this.frame(); next; next = await this.frame()) {
      if (next.opcode === opcode) return next.payload;
    }
    throw new Error("the connection ended before the message");
  }

  // Compares what comes from now on with `bytes` and keeps none of it, so that thousands of clients may
  // hear much. Resolves when all of them have come; fails at the first other byte and at the end.
  async hears(bytes, deadlineMs) {
    let at = 0;
    let end;
    const whole = new Promise((resolve, reject) => {
      const take = (data) => {
        if (data.compare(bytes, at, Math.min(at + data.length, bytes.length)) !== 0) {
          reject(new Error(`other bytes than expected after ${at}`));
        }
        at += data.length;
        if (at === bytes.length) resolve();
      };
      end = () => reject(new Error("the connection ended"));
      this.socket.removeAllListeners("data").on("data", take);
      this.socket.once("close", end);
      if (this.#pending.length > 0) take(this.#pending);
      this.#pending = Buffer.alloc(0);
    });
    await within(whole, () => `${bytes.length} bytes; ${at} came`, deadlineMs);
    this.socket.removeListener("close", end);
  }

  // Waits for the end; the code of the close frame before it, or undefined.
  async closeCode() {
    const { code } = await this.close();
    return code;
  }

  async close() {
    let end = {};
    for (let next = await this.frame(); next; next = await this.frame()) {
      if (next.opcode === CLOSE) {
        end = { code: next.payload.readUInt16BE(0), reason: next.payload.toString("utf8", 2) };
        this.socket.end();
      }
    }
    return end;
  }

  destroy() {
    this.socket.destroy();
  }
}

function parseFrame(buffer) {
  if (buffer.length < 2) return null;
  const short = buffer[1] & 127;
  const form = short < 126 ? 0 : short === 126 ? 2 : 8;
  if (buffer.length < 2 + form) return null;
  const length = form === 0 ? short : form === 2 ? buffer.readUInt16BE(2) : Number(buffer.readBigUInt64BE(2));
  const size = 2 + form + length;
  if (buffer.length < size) return null;
  return {
    fin: (buffer[0] & 128) !== 0,
    rsv: (buffer[0] >> 4) & 7,
    opcode: buffer[0] & 15,
    masked: (buffer[1] & 128) !== 0,
    payload: buffer.subarray(2 + form, size),
    size,
  };
}
