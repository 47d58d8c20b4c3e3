// One row of the conversation.
//
// Everything that came from outside becomes a text node, never markup.

import { excerpt, format, isBlank } from "./message.js";
import { isEmojiAlone, toNodes } from "./rich.js";

const HUES = 8; // as in style.css
const PAUSE_MS = 5 * 60_000; // after which a sender is named again

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

// `message` is one of message.js with { isOwn, note }, or { kind: "gap", text }.
export function createRow(message) {
  if (message.kind === "chat") return createChatRow(message);
  if (message.kind === "gap") return element("li", "gap", message.text);
  return createPlainRow(message);
}

// Whether a message needs no name and time, because they stand above it already, on `head`.
export function continues(message, head) {
  if (message.kind !== "chat" || head?.kind !== "chat") return false;

  const isSameSender = message.name === head.name && !message.isOwn === !head.isOwn;
  return isSameSender && Math.abs(message.time - head.time) < PAUSE_MS;
}

// Writes the times of all rows in `log` as they read today.
export function showTimes(log) {
  for (const line of log.querySelectorAll("time")) showTime(line);
}

// Says on the row of a message of ours that the server has it.
export function markDelivered(row) {
  if (row.querySelector(".mark")) return;

  const mark = element("span", "mark");
  mark.setAttribute("role", "img");
  mark.setAttribute("aria-label", "Delivered");
  mark.title = "Delivered";
  row.querySelector(".bubble").append(mark);
}

function createChatRow({ name, text, time, image, isOwn, isDelivered, note }) {
  const row = element("li", isOwn ? "message own" : "message");
  const meta = element("p", "meta");

  row.dataset.hue = hueOf(name);
  meta.append(element("bdi", "name", isOwn ? "You" : name), createTime(time));
  if (!isOwn) row.append(createAvatar(name));
  row.append(createBubble(meta, ...createImage(image, name), ...createText(text, image), ...createNote(note)));
  if (isDelivered) markDelivered(row);
  return row;
}

// An image's text is its caption; without one it has none that we know of.
function createImage(image, name) {
  if (!image) return [];

  const picture = element("img", "picture");
  picture.src = image;
  picture.alt = `Image from ${name}`;
  picture.decoding = "async";
  return [picture];
}

function createPlainRow({ kind, text, size, note }) {
  const row = element("li", "message plain");

  if (kind === "binary") {
    row.append(element("p", "binary", `binary message, ${format(size)} ${size === 1 ? "byte" : "bytes"}`));
  } else {
    row.append(createBubble(...createText(text), ...createNote(note)));
  }
  return row;
}

// All in it stands on the side where its text begins: name, time and note do not count for "auto".
function createBubble(...content) {
  const bubble = element("div", "bubble");

  bubble.dir = "auto";
  bubble.append(...content);
  return bubble;
}

function createText(text, image) {
  if (isBlank(text)) return image ? [] : [element("p", "blank", "empty message")];

  const beginning = excerpt(text);
  const paragraph = element("p", isEmojiAlone(text) ? "text emoji" : "text");
  paragraph.append(...toNodes(beginning ?? text));
  return beginning === null ? [paragraph] : [paragraph, createFold(paragraph, beginning, text)];
}

function createFold(paragraph, beginning, whole) {
  const button = element("button", "fold");
  const show = (isWhole) => {
    paragraph.replaceChildren(...toNodes(isWhole ? whole : beginning));
    button.textContent = isWhole ? "Show less" : `Show all ${format(whole.length)} characters`;
    button.setAttribute("aria-expanded", isWhole);
  };

  button.type = "button";
  button.addEventListener("click", () => {
    const isWhole = button.getAttribute("aria-expanded") === "true";
    show(!isWhole);
    if (isWhole) paragraph.scrollIntoView({ block: "nearest" });
  });
  show(false);
  return button;
}

function createNote(note) {
  if (!note) return [];

  const line = element("p");
  line.append(element("bdi", "note", note));
  return [line];
}

function createTime(time) {
  const line = element("time");

  line.dateTime = new Date(time).toISOString();
  line.dir = "auto";
  showTime(line);
  return line;
}

function showTime(line) {
  const date = new Date(line.dateTime);
  const isToday = date.toDateString() === new Date().toDateString();

  line.textContent = (isToday ? clock : calendar).format(date);
  line.title = calendar.format(date);
}

function createAvatar(name) {
  const [initial] = name; // a code point, not half of a surrogate pair
  const avatar = element("span", "avatar", initial.toUpperCase());

  avatar.setAttribute("aria-hidden", "true");
  return avatar;
}

function hueOf(name) {
  let hash = 7;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  return String(hash % HUES);
}

function element(tag, className, text) {
  const node = document.createElement(tag);

  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}
