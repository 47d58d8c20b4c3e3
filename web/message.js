// What this page puts into a WebSocket message, and what it makes of one that arrives.
//
// The gateway hands on every message as it is, so the format is the page's own: a JSON object with a
// marker, an id, the sender's name, the text and the sender's time. Whatever does not look like that
// came from another program and is shown as it came. `parseMessage` never throws, and nothing that it
// returns is longer than the limits here, whatever arrives.

const MARKER = "chat";

export const NAME_LIMIT = 40;
export const TEXT_LIMIT = 4000;

const RAW_LIMIT = 32 * 1024; // a text of TEXT_LIMIT characters, each escaped, and room around it
const FOREIGN_LIMIT = 10000;
const TIME_LIMIT = 8.64e15; // the last millisecond that a Date can hold
const ID = /^[\w-]{1,64}$/;

// Control characters and overrides of the text's direction, which make a name look like another's.
const DISGUISES = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu;

// Makes a message to send; null where the text is blank. `raw` is what goes over the socket, and what
// comes back.
export function createMessage(name, text) {
  const trimmed = text.slice(0, TEXT_LIMIT).trim();
  if (trimmed === "") return null;

  const message = { id: createId(), name: cleanName(name) || "Guest", text: trimmed, time: Date.now() };
  return { kind: "chat", ...message, raw: JSON.stringify({ carillon: MARKER, ...message }) };
}

// Reads what a WebSocket delivers. Returns one of
//   { kind: "chat", id, name, text, time }   a message of this page
//   { kind: "text", text }                   any other text
//   { kind: "binary", size }                 bytes
export function parseMessage(data) {
  if (typeof data !== "string") return { kind: "binary", size: data?.byteLength ?? data?.size ?? 0 };

  return parseChat(data) ?? { kind: "text", text: shorten(data, FOREIGN_LIMIT) };
}

export function cleanName(name) {
  return shorten(name.replace(DISGUISES, " ").trim(), NAME_LIMIT, "").trim();
}

function parseChat(raw) {
  if (raw.length > RAW_LIMIT || !raw.startsWith("{")) return null;

  let value;
  try {
    value = JSON.parse(raw);
  } catch {
    return null;
  }
  const { carillon, id, name, text, time } = value;
  if (carillon !== MARKER || typeof id !== "string" || !ID.test(id)) return null;
  if (typeof name !== "string" || name.length > NAME_LIMIT || cleanName(name) === "") return null;
  if (typeof text !== "string" || text.length > TEXT_LIMIT) return null;
  if (!Number.isFinite(time) || Math.abs(time) > TIME_LIMIT) return null;
  return { kind: "chat", id, name: cleanName(name), text, time };
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
