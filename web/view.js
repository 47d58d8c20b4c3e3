// The page around the messages: the room and the way to others, who is here and who is typing, the state of
// the connection, notices, the unread count. It knows the document, and nothing of sockets.

import { Composer } from "./composer.js";
import { MessageList } from "./list.js";
import { format } from "./message.js";
import { Rooms } from "./rooms.js";

const TYPING_NAMES = 3; // more are only counted

const STATES = {
  connecting: "Connecting…",
  connected: "Connected",
  reconnecting: "Reconnecting…",
  offline: "Offline",
  disconnected: "Offline",
};

export class View {
  #status = document.getElementById("status");
  #notice = document.getElementById("notice");
  #people = document.getElementById("people-button");
  #peopleList = document.getElementById("people-list");
  #typing = document.getElementById("typing");
  #title;
  #unread = 0;
  #rooms;

  // `channel` is null for the lobby; what else is among `events`, composer.js and list.js say.
  constructor({ channel, askOlder, ...events }) {
    const newer = document.getElementById("newer");

    this.composer = new Composer(events);
    this.list = new MessageList({
      scroller: document.getElementById("scroller"),
      log: document.getElementById("log"),
      outbox: document.getElementById("outbox"),
      newer,
      older: document.getElementById("older"),
      past: document.getElementById("past"),
      askOlder,
    });
    newer.addEventListener("click", () => {
      this.list.toEnd();
      this.composer.focus();
    });

    this.#title = channel ? `${channel} · Carillon` : "Carillon";
    document.title = this.#title;
    document.getElementById("channel").textContent = channel ?? "Lobby";
    this.#rooms = new Rooms(channel);

    document.addEventListener("visibilitychange", () => this.#countUnread(0));
  }

  // Shows a message that arrived.
  add(message) {
    this.list.add(message);
    if (document.hidden) this.#countUnread(this.#unread + 1);
  }

  showState(state) {
    this.#status.dataset.state = state;
    this.#status.textContent = STATES[state];
  }

  // The room has let us in.
  rememberRoom() {
    this.#rooms.remember();
  }

  // `people` are { name, isMe }; null: too many to be named.
  showPeople({ count, people }) {
    this.#people.hidden = false;
    this.#people.querySelector(".count").textContent = format(count);
    this.#peopleList.replaceChildren(
      ...(people ?? []).map(({ name, isMe }) => {
        const item = document.createElement("li");
        const label = document.createElement("bdi");

        label.textContent = name;
        item.append(label, isMe ? " (you)" : "");
        return item;
      }),
    );
    if (people === null) this.#peopleList.append(createLine(`${format(count)} people`));
  }

  showTyping(names) {
    const distinct = [...new Set(names)];
    const rest = distinct.length - TYPING_NAMES;
    const named = distinct.slice(0, TYPING_NAMES).flatMap((name, i) => {
      const label = document.createElement("bdi");
      label.textContent = name;
      return i > 0 ? [", ", label] : [label];
    });
    const verb = distinct.length === 1 ? " is typing…" : " are typing…";

    this.#typing.replaceChildren(...named);
    if (rest > 0) this.#typing.append(` and ${rest} more`);
    if (named.length > 0) this.#typing.append(verb);
  }

  // Tells the user something that needs attention, with a button for what to do about it.
  notify(text, action) {
    const line = document.createElement("p");
    const button = document.createElement("button");

    line.textContent = text;
    button.type = "button";
    button.textContent = action.label;
    button.addEventListener("click", () => {
      action.run();
      this.composer.focus();
    });
    this.#notice.replaceChildren(line, button);
  }

  clearNotice() {
    this.#notice.replaceChildren();
  }

  #countUnread(count) {
    this.#unread = count;
    document.title = count > 0 ? `(${count}) ${this.#title}` : this.#title;
  }
}

function createLine(text) {
  const line = document.createElement("li");
  line.textContent = text;
  return line;
}
