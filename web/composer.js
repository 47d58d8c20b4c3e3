// Where the user writes: the name, the text, how much of it there is room for, and an image that was pasted
// or dropped.

import { shrink } from "./image.js";
import { cleanName, format, GUEST, TEXT_LIMIT } from "./message.js";
import { recall, remember } from "./storage.js";

const ROOM_TO_SPARE = TEXT_LIMIT / 10; // less than this is worth a word
const NAME_KEY = "carillon.name";

export class Composer {
  #name = document.getElementById("name");
  #form = document.getElementById("form");
  #text = document.getElementById("text");
  #counter = document.getElementById("counter");
  #complaint = document.getElementById("complaint");
  #attachment = document.getElementById("attachment");
  #events;
  #image = null; // data URL
  #opening = 0; // counts images; the last one is wanted

  // Calls these methods of `events`: `send(name, text, image)`, which returns true if it took them;
  // `roomForImage(text)`; `typing()`; `named()` when the name has changed.
  constructor(events) {
    this.#events = events;
    this.#name.value = recall(NAME_KEY);
    this.#name.placeholder = GUEST;
    this.#name.addEventListener("change", () => this.#keepName());
    onEnter(this.#name, () => {
      this.#keepName();
      this.focus();
    });
    onEnter(this.#text, () => this.#form.requestSubmit());
    this.#text.addEventListener("input", () => {
      this.#measure();
      if (this.#text.value.trim() !== "") events.typing();
    });
    this.#text.addEventListener("paste", (event) => this.#take(event, event.clipboardData));
    addEventListener("dragover", (event) => {
      if (event.dataTransfer.types.includes("Files")) event.preventDefault();
    });
    addEventListener("drop", (event) => this.#take(event, event.dataTransfer));
    this.#attachment.querySelector("button").addEventListener("click", () => {
      this.#attach(null);
      this.focus();
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
      this.focus();
    });
    this.#measure(); // what the browser kept over a reload
  }

  // The name that the user goes by.
  get name() {
    return cleanName(this.#name.value) || GUEST;
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
    } else if (this.#image && this.#image.length > this.#events.roomForImage(this.#text.value)) {
      this.complain("The image and a text this long do not fit into one message. Send them one by one.");
    } else if (this.#events.send(this.#name.value, this.#text.value, this.#image)) {
      this.#text.value = "";
      this.#attach(null);
      this.#measure();
    }
  }

  // Text is pasted as ever; of what has text beside the image (a table, a page), the text is meant.
  async #take(event, { files, types }) {
    const file = [...files].find(({ type }) => type.startsWith("image/"));
    const isDrop = event.type === "drop";

    if (isDrop && files.length > 0) event.preventDefault(); // the browser would leave the page for it
    if (!file || (!isDrop && types.includes("text/plain"))) return;
    event.preventDefault();
    this.complain("");

    const turn = ++this.#opening;
    try {
      const image = await shrink(file, this.#events.roomForImage(this.#text.value));
      if (turn === this.#opening) this.#attach(image);
    } catch (error) {
      if (turn === this.#opening) this.complain(error.message);
    }
  }

  #attach(image) {
    const picture = this.#attachment.querySelector("img");

    this.#opening++;
    this.#image = image;
    this.#attachment.hidden = image === null;
    if (image) picture.src = image;
    else picture.removeAttribute("src");
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
    if (recall(NAME_KEY) === this.#name.value) return;
    remember(NAME_KEY, this.#name.value);
    this.#events.named();
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
