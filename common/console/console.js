// The console: asks the program every two seconds and shows what it says. Everything becomes text nodes.

import { duration, labelOf, parseLog, parseMetrics, samplesOf } from "./parse.js";
import { panelsOf } from "./panels.js";
import { tilesOf } from "./tiles.js";

const POLL_MS = 2000;
const ANSWER_LIMIT_MS = 8000;
const KEPT_ANSWERS = 150; // five minutes
const LEAST_WIDTH = 30; // of a chart, in answers
const RATE_ANSWERS = 5; // rates are those of the last ten seconds
const KEPT_LINES = 500;

const page = Object.fromEntries(
  ["program", "about", "status", "tiles", "panels", "level", "log"].map((id) => [id, document.getElementById(id)]),
);
const answers = []; // { time, metrics, state }, oldest first
let lastLine = 0;

page.level.addEventListener("change", filterLog);
poll();

async function poll() {
  try {
    let answer = await ask();
    if (answers.length > 0 && startOf(answer) !== startOf(answers.at(-1))) {
      answers.length = 0; // another process, with another log
      lastLine = 0;
      answer = await ask();
    }
    answers.push(answer);
    if (answers.length > KEPT_ANSWERS) answers.shift();
    showLog(parseLog(answer.log));
    show(answer);
  } catch (error) {
    showStatus("away", "No answer");
    console.info(error.message);
  }
  setTimeout(poll, POLL_MS);
}

async function ask() {
  const get = (path) => fetch(path, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_LIMIT_MS) });
  const text = async (path) => {
    const response = await get(path);
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return response.text();
  };
  const [metrics, state, log] = await Promise.all([text("metrics"), text("state?channels=250"), text(`log?after=${lastLine}`)]);

  return { time: performance.now(), metrics: parseMetrics(metrics), state: JSON.parse(state), log };
}

function startOf({ metrics }) {
  return metrics.get("carillon_start_time_seconds");
}

function show(now) {
  const [build] = samplesOf(now.metrics, "carillon_build_info")[0];
  const program = labelOf(build, "program");
  const before = answers.at(-1 - RATE_ANSWERS) ?? answers[0];
  const uptime = duration(Date.now() / 1000 - startOf(now));
  const name = now.state.name ? `${now.state.name} · ` : "";

  document.title = `Carillon ${program}`;
  page.program.textContent = `Carillon ${program}`;
  page.about.textContent = `${name}${location.host} · version ${labelOf(build, "version")} · up ${uptime}`;
  showStatus(...statusOf(now));
  showTiles(tilesOf(program), now, before);
  showPanels(panelsOf(program, now, before));
}

function statusOf({ state, metrics }) {
  if (state.shards) {
    if (state.shards.some(({ leaving }) => leaving)) return ["busy", "Leaving"];
    if (metrics.get("carillon_router_open_shards") < state.shards.length) return ["busy", "Looking for others"];
    if (metrics.get("carillon_router_alone_shards") > 0) return ["busy", "Alone"];
    return ["good", "Ready"];
  }
  if (state.draining) return ["busy", "Draining"];
  return state.bus.up ? ["good", "Ready"] : ["away", "The bus is away"];
}

function showStatus(state, text) {
  page.status.dataset.state = state;
  if (page.status.textContent !== text) page.status.textContent = text; // which is read out
}

function showTiles(tiles, now, before) {
  fill(page.tiles, tiles.length, makeTile);
  for (const [index, tile] of tiles.entries()) {
    const element = page.tiles.children[index];
    const value = tile.value(now, before);

    element.classList.toggle("bad", tile.isBad?.(now, value) ?? false);
    setText(element, "h2", tile.title);
    setText(element, ".value", tile.write(value));
    setText(element, ".note", tile.note?.(now, before) ?? "");
    draw(element.querySelector("svg"), valuesOf(tile));
  }
}

