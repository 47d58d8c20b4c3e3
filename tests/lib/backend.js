// An application's backend as a real HTTP server, which answers hooks as a test says.
//
//     const backend = await Backend.start();
//     backend.answers.rpc = ({ method }) => ({ result: { data: { method } } });   // or the answer itself
//     backend.answers.publish = raw(404, "no");     // or anything else that HTTP can say
//     const gateway = await start({ args: backend.args("rpc", "publish") });
//     backend.asked.rpc     // what it was asked: [{ body, headers, port }]
//     await backend.stop();

import http from "node:http";
import https from "node:https";
import { once } from "node:events";

const HOOKS = ["connect", "refresh", "subscribe", "publish", "rpc"];

// Answers that are none: for `answers`.
export const raw =
  (status, body, headers = {}) =>
  (_, response) =>
    response.writeHead(status, headers).end(body);
export const closesTheConnection = (_, response) => {
  response.socket.destroy();
  return response;
};
export const neverAnswers = () => new Promise(() => {});

export class Backend {
  asked = Object.fromEntries(HOOKS.map((hook) => [hook, []]));
  answers = {};
  underWay = 0;
  mostUnderWay = 0;

  // `tls`: { key, cert } of an https server.
  static async start({ port = 0, tls } = {}) {
    const backend = new Backend();
    const listener = (request, response) => backend.#answer(request, response);

    backend.scheme = tls ? "https" : "http";
    backend.server = tls ? https.createServer(tls, listener) : http.createServer(listener);
    backend.server.listen(port, "127.0.0.1");
    await once(backend.server, "listening");
    backend.port = backend.server.address().port;
    return backend;
  }

  url(hook) {
    return `${this.scheme}://127.0.0.1:${this.port}/hooks/${hook}`;
  }

  args(...hooks) {
    return hooks.flatMap((hook) => [`--proxy-${hook}`, this.url(hook)]);
  }

  stop() {
    const closed = once(this.server, "close");
    this.server.close();
    this.server.closeAllConnections();
    return closed;
  }

  async #answer(request, response) {
    const hook = request.url.split("/").at(-1);
    const chunks = [];

    for await (const chunk of request) chunks.push(chunk);
    const asked = {
      body: JSON.parse(Buffer.concat(chunks)),
      method: request.method,
      headers: request.headers,
      port: request.socket.remotePort,
    };
    this.asked[hook].push(asked);
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay);
    response.once("close", () => this.underWay--);
    const answer = this.answers[hook] ?? { result: {} };
    const said = typeof answer === "function" ? await answer(asked.body, response) : answer;
    if (!response.headersSent && !response.destroyed && said !== response)
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(said));
  }
}
