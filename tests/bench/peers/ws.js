// A broadcast server on Node's `ws`, as the package's README has it.

import { WebSocketServer } from "ws";
import { serve } from "./http_server.js";

const { server, isDeflated } = serve();
const sockets = new WebSocketServer({ server, perMessageDeflate: isDeflated && { threshold: 0 } });

sockets.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => {
    for (const client of sockets.clients) {
      if (client.readyState === client.OPEN) client.send(data, { binary: isBinary });
    }
  });
});
