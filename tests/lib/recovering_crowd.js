// People who speak the channel protocol as SDKs do, each on some channels: their connections break now and then, they
// come back, to whichever gateway there is, to where they were. Each knows what it was told of a channel since it last
// had to begin anew.
//
//     const crowd = await RecoveringCrowd.open({ ports, channels, count: 200, each: 3 });
//     crowd.disturb(100);                // breaks so many connections a second
//     await crowd.toldOf(places);        // until each was told to begin anew there
//     await crowd.settle(places);        // until each is where its channels are: Map of channel → { epoch, offset }
//     crowd.verdict(histories)           // channel → publications, from the first on

import { WebSocket } from "ws";

import { PATH } from "./command_client.js";
import { until } from "./wait.js";

const DEADLINE_MS = 60_000;
const LONGEST_PAUSE_MS = 1000;

class Person {
  rooms = new Map(); // channel → { epoch, begunIn, offset, heard: [], isOn, recoveries }
  #pauseMs = 20;

  constructor(crowd, channels) {
    this.crowd = crowd;
    for (const channel of channels) {
      this.rooms.set(channel, { epoch: "", offset: 0, heard: [], isNew: true, isOn: false, recoveries: 0 });
    }
  }

  come() {
    const socket = new WebSocket(`ws://127.0.0.1:${this.crowd.anyPort()}${PATH}`, { perMessageDeflate: false });

    this.socket = socket;
    this.asked = new Map();
    this.lastId = 1;
    socket.on("open", () => socket.send('{"id":1,"connect":{}}'));
    socket.on("message", (data) => {
      for (const line of data.toString().split("\n")) this.#take(JSON.parse(line));
    });
    socket.on("error", () => {}); // "close" follows
    socket.on("close", () => this.#gone());
  }

  #gone() {
    for (const room of this.rooms.values()) room.isOn = false;
    if (this.crowd.isOver) return;
    this.timer = setTimeout(() => this.come(), Math.random() * this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }

  #take({ id, push, error, connect, subscribe }) {
    if (push) return this.#takePush(push);
    if (id === undefined) return this.socket.send("{}"); // a ping
    if (connect) {
      this.#pauseMs = 20;
      for (const channel of this.rooms.keys()) this.#subscribe(channel);
      return;
    }
    const channel = this.asked.get(id);
    if (error) this.#retry(channel, error);
    else if (subscribe) this.#begin(this.rooms.get(channel), subscribe);
  }

  #subscribe(channel) {
    const { isNew, epoch, offset } = this.rooms.get(channel);
    const recover = isNew ? { recoverable: true } : { recover: true, epoch, offset };
    const id = ++this.lastId;
    this.asked.set(id, channel);
    this.socket.send(JSON.stringify({ id, subscribe: { channel, ...recover } }));
  }

  // The bus is away, say.
  #retry(channel, { code }) {
    const { socket } = this;
    if (![100, 108, 111].includes(code)) this.crowd.problems.push(`error ${code} for ${channel}`);
    setTimeout(() => socket === this.socket && socket.readyState === 1 && this.#subscribe(channel), 100);
  }

  #begin(room, { epoch, offset = 0, recovered = false, was_recovering = false, publications = [] }) {
    room.isOn = true;
    if (recovered) {
      room.recoveries++;
      room.epoch = epoch; // another one where a bus died; it goes on from the one before
      for (const publication of publications) this.#hear(room, publication);
      if (room.offset !== offset) this.crowd.problems.push(`recovered to ${room.offset}, told ${offset}`);
      return;
    }
    if (was_recovering) {
      this.crowd.restarts.push(`from ${room.epoch}/${room.offset} to ${epoch}/${offset}`);
    }
    Object.assign(room, { isNew: false, epoch, begunIn: epoch, offset, heard: [] });
  }

  #hear(room, { offset, data }) {
    if (offset !== room.offset + 1) this.crowd.problems.push(`heard ${offset} after ${room.offset}`);
    room.offset = offset;
    room.heard.push(data);
  }

  #takePush({ channel, pub, unsubscribe }) {
    const room = this.rooms.get(channel);
    if (pub && room.isOn) this.#hear(room, pub);
    else if (pub) this.crowd.problems.push(`heard ${pub.offset} before the reply`);
    if (unsubscribe) {
      room.isOn = false;
      if (unsubscribe.code !== 2500) this.crowd.problems.push(`unsubscribed with ${unsubscribe.code}`);
      this.#subscribe(channel);
    }
  }
}

