// The console as an operator uses it: what it shows of a gateway and of a router, by keyboard, on a phone, in the dark.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { start } from "../lib/gateway.js";
import { freePort } from "../lib/port.js";
import { Router } from "../lib/router.js";
import { connectClient, eventually, openPage, stateIs, useStage } from "./support.js";

const consoleOf = ({ adminPort }) => `http://127.0.0.1:${adminPort}/`;

// For `openPage`: the console asks ten times as often, and the tests wait less.
function inAHurry() {
  const real = window.setTimeout;

  window.setTimeout = (run, delay) => real(run, delay / 10);
}

const openAt = (stage, program, options) =>
  openPage(stage.browser, consoleOf(program), { script: inAHurry, ...options });
const openConsole = (stage, options) => openAt(stage, stage.gateway, options);

// What a tile or a panel says, by its title.
const tile = (page, title) => page.locator(".tile", { has: page.getByRole("heading", { name: title, exact: true }) });
const panel = (page, title) => page.locator(".panel", { has: page.getByRole("heading", { name: title, exact: true }) });

// The rows of a panel's table, each as its cells.
const rowsOf = (page, title) =>
  panel(page, title)
    .locator("tbody tr")
    .evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));

const shows = (page, title, rows) => eventually(async () => assert.deepEqual(await rowsOf(page, title), rows));
const says = (page, title, value) =>
  eventually(async () => assert.match(await tile(page, title).locator(".value").textContent(), value));

describe("the console of a gateway", () => {
  const stage = useStage({ args: ["--threads", "2"] });

  it("shows clients and channels as they come and go", async () => {
    const page = await openConsole(stage);
    const people = [];

    await stateIs(page, "Ready");
    await says(page, "Clients", /^0$/);
    await panel(page, "Channels").getByText("Nobody is here.").waitFor();
    for (const [room, count] of Object.entries({ lobby: 3, "<img src=x onerror=alert(1)>": 2, quiet: 1 })) {
      for (let i = 0; i < count; i++) {
        people.push(await connectClient(stage.gateway, `?channel=${encodeURIComponent(room)}`));
      }
    }
    await says(page, "Clients", /^6$/);
    await says(page, "Channels", /^3$/);
    await shows(page, "Channels", [["lobby", "3"], ["<img src=x onerror=alert(1)>", "2"], ["quiet", "1"]]);
    assert.equal(await page.locator("main img").count(), 0);

    const chatter = setInterval(() => people[0].send("hello"), 20);
    await says(page, "Messages in", /^[1-9][\d,.]*\/s$/);
    await says(page, "Deliveries", /^[1-9][\d,.]*\/s$/);
    await tile(page, "Deliveries").getByText("3 for each message").waitFor();
    clearInterval(chatter);

    for (const person of people) person.close();
    await says(page, "Clients", /^0$/);
    await shows(page, "Channels", []);
    await shows(page, "Closes", [["1005 left without a code", "6"]]);
    assert.deepEqual(page.problems, []);
  });

  it("shows which program this is, its threads, and the bus", async () => {
    const page = await openConsole(stage);

    await eventually(async () => assert.equal(await page.title(), "Carillon gateway"));
    assert.match(await page.locator("#about").textContent(), /^127\.0\.0\.1:\d+ · version \d+\.\d+\.\d+ · up \d+ \w+$/);
    assert.deepEqual((await rowsOf(page, "Threads")).map(([thread]) => thread), ["main", "0", "1"]);
    assert.deepEqual((await rowsOf(page, "Bus"))[0], ["State", "up"]);
    assert.equal(await tile(page, "Clients").locator("polyline").count(), 1);
  });

  it("shows the log, and warnings alone for those who want that", async () => {
    const page = await openConsole(stage);
    const lines = page.locator("#log li");

    await lines.filter({ hasText: 'event="listening" role=public' }).waitFor();
    process.kill(stage.gateway.pid, "SIGHUP");
    await lines.filter({ hasText: 'event="reloaded"' }).waitFor();
    const count = await lines.count();
    assert.equal(await lines.filter({ hasText: 'event="listening" role=public' }).count(), 1);

    await page.getByLabel("Show").selectOption("warnings and errors");
    await eventually(async () => {
      for (const level of await page.locator("#log li:visible").evaluateAll((rows) => rows.map((row) => row.dataset.level))) {
        assert.ok(level <= 1);
      }
    });
    await page.getByLabel("Show").selectOption("everything");
    await eventually(async () => assert.ok((await page.locator("#log li:visible").count()) >= count));
  });

  it("tells a screen reader what is what, and is used by keyboard", async () => {
    const page = await openConsole(stage);

    await stateIs(page, "Ready");
    assert.equal(await page.locator("html").getAttribute("lang"), "en");
    assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), "Carillon gateway");
    for (const role of ["banner", "main"]) assert.equal(await page.getByRole(role).count(), 1, role);
    for (const name of ["Bus", "Threads"]) await page.getByRole("table", { name, exact: true }).waitFor();
    for (let i = 0; i < 7; i++) await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.id), "log");
  });

  it("has no horizontal scroll on a phone", async () => {
    const long = "unbreakable".repeat(20);
    const person = await connectClient(stage.gateway, `?channel=${long}`);
    const page = await openConsole(stage, { viewport: { width: 320, height: 568 }, hasTouch: true });

    await shows(page, "Channels", [[long, "1"]]);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
    person.close();
  });

  it("is dark for those who like it dark", async () => {
    const background = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const [light, dark] = [await openConsole(stage), await openConsole(stage, { colorScheme: "dark" })];

    assert.equal(await background(light), "rgb(238, 240, 247)");
    assert.equal(await background(dark), "rgb(17, 19, 28)");
  });
});

