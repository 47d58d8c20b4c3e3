// Thousands of people on one channel of several gateways, who come back as the chat page does (its own backoff)
// and wherever there is a gateway, and who remember what they were told. Some of them talk.
//
//     const crowd = await ReturningCrowd.open({ ports, count: 10_000, talkers: 20 });
//     crowd.talk(200);
//     crowd.watch();               // from here on it counts who comes back, and when
//     await crowd.isBack();
//     await crowd.settle();
//     crowd.verdict()              // { lost: 0, gaps: 0, disturbed: 0, … }
//
// What the first person of the last port was told, who must not be disturbed, is the order that everybody
// else has to have been told, without a gap for as long as a connection held. Whoever talks says again what
// did not come back on the connection that it went out on.

import net from "node:net";

import { backoff } from "../../web/backoff.js";
import { TEXT, CLOSE, PING, PONG, frame, request } from "./raw_client.js";
import { until } from "./wait.js";

const OPENING = 200; // at a time, at the start
const STABLE_MS = 5_000; // a connection that held so long starts the backoff anew
const BACK_DEADLINE_MS = 120_000;
const RUSH_MS = 1_000;

class Person {
  visits = []; // { port, numbers, isOpen, code }
  outbox = new Map(); // what is to be said → the text that it was said in on this connection
  #attempts = 0;
  #openedAt = 0;

  constructor(crowd, index) {
    this.crowd = crowd;
    this.index = index;
  }

  get isOpen() {
    return this.visits.at(-1)?.isOpen ?? false;
  }

  come(port) {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });

    this.socket = socket;
    this.port = port;
    this.rest = Buffer.alloc(0);
    this.isUpgraded = false;
    socket.on("connect", () => socket.write(request({ path: "/ws" })));
    socket.on("data", (data) => this.#read(data));
    socket.on("error", () => {}); // "close" follows
    socket.on("close", () => this.#gone());
  }

  say(what) {
    this.outbox.set(what, null);
    if (this.isOpen) this.#send(what);
  }

  #send(what) {
    const text = `${what}/${this.visits.length}`;
    this.outbox.set(what, text);
    this.socket.write(frame({ payload: text }));
  }

  #read(data) {
    let bytes = this.rest.length > 0 ? Buffer.concat([this.rest, data]) : data;

    if (!this.isUpgraded) {
      const end = bytes.indexOf("\r\n\r\n");
      if (end >= 0) this.#answered(bytes.toString("latin1", 9, 12));
      if (end >= 0) bytes = bytes.subarray(end + 4);
    }
    if (this.isUpgraded) bytes = this.#readFrames(bytes);
    this.rest = bytes;
  }

  #answered(status) {
    if (status !== "101") {
      this.crowd.refusals++;
      this.socket.destroy();
      return;
    }
    this.isUpgraded = true;
    this.#openedAt = performance.now();
    this.visits.push({ port: this.port, numbers: [], isOpen: true });
    this.crowd.opened(this);
    for (const what of this.outbox.keys()) this.#send(what);
  }

  // Frames of a server are not masked, and ours are short.
  #readFrames(bytes) {
    let at = 0;
    while (bytes.length >= at + 2) {
      const size = bytes[at + 1];
      if (size > 125) throw new Error("a longer frame than anybody here sends");
      if (bytes.length < at + 2 + size) break;
      this.#heard(bytes[at] & 15, bytes.subarray(at + 2, at + 2 + size));
      at += 2 + size;
    }
    return bytes.subarray(at);
  }

  #heard(opcode, payload) {
    const visit = this.visits.at(-1);

    if (opcode === TEXT) {
      const text = payload.toString("latin1");
      const what = text.slice(0, text.indexOf("/"));
      visit.numbers.push(this.crowd.numberOf(text));
      if (this.outbox.get(what) === text) this.outbox.delete(what);
    } else if (opcode === PING) {
      this.socket.write(frame({ opcode: PONG, payload }));
    } else if (opcode === CLOSE) {
      visit.code = payload.readUInt16BE(0);
      visit.isOpen = false;
      this.socket.end(frame({ opcode: CLOSE, payload }));
    }
  }

  #gone() {
    const wasOpen = this.isUpgraded;

    if (this.crowd.isOver) return;
    if (wasOpen) {
      this.visits.at(-1).isOpen = false;
      if (performance.now() - this.#openedAt >= STABLE_MS) this.#attempts = 0;
    } else {
      this.crowd.failures++;
    }
    const wait = backoff(this.#attempts++, Math.random());
    this.timer = setTimeout(() => this.come(this.crowd.anyPort()), wait);
  }
}

