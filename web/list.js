// The rows of the conversation: what everybody said, and below it what is still on its way.
//
// Messages may come faster than a screen is drawn, so they are collected and added once per animation
// frame, a bounded number at a time, and only the newest ROW_LIMIT rows are kept. The list follows the
// newest message while its end is in sight; a reader who has scrolled up is left in peace, sees the same
// lines in the same place, and finds a button that leads back down.
//
// Everything that came from outside becomes a text node, never markup.

export const ROW_LIMIT = 1000;

const ROWS_PER_FRAME = 200;
const FRESH_ROWS = 5; // more at once are not animated
const END_TOLERANCE_PX = 48;
const HUES = 8; // as in style.css

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export class MessageList {
  #scroller;
  #log;
  #outbox;
  #newer;
  #queue = []; // messages that wait for the next frame
  #frame = 0;
  #onWay = new Map(); // id → { message, row } in the outbox
  #isFollowing = true;
  #missed = 0; // rows added below a reader who has scrolled up

  constructor({ scroller, log, outbox, newer }) {
    this.#scroller = scroller;
    this.#log = log;
    this.#outbox = outbox;
    this.#newer = newer;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // The room changes with the window, the keyboard of a phone and the height of the composer.
    new ResizeObserver(() => this.#settle()).observe(scroller);
  }

  // Adds a message that arrived: { kind, …, isOwn, note }; see message.js.
  add(message) {
    this.#queue.push(message);
    if (this.#queue.length > ROW_LIMIT) this.#queue.shift();
    if (!this.#isFollowing) this.#missed++;
    this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  // Adds a message of ours below all others, where it stays until `arrive`.
  depart(message, note) {
    const own = { ...message, isOwn: true };
    const row = createRow({ ...own, note });

    this.#onWay.set(message.id, { message: own, row });
    this.#outbox.append(row);
    this.toEnd();
  }

  // Says how far a message of ours has got.
  annotate(id, note) {
    const line = this.#onWay.get(id)?.row.querySelector(".note");
    if (line) line.textContent = note;
  }

  // Takes a message of ours from its place below, and returns it.
  arrive(id) {
    const { message, row } = this.#onWay.get(id);

    row.remove();
    this.#onWay.delete(id);
    return message;
  }

  toEnd() {
    this.#isFollowing = true;
    this.#missed = 0;
    this.#settle();
  }

  #render() {
    const rows = this.#queue.splice(0, ROWS_PER_FRAME).map(createRow);

    if (rows.length <= FRESH_ROWS) rows.forEach((row) => row.classList.add("fresh"));
    this.#log.append(...rows);
    this.#trim();
    this.#settle();
    this.#frame = this.#queue.length > 0 ? requestAnimationFrame(() => this.#render()) : 0;
  }

  // Drops the oldest rows, and moves a reader's view by as much as has gone above it.
  #trim() {
    const excess = this.#log.childElementCount - ROW_LIMIT;
    if (excess <= 0) return;

    const rows = Array.from(this.#log.children).slice(0, excess + 1);
    const gone = rows.at(-1).offsetTop - rows[0].offsetTop;
    const top = this.#scroller.scrollTop;

    for (const row of rows.slice(0, excess)) row.remove();
    if (!this.#isFollowing) this.#scroller.scrollTop = top - gone;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;

    this.#isFollowing = scrollHeight - scrollTop - clientHeight <= END_TOLERANCE_PX;
    if (this.#isFollowing) this.#missed = 0;
    this.#showNewer();
  }

  #settle() {
    if (this.#isFollowing) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#showNewer();
  }

  #showNewer() {
    this.#newer.hidden = this.#missed === 0;
    this.#newer.textContent = this.#missed === 1 ? "1 new message" : `${this.#missed} new messages`;
  }
}

function createRow(message) {
  return message.kind === "chat" ? createChatRow(message) : createPlainRow(message);
}

function createChatRow({ name, text, time, isOwn, note }) {
  const row = element("li", isOwn ? "message own" : "message");
  const bubble = element("div", "bubble");
  const meta = element("p", "meta");

  row.dataset.hue = hueOf(name);
  meta.append(element("bdi", "name", isOwn ? "You" : name), createTime(time));
  bubble.append(meta, createText(text));
  if (note) bubble.append(element("p", "note", note));
  if (!isOwn) row.append(createAvatar(name));
  row.append(bubble);
  return row;
}

function createPlainRow({ kind, text, size }) {
  const row = element("li", "message plain");

  if (kind === "binary") {
    row.append(element("p", "binary", `binary message, ${size} ${size === 1 ? "byte" : "bytes"}`));
  } else {
    const bubble = element("div", "bubble");
    bubble.append(createText(text));
    row.append(bubble);
  }
  return row;
}

function createText(text) {
  const paragraph = element("p", "text", text);
  paragraph.dir = "auto";
  return paragraph;
}

function createTime(time) {
  const date = new Date(time);
  const isToday = date.toDateString() === new Date().toDateString();
  const line = element("time", "", (isToday ? clock : calendar).format(date));

  line.dateTime = date.toISOString();
  line.title = calendar.format(date);
  return line;
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
