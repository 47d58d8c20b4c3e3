// The page around the messages: state of the connection, notices, the unread count. It knows the
// document, and nothing of sockets.

import { Composer } from "./composer.js";
import { MessageList } from "./list.js";

const STATES = {
  connecting: "Connecting…",
  connected: "Connected",
  reconnecting: "Reconnecting…",
  offline: "Offline",
};

export class View {
  #status = document.getElementById("status");
  #notice = document.getElementById("notice");
  #title;
  #unread = 0;

  // `send(name, text)` returns true if it took the text.
  constructor({ channel, send }) {
    const newer = document.getElementById("newer");

    this.composer = new Composer(send);
    this.list = new MessageList({
      scroller: document.getElementById("scroller"),
      log: document.getElementById("log"),
      outbox: document.getElementById("outbox"),
      newer,
    });
    newer.addEventListener("click", () => {
      this.list.toEnd();
      this.composer.focus();
    });

    this.#title = channel ? `${channel} · Carillon` : "Carillon";
    document.title = this.#title;
    document.getElementById("channel").textContent = channel ?? "Lobby";

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