function describe({ index, visits, socket }) {
  const of = visits.map(({ port, numbers, isOpen, code }) => `${port} ${isOpen ? "open" : code} heard ${numbers.length}`);
  return `\n  ${index} (${socket.readyState}): ${of.join("; ")}`;
}

export class ReturningCrowd {
  people = [];
  returns = []; // when, since `watch`
  refusals = 0; // answers that were no 101
  failures = 0; // connections that came to nothing, those included
  isOver = false;
  #numbers = new Map(); // of texts
  #said = [];
  #talk = null;

  // `ports`: of the gateways, `count` people spread over them, of whom `talkers` talk.
  static async open({ ports, count, talkers }) {
    const crowd = new ReturningCrowd();

    crowd.ports = ports;
    crowd.people = Array.from({ length: count }, (_, index) => new Person(crowd, index));
    for (let at = 0; at < count; at += OPENING) {
      const batch = crowd.people.slice(at, at + OPENING);
      for (const person of batch) person.come(ports[person.index % ports.length]);
      await until(() => batch.every((person) => person.isOpen), "the crowd to come in");
    }
    crowd.talkers = crowd.people.slice(0, talkers);
    crowd.stayers = crowd.people.filter(({ visits: [first] }) => first.port === ports.at(-1));
    return crowd;
  }

  anyPort() {
    return this.ports[Math.floor(Math.random() * this.ports.length)];
  }

  opened() {
    if (this.watchedAt !== undefined) this.returns.push(performance.now() - this.watchedAt);
  }

  numberOf(text) {
    let number = this.#numbers.get(text);
    if (number === undefined) this.#numbers.set(text, (number = this.#numbers.size));
    return number;
  }

  // One of them after the other says something, each `intervalMs`.
  talk(intervalMs) {
    this.#talk = setInterval(() => this.#say(), intervalMs);
  }

  #say() {
    const what = `${this.#said.length}`;
    this.#said.push(what);
    this.talkers[this.#said.length % this.talkers.length].say(what);
  }

  watch() {
    this.watchedAt = performance.now();
    this.refusals = this.failures = 0;
  }

  async isBack() {
    const missing = () => this.people.filter((person) => !person.isOpen);
    const what = () => `${missing().length} people to be back, among them ${missing().slice(0, 3).map(describe)}`;
    await until(() => missing().length === 0, what, BACK_DEADLINE_MS);
  }

  // Everybody is there; nobody talks any more, but for a last word, and everybody has heard all.
  async settle() {
    clearInterval(this.#talk);
    this.#say();
    await until(() => this.talkers.every(({ outbox }) => outbox.size === 0), "what was said to come back");
    const [first] = this.stayers[0].visits;
    const deaf = () => this.people.filter(({ visits }) => visits.at(-1).numbers.at(-1) !== first.numbers.at(-1));
    const what = () => `the last message to reach everybody; without it: ${deaf().slice(0, 3).map(describe)}`;
    await until(() => !first.isOpen || deaf().length === 0, what, BACK_DEADLINE_MS);
    if (!first.isOpen) throw new Error(`who should have stayed did not: ${describe(this.stayers[0])}`);
  }

  verdict() {
    const order = this.stayers[0].visits[0].numbers;
    const place = new Map(order.map((number, index) => [number, index]));
    const heard = new Set([...this.#numbers].filter(([, n]) => place.has(n)).map(([text]) => text.split("/")[0]));
    const isGapless = ({ numbers }) => numbers.every((n, i) => place.get(n) === place.get(numbers[0]) + i);
    const visits = this.people.flatMap((person) => person.visits);
    const codes = visits.filter((visit) => visit.code !== undefined).map(({ code }) => code);

    return {
      said: this.#said.length,
      lost: this.#said.filter((what) => !heard.has(what)).length,
      saidTwice: order.length - this.#said.length,
      gaps: visits.filter((visit) => !isGapless(visit)).length,
      disturbed: this.stayers.filter((person) => person.visits.length > 1).length,
      incomplete: this.stayers.filter(({ visits: [visit] }) => visit.numbers.length !== order.length).length,
      codes: [...new Set(codes)],
    };
  }

  // The most that came back within a second, and when the last one did.
  get rush() {
    let first = 0;
    let peak = 0;
    this.returns.forEach((time, index) => {
      while (this.returns[first] < time - RUSH_MS) first++;
      peak = Math.max(peak, index - first + 1);
    });
    return { count: this.returns.length, peak, lastMs: Math.round(this.returns.at(-1) ?? 0) };
  }

  close() {
    this.isOver = true;
    clearInterval(this.#talk);
    for (const person of this.people) {
      clearTimeout(person.timer);
      person.socket.destroy();
    }
  }
}
