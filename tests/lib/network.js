// The network between routers and gateways: every router is behind a door, and lines between any two processes
// can be cut. A cut line is a black hole, as a lost cable is: nothing arrives, nobody is told and nobody is
// refused; what was under way arrives when the line is mended. A router tells others the address of its door, so
// that no way leads around it.
//
//     const network = new Network();
//     const door = await network.open("R0", port);   // of the router R0, which listens on `port`
//     network.cut("G1", "R0");                       // what G1 sends to R0; network.cut("R0", "G1") is the way back
//     network.mend("G1", "R0");
//     network.breakLine("G1", "R0");                 // the connections between them end, new ones are welcome
//     door.shut();                                   // the router is dead: its port refuses
//     await door.reopen();
//
// Who connects says so in its Hello: a router by its name. Gateways all have one name; a node that was not
// seen before is the gateway that was announced last (`network.expect("G1")`).

import net from "node:net";

import { freePort } from "./port.js";

export class Network {
  #gateways = new Map(); // node id to name
  #expected = null;
  #cuts = new Set(); // "from to"
  #connections = new Set();
  #doors = [];

  // Resolves when the gateway has said Hello.
  expect(name) {
    return new Promise((seen) => {
      this.#expected = { name, seen };
    });
  }

  async open(name, serverPort) {
    const door = new Door(this, name, serverPort);
    await door.reopen();
    this.#doors.push(door);
    return door;
  }

  isCut(from, to) {
    return this.#cuts.has(`${from} ${to}`);
  }

  cut(from, to) {
    this.#cuts.add(`${from} ${to}`);
    this.#look();
  }

  mend(from, to) {
    this.#cuts.delete(`${from} ${to}`);
    this.#look();
  }

  breakLine(one, other) {
    for (const connection of this.#connections) {
      const { from, to } = connection;
      if ((from === one && to === other) || (from === other && to === one)) connection.destroy();
    }
  }

  // A connection that came to a door.
  carry(near, to, serverPort) {
    const connection = new Connection(this, near, to, serverPort);

    this.#connections.add(connection);
    connection.over = () => this.#connections.delete(connection);
  }

  // The name of who said Hello.
  nameOf({ isRouter, name, node }) {
    if (isRouter) return name;
    if (!this.#gateways.has(node) && this.#expected) {
      this.#gateways.set(node, this.#expected.name);
      this.#expected.seen();
      this.#expected = null;
    }
    return this.#gateways.get(node);
  }

  close() {
    for (const connection of this.#connections) connection.destroy();
    for (const door of this.#doors) door.shut();
  }

  #look() {
    for (const connection of this.#connections) connection.look();
  }
}

class Door {
  constructor(network, name, serverPort) {
    Object.assign(this, { network, name, serverPort });
  }

  get address() {
    return `127.0.0.1:${this.port}`;
  }

  async reopen() {
    for (;;) {
      const port = this.port ?? (await freePort());
      const server = net.createServer((near) => this.network.carry(near, this.name, this.serverPort));
      const isOpen = await new Promise((resolve) => {
        server.once("error", () => resolve(false));
        server.listen(port, "127.0.0.1", () => resolve(true));
      });

      if (isOpen) {
        Object.assign(this, { port, server });
        return;
      }
      if (this.port) throw new Error(`the door of ${this.name}: port ${port} is taken`);
    }
  }

  // Its connections are left to what their ends do.
  shut() {
    this.server.close();
  }
}

// `near` is who connected (`from`, null until its Hello was read), `far` the router (`to`).
class Connection {
  constructor(network, near, to, serverPort) {
    Object.assign(this, { network, near, to, serverPort, from: null, far: null, greeting: Buffer.alloc(0) });
    near.setNoDelay(true);
    near.on("error", () => {});
    near.on("close", () => this.look());
    near.on("data", (data) => this.#read(data));
  }

  #read(data) {
    if (this.far) {
      this.far.write(data);
      return;
    }
    this.greeting = Buffer.concat([this.greeting, data]);
    const hello = this.from ? null : readHello(this.greeting);
    if (!hello) return;
    this.from = this.network.nameOf(hello) ?? "?";
    this.look();
  }

  // Lets flow what may flow now. A connection that is made while the line is cut in one direction is not
  // there before it is mended.
  look() {
    const { network, near, from, to } = this;
    const isThere = !network.isCut(from, to);
    const isBack = !network.isCut(to, from);

    if (!this.far && near.destroyed) this.over();
    else if (!this.far && from && isThere && isBack) this.#connect();
    if (!this.far) return;
    if (isThere) this.#let(near, this.far);
    else near.pause();
    if (isBack) this.#let(this.far, near);
    else this.far.pause();
    if (near.destroyed && this.far.destroyed) this.over();
  }

  #connect() {
    const far = net.connect(this.serverPort, "127.0.0.1");

    this.far = far;
    far.setNoDelay(true);
    far.on("error", () => {});
    far.on("close", () => this.look());
    far.on("data", (data) => this.near.write(data));
    far.write(this.greeting);
  }

  // What one end sent, and that it has ended, comes to the other.
  #let(source, sink) {
    if (source.destroyed) sink.destroySoon();
    else source.resume();
  }

  destroy() {
    this.near.destroy();
    this.far?.destroy();
    this.over();
  }
}

// The first frame of proto/router.proto: { isRouter, name, node }; null while it is incomplete.
function readHello(bytes) {
  if (bytes.length < 4 || bytes.length < 4 + bytes.readUInt32BE(0)) return null;
  const frame = fieldsOf(bytes.subarray(4, 4 + bytes.readUInt32BE(0)));
  const hello = fieldsOf(frame.get(1) ?? Buffer.alloc(0));

  return {
    node: hello.get(3)?.toString("hex"),
    isRouter: hello.get(4) === 1,
    name: hello.get(5)?.toString() ?? "",
  };
}

// A protobuf message: the last value of each field; varints as numbers, everything else as bytes.
function fieldsOf(bytes) {
  const fields = new Map();
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (!(byte & 128)) return value;
    }
  };

  while (at < bytes.length) {
    const key = varint();
    const size = { 0: 0, 1: 8, 5: 4 }[key % 8] ?? varint();
    fields.set(Math.floor(key / 8), key % 8 === 0 ? varint() : bytes.subarray(at, at + size));
    at += size;
  }
  return fields;
}
