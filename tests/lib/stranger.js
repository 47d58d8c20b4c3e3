// Somebody who speaks proto/router.proto to a router as no gateway of ours would.
//
//     const stranger = await Stranger.connect(router);
//     stranger.socket.write(Buffer.concat([hello(), PROOF, PING]));
//     await stranger.isLetGo();
//
//     const guest = await Stranger.asGateway(router);   // is past the handshake
//     guest.socket.write(publish("channel", 1, "hello"));

import { randomBytes } from "node:crypto";
import net from "node:net";

import { until, within } from "./wait.js";

// Protobuf, as bytes: a field's key and its value.
function varint(value) {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

function field(number, bytes) {
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function numberField(number, value) {
  return Buffer.concat([varint(number * 8), varint(value)]);
}

// The length that stands before a frame of so many bytes.
export function lengthOf(bytes) {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(bytes);
  return size;
}

// A frame: the number of its kind, and the message as bytes.
export function frame(kind, message = []) {
  const body = field(kind, Buffer.from(message));
  return Buffer.concat([lengthOf(body.length), body]);
}

export const PROOF = frame(3);
export const PING = frame(6);

const READY = frame(4);
const LIFE_MS = 300; // a router lets go who says nothing for 1.5 s

// A gateway's Hello.
export function hello({ version = 1, node = randomBytes(8), shard = 0, shards = 0, cluster = "" } = {}) {
  return frame(1, Buffer.concat([
    numberField(1, version),
    Buffer.from([0x19, ...node]),
    field(5, Buffer.from("x")),
    ...(shard ? [numberField(6, shard)] : []),
    ...(shards ? [numberField(7, shards)] : []),
    field(8, randomBytes(32)),
    ...(cluster ? [field(10, Buffer.from(cluster))] : []),
  ]));
}

export function subscribe(channel) {
  return frame(16, field(1, Buffer.from(channel)));
}

export function publish(channel, sequence, data, publisher = Buffer.alloc(8, 7)) {
  const envelope = Buffer.concat([
    field(1, Buffer.from(channel)),
    Buffer.from([0x29, ...publisher]),
    numberField(6, sequence),
    field(8, Buffer.from(data)),
  ]);
  return frame(19, field(1, envelope));
}

// A connection to a router that remembers what it was told.
export class Stranger {
  received = Buffer.alloc(0);
  keeps = true; // what it is told

  static async connect(router) {
    const stranger = new Stranger();
    const socket = net.connect(router.ownPort, "127.0.0.1");

    stranger.socket = socket;
    stranger.closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => {});
    socket.on("data", (data) => {
      if (stranger.keeps) stranger.received = Buffer.concat([stranger.received, data]);
    });
    await within(new Promise((resolve) => socket.once("connect", resolve)), "a connection to the router");
    return stranger;
  }

  // One who is taken for a gateway, and gives signs of life; what it is told after the handshake is not kept.
  static async asGateway(router, options) {
    const stranger = await Stranger.connect(router);

    stranger.socket.write(Buffer.concat([hello(options), PROOF]));
    await until(() => stranger.received.includes(READY), "the end of the handshake");
    stranger.keeps = false;
    const life = setInterval(() => stranger.socket.write(PING), LIFE_MS).unref();
    stranger.socket.once("close", () => clearInterval(life));
    return stranger;
  }

  // Sends it all, in its own time; resolves when it is on its way, or nobody takes it any more.
  async send(...parts) {
    for (const part of parts) {
      if (this.socket.destroyed) return;
      if (!this.socket.write(part)) {
        const drained = new Promise((resolve) => this.socket.once("drain", resolve));
        await within(Promise.race([drained, this.closed]), "the router to read on");
      }
    }
  }

  // Sends it all and waits to be let go; what the router said before, as text.
  async isLetGo(...parts) {
    for (const part of parts) this.socket.write(part);
    await within(this.closed, "the router to let go");
    return this.received.toString("latin1");
  }

  destroy() {
    this.socket.destroy();
  }
}
