// The gateway beside bare senders and other servers, in turns, as ratios. Called by `run` with the build directory.

import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

import { Authority } from "../lib/certificates.js";
import { findPeers } from "./peers.js";
import { checkQuickly } from "./quick.js";
import { Results } from "./comparison.js";
import { allRows, bare, carillon } from "./rows.js";
import { Programs } from "./servers.js";
import { describeMachine, describePlacement, finish, limitOfOpenFiles, note, runScenario, skip } from "./turns.js";

const usage = `Usage: tests/bench/run [--rows ID,...] [--servers NAME,...] [--rounds N] [--json FILE]
       tests/bench/run --quick`;

function readOptions() {
  const string = { type: "string" };
  const options = { quick: { type: "boolean" }, rows: string, servers: string, rounds: string, json: string };
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    const rounds = values.rounds && Number(values.rounds);
    if (positionals.length !== 1 || (rounds && !(rounds >= 1))) throw new Error("expected options alone");
    return { ...values, rounds, build: positionals[0] };
  } catch (error) {
    console.error(`${error.message}\n${usage}`);
    process.exit(2);
  }
}

const options = readOptions();
const programs = new Programs(options.build);
const { here: peers, missing } = findPeers();

const list = (text) => text?.split(",");

// "carillon" selects all that are called so.
function isSelected(names, name) {
  return !names || names.some((each) => name === each || name.startsWith(`${each} `) || name.startsWith(`${each},`));
}

function hasRing() {
  return spawnSync(programs.gateway, ["--check-config", "--io-uring", "on"], { env: {} }).status === 0;
}

// With the servers that are asked for and can be had, and the marks that these allow.
function narrow(row, ringIsThere) {
  const isLacking = (server) => !ringIsThere && (server === carillon.on || server === bare.ring);
  const servers = row.servers
    .filter((server) => isSelected(list(options.servers), server.name))
    .filter((server) => !isLacking(server) && !row.lacks(server));
  const has = (server) => servers.includes(server);
  const { rounds = row.rounds } = options;
  const peerRounds = options.rounds ?? row.peerRounds;
  return { ...row, servers, rounds, peerRounds, marks: row.marks.filter((m) => m.servers.every(has)) };
}

function sayWhoIsMissing() {
  for (const peer of missing) skip(`${peer.name}: ${peer.package} IS NOT HERE (tests/run bench fetches it)`);
}

function chooseRows(rows) {
  const wanted = list(options.rows);
  const unknown = wanted?.find((id) => !rows.some((row) => row.id === id));
  if (unknown !== undefined) {
    console.error(`--rows: ${unknown}: expected some of ${rows.map(({ id }) => id).join(",")}`);
    process.exit(2);
  }
  return rows.filter(({ id }) => !wanted || wanted.includes(id));
}

async function measureAll(tls) {
  const ringIsThere = hasRing();
  const rows = chooseRows(allRows({ peers, tls, fileLimit: limitOfOpenFiles() }));
  const results = new Results(describePlacement());

  describeMachine(describePlacement());
  sayWhoIsMissing();
  if (!ringIsThere) skip("everything with io_uring: there is none here, or it is forbidden");
  console.log("medians of the rounds; in brackets the first server as a ratio to the other\n");
  for (const full of rows) {
    const row = narrow(full, ringIsThere);
    if (row.servers.length === 0) continue;
    for (const server of full.servers.filter(full.lacks)) note(`${server.name} ${full.lacks(server)}`);
    results.add(full, row, await runScenario(programs, row));
    if (options.json) await results.write(options.json);
  }
}

const authority = await Authority.create();
try {
  const tls = await authority.issue("localhost");
  if (options.quick) await checkQuickly(programs, { peers, missing, tls, ringIsThere: hasRing() });
  else await measureAll(tls);
} finally {
  await authority.remove();
}
finish();
