// redis-benchmark with the command that gateways publish with: what a Redis can do at most.

import { connect } from "node:net";
import { start } from "./servers.js";

// Sends commands in one line each; resolves to the socket, which reads as text.
function talk(port, ...lines) {
  const socket = connect(port, "127.0.0.1").setEncoding("latin1");
  for (const line of lines) socket.write(`${line}\r\n`);
  return socket;
}

async function ask(port, line) {
  let text = "";
  for await (const chunk of talk(port, line, "QUIT")) text += chunk;
  return text;
}

// The words of a line of MONITOR, with each byte that it had to escape as one x.
function words(line) {
  return [...line.matchAll(/"((?:\\.|[^"\\])*)"/g)].map(([, word]) => word.replaceAll(/\\x[0-9a-f]{2}|\\./g, "x"));
}

// A command that publishes, as MONITOR shows it while `happen` has gateways publish something.
export async function watchPublish(port, happen) {
  const monitor = talk(port, "MONITOR");
  let text = "";
  monitor.on("data", (chunk) => (text += chunk));
  await new Promise((resolve) => monitor.once("data", resolve));
  await happen();
  monitor.destroy();
  const commands = text.split("\r\n").map(words);
  const publish = commands.find(([verb, , keys, , , producer]) => {
    return verb === "EVALSHA" && keys === "3" && producer?.includes(":p:");
  });
  if (!publish) throw new Error("no gateway published");
  return publish;
}

// The same command again and again. Its sequence is none, which is neither before nor after another: the script
// takes no call for a repetition. Its envelope, which the script does not look into, is as long.
export async function benchmarkPublish(port, publish, count) {
  const [verb, sha, keys, stream, meta, producer, , , envelope, ...rest] = publish;
  const command = [verb, sha, keys, stream, meta, producer, "nan", "0", "x".repeat(envelope.length), ...rest];
  const args = ["-h", "127.0.0.1", "-p", String(port), "-P", "16", "-n", String(count), "--csv", ...command];
  const top = async () => Number((await ask(port, `HGET ${meta} o`)).match(/^\$\d+\r\n(\d+)/)?.[1]);
  const before = await top();
  const child = start(1, "redis-benchmark", args, ["ignore", "pipe", "inherit"]);
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk) => (text += chunk));
  await child.ended;
  const rate = Number(text.trim().split("\n").at(-1).split('","')[1]); // behind the command
  return { rate, appended: (await top()) - before };
}
