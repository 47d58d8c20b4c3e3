// The rows of the conversation: what everybody said, and below it what is still on its way.
//
// Messages may come faster than a screen is drawn, so they are collected and added once per animation
// frame, a bounded number at a time, and only the newest ROW_LIMIT rows are kept. The list follows the
// newest message while its end is in sight; a reader who has scrolled up is left in peace, sees the same
// lines in the same place, and finds a button that leads back down. Who reads on upwards is shown older
// messages, for which more rows are kept until the reader has come back to the end.

import { continues, createRow, markDelivered, showTimes } from "./row.js";

export const ROW_LIMIT = 1000;
export const READING_LIMIT = 5000; // rows for a reader who goes back in time

const TOP_TOLERANCE_PX = 600; // of what is above, so that the next page is there in time

const ROWS_PER_FRAME = 100;
const FRESH_ROWS = 5; // more at once are not animated
const END_TOLERANCE_PX = 48;
const QUIET_MS = 500;

export class MessageList {
  #scroller;
  #log;
  #outbox;
  #newer;
  #older;
  #past; // says that there is nothing older
  #askOlder;
  #hasOlder = false;
  #isAsking = false;
  #limit = ROW_LIMIT;
  #messages = new WeakMap(); // row → message
  #rows = new Map(); // id → row of a message in the log
  #queue = []; // messages that wait for the next frame
  #head = null; // the newest in the log that does not continue another
  #frame = 0;
  #onWay = new Map(); // id → { message, row } in the outbox
  #isFollowing = true;
  #room = 0; // height of the scroller when #settle last saw it
  #missed = 0; // rows added below a reader who has scrolled up

  // `askOlder(place)` is called when a reader comes to the oldest row; `addOlder` answers it.
  constructor({ scroller, log, outbox, newer, older, past, askOlder }) {
    this.#scroller = scroller;
    this.#log = log;
    this.#outbox = outbox;
    this.#newer = newer;
    this.#older = older;
    this.#past = past;
    this.#askOlder = askOlder;
    older.addEventListener("click", () => {
      this.#isFollowing = false;
      this.#ask();
      scroller.focus(); // the button may go
    });
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    scroller.addEventListener("click", () => this.#scrolled()); // which may have unfolded a text
    // The room changes with the window, the keyboard of a phone and the height of the composer.
    new ResizeObserver(() => this.#settle()).observe(scroller);
    this.#awaitMidnight();
  }

  // Adds what was said before all others, oldest first. `hasMore`: and still more was said before that.
  addOlder(messages, hasMore) {
    const { scrollHeight, scrollTop } = this.#scroller;
    const first = this.#log.firstElementChild;
    let head = null;

    this.#isAsking = false;
    const rows = messages
      .filter(({ id }) => !this.#rows.has(id))
      .map((message) => {
        const row = this.#build(message, head);
        if (!row.classList.contains("continued")) head = message;
        return row;
      });
    const next = first && this.#messages.get(first);

    if (next && continues(next, head)) first.classList.add("continued");
    this.#head ??= head;
    if (rows.length > 0) this.#keepQuiet();
    this.#log.prepend(...rows);
    this.#limit = Math.max(this.#limit, this.#log.childElementCount);
    this.#showOlder(hasMore && this.#limit < READING_LIMIT, rows.length > 0 || first !== null);
    if (this.#isFollowing) this.#settle();
    else this.#scroller.scrollTop = scrollTop + this.#scroller.scrollHeight - scrollHeight;
  }

  // What is old is no news to read out.
  #keepQuiet() {
    const region = this.#log.parentElement;

    region.ariaLive = "off";
    setTimeout(() => (region.ariaLive = "polite"), QUIET_MS);
  }

  // The server has the message of ours.
  markDelivered(id) {
    const row = this.#rows.get(id);

    if (row) markDelivered(row);
    else this.annotate(id, "Delivered");
    const waiting = this.#queue.find((message) => message.id === id);
    if (waiting) waiting.isDelivered = true;
  }

  isOnWay(id) {
    return this.#onWay.has(id);
  }

  // Adds a message that arrived: { kind, …, isOwn, isDelivered, note, place }; see message.js.
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

  #ask() {
    const place = this.#oldestPlace();

    if (!place || this.#isAsking || !this.#hasOlder) return;
    this.#isAsking = true;
    this.#askOlder(place);
  }

  #oldestPlace() {
    for (const row of this.#log.children) {
      const place = this.#messages.get(row)?.place;
      if (place) return place;
    }
    return null;
  }

  #showOlder(hasOlder, hasRows) {
    this.#hasOlder = hasOlder;
    this.#older.hidden = !hasOlder;
    this.#past.hidden = hasOlder || !hasRows;
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
    const row = this.#build(message, this.#head);

    if (!row.classList.contains("continued")) this.#head = message;
    return row;
  }

  #build(message, head) {
    const row = createRow(message);

    this.#messages.set(row, message);
    if (message.kind === "chat") this.#rows.set(message.id, row);
    if (continues(message, head)) row.classList.add("continued");
    return row;
  }

  // Drops the oldest rows, and moves a reader's view by as much as has gone above it.
  #trim() {
    const excess = this.#log.childElementCount - this.#limit;
    if (excess <= 0) return;

    const isReading = !this.#isFollowing; // else nothing has to be measured, which takes its time
    const { scrollHeight, scrollTop } = isReading ? this.#scroller : {};
    for (const row of Array.from(this.#log.children).slice(0, excess)) this.#drop(row);
    this.#log.firstElementChild.classList.remove("continued"); // its sender's name has gone
    if (this.#oldestPlace()) this.#showOlder(this.#limit < READING_LIMIT, true);
    if (isReading) this.#scroller.scrollTop = scrollTop - (scrollHeight - this.#scroller.scrollHeight);
  }

  #drop(row) {
    this.#rows.delete(this.#messages.get(row).id);
    row.remove();
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
    if (this.#isFollowing) {
      this.#missed = 0;
      this.#forgetOlder();
    } else if (scrollTop < TOP_TOLERANCE_PX) this.#ask();
    this.#showNewer();
  }

  // The reader has come back from the past.
  #forgetOlder() {
    if (this.#limit === ROW_LIMIT) return;
    this.#limit = ROW_LIMIT;
    this.#trim();
  }

  #settle() {
    this.#room = this.#scroller.clientHeight;
    if (this.#isFollowing) this.#forgetOlder();
    if (this.#isFollowing) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#showNewer();
  }

  #showNewer() {
    this.#newer.hidden = this.#missed === 0;
    this.#newer.textContent = this.#missed === 1 ? "1 new message" : `${this.#missed} new messages`;
  }
}
