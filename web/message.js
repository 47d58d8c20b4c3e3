// What this page publishes, and what it makes of what arrives.
//
// The gateway hands on every message as it is, so the format is the page's own: a JSON object with a
// marker, an id, the sender's name, the text, the sender's time, and perhaps an image. Clients of the
// plain protocol send and get it as JSON text. Whatever does not look like that came from another program
// and is shown as it came. `parseMessage` never throws, and nothing that it returns is longer than the
// limits here, whatever arrives.

import { IMAGE_LIMIT, isSafeImage } from "./image.js";

const MARKER = "chat";

export const NAME_LIMIT = 40;

// A character takes six bytes of JSON at most, so that the longest message, with a name and all that is
// around it, is within the gateway's default of 64 KiB whatever it is made of.
export const TEXT_LIMIT = 10_000;

const RAW_LIMIT = 64 * 1024; // characters; no message has more where the gateway's default holds
const ENVELOPE_BYTES = 1024; // a name in any script, the fields' names, and the protocol's own
const TIME_LIMIT = 8.64e15; // the last millisecond that a Date can hold
const ID = /^[\w-]{1,64}$/;

// A longer text is folded: its reader sees the beginning, and asks for the rest.
const LONG = { characters: 1500, lines: 24 };
const EXCERPT = { characters: 750, lines: 12 };

// Characters that cannot be seen, or turn the direction of those that can: a name with them is not what
// it looks like. Joiners stay where scripts and emoji need them, within a word.
const BREAKS = /[\p{Cc}\p{Zl}\p{Zp}]/gu;
const JOINED = "[\\p{L}\\p{M}\\p{Emoji_Modifier}\\p{Extended_Pictographic}]";
const SELECTOR = "[\\ufe0e\\ufe0f]"; // between text and emoji
const UNSEEN = "\\p{Cf}\\p{Default_Ignorable_Code_Point}\\u2800";
const INVISIBLE = new RegExp(`(${JOINED}[\\u200c\\u200d])(?=${JOINED})|(?!${SELECTOR})[${UNSEEN}]`, "gu");
const VISIBLE = new RegExp(`[^\\s\\p{Cc}${UNSEEN}]`, "u");

// Who this page speaks for as long as its user gives no name: one guest among others.
export const GUEST = `Guest ${1000 + (crypto.getRandomValues(new Uint16Array(1))[0] % 9000)}`;

// Makes a message to send; null where there is nothing to say, or too much. `image` is a data URL; `raw`
// the JSON that is published, and comes back.
export function createMessage(name, text, image) {
  const trimmed = text.trim();
  if ((isBlank(trimmed) && !image) || trimmed.length > TEXT_LIMIT) return null;

  const message = { id: createId(), name: cleanName(name) || GUEST, text: trimmed, time: Date.now() };
  if (image) message.image = image;
  return { kind: "chat", ...message, raw: JSON.stringify({ carillon: MARKER, ...message }) };
}

// How many characters an image may have in a message of `limit` bytes, with a text and what the protocol
// puts around both.
export function roomForImage(limit, text, channel) {
  const bytes = (value) => new TextEncoder().encode(JSON.stringify(value)).length;
  return Math.min(IMAGE_LIMIT, limit - bytes(text.trim()) - bytes(channel) - ENVELOPE_BYTES);
}

// Reads the data of a publication, which is JSON: a string is what a plain client sent, with the tag
// "binary" bytes in base64. Returns one of
//   { kind: "chat", id, name, text, time, image }   a message of this page; the image is a data URL, or missing
//   { kind: "text", text, note }                    any other text; the note says what is missing, if it is cut
//   { kind: "binary", size }                        bytes
export function parseMessage(data, tags) {
  if (typeof data !== "string") {
    const message = toChat(data);
    return message ?? parseMessage(JSON.stringify(data) ?? "");
  }
  if (tags?.kind === "binary") return { kind: "binary", size: sizeOfBase64(data) };
  if (data.length > RAW_LIMIT) {
    const note = `The first ${format(RAW_LIMIT)} of ${format(data.length)} characters`;
    return { kind: "text", text: shorten(data, RAW_LIMIT), note };
  }
  return parseChat(data) ?? { kind: "text", text: data };
}

// The name as others see it: one line, visible, at most NAME_LIMIT long; "" if nothing is left.
export function cleanName(name) {
  const line = name.replace(BREAKS, " ").replace(INVISIBLE, "$1").replace(/\s+/g, " ").trim();

  return isBlank(line) ? "" : shorten(line, NAME_LIMIT, "").trim();
}

// Whether a reader would see nothing of it.
export function isBlank(text) {
  return !VISIBLE.test(text);
}

// The beginning of a long text; null where the text is short enough to be shown at once.
export function excerpt(text) {
  const isLong = text.length > LONG.characters || text.split("\n", LONG.lines + 1).length > LONG.lines;
  if (!isLong) return null;

  return shorten(text.split("\n", EXCERPT.lines).join("\n"), EXCERPT.characters, "").trimEnd() + "…";
}

// A number as people read it, in the language of the page.
export function format(number) {
  return number.toLocaleString("en");
}

function parseChat(raw) {
  if (!raw.startsWith("{")) return null;

  try {
    return toChat(JSON.parse(raw));
  } catch {
    return null;
  }
}

function toChat(value) {
  const { carillon, id, name, text, time, image } = value ?? {};
  if (carillon !== MARKER || typeof id !== "string" || !ID.test(id)) return null;
  if (typeof name !== "string" || name.length > NAME_LIMIT || cleanName(name) === "") return null;
  if (typeof text !== "string") return null;
  if (!Number.isFinite(time) || Math.abs(time) > TIME_LIMIT) return null;

  const message = { kind: "chat", id, name: cleanName(name), text: shorten(text, RAW_LIMIT), time };
  if (isSafeImage(image)) message.image = image;
  return message;
}

function sizeOfBase64(text) {
  return (text.length / 4) * 3 - (/=*$/.exec(text)[0].length);
}

// 128 random bits. Not crypto.randomUUID(), which is missing where the page came over plain http.
function createId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Cuts by UTF-16 units, but never through a surrogate pair.
function shorten(text, limit, ending = "…") {
  if (text.length <= limit) return text;
  return text.slice(0, limit).replace(/[\ud800-\udbff]$/, "") + ending;
}
