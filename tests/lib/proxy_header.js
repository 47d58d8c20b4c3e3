// Headers of the PROXY protocol, as a proxy writes them before its client's first byte.

import net from "node:net";

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const LOCAL = 0x20;
const PROXY = 0x21;
const TCP4 = 0x11;
const UNSPEC = 0x00;

export function proxyLine(address, port = 4711) {
  const [family, destination] = net.isIPv6(address) ? ["TCP6", "::1"] : ["TCP4", "10.0.0.1"];
  return Buffer.from(`PROXY ${family} ${address} ${destination} ${port} 443\r\n`);
}

export function proxyBinary(address, { port = 4711, extra = Buffer.alloc(0) } = {}) {
  const addresses = Buffer.alloc(12);
  addresses.set(address.split(".").map(Number), 0);
  addresses.set([10, 0, 0, 1], 4);
  addresses.writeUInt16BE(port, 8);
  addresses.writeUInt16BE(443, 10);
  return binary(PROXY, TCP4, Buffer.concat([addresses, extra]));
}

export function proxyLocal() {
  return binary(LOCAL, UNSPEC, Buffer.alloc(0));
}

function binary(command, family, rest) {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(rest.length);
  return Buffer.concat([SIGNATURE, Buffer.from([command, family]), size, rest]);
}
