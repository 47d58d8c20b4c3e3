// A real nginx or HAProxy in front of a gateway, in a directory that goes with it.
//
//     const balancer = await Nginx.start(gateway);
//     const client = await Client.open(balancer, { localAddress: "127.0.0.7" });
//     await balancer.stop();
//
// They are where Debian's packages put them; `missing` says which one is not there.

import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { removeDirectory, temporaryDirectory } from "./directory.js";
import { freePort } from "./port.js";
import { Program } from "./program.js";
import { until } from "./wait.js";

const START_TRIES = 5;

// For node:test's `skip`: false, or what has to be installed.
export function missing(program) {
  return existsSync(`/usr/sbin/${program}`) ? false : `THERE IS NO ${program} HERE: apt-get install ${program}`;
}

class Balancer {
  // `options` are the kind's own.
  static async start(gateway, options = {}) {
    const balancer = new this();

    balancer.directory = await temporaryDirectory("balancer");
    balancer.file = join(balancer.directory, "balancer.conf");
    for (let attempt = 1; ; attempt++) {
      balancer.port = await freePort();
      await writeFile(balancer.file, balancer.configuration(gateway, options));
      balancer.program = new Program("the balancer", balancer.command());
      try {
        await until(() => balancer.isReady(), () => `the balancer on port ${balancer.port}:\n${balancer.program.log}`);
        return balancer;
      } catch (error) {
        await balancer.program.kill();
        if (attempt === START_TRIES) {
          await balancer.stop();
          throw error; // else somebody was faster: another port
        }
      }
    }
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async isReady() {
    if (this.program.hasEnded) throw this.program.error("ended");
    return (await fetch(`${this.url}/health`).catch(() => null))?.status === 200;
  }

  async stop() {
    await this.program.kill();
    await removeDirectory(this.directory);
  }
}

export class Nginx extends Balancer {
  command() {
    return ["/usr/sbin/nginx", "-p", this.directory, "-e", "stderr", "-c", this.file];
  }

  configuration(gateway) {
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    return `
daemon off;
master_process off;
pid ${this.directory}/nginx.pid;
events {}
http {
  access_log off;
  ${paths.map((name) => `${name}_temp_path ${this.directory}/${name};`).join("\n  ")}
  map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
  upstream gateways { server 127.0.0.1:${gateway.port}; keepalive 4; }
  server {
    listen 127.0.0.1:${this.port};
    location / {
      proxy_pass http://gateways;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Host inner;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
    }
  }
}
`;
  }
}

export class Haproxy extends Balancer {
  command() {
    return ["/usr/sbin/haproxy", "-db", "-f", this.file];
  }

  // `mode`: http, with the client in X-Forwarded-For, or tcp; `send`: send-proxy or send-proxy-v2.
  configuration(gateway, { mode = "http", send = "" }) {
    const headers = `
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]`;
    return `
defaults
  mode ${mode}
  timeout connect 5s
  timeout client 1m
  timeout server 1m
  timeout tunnel 1m
frontend clients
  bind 127.0.0.1:${this.port}
  default_backend gateways
backend gateways
  option httpchk GET /health${mode === "http" ? headers : ""}
  server one 127.0.0.1:${gateway.port} check inter 200ms ${send} ${send ? "check-send-proxy" : ""}
`;
  }
}
