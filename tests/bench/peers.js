// Other servers, each with one thread on one core, started for one turn: where they are found, how they are told to
// broadcast, and what they cannot do. Programs out of packages lie unpacked in build/peers (tests/run puts them
// there) or are installed.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { freePort } from "../lib/port.js";
import { until } from "../lib/wait.js";
import { start } from "./servers.js";

const here = fileURLToPath(new URL(".", import.meta.url));
const unpacked = process.env.CARILLON_PEERS ?? join(here, "../../build/peers");
const START_TRIES = 5;
const OPEN_FILES = 100_000;

function find(...places) {
  return places.flatMap((place) => [join(unpacked, place), place]).find((path) => existsSync(path));
}

function libraries(folder) {
  const path = join(unpacked, folder);
  const names = existsSync(path) ? readdirSync(path).filter((name) => name.endsWith("-linux-gnu")) : [];
  return names.map((name) => join(path, name));
}

const environment = {
  LD_LIBRARY_PATH: [...libraries("usr/lib"), ...libraries("lib")].join(":"),
  PYTHONPATH: join(unpacked, "usr/lib/python3/dist-packages"),
};

function canConnect(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("error", () => resolve(false));
    socket.once("connect", () => resolve(true)).once("connect", () => socket.destroy());
  });
}

// Starts `program` with the configuration that `configure` writes for free ports and a folder of its own.
async function startConfigured(program, args, configure) {
  for (let attempt = 1; ; attempt++) {
    const folder = await mkdtemp(join(tmpdir(), "carillon-peer-"));
    const [port, other] = [await freePort(), await freePort()];
    const file = join(folder, "conf");
    await writeFile(file, configure({ port, other, folder }));
    const child = start(0, program, args(file, folder), "ignore", environment);
    let hasEnded = false;
    child.ended.finally(() => {
      hasEnded = true;
      return rm(folder, { recursive: true, force: true });
    }).catch(() => {});
    await until(async () => hasEnded || (await canConnect(port)), `${program} to listen`);
    if (!hasEnded) return { child, port };
    if (attempt === START_TRIES) throw new Error(`${program} ended at once`); // else somebody took its port
  }
}

const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

function nchanConfiguration(module, { isDeflated, tls }) {
  return ({ port, folder }) => `
    load_module ${module};
    daemon off; master_process off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/log crit;
    worker_rlimit_nofile ${OPEN_FILES};
    events { worker_connections ${OPEN_FILES}; multi_accept on; }
    http {
      access_log off; nchan_shared_memory_size 256M;
      ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(" ")}
      server {
        listen 127.0.0.1:${port} backlog=4096 ${tls ? "ssl" : ""};
        ${tls ? `ssl_certificate ${tls.certificate}; ssl_certificate_key ${tls.key};` : ""}
        location / {
          nchan_pubsub websocket; nchan_channel_id bench; nchan_subscriber_first_message newest;
          nchan_message_buffer_length 1000; nchan_message_timeout 10s; nchan_max_channel_subscribers 0;
          nchan_deflate_message_for_websocket ${isDeflated ? "on" : "off"}; client_max_body_size 1m;
        }
      }
    }`;
}

const nchan = {
  name: "nchan",
  package: "nginx with libnginx-mod-nchan",
  find: () => {
    const program = find("/usr/sbin/nginx");
    const module = find("/usr/lib/nginx/modules/ngx_nchan_module.so");
    return program && module && { program, module };
  },
  launch: ({ program, module }, manner) =>
    startConfigured(program, (file, folder) => ["-p", folder, "-c", file], nchanConfiguration(module, manner)),
};

const nats = {
  name: "nats-server",
  package: "nats-server",
  protocol: "nats",
  find: () => find("/usr/sbin/nats-server", "/usr/bin/nats-server"),
  launch: (program, { isDeflated, tls }) =>
    startConfigured(program, (file) => ["-c", file], ({ port, other }) => `
      listen: "127.0.0.1:${other}"
      max_connections: ${OPEN_FILES}
      websocket {
        listen: "127.0.0.1:${port}", compression: ${isDeflated}
        ${tls ? `tls { cert_file: "${tls.certificate}", key_file: "${tls.key}" }` : "no_tls: true"}
      }`),
};

const mosquitto = {
  name: "mosquitto",
  package: "mosquitto",
  protocol: "mqtt",
  cannotDeflate: "has no permessage-deflate",
  find: () => find("/usr/sbin/mosquitto"),
  // Version 2.0.11 does not start with listeners for WebSocket alone.
  launch: (program, { tls }) =>
    startConfigured(program, (file) => ["-c", file], ({ port, other }) =>
      [
        ...["allow_anonymous true", "user root", "log_type none", "set_tcp_nodelay true", "max_queued_messages 0"],
        ...[`listener ${other} 127.0.0.1`, `listener ${port} 127.0.0.1`, "protocol websockets"],
        ...(tls ? [`certfile ${tls.certificate}`, `keyfile ${tls.key}`] : []),
        "",
      ].join("\n")),
};

// Resolves once it says on which port it listens.
async function startScript(program, script, { isDeflated, tls }) {
  const manner = [...(isDeflated ? ["--deflate"] : []), ...(tls ? ["--tls", tls.certificate, tls.key] : [])];
  const child = start(0, program, [script, ...manner].filter(Boolean), ["ignore", "pipe", "inherit"], environment);
  return { child };
}

const nodeModules = (name) => existsSync(join(here, `../node_modules/${name}`));

const ws = {
  name: "Node ws",
  package: "ws of npm",
  find: () => nodeModules("ws"),
  launch: (_, manner) => startScript(process.execPath, join(here, "peers/ws.js"), manner),
};

const socketIo = {
  name: "socket.io",
  package: "socket.io of npm",
  protocol: "socketio",
  path: "/socket.io/?EIO=4&transport=websocket",
  find: () => nodeModules("socket.io"),
  launch: (_, manner) => startScript(process.execPath, join(here, "peers/socket_io.js"), manner),
};

const websockets = {
  name: "websockets",
  package: "python3-websockets",
  find: () => {
    const python = find("/usr/bin/python3");
    const env = { ...process.env, ...environment };
    return python && spawnSync(python, ["-c", "import websockets"], { env }).status === 0 && python;
  },
  launch: (python, manner) => startScript(python, join(here, "peers/websockets_server.py"), manner),
};

// A program of the user's: it broadcasts plain messages, and says "listening on 127.0.0.1:PORT".
const uWebSockets = {
  name: "uWebSockets",
  package: "the program that CARILLON_UWEBSOCKETS names",
  isOptional: true,
  cannotDeflate: "is started without options",
  cannotSecure: "is started without options",
  find: () => process.env.CARILLON_UWEBSOCKETS,
  launch: (program) => startScript(program, null, {}),
};

const all = [nchan, nats, mosquitto, ws, socketIo, websockets, uWebSockets];

// Those that are here, as servers for Programs.measure, and those that are not.
export function findPeers() {
  const found = all.map((peer) => ({ ...peer, kind: "peer", args: [], place: peer.find() }));
  const here = found.filter(({ place }) => place);
  return { here, missing: found.filter(({ place, isOptional }) => !place && !isOptional) };
}

// The same server in another manner: { isDeflated, tls: { certificate, key } }.
export function inManner(peer, manner) {
  return { ...peer, ...manner, isTls: Boolean(manner.tls) };
}

export async function launchPeer(peer) {
  const { isDeflated = false, tls } = peer;
  return peer.launch(peer.place, { isDeflated, tls });
}