describe("the console of what fails", () => {
  const stage = useStage();
  let router;

  before(async () => {
    router = await Router.start({ name: "router-a" });
  });
  after(() => router?.stop());

  it("shows a bus that is away, and a router's links and channels", async () => {
    const gateway = await start({ args: ["--bus", router.url] });
    const page = await openAt(stage, gateway);
    const ofRouter = await openAt(stage, router);
    const person = await connectClient(gateway, "?channel=ops");

    await stateIs(page, "Ready");
    await stateIs(ofRouter, "Ready");
    assert.equal(await ofRouter.title(), "Carillon router");
    await shows(ofRouter, "Channels", [["ops", "owner", "1", "0"]]);
    assert.deepEqual((await rowsOf(ofRouter, "Shards")).map(([shard]) => shard), ["0", "1", "2", "3"]);
    assert.deepEqual((await rowsOf(ofRouter, "Links")).map(([, role, shards]) => [role, shards]), [["gateway", "4"]]);
    assert.deepEqual(ofRouter.problems, []);

    const chatter = setInterval(() => person.send("hello"), 20);
    await says(page, "Bus round trip", /(µs|ms)$/);
    await says(ofRouter, "Published", /^[1-9][\d,.]*\/s$/);
    clearInterval(chatter);

    await router.kill();
    await stateIs(ofRouter, "No answer");
    await stateIs(page, "The bus is away");
    await router.restart();
    await stateIs(page, "Ready");
    await stateIs(ofRouter, "Ready");
    assert.deepEqual(page.problems, []);
    person.close();
    await gateway.stop();
  });

  it("goes on with the next process on the same port", async () => {
    const adminPort = await freePort();
    const first = await start({ adminPort });
    const page = await openAt(stage, first);

    await page.locator("#log li").filter({ hasText: "role=public" }).waitFor();
    await first.stop();
    await stateIs(page, "No answer");
    const second = await start({ adminPort, args: ["--threads", "3"] });
    await stateIs(page, "Ready");
    await eventually(async () => assert.equal((await rowsOf(page, "Threads")).length, 4));
    await page.locator("#log li").filter({ hasText: `:${second.port}` }).waitFor(); // the new one's log
    await second.stop();
  });
});
