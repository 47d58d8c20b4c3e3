// People who reach the gateways through the balancer, come back when they are let go, and say again what did not come
// back to them, as the chat page does.
//
//     const people = await Travellers.gather(url, 12);
//     people.talk();
//     await people.progress(20);     // everybody has heard 20 more of their own messages
//     await people.settle();         // all that was said has come back, and everybody hears the same
//     people.check();
//     people.dismiss();

import assert from "node:assert/strict";

import { WebSocket } from "ws";

import { until } from "../lib/wait.js";
import { problemsIn } from "./pieces.js";

const TURN_MS = 50; // between two messages of a person
const AGAIN_MS = [100, 500]; // before the next attempt
const OUTBOX_LIMIT = 100;
const CONNECT_MS = 5_000;
const ANSWER_MS = 10_000; // a line that takes what is sent, and brings nothing for so long, is dead

const SETTLE_MS = 120_000;

class Traveller {
  pieces = []; // of what was heard, one for each connection
  acknowledged = 0;
  #outbox = new Map(); // number of a message → when it was handed to this connection
  #next = 0;
  #isDead = false; // the connection, by lookForDeadLine
  #isLeaving = false;

  // `closes` is given why each connection ended.
  constructor(name, url, closes) {
    Object.assign(this, { name, url, closes });
    this.#connect();
  }

  get isOpen() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  get waiting() {
    return this.#outbox.size;
  }

  get heard() {
    return this.pieces.at(-1);
  }

  say() {
    if (this.#outbox.size >= OUTBOX_LIMIT) return;
    const number = this.#next++;
    this.#outbox.set(number, 0);
    if (this.isOpen) this.#hand(number);
  }

  // The connection's number is part of the text: a message that is said again is another one.
  #hand(number) {
    this.#outbox.set(number, Date.now());
    this.socket.send(`${this.name}/${this.pieces.length}/${number}`);
  }

  #connect() {
    const socket = new WebSocket(this.url, { perMessageDeflate: false, handshakeTimeout: CONNECT_MS });
    let heard;

    this.socket = socket;
    socket.on("open", () => {
      this.pieces.push((heard = []));
      for (const number of this.#outbox.keys()) this.#hand(number);
    });
    socket.on("message", (data) => {
      const text = String(data);
      heard.push(text);
      const [name, , number] = text.split("/");
      if (name === this.name && this.#outbox.delete(Number(number))) this.acknowledged++;
    });
    socket.on("error", () => {});
    socket.on("close", (code) => {
      if (this.#isLeaving) return;
      if (heard) this.closes.push(this.#isDead ? "silence" : `code ${code}`);
      this.#isDead = false;
      const [least, most] = AGAIN_MS;
      setTimeout(() => this.#isLeaving || this.#connect(), least + Math.random() * (most - least));
    });
  }

  // To be called now and then.
  lookForDeadLine() {
    const [oldest] = this.#outbox.values();
    if (!this.isOpen || !oldest || Date.now() - oldest <= ANSWER_MS) return;
    this.#isDead = true;
    this.socket.terminate();
  }

  leave() {
    this.#isLeaving = true;
    this.socket.terminate();
  }
}

export class Travellers {
  closes = []; // why connections ended, in order
  #timer = null;

  static async gather(url, count) {
    const travellers = new Travellers();

    travellers.people = Array.from({ length: count }, (_, i) => new Traveller(`t${i}`, url, travellers.closes));
    await travellers.present();
    return travellers;
  }

  present() {
    return until(() => this.people.every(({ isOpen }) => isOpen), "everybody to be connected", SETTLE_MS);
  }

  talk() {
    this.#timer ??= setInterval(() => {
      for (const person of this.people) {
        person.say();
        person.lookForDeadLine();
      }
    }, TURN_MS);
  }

  get acknowledged() {
    return this.people.reduce((sum, person) => sum + person.acknowledged, 0);
  }

  async progress(count) {
    const goals = this.people.map(({ acknowledged }) => acknowledged + count);
    const isThere = () => this.people.every(({ acknowledged }, i) => acknowledged >= goals[i]);
    await until(isThere, () => `${count} more messages of everybody: ${this.#describe()}`, SETTLE_MS);
  }

  // Nobody's messages come back any more.
  stall() {
    return until(() => this.people.every(({ waiting }) => waiting >= 10), () => `a halt: ${this.#describe()}`, SETTLE_MS);
  }

  async settle() {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.people.forEach((person) => person.lookForDeadLine()), TURN_MS);
    const isDone = () => this.people.every(({ isOpen, waiting }) => isOpen && waiting === 0);
    await until(isDone, () => `all that was said to come back: ${this.#describe()}`, SETTLE_MS);

    // A last word of each, which everybody who is there now must hear. Who is let go even now comes back, and with them
    // their word if it did not come back.
    const before = this.people.map(({ acknowledged }) => acknowledged);
    this.people.forEach((person) => person.say());
    await until(
      () => isDone() && this.people.every(({ acknowledged }, i) => acknowledged > before[i]) && this.#hearTheSame(),
      () => `everybody to hear the same: ${this.#describe()}`,
      SETTLE_MS,
    );
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #hearTheSame() {
    return new Set(this.people.map(({ heard }) => heard.at(-1))).size === 1;
  }

  #describe() {
    return this.people
      .map(({ name, isOpen, waiting, heard }) => `${name} ${isOpen ? "open" : "closed"}, ${waiting} wait, ${heard?.at(-1)}`)
      .join("; ");
  }

  // Fails with a list of what is wrong.
  check() {
    const problems = problemsIn(this.people);
    assert.equal(problems.length, 0, `${problems.length} problems:\n${problems.slice(0, 20).join("\n")}`);
  }

  dismiss() {
    clearInterval(this.#timer);
    for (const person of this.people) person.leave();
  }
}