// The first of these [channel, room], beside where their channels are.
function describe(rooms, places) {
  return rooms
    .slice(0, 3)
    .map(([channel, { heard, ...room }]) => JSON.stringify([channel, room, places.get(channel)]));
}

export class RecoveringCrowd {
  problems = []; // what no client of a gateway that works can see
  restarts = []; // what who was not recovered had, and was told
  breaks = 0;

  // Each is on `each` of the channels.
  static async open({ ports, channels, count, each }) {
    const crowd = new RecoveringCrowd();

    crowd.ports = ports;
    crowd.people = Array.from({ length: count }, (_, i) => {
      return new Person(crowd, Array.from({ length: each }, (_, k) => channels[(i + k * 7) % channels.length]));
    });
    for (const person of crowd.people) person.come();
    await until(() => crowd.rooms.every(({ isOn }) => isOn), "the crowd to come in", DEADLINE_MS);
    return crowd;
  }

  anyPort() {
    return this.ports[Math.floor(Math.random() * this.ports.length)];
  }

  get rooms() {
    return this.people.flatMap(({ rooms }) => [...rooms.values()]);
  }

  // Breaks so many connections a second, as a network does: without a word.
  disturb(aSecond) {
    this.disturbance = setInterval(() => {
      this.people[Math.floor(Math.random() * this.people.length)].socket.terminate();
      this.breaks++;
    }, 1000 / aSecond);
  }

  // Until everybody was told to begin anew, in the epochs of these places.
  async toldOf(places) {
    const untold = () =>
      this.people.flatMap(({ rooms }) =>
        [...rooms].filter(([channel, { begunIn }]) => begunIn !== places.get(channel).epoch),
      );
    const what = () => `${untold().length} to be told to begin anew: ${describe(untold(), places)}`;
    await until(() => untold().length === 0, what, DEADLINE_MS);
  }

  async settle(places) {
    clearInterval(this.disturbance);
    const isThere = ([channel, { isOn, offset, epoch }]) =>
      isOn && offset === places.get(channel).offset && epoch === places.get(channel).epoch;
    const missing = () => this.people.flatMap(({ rooms }) => [...rooms].filter((entry) => !isThere(entry)));
    const what = () => {
      const told = describe(missing(), places);
      return `${missing().length} to be where their channel is: ${told}; ${this.problems.slice(0, 3)}`;
    };
    await until(() => missing().length === 0, what, DEADLINE_MS);
  }

  // How many lists are not the end of their channel's; that they begin where they were told, the offsets say.
  verdict(histories) {
    const all = this.people.flatMap(({ rooms }) => [...rooms]);
    const lastOf = (list, count) => list.slice(list.length - count);
    const isWhole = ([channel, { heard }]) =>
      JSON.stringify(heard) === JSON.stringify(lastOf(histories.get(channel), heard.length));
    return {
      wrong: all.filter((entry) => !isWhole(entry)).length,
      problems: this.problems.slice(0, 5),
      recoveries: this.rooms.reduce((sum, { recoveries }) => sum + recoveries, 0),
    };
  }

  close() {
    this.isOver = true;
    clearInterval(this.disturbance);
    for (const person of this.people) {
      clearTimeout(person.timer);
      person.socket.terminate();
    }
  }
}
