// What a run measured, as JSON, and the chart of it beside that file.

import { writeFile } from "node:fs/promises";
import { release } from "node:os";

import { drawChart } from "./chart.js";
import { figures, median, sharedRounds } from "./figures.js";
import { machine } from "./turns.js";

const names = new Map(Object.entries(figures).map(([name, figure]) => [figure, name]));

function medians(reports, columns) {
  const values = columns.map((figure) => [names.get(figure), median(reports.map(figure.of))]);
  return Object.fromEntries(values.filter(([, value]) => Number.isFinite(value)));
}

export class Results {
  constructor(placement) {
    this.content = { machine: machine(), kernel: release(), placement, rows: [] };
  }

  // `full` is the row with all of its servers, `row` with those that were measured.
  add(full, row, { reports, marks }) {
    const lacking = full.servers.filter(full.lacks).map((server) => ({ name: server.name, note: full.lacks(server) }));
    const shared = sharedRounds(reports);
    const measured = row.servers.map((server) => {
      const values = medians(shared.get(server), row.figures);
      return { name: server.name, kind: server.kind, ...values };
    });
    const { id, name } = row;
    const [[, { length: rounds }]] = shared;
    const judged = Math.max(...[...reports.values()].map((list) => list.length)); // rounds, for the marks
    this.content.rows.push({ id, name, rounds, judged, servers: [...measured, ...lacking], marks });
  }

  // FILE.json, and FILE.svg where there are rows to draw.
  async write(file) {
    await writeFile(file, `${JSON.stringify(this.content, null, 1)}\n`);
    await writeFile(file.replace(/(\.json)?$/, ".svg"), drawChart(this.content));
  }
}
