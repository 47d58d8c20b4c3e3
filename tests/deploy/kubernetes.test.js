// deploy/kubernetes: rendered, held against the API's schemas, and run.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { parse } from "yaml";

import { Client } from "../lib/client.js";
import { metric } from "../lib/metrics.js";
import { freePort } from "../lib/port.js";
import { runToEnd } from "../lib/program.js";
import { Redis } from "../lib/redis.js";
import { Manifests, canRender, named, problemsOf, readObjects } from "./manifests.js";
import { TOP, run, succeed, temporaryDirectory } from "./package.js";
import { Pod, environmentOf } from "./pod.js";

const OVERLAYS = ["local", "redis", "router"];
const WORKLOADS = ["Deployment", "StatefulSet"];

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
function milliseconds(text) {
  const [, number, unit] = text.match(/^(\d+)(ms|s|m|h)$/);
  return Number(number) * MS[unit];
}

// Of an option that a container does not set, the program's own.
async function defaultsOf(program) {
  const { stdout } = await runToEnd([program, "--help"]);
  const matches = stdout.matchAll(/^ {2}--(\S+) .*\n((?: {6}.*\n)+)/gm);
  return Object.fromEntries([...matches].map(([, name, text]) => [name, text.match(/\[([^\]]*)\]/)?.[1]]));
}

const skip = (await canRender()) ? false : "there is no kubectl that renders (1.27 or newer)";

