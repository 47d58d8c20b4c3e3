// Where the user writes: the name, the text, and how much of it there is room for.

import { cleanName, format, GUEST, TEXT_LIMIT } from "./message.js";

const ROOM_TO_SPARE = TEXT_LIMIT / 10; // less than this is worth a word
const NAME_KEY = "carillon.name";

export class Composer {
  #name = document.getElementById("name");
  #form = document.getElementById("form");
  #text = document.getElementById("text");
  #counter = document.getElementById("counter");
  #complaint = document.getElementById("complaint");
  #send;

  // `send(name, text)` returns true if it took the text.
  constructor(send) {
    this.#send = send;
    this.#name.value = recall(NAME_KEY);
    this.#name.placeholder = GUEST;
    this.#name.addEventListener("change", () => this.#keepName());
    onEnter(this.#name, () => {
      this.#keepName();
      this.focus();
    });
    onEnter(this.#text, () => this.#form.requestSubmit());
    this.#text.addEventListener("input", () => this.#measure());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
      this.focus();
    });
    this.#measure(); // what the browser kept over a reload
  }

  focus() {
    this.#text.focus();
  }

  // Says why the text was not taken, until the user changes it.
  complain(reason) {
    this.#complaint.textContent = reason;
  }

  #submit() {
    const excess = -this.#room();

    if (excess > 0) {
      this.complain(`This message is ${inCharacters(excess)} too long; the limit is ${format(TEXT_LIMIT)}.`);
    } else if (this.#send(this.#name.value, this.#text.value)) {
      this.#text.value = "";
      this.#measure();
    }
  }

  #room() {
    return TEXT_LIMIT - this.#text.value.trim().length;
  }

  #measure() {
    const room = this.#room();

    if (room < 0) this.#counter.textContent = `${inCharacters(-room)} too many`;
    else this.#counter.textContent = room < ROOM_TO_SPARE ? `${inCharacters(room)} left` : "";
    this.#text.setAttribute("aria-invalid", room < 0);
    this.complain("");
  }

  #keepName() {
    this.#name.value = cleanName(this.#name.value);
    remember(NAME_KEY, this.#name.value);
  }
}

// An Enter that ends the composition of a character (Japanese, Chinese, …) is not meant for us. Safari
// ends the composition first: there such an Enter shows by its key code alone.
function onEnter(field, act) {
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    act();
  });
}

function inCharacters(count) {
  return `${format(count)} ${count === 1 ? "character" : "characters"}`;
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
