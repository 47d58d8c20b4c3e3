// The page around the messages: state of the connection, notices, the composer, the unread count.
// It knows the document, and nothing of sockets.

import { cleanName } from "./message.js";
import { MessageList } from "./list.js";

const STATES = {
  connecting: "Connecting…",
  connected: "Connected",
  reconnecting: "Reconnecting…",
  offline: "Offline",
};

const NAME_KEY = "carillon.name";

export class View {
  #status = document.getElementById("status");
  #notice = document.getElementById("notice");
  #form = document.getElementById("form");
  #name = document.getElementById("name");
  #text = document.getElementById("text");
  #title;
  #unread = 0;

  // `send(name, text)` returns true if it took the text.
  constructor({ channel, send }) {
    const newer = document.getElementById("newer");

    this.list = new MessageList({
      scroller: document.getElementById("scroller"),
      log: document.getElementById("log"),
      outbox: document.getElementById("outbox"),
      newer,
    });
    newer.addEventListener("click", () => {
      this.list.toEnd();
      this.#text.focus();
    });

    this.#title = channel ? `${channel} · Carillon` : "Carillon";
    document.title = this.#title;
    document.getElementById("channel").textContent = channel ?? "Lobby";

    this.#name.value = recall(NAME_KEY);
    this.#name.addEventListener("change", () => this.#keepName());
    this.#text.addEventListener("keydown", (event) => this.#pressed(event));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (send(this.#name.value, this.#text.value)) this.#text.value = "";
      this.#text.focus();
    });
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

  // Tells the user something that needs attention, with a button if there is something to do.
  notify(text, action) {
    const line = document.createElement("p");

    line.textContent = text;
    this.#notice.replaceChildren(line);
    if (!action) return;

    const button = document.createElement("button");
    button.type = "button";
    button.textContent = action.label;
    button.addEventListener("click", () => {
      action.run();
      this.#text.focus();
    });
    this.#notice.append(button);
  }

  clearNotice() {
    this.#notice.replaceChildren();
  }

  #pressed(event) {
    // An Enter that ends the composition of a character (Japanese, Chinese, …) is not meant for us.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#form.requestSubmit();
  }

  #keepName() {
    this.#name.value = cleanName(this.#name.value);
    remember(NAME_KEY, this.#name.value);
  }

  #countUnread(count) {
    this.#unread = count;
    document.title = count > 0 ? `(${count}) ${this.#title}` : this.#title;
  }
}

// Storage may be forbidden, full or absent; the page does without.
function recall(key) {
  try {
    return localStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // The name lasts as long as the page, then.
  }
}
