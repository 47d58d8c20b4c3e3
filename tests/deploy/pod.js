// A container of a rendered manifest, run as a process: its command, arguments, environment, files and probes are the
// manifest's; only where it listens and whom it connects to is the loopback's.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { freePort } from "../lib/port.js";
import { Program } from "../lib/program.js";
import { until } from "../lib/wait.js";
import { named } from "./manifests.js";

const PROGRAMS = {
  "carillon-gateway": () => process.env.CARILLON_GATEWAY, // the image's entrypoint
  "carillon-router": () => process.env.CARILLON_ROUTER,
};

export function environmentOf(container, objects, pod) {
  const environment = {};

  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef) Object.assign(environment, named(objects, "ConfigMap", configMapRef.name).data);
    if (secretRef) Object.assign(environment, decoded(named(objects, "Secret", secretRef.name).data));
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    environment[name] = valueFrom?.fieldRef.fieldPath === "metadata.name" ? pod : value;
  }
  return environment;
}

const decoded = (data) =>
  Object.fromEntries(Object.entries(data).map(([name, text]) => [name, Buffer.from(text, "base64").toString()]));

export class Pod {
  // `hosts`: for each HOST:PORT of the cluster that the pod names, where that is here. `ports`: where it listens, by
  // the name of the port. `folder`: for the files of its volumes.
  static async start(workload, objects, { name, hosts = {}, ports = {}, folder }) {
    const { spec } = workload.spec.template;
    const [container] = spec.containers;
    const pod = new Pod();

    pod.container = container;
    pod.ports = {};
    for (const { name: port } of container.ports) pod.ports[port] = ports[port] ?? (await freePort());
    const files = await writeVolumes(spec, container, objects, join(folder, name));
    const here = (text) =>
      Object.entries({ ...hosts, ...files }).reduce((known, [from, to]) => known.replaceAll(from, to), text);

    const [command = "carillon-gateway"] = container.command ?? [];
    const args = (container.args ?? []).map(here);
    const environment = Object.entries(environmentOf(container, objects, name)).map(([key, value]) => [key, here(value)]);
    const listen = `127.0.0.1:${pod.ports.http ?? pod.ports.router}`;
    const listeners = ["--listen", listen, "--admin-listen", `127.0.0.1:${pod.ports.admin}`];
    pod.program = new Program(name, [PROGRAMS[command](), ...args, ...listeners], Object.fromEntries(environment));
    return pod;
  }

  // As the kubelet asks; resolves once the answer is that it is well.
  async passes(probe) {
    const { path, port } = this.container[probe].httpGet;
    const url = `http://127.0.0.1:${this.ports[port]}${path}`;
    await until(
      async () => {
        if (this.program.hasEnded) throw this.program.error("ended");
        return (await fetch(url).catch(() => null))?.status === 200;
      },
      () => this.program.error(`does not pass ${probe}`).message,
    );
  }
}

// Where the files of a container's volumes are here, by the path that they have in it.
async function writeVolumes(spec, container, objects, folder) {
  const places = {};

  for (const { name, mountPath } of container.volumeMounts ?? []) {
    const { secret } = spec.volumes.find((volume) => volume.name === name);
    places[mountPath] = join(folder, name);
    await mkdir(places[mountPath], { recursive: true });
    for (const [file, text] of Object.entries(decoded(named(objects, "Secret", secret.secretName).data))) {
      await writeFile(join(places[mountPath], file), text);
    }
  }
  return places;
}
