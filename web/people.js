// Who is in a room, by what name, and who is typing.
//
// That somebody is there the server knows (presence, join, leave); by which name it does not, unless a
// token says so. So pages tell each other, on a channel beside the room's, which has its history: whoever
// comes in reads there how the others are called. A name is what somebody says it is. Typing is told there
// too, and so neither fills the room's history nor disturbs those who know nothing of it.
//
//     {"carillon":"here","name":"Ada"}      on coming in, under a new name, and now and then
//     {"carillon":"typing","name":"Ada"}    while something is being written
//
// In a crowd nobody is named: the number is told, and pages keep quiet.

import { cleanName } from "./message.js";

const SUFFIX = "/people";
const CHANNEL_LIMIT_BYTES = 255;

const CROWD = 100; // more than so many are only counted
const CROWD_PATIENCE = 10; // times as long between two counts
const NAMES_LIMIT = 500;
const BOOK = 200; // messages of the other channel's history that are read

const RETURN_MS = 5_000; // those who come back together do not ask together

const TYPING_EVERY_MS = 3_000;
const TYPING_FOR_MS = 6_000;
const COUNT_EVERY_MS = 30_000; // those whose gateway has died leave without a word
const ANNOUNCE_EVERY_MS = 300_000; // sooner than a history is forgotten

// The channel beside a room's, in the same namespace and for the same users; null where there is none.
export function peopleChannel(channel) {
  const [, name, users] = /^(.*?)(#[^#]*)?$/s.exec(channel);
  const beside = `${name}${SUFFIX}${users ?? ""}`;

  if (name === "" || name.endsWith(":") || new TextEncoder().encode(beside).length > CHANNEL_LIMIT_BYTES) return null;
  return beside;
}

// Calls these methods of `events`:
//   here({ count, people })   `people` is a list of { name, isMe }, or null where there are too many
//   typing(names)
// `myName()` returns the name that the user goes by.
export class People {
  #carillon;
  #room;
  #beside = null;
  #events;
  #myName;
  #names = new Map(); // client → name, as last said
  #here = new Map(); // client → what the server says of it
  #count = 0;
  #typing = new Map(); // client → timer
  #typedAt = -Infinity;
  #isCrowd = false;

  constructor(carillon, room, myName, events) {
    const beside = peopleChannel(room.channel);

    this.#carillon = carillon;
    this.#room = room.subscription;
    this.#events = events;
    this.#myName = myName;
    this.#room.on("subscribed", (event) => spread(event, () => this.#ask()));
    this.#room.on("join", ({ info }) => this.#came(info));
    this.#room.on("leave", ({ info }) => this.#went(info));
    if (beside) {
      this.#beside = carillon.subscribe(beside, { recover: false });
      this.#beside.on("subscribed", (event) => spread(event, () => this.#readNames()));
      this.#beside.on("publication", (pub) => this.#told(pub));
    }
    setInterval(() => this.#askNowAndThen(), COUNT_EVERY_MS);
    setInterval(() => this.#announce(), ANNOUNCE_EVERY_MS * (0.8 + 0.2 * Math.random()));
  }

  // The user goes by another name now.
  renamed() {
    this.#show();
    this.#announce();
  }

  #announce() {
    if (this.#isCrowd || this.#beside?.state !== "subscribed") return;
    this.#say("here");
  }

  // The user is writing.
  type() {
    if (this.#isCrowd || performance.now() - this.#typedAt < TYPING_EVERY_MS) return;
    if (this.#beside?.state !== "subscribed") return;
    this.#typedAt = performance.now();
    this.#say("typing");
  }

  // A message with a name came from a client, or was said by us.
  heard(client, name) {
    if (client === this.#carillon.client) this.#typedAt = -Infinity;
    if (!client || client === this.#carillon.client) return;
    this.#stopTyping(client);
    this.#learn(client, name);
  }

  #say(what) {
    const message = { carillon: what, name: this.#myName() };
    this.#beside.publish(message, { isFleeting: true }).catch(() => {}); // who may not, is quiet
  }

  #askNowAndThen() {
    const isWorthIt = !this.#isCrowd || Math.random() < 1 / CROWD_PATIENCE;
    if (document.visibilityState === "visible" && isWorthIt) this.#ask();
  }

  async #ask() {
    if (this.#room.state !== "subscribed") return;
    try {
      const { clients } = await this.#room.presenceStats();
      const isCrowd = clients > CROWD;
      const present = isCrowd ? [] : await this.#room.presence();

      this.#isCrowd = isCrowd;
      this.#here = new Map(present.map((info) => [info.client, info]));
      this.#count = isCrowd ? clients : present.length;
    } catch {
      return; // the server does not tell, or not now
    }
    this.#show();
  }

  #came(info) {
    if (this.#here.has(info.client)) return;
    if (!this.#isCrowd) this.#here.set(info.client, info);
    this.#count++;
    this.#isCrowd ||= this.#count > CROWD;
    this.#show();
  }

  #went({ client }) {
    if (!this.#isCrowd && !this.#here.delete(client)) return;
    this.#count--;
    this.#stopTyping(client);
    this.#show();
  }

  async #readNames() {
    this.#announce();
    try {
      const { publications } = await this.#beside.history({ limit: BOOK, reverse: true });
      for (const { info, data } of publications.reverse()) this.#learn(info?.client, data?.name, true);
      this.#show();
    } catch {
      // Nobody is named until they say something.
    }
  }

  #told({ info, data }) {
    if (!info?.client || info.client === this.#carillon.client) return;
    this.#learn(info.client, data?.name);
    if (data?.carillon !== "typing") return;

    clearTimeout(this.#typing.get(info.client));
    this.#typing.set(
      info.client,
      setTimeout(() => this.#stopTyping(info.client), TYPING_FOR_MS),
    );
    this.#showTyping();
  }

  #stopTyping(client) {
    clearTimeout(this.#typing.get(client));
    if (this.#typing.delete(client)) this.#showTyping();
  }

  #learn(client, said, isQuiet = false) {
    const name = typeof said === "string" && said.length <= 200 ? cleanName(said) : "";

    if (!client || name === "" || this.#names.get(client) === name) return;
    this.#names.delete(client);
    this.#names.set(client, name);
    if (this.#names.size > NAMES_LIMIT) this.#names.delete(this.#names.keys().next().value);
    if (!isQuiet && this.#here.has(client)) this.#show();
  }

  // A name that a token gives comes before one that somebody says.
  #nameOf({ client, user, connInfo }) {
    const given = typeof connInfo?.name === "string" ? cleanName(connInfo.name) : "";
    return given || this.#names.get(client) || cleanName(user) || "Guest";
  }

  #show() {
    if (this.#count === 0) return; // nobody has told us yet
    const people = [...this.#here.values()].map((info) => {
      const isMe = info.client === this.#carillon.client;
      return { name: isMe ? this.#myName() : this.#nameOf(info), isMe };
    });

    people.sort((one, other) => other.isMe - one.isMe || one.name.localeCompare(other.name));
    this.#events.here({ count: this.#count, people: this.#isCrowd ? null : people });
  }

  #showTyping() {
    this.#events.typing([...this.#typing.keys()].map((client) => this.#names.get(client) ?? "Somebody"));
  }
}

// At once for who comes in; a little later for who comes back (the event has a code, then).
function spread({ code }, act) {
  if (code === undefined) act();
  else setTimeout(act, RETURN_MS * Math.random());
}
