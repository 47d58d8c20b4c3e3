// A broadcast server on socket.io, over WebSocket from the start.

import { Server } from "socket.io";
import { serve } from "./http_server.js";

const { server, isDeflated } = serve();
const io = new Server(server, {
  transports: ["websocket"],
  perMessageDeflate: isDeflated && { threshold: 0 },
  maxHttpBufferSize: 1e6,
});

io.on("connection", (socket) => socket.on("m", (data) => io.emit("m", data)));
