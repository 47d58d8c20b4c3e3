// The HTTP or HTTPS server under a peer on Node: [--deflate] [--tls CERTIFICATE KEY].

import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";

export function serve() {
  const args = process.argv.slice(2);
  const [certificate, key] = args.includes("--tls") ? args.slice(args.indexOf("--tls") + 1) : [];
  const server = certificate
    ? https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) })
    : http.createServer();
  const listen = { host: "127.0.0.1", port: 0, backlog: 4096 };
  server.listen(listen, () => console.log(`listening on 127.0.0.1:${server.address().port}`));
  return { server, isDeflated: args.includes("--deflate") };
}