function valuesOf(tile) {
  return answers.map((answer, i) => tile.value(answer, answers[Math.max(0, i - RATE_ANSWERS)]));
}

function makeTile() {
  const tile = make("li", "tile");
  const chart = document.createElementNS("http://www.w3.org/2000/svg", "svg");

  chart.setAttribute("preserveAspectRatio", "none");
  chart.setAttribute("aria-hidden", "true");
  chart.append(document.createElementNS(chart.namespaceURI, "path"));
  chart.append(document.createElementNS(chart.namespaceURI, "polyline"));
  tile.append(make("h2"), make("p", "value"), make("p", "note"), chart);
  return tile;
}

// The newest value is at the right edge; what is seen grows to five minutes.
function draw(chart, values) {
  const numbers = values.map((value) => (Number.isFinite(value) ? value : 0));
  const top = Math.max(...numbers) || 1;
  const right = Math.max(numbers.length, LEAST_WIDTH) - 1;
  const left = right + 1 - numbers.length;
  const points = numbers.map((number, i) => `${left + i},${(30 - (28 * number) / top).toFixed(1)}`);

  chart.setAttribute("viewBox", `0 0 ${right} 32`);
  chart.lastChild.setAttribute("points", points.join(" "));
  chart.firstChild.setAttribute("d", `M${left},32 L${points.join(" L")} L${right},32 Z`);
}

function showPanels(panels) {
  fill(page.panels, panels.length, makePanel);
  for (const [index, panel] of panels.entries()) {
    const element = page.panels.children[index];

    setText(element, "h2", panel.title);
    setText(element, ".note", panel.note ?? "");
    setText(element, ".empty", panel.rows.length > 0 ? "" : (panel.empty ?? ""));
    element.querySelector("table").hidden = panel.rows.length === 0;
    showTable(element.querySelector("table"), panel);
  }
}

function makePanel() {
  const panel = make("section", "panel");
  const heading = make("div", "heading");
  const scroller = make("div", "scroller");
  const table = make("table");

  heading.append(make("h2"), make("p", "note"));
  table.createTHead().insertRow();
  table.createTBody();
  scroller.append(table);
  scroller.tabIndex = 0;
  panel.append(heading, scroller, make("p", "empty"));
  return panel;
}

function showTable(table, { title, columns, rows }) {
  const head = table.tHead.rows[0];
  const body = table.tBodies[0];

  table.setAttribute("aria-label", title);
  fill(head, columns.length, () => Object.assign(make("th"), { scope: "col" }));
  columns.forEach((column, i) => setOwnText(head.children[i], column));
  fill(body, rows.length, () => make("tr"));
  rows.forEach(({ cells, share, isBad }, i) => {
    const row = body.rows[i];

    row.classList.toggle("bad", isBad ?? false);
    row.style.setProperty("--share", share ?? 0);
    fill(row, cells.length, () => make("td"));
    cells.forEach((cell, j) => setOwnText(row.children[j], cell));
  });
}

function showLog(lines) {
  if (lines.length === 0) return;
  const { log } = page;
  const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;

  lastLine = lines.at(-1).number;
  for (const { text, level } of lines) {
    const row = make("li");
    row.dataset.level = level;
    row.textContent = text;
    row.hidden = level > page.level.value;
    log.append(row);
  }
  while (log.children.length > KEPT_LINES) log.firstChild.remove();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

function filterLog() {
  for (const row of page.log.children) row.hidden = Number(row.dataset.level) > page.level.value;
  page.log.scrollTop = page.log.scrollHeight;
}

// Makes a parent have so many children: elements stay where they are, so that what is selected, scrolled or read out
// is not disturbed.
function fill(parent, count, create) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(create());
}

function make(name, className) {
  const element = document.createElement(name);
  if (className) element.className = className;
  return element;
}

function setText(parent, selector, text) {
  setOwnText(parent.querySelector(selector), text);
}

function setOwnText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
