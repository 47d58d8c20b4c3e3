// What is measured, what is written about it, and what is built on it: the table in deploy/prometheus, alerts and
// dashboards name what the programs show, and Prometheus' own tools have nothing to say against it.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { openClients, closeClients } from "../lib/client.js";
import { removeDirectory, temporaryDirectory } from "../lib/directory.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { PROMTOOL, promtool } from "../lib/promtool.js";
import { Router, RouterCluster } from "../lib/router.js";
import { until } from "../lib/wait.js";

const DEPLOY = fileURLToPath(new URL("../../deploy", import.meta.url));
const ALERTS = `${DEPLOY}/prometheus/alerts.yaml`;
const ALERTS_TEST = `${DEPLOY}/prometheus/alerts_test.yaml`;
const DASHBOARD = `${DEPLOY}/grafana/dashboards/carillon.json`;

// From the text of /metrics: "name kind" of each metric.
function shown(text) {
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) => `${name} ${kind}`);
}

// From the table: "name kind" of each row for a program, those that are there always and those that may be.
async function documented(program) {
  const text = await readFile(`${DEPLOY}/prometheus/README.md`, "utf8");
  const rows = [...text.matchAll(/^\| `(carillon_\w+)` \| (\w+) \| ([\w ]+) \| .+ \|$/gm)].map(
    ([, name, kind, of]) => ({ metric: `${name} ${kind}`, of }),
  );
  const named = (...wanted) => rows.filter(({ of }) => wanted.includes(of)).map((row) => row.metric);

  assert.equal(rows.length, text.match(/^\| `carillon_/gm).length, "a row that cannot be read");
  return { always: named("both", program), sometimes: named(`${program} with TLS`, "both with TLS") };
}

// The metrics that queries name, without what a histogram adds.
function metricsIn(text) {
  return new Set([...text.matchAll(/\bcarillon_[a-z_]+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, "")));
}

async function allDocumented() {
  const programs = await Promise.all([documented("gateway"), documented("router")]);
  return new Set(programs.flatMap(({ always, sometimes }) => [...always, ...sometimes]).map((row) => row.split(" ")[0]));
}

describe("metrics", () => {
  let gateway;
  let router;
  const texts = {};

  before(async () => {
    router = await Router.start();
    gateway = await start({ args: ["--bus", router.url, "--threads", "2"] });
    const people = await openClients(gateway, 2);
    people[0].send("hello");
    await people[1].received(1);
    for (const [name, { adminPort }] of Object.entries({ gateway, router })) {
      texts[name] = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    }
    closeClients(people);
  });
  after(async () => {
    await gateway?.stop();
    await router?.stop();
  });

  for (const program of ["gateway", "router"]) {
    it(`of a ${program} are those of the table in deploy/prometheus/README.md`, async () => {
      const { always, sometimes } = await documented(program);
      const names = shown(texts[program]);

      assert.deepEqual(always.filter((row) => !names.includes(row)), [], "in the table alone");
      assert.deepEqual(names.filter((row) => ![...always, ...sometimes].includes(row)), [], "missing in the table");
      assert.equal(new Set(names).size, names.length, "a metric that comes twice");
    });

    it(`of a ${program} pass promtool check metrics`, { skip: !PROMTOOL && "there is no promtool" }, () => {
      const { status, output } = promtool(["check", "metrics"], texts[program]);
      assert.equal(status, 0, output);
      assert.equal(output, "");
    });
  }

  it("say what program this is, and what it may use", async () => {
    assert.match(texts.gateway, /^carillon_build_info\{program="gateway",version="\d+\.\d+\.\d+"\} 1$/m);
    assert.match(texts.router, /^carillon_build_info\{program="router",version="\d+\.\d+\.\d+"\} 1$/m);
    assert.match(texts.gateway, /^carillon_bus_info\{kind="router"\} 1$/m);
    assert.ok((await metric(gateway, "carillon_open_descriptors")) < (await metric(gateway, "carillon_descriptors_limit")));
    assert.ok(Math.abs((await metric(gateway, "carillon_start_time_seconds")) - Date.now() / 1000) < 3600);
    assert.equal(await metric(gateway, "carillon_bus_queue_limit_bytes"), 16 * 1024 * 1024);
  });

  it("have a lag for each thread", async () => {
    for (const thread of ["main", "0", "1"]) {
      assert.ok((await metric(gateway, `carillon_loop_lag_peak_seconds{thread="${thread}"}`)) > 0, thread);
    }
  });
});

describe("a router that is alone", () => {
  it("shows while another one is named and not there, and no longer", async () => {
    const cluster = await RouterCluster.start({ size: 2, args: ["--shards", "2"] });
    const [one, other] = cluster.routers;
    const alone = () => metric(one, "carillon_router_alone_shards");

    assert.equal(await alone(), 0);
    await other.kill();
    await until(async () => (await alone()) === 2, "both shards to be alone");
    await other.restart();
    await until(async () => (await alone()) === 0, "none to be alone");
    assert.equal(await metric(one, "carillon_router_open_shards"), 2);
    await cluster.stop();
  });

  it("does not count where none is named", async () => {
    const router = await Router.start();
    assert.equal(await metric(router, "carillon_router_alone_shards"), 0);
    await router.stop();
  });
});

describe("alerts", () => {
  it("name metrics that exist", async () => {
    const known = await allDocumented();
    for (const name of metricsIn(await readFile(ALERTS, "utf8"))) assert.ok(known.has(name), name);
  });

  it("each have a case in which they fire", async () => {
    const [rules, cases] = await Promise.all([readFile(ALERTS, "utf8"), readFile(ALERTS_TEST, "utf8")]);
    const names = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);

    assert.ok(names.length > 20);
    for (const name of names) assert.ok(cases.includes(`alertname="${name}"`), name);
  });

  const checked = (what, ...args) =>
    it(`pass promtool ${what}`, { skip: !PROMTOOL && "there is no promtool" }, () => {
      const { status, output } = promtool([...what.split(" "), ...args]);
      assert.equal(status, 0, output);
    });

  checked("check rules", ALERTS);
  checked("test rules", ALERTS_TEST);
  checked("check config", `${DEPLOY}/prometheus/prometheus.yaml`);
});

describe("the dashboard", () => {
  const read = async () => JSON.parse(await readFile(DASHBOARD, "utf8"));
  const panelsOf = async () => (await read()).panels.filter(({ type }) => type !== "row");
  const queriesOf = async () => (await panelsOf()).flatMap(({ targets }) => targets.map(({ expr }) => expr));

  it("names metrics that exist, and no panel is without a query", async () => {
    const [known, dashboard] = await Promise.all([allDocumented(), read()]);

    for (const name of metricsIn(JSON.stringify(dashboard))) assert.ok(known.has(name), name);
    for (const panel of await panelsOf()) {
      assert.ok(panel.targets.length > 0, panel.title);
      for (const { expr } of panel.targets) assert.ok(metricsIn(expr).size > 0, expr);
    }
  });

  it("has panels with an id and a place of their own", async () => {
    const { panels } = await read();
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => {
      assert.ok(x + w <= 24);
      return Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`);
    });

    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    assert.equal(new Set(cells).size, cells.length, "panels that overlap");
  });

  it("asks what Prometheus can parse", { skip: !PROMTOOL && "there is no promtool" }, async () => {
    const rules = (await queriesOf()).map((expr, i) => ({
      record: `query_${i}`,
      expr: expr.replaceAll("$__rate_interval", "1m").replaceAll("$instance", ".*"),
    }));
    const directory = await temporaryDirectory("queries");
    const file = join(directory, "queries.yaml");

    await writeFile(file, JSON.stringify({ groups: [{ name: "queries", rules }] })); // which is YAML, too
    const { status, output } = promtool(["check", "rules", file]);
    await removeDirectory(directory);
    assert.equal(status, 0, output);
    assert.match(output, new RegExp(`${rules.length} rules found`));
  });

  it("is asked of the data source that Grafana is given", async () => {
    const source = await readFile(`${DEPLOY}/grafana/provisioning/datasources/prometheus.yaml`, "utf8");
    const { templating } = await read();

    assert.match(source, /^ {4}type: prometheus$/m);
    assert.deepEqual(templating.list.map(({ name }) => name), ["datasource", "instance"]);
    assert.equal(templating.list[0].query, "prometheus");
  });
});
