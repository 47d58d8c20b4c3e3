// The process of slow_reader.js. Its argument is the gateway's port; it tells its parent how much it has read.

import { createHash } from "node:crypto";

import { RawClient } from "./raw_client.js";

const SIP_MS = 10;
const SIP_BYTES = 10_000; // 1 MB a second

const [port] = process.argv.slice(2);
const { socket } = await RawClient.upgrade({ port: Number(port) });
const hash = createHash("sha256");
let taken = 0;
let limits = { allowed: 0, isInHurry: false };

function say(more) {
  process.send({ taken, sha256: hash.copy().digest("hex"), ...more });
}

function sip() {
  const wanted = Math.min(limits.allowed - taken, limits.isInHurry ? Infinity : SIP_BYTES);
  const data = socket.read(Math.min(wanted, socket.readableLength));

  if (!data) return;
  hash.update(data);
  taken += data.length;
  say();
}

// With a `readable` listener the stream takes nothing from the socket beyond its own small buffer.
socket.removeAllListeners("data").on("readable", () => {});
for (const event of ["end", "close"]) socket.once(event, () => say({ hasEnded: true }));
process.on("message", (message) => (limits = message));
setInterval(sip, SIP_MS);
say();
