// The chart of a run's results: a panel for a row and a figure of it, a bar for a server. By itself it draws a file
// of results again: node tests/bench/chart.js FILE.json > FILE.svg

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const WIDTH = 860;
const NAME_WIDTH = 190;
const VALUE_WIDTH = 90;
const LINE = 19;
const BAR = 13;
const GAP = 34; // between panels

const panels = [
  { row: "16", figure: "throughput", title: "deliveries a second: 1,000 clients, 64 bytes, 16 messages in flight" },
  { row: "rate", figure: "cpuMicro", title: "CPU µs per delivery: the same, 100 messages a second (less is better)" },
  { row: "1", figure: "p99", title: "p99 in ms: the same, 1 message in flight (less is better)" },
  { row: "idle", figure: "memory", title: "bytes of resident memory per idle connection (less is better)" },
  { row: "idle", figure: "handshakeCpu", title: "CPU µs per WebSocket handshake (less is better)" },
];

// Legible on white and on black.
const colors = { gateway: "#d9822b", bare: "#8a8f98", peer: "#4a90c2" };

const style = `
  text { font: 12px system-ui, sans-serif; fill: #57606a; }
  .title { font-size: 13px; font-weight: 600; }
  @media (prefers-color-scheme: dark) { text { fill: #adb5bd; } }`;

const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function write(value) {
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  if (value >= 1e4) return `${Math.round(value / 1e3)} k`;
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
}

function drawBar(server, value, longest, y) {
  const room = WIDTH - NAME_WIDTH - VALUE_WIDTH;
  const width = Math.max(1, (value / longest) * room);
  const middle = y + BAR - 2;
  return [
    `<text x="${NAME_WIDTH - 8}" y="${middle}" text-anchor="end">${escape(server.name)}</text>`,
    `<rect x="${NAME_WIDTH}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2" fill="${colors[server.kind]}"/>`,
    `<text x="${(NAME_WIDTH + width + 6).toFixed(1)}" y="${middle}">${write(value)}</text>`,
  ].join("\n");
}

// Returns the panel's lines and where the next one begins.
function drawPanel({ title, figure }, row, top) {
  const servers = row.servers.filter((server) => Number.isFinite(server[figure]));
  const longest = Math.max(...servers.map((server) => server[figure]));
  const bars = servers.map((server, i) => drawBar(server, server[figure], longest, top + 10 + i * LINE));
  return [[`<text class="title" x="0" y="${top}">${escape(title)}</text>`, ...bars], top + servers.length * LINE + GAP];
}

export function drawChart({ machine, kernel, rows }) {
  const lines = [];
  let y = 16;
  for (const panel of panels) {
    const row = rows.find(({ id }) => id === panel.row);
    if (!row) continue;
    const [drawn, next] = drawPanel(panel, row, y);
    lines.push(...drawn);
    y = next;
  }
  lines.push(`<text x="0" y="${y}">${escape(`${machine}, Linux ${kernel}; server on one core, loopback`)}</text>`);
  const size = `width="${WIDTH}" height="${y + 12}" viewBox="0 0 ${WIDTH} ${y + 12}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size}>\n<style>${style}\n</style>\n${lines.join("\n")}\n</svg>\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(drawChart(JSON.parse(readFileSync(process.argv[2], "utf8"))));
}
