// A line between a gateway and its bus that can lose either direction in silence, hold it back, break,
// be long, or lead to another server.
//
//     const relay = await Relay.start(redis.port);
//     relay.lose("toServer"); relay.heal(); relay.cut();

import net from "node:net";

const DIRECTIONS = ["toServer", "toClient"];

export class Relay {
  #connections = new Set();
  #fate = { toServer: "pass", toClient: "pass" };
  delayMs = 0; // that either direction takes

  static async start(port) {
    const relay = new Relay();
    relay.target = port; // of connections to come
    relay.server = net.createServer((near) => relay.#accept(near));
    await new Promise((resolve) => relay.server.listen(0, "127.0.0.1", resolve));
    relay.server.unref(); // a test that failed before it stopped this one is over all the same
    relay.port = relay.server.address().port;
    return relay;
  }

  #accept(near) {
    const far = net.connect(this.target, "127.0.0.1");
    const connection = { near, far, held: { toServer: [], toClient: [] }, hasLost: false, isOver: false };

    this.#connections.add(connection);
    for (const socket of [near, far]) {
      socket.on("error", () => this.#end(connection));
      socket.on("close", () => this.#end(connection));
    }
    near.on("data", (data) => this.#carry(connection, "toServer", data));
    far.on("data", (data) => this.#carry(connection, "toClient", data));
  }

  #carry(connection, direction, data) {
    if (this.#fate[direction] === "hold") connection.held[direction].push(data);
    else if (this.#fate[direction] === "lose") connection.hasLost = true;
    else this.#deliver(direction === "toServer" ? connection.far : connection.near, data);
  }

  // Timers of one length come in the order in which they were set.
  #deliver(socket, data) {
    if (this.delayMs === 0) socket.write(data);
    else setTimeout(() => socket.destroyed || socket.write(data), this.delayMs);
  }

  // What is held back for the server still goes there when the gateway has hung up, as it would from a
  // kernel that sends again what was not confirmed.
  #end(connection) {
    connection.isOver = true;
    connection.near.destroy();
    if (connection.held.toServer.length > 0 && !connection.far.destroyed) return;
    connection.far.destroy();
    this.#connections.delete(connection);
  }

  #change(direction, fate) {
    for (const name of direction === "both" ? DIRECTIONS : [direction]) this.#fate[name] = fate;
  }

  // What goes in this direction ("toServer", "toClient" or "both") vanishes from now on; nobody is told.
  lose(direction) {
    this.#change(direction, "lose");
  }

  // The same, but it comes when the line is healed.
  hold(direction) {
    this.#change(direction, "hold");
  }

  // Connections that have lost something end, since what follows makes no sense on them.
  heal() {
    this.#change("both", "pass");
    for (const connection of this.#connections) {
      const { near, far, held, hasLost, isOver } = connection;

      for (const data of held.toServer.splice(0)) far.write(data);
      for (const data of held.toClient.splice(0)) if (!isOver) near.write(data);
      if (isOver) far.end();
      else if (hasLost) this.#end(connection);
    }
  }

  // Breaks every connection.
  cut() {
    for (const { near, far } of this.#connections) {
      near.destroy();
      far.destroy();
    }
  }

  // From now on connections lead to `port`; those that are there break.
  redirect(port) {
    this.target = port;
    this.cut();
  }

  async stop() {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
