// The channel protocol without a WebSocket, command by command: a stream of HTTP and posts beside it.
//
//     const ann = await StreamClient.connect(gateway, { transport: "sse" });
//     await ann.ask({ subscribe: { channel: "room" } });         // the reply
//     await ann.pushed(({ pub }) => pub?.data === "hello");      // the first such push
//     await ann.post({ send: { data: 1 } }, { at: other });      // the status of the answer
//     await ann.ended;                                           // the last push: { disconnect: { code, … } }

import { until, within } from "./wait.js";

export class StreamClient {
  #lastId = 0;
  #end = new AbortController();
  heard = []; // replies and pushes, a ping being {}

  // `transport`: "http_stream" or "sse"; `request`: what connect says; `headers`: more of them.
  static async connect(gateway, { transport = "http_stream", request = {}, headers = {}, base = "" } = {}) {
    const client = new StreamClient();
    const command = JSON.stringify({ id: client.nextId(), connect: request });
    const address = `http://127.0.0.1:${gateway.port}${base}`;
    const options = { headers, signal: client.#end.signal };

    client.gateway = gateway;
    client.base = base;
    client.response = await within(
      transport === "sse"
        ? fetch(`${address}/connection/sse?cf_connect=${encodeURIComponent(command)}`, options)
        : fetch(`${address}/connection/http_stream`, { ...options, method: "POST", body: command }),
      "the head of a stream",
    );
    if (client.response.status !== 200) throw new Error(`refused: ${client.response.status}`);
    client.ended = client.#read(transport === "sse" ? "\n\n" : "\n");
    client.welcome = (await client.reply(1)).connect;
    return client;
  }

  async #read(end) {
    let text = "";
    try {
      for await (const part of this.response.body.pipeThrough(new TextDecoderStream())) {
        const pieces = (text + part).split(end);
        text = pieces.pop();
        for (const piece of pieces) this.heard.push(JSON.parse(piece.replace(/^data: /, "")));
      }
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
    return this.heard.at(-1)?.push;
  }

  get pushes() {
    return this.heard.filter(({ push }) => push).map(({ push }) => push);
  }

  nextId() {
    return ++this.#lastId;
  }

  // A text is sent as it is, commands as JSON. `at`: another gateway, or whatever has a port.
  async post(commands, { at = this.gateway, headers = {}, ...names } = {}) {
    const data = typeof commands === "string" ? commands : [commands].flat().map((one) => JSON.stringify(one)).join("\n");
    const { session, node } = this.welcome;
    const response = await fetch(`http://127.0.0.1:${at.port}${this.base}/emulation`, {
      ...{ method: "POST", headers: { "Content-Type": "application/json", ...headers } },
      body: JSON.stringify({ session, node, data, ...names }),
    });
    await response.arrayBuffer();
    return response.status;
  }

  async ask(command, options) {
    const id = this.nextId();
    const status = await this.post({ id, ...command }, options);
    if (status !== 204) throw new Error(`the post was answered with ${status}`);
    return this.reply(id);
  }

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
    await until(() => (found = look()), what);
    return found;
  }

  // Returns once what is posted there comes here: gateways that have just started may not hear each other yet.
  async isHeardFrom(gateway) {
    const before = this.nextId();
    await until(async () => {
      await this.post({ id: this.nextId(), ping: {} }, { at: gateway });
      return this.heard.some(({ id }) => id > before);
    }, "a post to come by way of the other gateway");
  }

  // Ends it without a word, as a page that is closed does.
  destroy() {
    this.#end.abort();
  }
}
