// A WebSocket that comes back, with the messages that wait for it.
//
// A message handed to a socket has an unknown fate until it comes back: the gateway sends every
// message to everybody, the sender included. So it stays in the outbox until `acknowledge` says that
// it was seen, and every new socket is given the whole outbox again, in order. A message that had got
// through after all arrives twice then; it carries an id, and a receiver ignores an id that it has
// already shown. So nothing is lost, nothing is shown twice, and a sender's messages keep their order.
//
// After a close the next attempt waits as backoff.js says. Three close codes need more than patience:
// after 1009 (too big) the message at fault must not be sent again; after 1008 (policy) the gateway
// does not want this client, and only the user may try again; 1012 says that messages are lost.
//
// A line may also die without a close: Wi-Fi changes, a laptop sleeps, a router forgets. A socket gets
// a successor when the browser says that the network has gone or come back, when the machine has
// slept, and when nothing that was sent on it comes back.

import { backoff } from "./backoff.js";

export const OUTBOX_LIMIT = 100;

const CLOSE_POLICY = 1008;
const CLOSE_TOO_BIG = 1009;
const CLOSE_LOST = 1012;

const CONNECT_DEADLINE_MS = 10_000;
const STABLE_MS = 5_000; // a socket that lived this long starts the backoff anew

const WATCH_MS = 1_000;
const SLEEP_MS = 90_000; // longer than a browser slows down the timers of a tab that nobody sees

// How long the oldest message may be without an answer. Each socket in vain doubles it: where the
// server is what waits, for its bus, or the line is slow, sending all again would only add to it.
const ANSWER_DEADLINE_MS = 10_000;
const ANSWER_DEADLINE_LIMIT_MS = 160_000;

// The gateway's WebSocket beside a page: same host, same folder, whatever stands in front of it.
export function socketUrl(base, query) {
  const url = new URL("ws", base);
  const channel = new URLSearchParams(query).get("channel");

  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  if (channel) url.search = `?channel=${encodeURIComponent(channel)}`;
  return url.href;
}

// Calls these methods of `events`:
//   state(state)       "connecting", "connected", "reconnecting" or "offline"
//   resumed(isLost)    a socket follows one that was open: what others said in between did not come here;
//                      `isLost`: and the gateway has lost messages besides (1012)
//   message(data)      a string or an ArrayBuffer arrived
//   sent(id)           the message was handed to a socket
//   waiting(id)        that socket broke before the message came back; it waits for the next one
//   tooBig(id)         the gateway does not take a message of this size; it is forgotten
//   refused(reason)    the gateway closed for good (1008); `open` tries again
export class Connection {
  #url;
  #events;
  #outbox = new Map(); // id → { data, sentAt }, oldest first; sentAt is null until a socket has it
  #socket = null;
  #listeners = null; // aborted when the socket is given up
  #state = "";
  #isRefused = false;
  #isLost = false; // since the last socket that was open
  #attempts = 0; // since the last stable socket
  #openedAt = 0;
  #timer = 0; // of the next attempt, or the deadline of this one
  #watchedAt = Date.now(); // the clock that goes on while the machine sleeps
  #answeredAt = 0;
  #answerDeadline = ANSWER_DEADLINE_MS;

