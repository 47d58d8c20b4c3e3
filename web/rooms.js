// The rooms that somebody has been in, kept in this browser, and the way to them: a room is an address.

import { recallList, rememberInList } from "./storage.js";

const ROOMS_KEY = "carillon.rooms";
const ROOMS_LIMIT = 12;
const NAME_LIMIT_BYTES = 255;

// A list of links, and a form that leads to a room by its name.
export class Rooms {
  #current;
  #list = document.getElementById("room-list");
  #form = document.getElementById("room-form");
  #name = document.getElementById("room-name");

  // `current` is the channel's name; null: the lobby.
  constructor(current) {
    this.#current = current;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#go();
    });
    document.getElementById("rooms").addEventListener("toggle", () => this.#show());
    this.#show();
  }

  // We have been in this room.
  remember() {
    if (this.#current !== null) rememberInList(ROOMS_KEY, this.#current, ROOMS_LIMIT);
    this.#show();
  }

  #show() {
    const names = new Set([null, ...recallList(ROOMS_KEY)]);

    if (this.#current !== null) names.add(this.#current);
    this.#list.replaceChildren(...[...names].map((name) => this.#createItem(name)));
  }

  #createItem(name) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    const label = document.createElement("bdi");

    label.textContent = name ?? "Lobby";
    link.href = addressOf(name);
    if (name === this.#current) link.setAttribute("aria-current", "page");
    link.append(label);
    item.append(link);
    return item;
  }

  #go() {
    const name = this.#name.value.trim();
    const isTooLong = new TextEncoder().encode(name).length > NAME_LIMIT_BYTES;

    this.#name.setCustomValidity(isTooLong ? "This name is too long." : "");
    if (!this.#name.reportValidity() || name === "") return;
    location.assign(addressOf(name));
  }
}

function addressOf(name) {
  const url = new URL(location.href);

  url.hash = "";
  if (name === null) url.searchParams.delete("channel");
  else url.searchParams.set("channel", name);
  return url.href;
}
