// A gateway with TLS, and its clients.
//
//     const gateway = await startWithTls(authority, { args: ["--hsts", "1h"] });
//     const ada = await openTls(gateway, { channel: "room" });
//     const { socket } = await handshake(gateway);   // a bare TLS connection, nothing said yet

import tls from "node:tls";

import { Client } from "./client.js";
import { start } from "./gateway.js";
import { within } from "./wait.js";

// Options as for start, and `pairs`: what authority.issue gave; by default one for localhost.
export async function startWithTls(authority, { pairs, args = [], ...options } = {}) {
  const files = pairs ?? [await authority.issue("localhost")];
  const gateway = await start({
    args: [
      ...["--tls-listen", "127.0.0.1:0"],
      ...["--tls-cert", files.map(({ certificate }) => certificate).join()],
      ...["--tls-key", files.map(({ key }) => key).join(), ...args],
    ],
    ...options,
  });

  gateway.tlsPort = await gateway.listeningPort("tls");
  gateway.authority = authority;
  return gateway;
}

// Options as for Client.open, and for node's TLS.
export async function openTls(gateway, { path = "/ws", channel, ...options } = {}) {
  const query = channel === undefined ? "" : `?channel=${encodeURIComponent(channel)}`;
  const url = `wss://localhost:${gateway.tlsPort}${path}${query}`;
  const client = new Client(url, { ca: gateway.authority.pem, family: 4, ...options });

  await within(client.opened, `a connection to ${url}`);
  return client;
}

// The socket of a TLS connection, and the session that its ticket can bring back; fails where there is no
// handshake.
export async function handshake(gateway, options = {}) {
  const socket = tls.connect({
    ...{ host: "127.0.0.1", port: gateway.tlsPort, servername: "localhost" },
    ...{ ca: gateway.authority.pem, ALPNProtocols: ["http/1.1"], ...options },
  });
  const session = new Promise((resolve) => socket.once("session", resolve));

  await within(
    new Promise((resolve, reject) => {
      socket.once("secureConnect", resolve);
      socket.once("error", reject);
    }),
    "a TLS handshake",
  );
  socket.on("error", () => {});
  return { socket, session };
}

// Whom a connection shows: the common name of the certificate.
export async function nameShown(gateway, options) {
  const { socket } = await handshake(gateway, { rejectUnauthorized: false, ...options });
  const name = socket.getPeerCertificate().subject.CN;

  socket.destroy();
  return name;
}
