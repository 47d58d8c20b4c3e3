// Ties the page together: what the user writes goes to the room, what is said there goes to the view.

import { Carillon } from "./carillon.js";
import { DEFAULTS, fetchSettings, socketUrl } from "./gateway.js";
import { createMessage, parseMessage, roomForImage } from "./message.js";
import { People } from "./people.js";
import { Room } from "./room.js";
import { rememberInList, recallList } from "./storage.js";
import { View } from "./view.js";

const OUTBOX_LIMIT = 100;
const SHOWN_LIMIT = 5000;
const SAID_LIMIT = 200;
const SAID_KEY = "carillon.said"; // ids of what this tab has said, so that they are its own after a reload

const REFUSALS = {
  101: "This server lets in only people whom it knows, and this page cannot say who you are.",
  102: "There is no such room on this server.",
  103: "You may not enter this room.",
  106: "This room is full.",
  3500: "This server lets in only people whom it knows, and this page cannot say who you are.",
};

const requested = new URLSearchParams(location.search).get("channel") || null;
const shown = new Set(); // ids of the newest messages; a message sent again is shown once
const outbox = new Map(); // id → message of ours that has not come back
const said = new Set(recallList(SAID_KEY, "sessionStorage"));
let settings = DEFAULTS;
let room = null; // until we know its channel
let people = null;

const carillon = new Carillon(socketUrl(document.baseURI), { queueLimit: OUTBOX_LIMIT, name: "chat page" });

const view = new View({
  channel: requested,
  send,
  typing: () => people?.type(),
  named: () => people?.renamed(),
  roomForImage: (text) => roomForImage(settings.messageLimit, text, room?.channel ?? ""),
  askOlder: (place) => room.askOlder(place),
});

carillon.on("state", ({ state, code, reason }) => {
  view.showState(state);
  if (state === "connected") room?.again(); // if it had refused us
  if (state === "disconnected") refused(REFUSALS[code] ?? closed(reason), () => carillon.connect());
});
carillon.on("sent", ({ key }) => view.list.annotate(key, "Sending…"));
carillon.on("waiting", ({ key }) => view.list.annotate(key, "Waiting for the connection"));
carillon.connect();

addEventListener("beforeunload", (event) => {
  if (carillon.pending + outbox.size > 0) event.preventDefault();
});

settings = await fetchSettings();
room = new Room(carillon, requested ?? settings.lobby, {
  entered() {
    view.clearNotice();
    view.rememberRoom();
  },
  message: (pub) => receive(pub),
  older: (pubs, hasMore) => view.list.addOlder(pubs.map(toMessage), hasMore),
  gap: (text) => view.list.addGap(text),
  delivered,
  failed,
  refused: (code, reason) => refused(REFUSALS[code] ?? closed(reason), () => room.again()),
});
people = new People(carillon, room, () => view.composer.name, {
  here: (here) => view.showPeople(here),
  typing: (names) => view.showTyping(names),
});
for (const message of outbox.values()) say(message);

function send(name, text, image) {
  const message = createMessage(name, text, image);
  if (!message) return false;

  if (outbox.size >= OUTBOX_LIMIT) {
    view.composer.complain(
      `${OUTBOX_LIMIT} messages wait for the connection already. Send this one when they have gone.`,
    );
    return false;
  }
  outbox.set(message.id, message);
  view.list.depart(message, "Waiting for the connection");
  said.add(message.id);
  rememberInList(SAID_KEY, message.id, SAID_LIMIT, "sessionStorage");
  if (room) say(message);
  return true;
}

function say({ id, raw }) {
  room.say(id, JSON.parse(raw));
}

function receive(pub) {
  const message = parseMessage(pub.data, pub.tags);

  if (message.kind === "chat") {
    // Others learn an id as soon as the message is out, and might use it for a text of their own.
    const isOwn = outbox.get(message.id)?.raw === rawOf(pub.data);

    if (isOwn) message.isDelivered = arrive(message.id).isDelivered;
    else if (shown.has(message.id)) return;
    message.isOwn = isOwn;
    rememberShown(message.id);
    people.heard(pub.info?.client, message.name);
  }
  view.add({ ...message, place: pub.place });
}

// What was said before.
function toMessage(pub) {
  const message = parseMessage(pub.data, pub.tags);

  if (message.kind === "chat") {
    if (outbox.has(message.id)) arrive(message.id);
    message.isOwn = said.has(message.id);
    message.isDelivered = message.isOwn;
    rememberShown(message.id);
  }
  return { ...message, place: pub.place };
}

function rawOf(data) {
  return typeof data === "string" ? data : JSON.stringify(data);
}

function rememberShown(id) {
  shown.add(id);
  if (shown.size > SHOWN_LIMIT) shown.delete(shown.values().next().value);
}

function arrive(id) {
  const message = outbox.get(id);

  outbox.delete(id);
  return { ...view.list.arrive(id), ...message };
}

// The server has it. Whoever listens to the room sees it come back; others see it here.
function delivered(id, isListening) {
  const message = outbox.get(id);

  if (message) message.isDelivered = true;
  view.list.markDelivered(id);
  if (message && !isListening) view.add({ ...arrive(id), isOwn: true });
}

function failed(id, note) {
  if (outbox.has(id)) view.add({ ...arrive(id), note });
}

function closed(reason) {
  return `The server closed the connection${reason ? ` (${reason})` : ""}.`;
}

function refused(text, run) {
  view.notify(text, { label: "Connect again", run });
}
