// What may stand between a browser and the gateway.

import { execFile } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { promisify } from "node:util";

// A load balancer that serves the gateway below a path: /chat/… there is /… here. With `isSecure` it
// speaks https and wss to the browser, with a certificate that nobody knows.
export async function startPrefixProxy(prefix, gateway, { isSecure = false } = {}) {
  const strip = (url) => (url.startsWith(prefix) ? url.slice(prefix.length - 1) : null);
  const server = isSecure ? https.createServer(await createCertificate()) : http.createServer();

  server.on("request", (request, response) => {
    const path = strip(request.url);
    if (path === null) return void response.writeHead(404).end();

    const { method, headers } = request;
    const onward = http.request({ host: "127.0.0.1", port: gateway.port, path, method, headers });
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  });
  const { sockets, stop } = await listen(server);

  server.on("upgrade", (request, socket, head) => {
    const path = strip(request.url);
    if (path === null) return void socket.destroy();

    const lines = [`GET ${path} HTTP/1.1`];
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
    }
    const onward = connect(gateway, socket, sockets);
    onward.write(`${lines.join("\r\n")}\r\n\r\n`);
    onward.write(head);
    socket.pipe(onward);
    onward.pipe(socket);
  });
  const scheme = isSecure ? "https" : "http";
  return { url: `${scheme}://127.0.0.1:${server.address().port}${prefix}`, stop };
}

// A fresh key and its own signature on it, for node:https.
async function createCertificate() {
  const { stdout } = await promisify(execFile)("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"],
    ...["-keyout", "-", "-out", "-"],
  ]);
  return { key: stdout, cert: stdout };
}

// A line that can go dead in one direction or in both, be cut, and lead elsewhere.
export async function startLine(first) {
  let gateway = first;
  let isMuted = false;
  const alive = new Set();
  const server = net.createServer((socket) => {
    const onward = connect(gateway, socket, sockets);
    alive.add(socket);
    socket.on("data", (data) => alive.has(socket) && onward.write(data));
    onward.on("data", (data) => !isMuted && alive.has(socket) && socket.write(data));
    socket.on("close", () => alive.delete(socket));
  });
  const { sockets, stop } = await listen(server);

  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    // From now on nothing comes back from the gateway, though everything gets there.
    mute: () => (isMuted = true),
    // What is connected goes dead in both directions, and nobody is told; new connections live.
    die: () => alive.clear(),
    // Breaks what is connected; new connections work both ways.
    cut() {
      isMuted = false;
      for (const socket of sockets) socket.destroy();
    },
    // New connections go to another gateway.
    lead: (next) => (gateway = next),
    stop,
  };
}

function connect(gateway, socket, sockets) {
  const onward = net.connect(gateway.port, "127.0.0.1");

  sockets.add(onward);
  for (const [one, other] of [[socket, onward], [onward, socket]]) {
    one.on("error", () => {});
    one.on("close", () => {
      sockets.delete(one);
      other.destroy();
    });
  }
  return onward;
}

async function listen(server) {
  const sockets = new Set();

  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const stop = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { sockets, stop };
}