  constructor(url, events) {
    this.#url = url;
    this.#events = events;
    addEventListener("online", () => this.#renew());
    addEventListener("offline", () => {
      if (this.#socket) this.#closed();
      else this.#showState();
    });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState !== "visible") return;
      if (this.#state === "connected") this.#watch();
      else this.#renew();
    });
    setInterval(() => this.#watch(), WATCH_MS);
  }

  get pending() {
    return this.#outbox.size;
  }

  // Connects now, whatever the backoff or a refusal says.
  open() {
    this.#isRefused = false;
    this.#attempts = 0;
    this.#connect();
  }

  // Sends now, or as soon as there is a socket. Returns false, having done nothing, if too many wait.
  send(id, data) {
    if (this.#outbox.size >= OUTBOX_LIMIT) return false;
    this.#outbox.set(id, { data, sentAt: null });
    this.#flush();
    return true;
  }

  // Ends the wait of a message that came back; returns false if `data` is not what was sent under this
  // id. (Others learn an id as soon as the message is out, and might use it for a text of their own.)
  acknowledge(id, data) {
    if (this.#outbox.get(id)?.data !== data) return false;

    this.#answeredAt = performance.now();
    this.#answerDeadline = ANSWER_DEADLINE_MS;
    return this.#outbox.delete(id);
  }

  #connect() {
    this.#abandon();
    this.#listeners = new AbortController();
    this.#socket = new WebSocket(this.#url);
    this.#socket.binaryType = "arraybuffer";
    this.#on("open", () => this.#opened());
    this.#on("message", (event) => this.#events.message(event.data));
    this.#on("close", (event) => this.#closed(event.code, event.reason));
    this.#timer = setTimeout(() => this.#closed(), CONNECT_DEADLINE_MS);
    this.#showState();
  }

  #on(type, listener) {
    this.#socket.addEventListener(type, listener, { signal: this.#listeners.signal });
  }

  #abandon() {
    clearTimeout(this.#timer);
    this.#listeners?.abort();
    this.#socket?.close();
    this.#socket = null;
    this.#requeue();
  }

  #opened() {
    clearTimeout(this.#timer);
    if (this.#openedAt > 0) this.#events.resumed(this.#isLost);
    this.#isLost = false;
    this.#openedAt = performance.now();
    this.#showState();
    this.#flush();
  }

  #closed(code, reason) {
    const wasOpen = this.#state === "connected";

    if (wasOpen && performance.now() - this.#openedAt >= STABLE_MS) this.#attempts = 0;
    if (code === CLOSE_TOO_BIG) this.#dropBiggest();
    if (code === CLOSE_LOST) this.#isLost = true;
    this.#abandon();
    if (code === CLOSE_POLICY) this.#isRefused = true;
    else this.#timer = setTimeout(() => this.#connect(), backoff(this.#attempts++, Math.random()));
    this.#showState();
    if (this.#isRefused) this.#events.refused(reason);
  }

  // There is reason to believe that an attempt would succeed, or that the socket only seems to live:
  // connects at once.
  #renew() {
    if (this.#state === "" || this.#isRefused) return;
    this.#attempts = 0;
    this.#connect();
  }

  #watch() {
    const now = Date.now();
    const hasSlept = now - this.#watchedAt > SLEEP_MS;

    this.#watchedAt = now;
    if (hasSlept) this.#renew();
    else if (this.#isOverdue()) {
      this.#answerDeadline = Math.min(ANSWER_DEADLINE_LIMIT_MS, 2 * this.#answerDeadline);
      this.#renew();
    }
  }

  // An answer to any message gives the others as much time again: on a slow line they come one by one.
  #isOverdue() {
    const [oldest] = this.#outbox.values();
    if (!oldest || oldest.sentAt === null) return false;

    const since = Math.max(oldest.sentAt, this.#answeredAt);
    return performance.now() - since >= this.#answerDeadline;
  }

  #flush() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    for (const [id, entry] of this.#outbox) {
      if (entry.sentAt !== null) continue;
      entry.sentAt = performance.now();
      this.#socket.send(entry.data);
      this.#events.sent(id);
    }
  }

  #requeue() {
    for (const [id, entry] of this.#outbox) {
      if (entry.sentAt === null) continue;
      entry.sentAt = null;
      this.#events.waiting(id);
    }
  }

  // The gateway does not say which message it refused, but the biggest one was over its limit for sure.
  #dropBiggest() {
    const sent = [...this.#outbox].filter(([, entry]) => entry.sentAt !== null);
    if (sent.length === 0) return;

    const size = ([, entry]) => new Blob([entry.data]).size;
    const [id] = sent.reduce((biggest, next) => (size(next) > size(biggest) ? next : biggest));
    this.#outbox.delete(id);
    this.#events.tooBig(id);
  }

  #showState() {
    const state = this.#currentState();

    if (state === this.#state) return;
    this.#state = state;
    this.#events.state(state);
  }

  #currentState() {
    if (this.#socket?.readyState === WebSocket.OPEN) return "connected";
    if (this.#isRefused || !navigator.onLine) return "offline";
    return this.#openedAt > 0 || this.#attempts > 0 ? "reconnecting" : "connecting";
  }
}
