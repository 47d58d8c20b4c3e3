// The rows of the conversation: what everybody said, and below it what is still on its way.
//
// Messages may come faster than a screen is drawn, so they are collected and added once per animation
// frame, a bounded number at a time, and only the newest ROW_LIMIT rows are kept. The list follows the
// newest message while its end is in sight; a reader who has scrolled up is left in peace, sees the same
// lines in the same place, and finds a button that leads back down.

import { continues, createRow, showTimes } from "./row.js";

export const ROW_LIMIT = 1000;

const ROWS_PER_FRAME = 200;
const FRESH_ROWS = 5; // more at once are not animated
const END_TOLERANCE_PX = 48;

export class MessageList {
  #scroller;
  #log;
  #outbox;
  #newer;
  #queue = []; // messages that wait for the next frame
  #head = null; // the newest in the log that does not continue another
  #frame = 0;
  #onWay = new Map(); // id → { message, row } in the outbox
  #isFollowing = true;
  #room = 0; // height of the scroller when #settle last saw it
  #missed = 0; // rows added below a reader who has scrolled up

  constructor({ scroller, log, outbox, newer }) {
    this.#scroller = scroller;
    this.#log = log;
    this.#outbox = outbox;
    this.#newer = newer;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    scroller.addEventListener("click", () => this.#scrolled()); // which may have unfolded a text
    // The room changes with the window, the keyboard of a phone and the height of the composer.
    new ResizeObserver(() => this.#settle()).observe(scroller);
    this.#awaitMidnight();
  }

  // Adds a message that arrived: { kind, …, isOwn, note }; see message.js.
  add(message) {
    if (!this.#isFollowing) this.#missed++;
    this.#enqueue(message);
  }

  // Marks a place where messages may be missing; one mark is enough until somebody says something.
  addGap(text) {
    const before = this.#queue.at(-1) ?? this.#head;
    if (before?.kind !== "gap" || before.text !== text) this.#enqueue({ kind: "gap", text });
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

  #enqueue(message) {
    this.#queue.push(message);
    if (this.#queue.length > ROW_LIMIT) this.#queue.shift();
    this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  #render() {
    const rows = this.#queue.splice(0, ROWS_PER_FRAME).map((message) => this.#createRow(message));

    if (rows.length <= FRESH_ROWS) rows.forEach((row) => row.classList.add("fresh"));
    this.#log.append(...rows);
    this.#trim();
    this.#settle();
    this.#frame = this.#queue.length > 0 ? requestAnimationFrame(() => this.#render()) : 0;
  }

  #createRow(message) {
    const row = createRow(message);

    if (continues(message, this.#head)) row.classList.add("continued");
    else this.#head = message;
    return row;
  }

  // Drops the oldest rows, and moves a reader's view by as much as has gone above it.
  #trim() {
    const excess = this.#log.childElementCount - ROW_LIMIT;
    if (excess <= 0) return;

    const { scrollHeight, scrollTop } = this.#scroller;
    for (const row of Array.from(this.#log.children).slice(0, excess)) row.remove();
    this.#log.firstElementChild.classList.remove("continued"); // its sender's name has gone
    const gone = scrollHeight - this.#scroller.scrollHeight;
    if (!this.#isFollowing) this.#scroller.scrollTop = scrollTop - gone;
  }

  // A bare time means today; tomorrow it needs its date.
  #awaitMidnight() {
    const midnight = new Date().setHours(24, 0, 0, 0);

    setTimeout(() => {
      showTimes(this.#log);
      this.#awaitMidnight();
    }, midnight - Date.now());
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    if (clientHeight !== this.#room) return; // that was no reader; #settle is about to run

    this.#isFollowing = scrollHeight - scrollTop - clientHeight <= END_TOLERANCE_PX;
    if (this.#isFollowing) this.#missed = 0;
    this.#showNewer();
  }

  #settle() {
    this.#room = this.#scroller.clientHeight;
    if (this.#isFollowing) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#showNewer();
  }

  #showNewer() {
    this.#newer.hidden = this.#missed === 0;
    this.#newer.textContent = this.#missed === 1 ? "1 new message" : `${this.#missed} new messages`;
  }
}
