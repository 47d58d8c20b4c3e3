// The cluster of deploy/compose.yaml, in one of its two forms, and what may befall its parts.
//
//     const cluster = await Cluster.up(["compose.yaml", "compose.router.yaml"], ["balancer", "gateway", "router"]);
//     const [first] = await cluster.containers("gateway");
//     await cluster.kill(first); await cluster.start(first);
//     await cluster.cut(first, "back"); await cluster.join(first, "back");
//     await cluster.scale(5);
//     await cluster.down();
//
// CARILLON_COMPOSE is the command, "docker compose" or "docker-compose".

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

import { freePort } from "../lib/port.js";
import { until } from "../lib/wait.js";

const FOLDER = fileURLToPath(new URL("../../deploy/", import.meta.url));
const PROJECT = "carillon-smoke";
const DEADLINE_MS = 120_000;
// In /proc/net/tcp: a connection (01) at port 8000.
const PUBLIC_CONNECTION = /:1F40 [0-9A-F]+:[0-9A-F]+ 01 /g;
const BUFFER_BYTES = 64 * 1024 * 1024;

function command(program, args, env = {}) {
  return new Promise((resolve, reject) => {
    const options = { env: { ...process.env, ...env }, maxBuffer: BUFFER_BYTES };
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error) reject(new Error(`${program} ${args.join(" ")}: ${error.message}\n${stdout}${stderr}`));
      else resolve(stdout.trim());
    });
  });
}

export const docker = (...args) => command("docker", args);

// Programs log to stderr, which docker passes on as such.
export const logsOf = (container) => command("sh", ["-c", 'docker logs --tail 200 "$0" 2>&1', container]);

export class Cluster {
  static async up(files, services) {
    const cluster = new Cluster();

    cluster.services = services;
    cluster.files = files.flatMap((file) => ["-f", `${FOLDER}${file}`]);
    cluster.env = {
      COMPOSE_PROJECT_NAME: PROJECT,
      CARILLON_PORT: String(await freePort()),
      PROMETHEUS_PORT: String(await freePort()),
    };
    await cluster.down(); // what a run that was cut short has left
    await cluster.compose("up", "-d", "--no-build", ...services);
    await cluster.isReady();
    return cluster;
  }

  get url() {
    return `http://127.0.0.1:${this.env.CARILLON_PORT}`;
  }

  get prometheusUrl() {
    return `http://127.0.0.1:${this.env.PROMETHEUS_PORT}`;
  }

  compose(...args) {
    const [program, ...words] = process.env.CARILLON_COMPOSE.split(" ");
    return command(program, [...words, ...this.files, ...args], this.env);
  }

  async containers(service) {
    const label = (name, value) => ["--filter", `label=com.docker.compose.${name}=${value}`];
    const list = await docker("ps", "-aq", "--no-trunc", ...label("project", PROJECT), ...label("service", service));
    return list.split("\n").filter(Boolean).sort();
  }

  // Of the gateways, the one that has most people.
  async busiest() {
    const gateways = await this.containers("gateway");
    const tables = await Promise.all(
      gateways.map((id) => docker("exec", id, "cat", "/proc/net/tcp").then((table) => table, () => "")),
    );
    const counts = tables.map((table) => (table.match(PUBLIC_CONNECTION) ?? []).length);
    return gateways[counts.indexOf(Math.max(...counts))];
  }

  async inspect(container, format) {
    return docker("inspect", "--format", format, container);
  }

  addressOf(container, network) {
    return this.inspect(container, `{{(index .NetworkSettings.Networks "${PROJECT}_${network}").IPAddress}}`);
  }

  // New people can come: a gateway is there behind the balancer, and its bus.
  isReady() {
    const ask = async () => (await fetch(`${this.url}/ready`).catch(() => null))?.status === 200;
    return until(ask, "the balancer to have a gateway that is ready", DEADLINE_MS);
  }

  isHealthy(container) {
    const look = async () => (await this.inspect(container, "{{.State.Health.Status}}")) === "healthy";
    return until(look, `${container} to be healthy`, DEADLINE_MS);
  }

  kill(container) {
    return docker("kill", container);
  }

  start(container) {
    return docker("start", container);
  }

  // Asks it to stop and starts it again, as an update does.
  async restart(container) {
    await docker("stop", "--time", "60", container);
    const code = await this.inspect(container, "{{.State.ExitCode}}");
    if (code !== "0") throw new Error(`${container} ended with ${code}:\n${await logsOf(container)}`);
    await docker("start", container);
  }

  // As if its cable were pulled.
  cut(container, network) {
    return docker("network", "disconnect", `${PROJECT}_${network}`, container);
  }

  async join(container, network) {
    const service = await this.inspect(container, '{{index .Config.Labels "com.docker.compose.service"}}');
    await docker("network", "connect", "--alias", service, `${PROJECT}_${network}`, container);
  }

  async scale(count) {
    await this.compose("up", "-d", "--no-build", "--no-recreate", "--scale", `gateway=${count}`, ...this.services);
    const running = await this.containers("gateway");
    if (running.length !== count) throw new Error(`${running.length} gateways instead of ${count}`);
  }

  logs() {
    return this.compose("logs", "--no-color", "--tail", "200");
  }

  async down() {
    await this.compose("down", "--volumes", "--remove-orphans", "--timeout", "5");
  }
}
