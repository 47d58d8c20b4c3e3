// Small loads that check delivery alone, of the gateway, the bare senders and whichever other servers are here; and
// that a server which does wrong is found out.

import { figures, table } from "./figures.js";
import { inManner } from "./peers.js";
import { bare, carillon, idleRow } from "./rows.js";
import { check, checkDelivery, skip, takeTurns } from "./turns.js";

const gatewayWith = (name, ...args) => ({ name, kind: "gateway", args });
const threaded = gatewayWith("carillon, 2 threads", "--threads", "2");
const gathering = gatewayWith("carillon, gathering 10 ms", "--threads", "1", "--coalesce-max", "10ms");
const brief = ["--warmup", "100ms"];
const small = [...brief, "--clients", "50"];

const loads = [
  { name: "1 in flight", load: [...small, "--messages", "300"] },
  {
    name: "64 in flight, 16 publishers",
    load: [...small, "--publishers", "16", "--window", "64", "--messages", "3000"],
  },
  {
    name: "large messages",
    load: [...brief, "--clients", "20", "--publishers", "3", "--window", "6", "--size", "60K", "--messages", "200"],
  },
  { name: "by rate", load: [...small, "--rate", "500", "--messages", "300"] },
  { name: "idle", load: ["--clients", "300", "--idle", "--duration", "200ms"] },
];

// The rest of what a row may ask for.
function manners(tls) {
  const channel = (protocol) => ({ ...carillon.auto, protocol, path: "/connection/websocket" });
  const listen = ["--tls-listen", "127.0.0.1:0", "--tls-cert", tls.certificate, "--tls-key", tls.key];
  return [
    ...["json", "protobuf"].map((protocol) => ({ ...channel(protocol), name: `carillon, ${protocol} channel` })),
    { ...gatewayWith("carillon, deflate", "--threads", "1", "--compress-min", "256"), isDeflated: true },
    { ...gatewayWith("carillon, TLS", "--threads", "1", ...listen), isTls: true },
  ];
}

async function checkPeers(programs, { peers, missing, tls }) {
  console.log("other servers");
  const load = [...small, "--window", "8", "--messages", "100"];
  const ws = peers.filter(({ name }) => name === "Node ws");
  const servers = [
    ...peers,
    ...ws.map((peer) => ({ ...inManner(peer, { isDeflated: true }), name: `${peer.name}, deflate` })),
    ...ws.map((peer) => ({ ...inManner(peer, { tls }), name: `${peer.name}, TLS` })),
  ];
  for (const { name } of missing) skip(`${name} is not here`);
  checkDelivery(await takeTurns(programs, { servers, load, rounds: 1 }));
}

export async function checkQuickly(programs, { peers, missing, tls, ringIsThere }) {
  for (const { name, load } of loads) {
    console.log(name);
    const servers = [carillon.auto, threaded, gathering, bare.message, bare.tick, ...(ringIsThere ? [bare.ring] : [])];
    checkDelivery(await takeTurns(programs, { servers, load, rounds: 1 }));
  }
  console.log("connections that are only opened");
  const accept = ["--clients", "300", "--accept"];
  checkDelivery(await takeTurns(programs, { servers: [carillon.auto, bare.tick], load: accept, rounds: 1 }));
  console.log("channels, deflate, TLS");
  const records = ["--size", "1K", "--filling", "records", "--publishers", "4", "--window", "16", "--messages", "1000"];
  checkDelivery(await takeTurns(programs, { servers: manners(tls), load: [...small, ...records], rounds: 1 }));
  await checkPeers(programs, { peers, missing, tls });
  console.log("a sender that does wrong is found out");
  await checkFaults(programs);
  console.log("what was not measured is said");
  await checkDeadServer(programs);
  checkSmallFileLimit();
}

async function checkFaults(programs) {
  for (const [fault, count] of [["lose", "lost"], ["double", "doubled"], ["reorder", "reordered"]]) {
    const server = { name: fault, kind: "bare", args: ["--fault", fault] };
    const report = await programs.measure(server, ["--clients", "10", "--window", "8", "--messages", "1000"]);
    // If the client that it goes wrong for is read first, all others are out of its order.
    const isCounted = count === "reordered" ? (value) => value >= 1 : (value) => value === 1;
    check(`${count}: ${report.check[count]}`, report.status === 1 && isCounted(report.check[count]));
  }
}

async function checkDeadServer(programs) {
  const dying = { name: "dying", kind: "bare", args: ["--fault", "die"] };
  const load = ["--clients", "10", "--window", "8", "--duration", "30s"];
  const reports = await takeTurns(programs, { servers: [dying], load, rounds: 1 });
  const [report] = reports.get(dying);
  check("a server that died has no figures", report.status === 1 && report.server === undefined);
  const [, row] = table(reports, [figures.cpu, figures.memory]);
  check("the table has a dash for each", /^dying +- +-$/.test(row));
}

function checkSmallFileLimit() {
  const [mark] = idleRow([], 4096).marks;
  check("fewer idle connections make no mark", mark.unfit.includes("4,096"));
  check("enough of them do", !idleRow([], 18_500).marks[0].unfit);
}
