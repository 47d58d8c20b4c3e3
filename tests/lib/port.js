// A port for a server that will be down for a while and come back.

import { randomInt } from "node:crypto";
import net from "node:net";

// Below the range from which the kernel takes ports for others (ip_local_port_range): while the server is
// down, nobody else may come by its port.
const FIRST_PORT = 10_000;
const LAST_PORT = 29_999;

// Free a moment ago. Whoever starts a server on it tries again with another where somebody was faster.
export async function freePort() {
  for (;;) {
    const port = randomInt(FIRST_PORT, LAST_PORT + 1);
    const server = net.createServer();
    const isFree = await new Promise((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
