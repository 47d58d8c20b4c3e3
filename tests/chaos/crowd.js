// People on many channels at all gateways, who talk all the time and remember what they heard.
//
//     const crowd = await Crowd.gather(stage);
//     crowd.talk();
//     …
//     await crowd.settle();    // everything that was said has come back
//     crowd.check({ isSplit: false });
//     crowd.dismiss();
//
// Who is closed comes back at once, as somebody new.

import assert from "node:assert/strict";

import { Client } from "../lib/client.js";
import { until } from "../lib/wait.js";

export const CHANNELS = 50;
const TURN_MS = 20;
const ROUND_MS = 300; // in which everybody speaks once

export class Crowd {
  people = [];
  problems = [];
  #count = 0;
  #timer = null;
  #isLeaving = false;

  // `stage` has the gateways, and is told who was closed when.
  static async gather(stage, { channels = CHANNELS } = {}) {
    const { gateways } = stage;
    const crowd = new Crowd();
    Object.assign(crowd, { stage, gateways });
    crowd.channels = Array.from({ length: channels }, (_, i) => `room ${i}`);
    for (const channel of crowd.channels) {
      await Promise.all(gateways.map((_, g) => crowd.#invite(channel, g, true)));
    }
    return crowd;
  }

  async #invite(channel, g, isFirst = false) {
    const name = `${g}-${this.#count++}`;
    const person = { name, channel, g, isFirst, sent: [], isGone: false };

    person.client = await Client.open(this.gateways[g], { channel });
    person.client.closed.then(({ code, reason }) => {
      if (this.#isLeaving) return;
      person.isGone = true;
      person.end = `${code} ${reason}`;
      this.stage.note(`${name} in ${channel} at G${g} is closed: ${person.end}`);
      this.#invite(channel, g).catch((error) => this.problems.push(`${name} cannot come back: ${error.message}`));
    });
    this.people.push(person);
    return person;
  }

  get present() {
    return this.people.filter(({ isGone }) => !isGone);
  }

  get gone() {
    return this.people.filter(({ isGone }) => isGone);
  }

  talk() {
    let next = 0;
    let owed = 0;

    this.#timer = setInterval(() => {
      for (owed += (this.people.length * TURN_MS) / ROUND_MS; owed >= 1; owed--) {
        this.say(this.people[next++ % this.people.length]);
      }
    }, TURN_MS);
  }

  say(person) {
    if (person.isGone || !person.client.isOpen) return;
    const text = `${person.name}.${person.sent.length}`;
    person.sent.push(text);
    person.client.send(text);
  }

  // Everybody says a last word, and hears those of all who are there. Who is closed even now, and comes back, has
  // nothing to hear any more.
  async settle() {
    await until(() => this.present.length === this.channels.length * this.gateways.length, "all to be there");
    clearInterval(this.#timer);
    for (const person of this.people) {
      this.say(person);
      person.last = person.isGone ? undefined : person.sent.at(-1);
    }
    await until(() => this.#unheard().length === 0, () => `last words: ${this.#describe(this.#unheard())}`);
  }

  // Who has not heard the last words of somebody who is still there.
  #unheard() {
    const unheard = [];

    for (const channel of this.channels) {
      const people = this.present.filter((person) => person.channel === channel);
      const words = people.map(({ last }) => last).filter(Boolean);
      for (const person of people) {
        const heard = new Set(person.client.messages.slice(-4 * words.length));
        const missing = words.filter((word) => !heard.has(word) && !person.client.messages.includes(word));
        if (missing.length > 0 && person.last) unheard.push({ person, missing });
      }
    }
    return unheard;
  }

  #describe(unheard) {
    const some = unheard.slice(0, 5).map(({ person, missing }) => `${person.name} misses ${missing}`);
    return `${unheard.length} people wait (${some.join("; ")})`;
  }

  // Fails with a list of all that is wrong. `isSplit`: routers may have gone on without each other, or all have
  // died. Then people may have been told (1012) that something is lost, and what one side alone had comes behind what
  // the other had (router/README.md).
  check({ isSplit }) {
    const problems = [...this.problems];

    for (const person of this.gone) {
      if (!isSplit || !person.end.startsWith("1012")) {
        problems.push(`${person.name} in ${person.channel} was closed: ${person.end}`);
      }
    }
    for (const channel of this.channels) {
      const people = this.people.filter((person) => person.channel === channel);
      const wrong = [...people.flatMap(doublesOf), ...differencesOf(people), ...(isSplit ? [] : overtakenIn(people))];
      problems.push(...wrong.map((text) => `${channel}: ${text}`));
    }
    assert.ok(problems.length === 0, `${problems.length} problems:\n${problems.slice(0, 30).join("\n")}`);
  }

  dismiss() {
    this.#isLeaving = true;
    clearInterval(this.#timer);
    for (const { client } of this.people) client.destroy();
  }
}

// The list that all have: of those who stayed all the time, or else the longest.
function referenceOf(people) {
  const present = people.filter(({ isGone }) => !isGone);
  const [first] = present.toSorted((one, other) => other.client.messages.length - one.client.messages.length);
  return (present.find(({ isFirst }) => isFirst) ?? first)?.client.messages ?? [];
}

// Those who stayed all the time have the same list, with everything that they said; who came later has the end of it.
// Of who went nobody knows what came in time.
function differencesOf(people) {
  const problems = [];
  const reference = referenceOf(people);
  const known = new Set(reference);
  const isComplete = people.some(({ isGone, isFirst }) => !isGone && isFirst);

  for (const { name, isGone, isFirst, sent, last, client } of people) {
    if (isGone) continue;
    const { messages } = client;
    const start = isFirst ? 0 : messages.length > 0 ? reference.indexOf(messages[0]) : reference.length;
    const at = messages.findIndex((text, i) => text !== reference[start + i]);
    const lost = isComplete ? sent.filter((text) => !known.has(text)) : [];

    if (lost.length > 0) problems.push(`${lost.length} of ${name} lost: ${lost.slice(0, 5)}`);
    if (messages.length === 0 && last !== undefined) problems.push(`${name} heard nothing`);
    if (at >= 0) {
      const others = reference.slice(start + at, start + at + 4);
      problems.push(`${name} heard ${messages.slice(at, at + 4)} where others heard ${others}`);
    } else if (start + messages.length !== reference.length) {
      problems.push(`${name} heard ${messages.length} of ${reference.length - start}`);
    }
  }
  return problems;
}

// Who speaks is heard in that order.
function overtakenIn(people) {
  const reference = referenceOf(people);
  const position = new Map(reference.map((text, i) => [text, i]));

  return people.flatMap(({ sent }) => {
    const places = sent.map((text) => position.get(text)).filter((place) => place !== undefined);
    const at = places.findIndex((place, i) => i > 0 && place < places[i - 1]);
    if (at < 0) return [];
    const around = reference.slice(Math.max(0, places[at] - 3), places[at - 1] + 4);
    return [`${reference[places[at]]} came before ${reference[places[at - 1]]}: ${around}`];
  });
}

function doublesOf({ name, client }) {
  const seen = new Set();
  const doubled = client.messages.filter((text) => seen.size === seen.add(text).size);
  return doubled.length > 0 ? [`${name} heard twice: ${doubled.slice(0, 5)}`] : [];
}