describe("the manifests", { skip }, () => {
  const rendered = {};
  const workloads = (overlay) => rendered[overlay].filter(({ kind }) => WORKLOADS.includes(kind));
  let folder;
  before(async () => {
    folder = await temporaryDirectory();
    const manifests = await Manifests.copyTo(folder.path);
    await manifests.make("redis/bus.env", "CARILLON_BUS=redis://:password@redis.example.org:6379\n");
    await manifests.make("router/router.secret", "c2VjcmV0IG9mIHRoaXMgdGVzdCwgMzIgYnl0ZXMgbG9uZwo=\n");
    for (const overlay of OVERLAYS) rendered[overlay] = await manifests.render(overlay);
  });
  after(() => folder.remove());

  it("render only with the secrets that their READMEs have people make", async () => {
    const cloned = await Manifests.copyTo(join(folder.path, "cloned"));
    await assert.rejects(cloned.render("redis"), /bus\.env: no such file/);
    await assert.rejects(cloned.render("router"), /router\.secret: no such file/);
    for (const file of ["redis/bus.env", "router/router.secret", "behind-ingress/proxy.env"]) {
      const { code } = await run("git", ["-C", TOP, "check-ignore", "-q", `deploy/kubernetes/${file}`]);
      assert.equal(code, 0, `git would take ${file}`);
    }
  });

  it("behind-ingress: gateways believe the pods' network, and nobody but the ingress reaches them", async () => {
    const environment = (objects) => {
      const { spec } = named(objects, "Deployment", "carillon-gateway").spec.template;
      return environmentOf(spec.containers[0], objects, "pod");
    };
    for (const overlay of OVERLAYS) assert.equal(environment(rendered[overlay]).CARILLON_TRUSTED_PROXY, undefined);

    const behind = await Manifests.copyTo(join(folder.path, "behind"));
    await behind.addComponent("local", "behind-ingress");
    await assert.rejects(behind.render("local"), /proxy\.env: no such file/);
    await behind.make("behind-ingress/proxy.env", "CARILLON_TRUSTED_PROXY=10.244.0.0/24,fd00:10:244::/64");
    const objects = await behind.render("local");
    for (const object of objects) assert.deepEqual(await problemsOf(object), []);

    const { CARILLON_TRUSTED_PROXY, ...others } = environment(objects);
    assert.equal(CARILLON_TRUSTED_PROXY, "10.244.0.0/24,fd00:10:244::/64");
    assert.deepEqual(others, environment(rendered.local));
    const args = ["--check-config", "--web-root", join(TOP, "web"), "--trusted-proxy", CARILLON_TRUSTED_PROXY];
    await succeed(process.env.CARILLON_GATEWAY, args, { env: {} });

    const { ingress } = named(objects, "NetworkPolicy", "carillon-gateway").spec;
    const [{ from }] = ingress.filter(({ ports }) => ports.some(({ port }) => port === "http"));
    const people = { "kubernetes.io/metadata.name": "ingress-nginx" };
    assert.deepEqual(from, [{ namespaceSelector: { matchLabels: people } }]);
    assert.equal(ingress.length, 2);
  });

  it("local: kind gives the machine the port of the service", async () => {
    const [kind] = await readObjects("local/kind.yaml");
    const [mapping] = kind.nodes[0].extraPortMappings;
    const [port] = named(rendered.local, "Service", "carillon-gateway").spec.ports;

    assert.deepEqual([mapping.containerPort, mapping.hostPort], [port.nodePort, port.nodePort]);
  });

  it("a misspelt field, a missing one and a wrong type are found", async () => {
    const pod = (container) => ({ apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: { containers: [container] } });

    assert.deepEqual(await problemsOf(pod({ name: "c", image: "i" })), []);
    assert.match(`${await problemsOf(pod({ name: "c", imge: "i" }))}`, /containers: unknown field imge/);
    assert.match(`${await problemsOf(pod({ name: "c", livenessProbe: { httpGet: { portt: 1 } } }))}`, /unknown field portt/);
    assert.match(`${await problemsOf(pod({ image: "i" }))}`, /name/);
    assert.match(`${await problemsOf(pod({ name: "c", args: "a" }))}`, /args must be array/);
  });

  for (const overlay of OVERLAYS) {
    it(`${overlay}: every object fits the API`, async () => {
      assert.ok(rendered[overlay].length > 5);
      for (const object of rendered[overlay]) assert.deepEqual(await problemsOf(object), []);
    });

    it(`${overlay}: every pod is of the Pod Security level "restricted", and cannot write to its root`, () => {
      for (const { metadata, spec } of workloads(overlay)) {
        const { securityContext, containers, volumes = [] } = spec.template.spec;
        assert.equal(securityContext.runAsNonRoot, true, metadata.name);
        assert.ok(securityContext.runAsUser > 0, metadata.name);
        assert.equal(securityContext.seccompProfile.type, "RuntimeDefault", metadata.name);
        assert.ok(volumes.every((volume) => !volume.hostPath), metadata.name);
        for (const container of containers) {
          assert.equal(container.securityContext.allowPrivilegeEscalation, false);
          assert.equal(container.securityContext.readOnlyRootFilesystem, true);
          assert.deepEqual(container.securityContext.capabilities, { drop: ["ALL"] });
          assert.ok(container.resources.requests.cpu && container.resources.limits.memory);
        }
      }
    });

    it(`${overlay}: services, policies, budgets and the autoscaler mean pods that there are, by ports that those have`, () => {
      const pods = workloads(overlay).map(({ spec }) => spec.template);
      const matching = (labels) =>
        pods.filter(({ metadata }) => Object.entries(labels).every(([key, value]) => metadata.labels[key] === value));
      const portsOf = (pod) => pod.spec.containers.flatMap(({ ports }) => ports.map(({ name }) => name));

      for (const { kind, spec } of rendered[overlay]) {
        if (kind === "Service") {
          const [pod] = matching(spec.selector);
          for (const { targetPort } of spec.ports) assert.ok(portsOf(pod).includes(targetPort), targetPort);
        } else if (kind === "NetworkPolicy") {
          const [pod] = matching(spec.podSelector.matchLabels);
          for (const { ports } of spec.ingress) assert.ok(portsOf(pod).includes(ports[0].port), ports[0].port);
        } else if (kind === "PodDisruptionBudget") {
          assert.equal(matching(spec.selector.matchLabels).length, 1);
        } else if (kind === "HorizontalPodAutoscaler") {
          const target = named(rendered[overlay], spec.scaleTargetRef.kind, spec.scaleTargetRef.name);
          assert.equal(target.spec.replicas, undefined, "both would set the number");
        }
      }
      for (const { spec } of workloads(overlay)) assert.equal(matching(spec.selector.matchLabels).length, 1);
    });

    it(`${overlay}: the admin ports are for Prometheus alone, and the bus for gateways`, () => {
      const sources = { admin: new Set(), http: new Set(), redis: new Set(), router: new Set() };
      const describePeer = ({ podSelector }) => JSON.stringify(podSelector.matchLabels ?? podSelector.matchExpressions);

      for (const { kind, spec } of rendered[overlay]) {
        if (kind !== "NetworkPolicy") continue;
        for (const { from, ports } of spec.ingress) {
          for (const { port } of ports) sources[port].add(from ? from.map(describePeer).join() : "anybody");
        }
      }
      assert.deepEqual([...sources.http], ["anybody"]);
      assert.deepEqual([...sources.admin], ['{"app.kubernetes.io/name":"prometheus"}']);
      if (overlay === "local") assert.match([...sources.redis].join(), /^\{[^}]*"gateway"[^}]*\}$/);
      if (overlay === "router") assert.match([...sources.router].join(), /"In","values":\["gateway","router"\]/);
    });

    it(`${overlay}: the name of every ConfigMap and Secret ends in a hash of what is in it`, () => {
      for (const { kind, metadata } of rendered[overlay]) {
        if (["ConfigMap", "Secret"].includes(kind)) assert.match(metadata.name, /-[a-z0-9]{10}$/);
      }
    });

    it(`${overlay}: a pod has the time that its way down takes at the worst`, async () => {
      for (const { metadata, spec } of workloads(overlay)) {
        const { containers, terminationGracePeriodSeconds } = spec.template.spec;
        const isGateway = metadata.name === "carillon-gateway";
        if (!isGateway && metadata.name !== "carillon-router") continue;
        const defaults = await defaultsOf(isGateway ? process.env.CARILLON_GATEWAY : process.env.CARILLON_ROUTER);
        const environment = environmentOf(containers[0], rendered[overlay], "pod");
        const time = (option) =>
          milliseconds(environment[`CARILLON_${option.toUpperCase().replaceAll("-", "_")}`] ?? defaults[option]);
        // gateway.c: draining, settling, dismissing, aborting, each with what it adds.
        const worst = isGateway
          ? time("drain-time") + time("close-timeout") + 2000 + 5000 + time("flush-timeout") + time("close-timeout") + 4000
          : time("drain-time") + 2000;
        const [, before = "0"] = containers[0].lifecycle?.preStop.exec.command ?? [];

        assert.ok(terminationGracePeriodSeconds * 1000 >= worst + Number(before) * 1000, `${metadata.name}: ${worst} ms`);
      }
    });
  }

  it("extras: every object fits the API, and leads to a service and a port that there are", async () => {
    for (const file of ["ingress", "gateway-api", "service-monitor"]) {
      for (const object of await readObjects(`extras/${file}.yaml`)) assert.deepEqual(await problemsOf(object), []);
    }
    const service = named(rendered.redis, "Service", "carillon-gateway");
    const [ingress] = await readObjects("extras/ingress.yaml");
    const next = ingress.metadata.annotations["nginx.ingress.kubernetes.io/proxy-next-upstream"];
    assert.equal(next, "error timeout", "a 503 is for the client");
    const backend = ingress.spec.rules[0].http.paths[0].backend.service;
    assert.deepEqual([backend.name, backend.port.name], [service.metadata.name, service.spec.ports[0].name]);
    const [, route] = await readObjects("extras/gateway-api.yaml");
    const [target] = route.spec.rules[0].backendRefs;
    assert.deepEqual([target.name, target.port], [service.metadata.name, service.spec.ports[0].port]);

    const [monitor] = await readObjects("extras/service-monitor.yaml");
    const { matchLabels, matchExpressions } = monitor.spec.selector;
    const chosen = rendered.router.filter(
      ({ kind, metadata }) =>
        kind === "Service" &&
        Object.entries(matchLabels).every(([key, value]) => metadata.labels?.[key] === value) &&
        matchExpressions.every(({ key, values }) => values.includes(metadata.labels[key])),
    );
    assert.deepEqual(chosen.map(({ metadata }) => metadata.name).sort(), ["carillon-gateway-admin", "carillon-router"]);
    const jobs = chosen.map(({ metadata }) => metadata.labels[monitor.spec.jobLabel]);
    assert.deepEqual(jobs.sort(), ["gateway", "router"], "as compose and the alerts call them");
    for (const { spec } of chosen) assert.ok(spec.ports.some(({ name }) => name === monitor.spec.endpoints[0].port));
  });

  it("extras: the adapter's rule makes the metric that the autoscaler goes by", async () => {
    const [{ rules }] = await readObjects("extras/prometheus-adapter.yaml");
    const scaler = named(rendered.redis, "HorizontalPodAutoscaler", "carillon-gateway");
    const wanted = scaler.spec.metrics.find(({ type }) => type === "Pods").pods.metric.name;

    assert.equal(rules.custom[0].name.as, wanted);
    assert.ok(rules.custom[0].seriesQuery.startsWith(`${wanted}{`));
  });

  describe("as processes", () => {
    // Everybody on the gateways hears each other; then each ends as the kubelet ends it.
    async function carriesAChat(gateways) {
      for (const gateway of gateways) {
        for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) await gateway.passes(probe);
        // What the autoscaler goes by.
        assert.equal(await metric({ adminPort: gateway.ports.admin }, "carillon_connections"), 0);
      }
      const people = await Promise.all(gateways.map(({ ports }) => Client.open({ port: ports.http })));
      people.forEach((person, i) => person.send(`from ${i}`));
      await Promise.all(people.map((person) => person.received(people.length)));
      for (const person of people) assert.equal((await person.close()).code, 1000);
    }

    for (const overlay of ["local", "redis"]) {
      it(`${overlay}: gateways pass their probes, carry a chat, and end cleanly on SIGTERM`, async (test) => {
        const isGuarded = overlay === "redis"; // by a password
        const redis = await Redis.start(isGuarded ? { password: "password", args: ["--requirepass", "password"] } : {});
        test.after(() => redis.stop());
        const hosts = {};
        for (const name of ["carillon-redis:6379", "redis.example.org:6379"]) hosts[name] = `127.0.0.1:${redis.port}`;
        const workload = named(rendered[overlay], "Deployment", "carillon-gateway");
        const gateways = [];
        for (const name of ["gateway-1", "gateway-2"]) {
          gateways.push(await Pod.start(workload, rendered[overlay], { name, hosts, folder: folder.path }));
        }

        await carriesAChat(gateways);
        for (const { program } of gateways) await program.stop();
      });
    }

    it("router: routers find each other, gateways carry a chat on them, and all end cleanly on SIGTERM", async () => {
      const objects = rendered.router;
      const ports = [await freePort(), await freePort()];
      const hosts = { "carillon-router:9000": ports.map((port) => `127.0.0.1:${port}`).join() };
      const options = { hosts, folder: folder.path };
      const routers = [];
      const gateways = [];

      for (const [i, port] of ports.entries()) {
        const own = { ...options, name: `carillon-router-${i}`, ports: { router: port } };
        routers.push(await Pod.start(named(objects, "StatefulSet", "carillon-router"), objects, own));
      }
      for (const router of routers) {
        for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) await router.passes(probe);
      }
      for (const name of ["gateway-1", "gateway-2"]) {
        gateways.push(await Pod.start(named(objects, "Deployment", "carillon-gateway"), objects, { ...options, name }));
      }
      await carriesAChat(gateways);
      for (const { program } of [...gateways, ...routers]) await program.stop();
    });

    it("listen by themselves where the manifest says that they do", async () => {
      const check = async (workload, program, publicPort) => {
        const [container] = workload.spec.template.spec.containers;
        const environment = environmentOf(container, rendered.router, "pod");
        const defaults = await defaultsOf(program);
        const declared = Object.fromEntries(container.ports.map(({ name, containerPort }) => [name, containerPort]));
        const portOf = (text) => Number(text.split(":").at(-1));

        assert.equal(portOf(environment.CARILLON_LISTEN ?? defaults.listen), declared[publicPort]);
        assert.equal(environment.CARILLON_ADMIN_LISTEN, `0.0.0.0:${declared.admin}`);
      };
      await check(named(rendered.router, "Deployment", "carillon-gateway"), process.env.CARILLON_GATEWAY, "http");
      await check(named(rendered.router, "StatefulSet", "carillon-router"), process.env.CARILLON_ROUTER, "router");
    });
  });
});

it("Traefik's configuration and the others' name the same port and gateways", async () => {
  const read = (file) => readFile(join(TOP, "deploy/traefik", file), "utf8");
  const fixed = parse(await read("traefik.yaml"));
  const { http } = parse(await read("gateways.yaml"));
  const { servers, healthCheck } = http.services[http.routers.carillon.service].loadBalancer;

  assert.equal(fixed.providers.file.filename, "gateways.yaml");
  assert.equal(fixed.entryPoints[http.routers.carillon.entryPoints[0]].address, ":8000");
  assert.deepEqual(servers.map(({ url }) => url), [10, 20, 30].map((n) => `http://127.0.0.1:80${n}`));
  assert.equal(healthCheck.path, "/ready");
});
