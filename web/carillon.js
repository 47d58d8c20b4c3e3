// A client of the channel protocol (Centrifugo's client protocol, version 2, as JSON) in one module.
//
// What a program asks for outlives its sockets. A subscription keeps its place in the channel (epoch
// and offset), asks on every new socket for what it has missed since, and says whether it was given
// all of that. A publication waits until the server has acknowledged it: a socket that breaks first
// leaves its fate unknown, so the next one is given it again, under the same key, by which the server
// knows a message that it has. So nothing is lost, nothing comes twice, and what one client publishes
// keeps its order.
//
// After a close the next attempt waits as backoff.js says, unless the code means that this client is
// not wanted. A line may also die without a close: a socket gets a successor when the browser says that
// the network has gone or come back, when the machine has slept, when the server's pings stay away, and
// when nothing comes back of what was published.
//
// Replies are handed on in the order in which they arrive, at once and not as promises: what follows a
// subscribe reply in the same frame belongs behind it.

import { backoff } from "./backoff.js";

// Codes of our own, below those of the protocol (100 and on) and of WebSocket (1000 and on).
const CALLED = 0; // the program asked for it
const TIMEOUT = 1;
const CLOSED = 2; // the socket broke before the answer came
const DISCONNECTED = 3; // and nobody connects
const FULL = 4; // too many publications wait
const UNAUTHORIZED = 5; // `getToken` gave no token
const NO_PING = 6;

const ERROR_NOT_AVAILABLE = 108;
const ERROR_TOKEN_EXPIRED = 109;
const CLOSE_TOO_BIG = 1009;

const DEADLINE_MS = 10_000; // of an attempt to connect, and of a request
const PING_PATIENCE_MS = 10_000; // beyond the server's own interval
const STABLE_MS = 5_000; // a socket that lived this long starts the backoff anew
const REFRESH_AGAIN_S = 5;

const WATCH_MS = 1_000;
const SLEEP_MS = 90_000; // longer than a browser slows down the timers of a tab that nobody sees

// How long the oldest publication may be without an answer. Each socket in vain doubles it: where the
// server is what waits, for its bus, or the line is slow, sending all again would only add to it.
const ANSWER_DEADLINE_MS = 10_000;
const ANSWER_DEADLINE_LIMIT_MS = 160_000;

const LONGEST_TIMER_S = 2_000_000; // 2 ** 31 ms, nearly

const OUT = "unsubscribed";
const ON_THE_WAY = "subscribing";
const IN = "subscribed";
const LOST = "connection lost";

const page = globalThis;

/** What a request, a publication or a token came to. */
export class CarillonError extends Error {
  constructor(code, message, isTemporary = false) {
    super(message);
    this.code = code;
    this.isTemporary = isTemporary;
  }
}

// What the client and its subscriptions have in common: events, and a token. Names with an underscore
// are for this file.
class Emitter {
  _token;
  _options;
  _timer = 0; // of the next attempt; once it has succeeded, of the token's end
  _try = null; // the attempt under way, or the one that succeeded
  #listeners = {};

  constructor(options) {
    this._options = options;
    this._token = options.token;
  }

  /** Calls `listener` at each event of this type; returns a function that ends that. */
  on(type, listener) {
    const listeners = (this.#listeners[type] ??= new Set());

    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  // A listener that throws takes nothing from the others.
  _emit(type, event) {
    for (const listener of [...(this.#listeners[type] ?? [])]) {
      try {
        listener(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** One channel that the program, or the server for it, listens to; made by `Carillon.subscribe`. */
export class Subscription extends Emitter {
  _state = OUT;
  _reason = {}; // why it is begun again
  _place = null; // where the program stands in the channel
  _tries = 0;
  _isServed; // the server has made it; its events are the client's
  #client;

  constructor(client, channel, options, isServed) {
    super(options);
    this.#client = client;
    this._place = options.since ?? null;
    this._isServed = isServed;
    this.channel = channel;
  }

  /** "subscribing", "subscribed" or "unsubscribed". */
  get state() {
    return this._state;
  }

  /** The place of the last publication that came, as `since` takes it; null where there is none. */
  get position() {
    return this._place;
  }

  publish(data, options) {
    return this.#client.publish(this.channel, data, options);
  }

  history(options) {
    return this.#client.history(this.channel, options);
  }

  presence() {
    return this.#client.presence(this.channel);
  }

  presenceStats() {
    return this.#client.presenceStats(this.channel);
  }

  /** Again, after `unsubscribe` or a refusal. */
  subscribe() {
    this.#client._subscribe(this);
  }

  unsubscribe() {
    this.#client._unsubscribe(this, CALLED, "");
  }

  _tell(type, event) {
    (this._isServed ? this.#client : this)._emit(type, { channel: this.channel, ...event });
  }
}

export class Carillon extends Emitter {
  #url;
  #client = "";
  #state = "disconnected";
  #socket = null;
  #isUp = false; // the server has taken our connect
  #wasUp = false;
  #attempts = 0; // since the last stable socket
  #openedAt = 0;
  #clock = 0; // runs as long as the program wants to be connected
  #watchedAt = 0; // by the clock that goes on while the machine sleeps
  #heardAt = 0;
  #pingMs = 0;
  #wantsPong = false;

  #lastId = 0;
  #requests = new Map(); // id → { method, answered(error, result), timer }
  #waiting = []; // requests for the next connection
  #publications = new Map(); // key → publication that the server has not acknowledged, oldest first
  #pauseTimer = 0; // the server cannot publish now
  #pauses = 0;
  #answeredAt = 0;
  #answerDeadline = ANSWER_DEADLINE_MS;

  #subscriptions = new Map(); // channel → Subscription

  constructor(url, options) {
    super({ queueLimit: 100, name: "carillon", WebSocket: page.WebSocket, ...options });
    this.#url = url;

    // The client is as old as the page.
    page.addEventListener?.("online", () => this.#renew());
    page.addEventListener?.("offline", () => {
      if (this.#socket) this.#closed(CLOSED, "offline");
      else this.#setState(CLOSED, "offline");
    });
    page.document?.addEventListener("visibilitychange", () => {
      if (document.visibilityState !== "visible") return;
      if (this.#isUp) this.#watch();
      else this.#renew();
    });
  }

  /** "disconnected", "connecting", "connected", "reconnecting", or "offline": the browser has no network. */
  get state() {
    return this.#state;
  }

  /** What the server calls this client on this connection. */
  get client() {
    return this.#client;
  }

  /** How many publications the server has not acknowledged. */
  get pending() {
    return this.#publications.size;
  }

  /** Connects now, whatever the backoff or a refusal says. */
  connect() {
    if (this.#isUp) return;
    this.#watchedAt = Date.now();
    this.#clock ||= setInterval(() => this.#watch(), WATCH_MS);
    this.#attempts = 0;
    this.#open();
  }

  /** For good: what waits is given up. */
  disconnect() {
    const publications = [...this.#publications.values()];

    this.#publications.clear();
    this.#end(CALLED, "");
    for (const { reject } of publications) reject(new CarillonError(DISCONNECTED, "disconnected"));
  }

  /** Listens to a channel; the same subscription for all who ask for the same channel. */
  subscribe(channel, options = {}) {
    let subscription = this.#subscriptions.get(channel);

    if (!subscription) {
      subscription = new Subscription(this, channel, options);
      this.#subscriptions.set(channel, subscription);
    }
    this._subscribe(subscription);
    return subscription;
  }

  /**
   * Resolves to the place that the channel has given it. `key` names the message: one that the server was
   * given a while ago is acknowledged, and not delivered, again. What cannot be sent waits, unless
   * `isFleeting` says that it is worth nothing later.
   */
  async publish(channel, data, { key = createKey(), isFleeting } = {}) {
    if (isFleeting) return toPlace(await this.#ask("publish", { channel, data }, true));
    if (this.pending >= this._options.queueLimit) throw new CarillonError(FULL, "too many messages wait");

    const size = JSON.stringify(data).length; // what is no JSON fails here
    return new Promise((resolve, reject) => {
      this.#publications.set(key, { key, channel, data, size, resolve, reject, sentAt: null });
      this.#flush();
    });
  }

  /** `limit` 0 asks only where the channel stands. Oldest first, or in `reverse`; `since` is a place. */
  async history(channel, { limit = 0, since, reverse } = {}) {
    const result = await this.#ask("history", { channel, limit, since, reverse });

    return { publications: (result.publications ?? []).map(toPublication), ...toPlace(result) };
  }

  async presence(channel) {
    const { presence } = await this.#ask("presence", { channel });
    return Object.values(presence ?? {}).map(toInfo);
  }

  async presenceStats(channel) {
    const result = await this.#ask("presence_stats", { channel });
    return { clients: result.num_clients ?? 0, users: result.num_users ?? 0 };
  }

  /** Asks the server's backend. */
  async rpc(method, data) {
    return (await this.#ask("rpc", { method, data })).data;
  }

  // Sockets.

  #open() {
    this.#abandon();

    const isCurrent = this.#begin(this);
    this._timer = setTimeout(() => this.#closed(TIMEOUT, "timeout"), DEADLINE_MS);
    this.#withToken(
      this,
      isCurrent,
      () => this.#dial(),
      () => this.#closed(UNAUTHORIZED, "getToken failed"),
    );
    this.#setState(CALLED, "");
  }

  // Returns a function that tells whether the attempt that begins here is still the one that counts.
  #begin(owner) {
    const mine = (owner._try = {});

    clearTimeout(owner._timer);
    return () => owner._try === mine;
  }

  #dial() {
    const socket = new this._options.WebSocket(this.#url);
    const mine = (act) => (event) => socket === this.#socket && act(event);

    this.#socket = socket;
    socket.onopen = mine(() => this.#introduce());
    socket.onmessage = mine(({ data }) => this.#receive(String(data)));
    socket.onclose = mine(({ code, reason }) => this.#closed(code, reason));
    socket.onerror = () => {}; // a close follows
  }

  #introduce() {
    const { data, name, version } = this._options;
    const subs = {};

    for (const { _isServed, _place, channel } of this.#subscriptions.values()) {
      if (_isServed && _place) subs[channel] = { recover: true, ..._place };
    }
    this.#request("connect", { token: this._token, data, name, version, subs }, (error, result) => {
      if (!error) this.#opened(result);
      else if (this.#isWorthAnotherTry(this, error)) this.#closed(error.code, error.message);
      else this.#end(error.code, error.message);
    });
  }

  #opened(result) {
    const subs = result.subs ?? {};

    this.#isUp = this.#wasUp = true;
    this.#openedAt = this.#heardAt = performance.now();
    this.#pingMs = 1000 * (result.ping ?? 0);
    this.#wantsPong = result.pong;
    this.#client = result.client;
    this.#awaitExpiry(this, result);
    this.#setState(CALLED, "");
    this._emit("connected", { client: result.client, data: result.data });
    for (const subscription of this.#subscriptions.values()) {
      if (subscription._isServed && !subs[subscription.channel]) this.#dismiss(subscription, 2000, "");
      else if (subscription._state === ON_THE_WAY && !subscription._isServed) this.#enter(subscription);
    }
    for (const channel in subs) this.#serve(channel, subs[channel]);
    for (const send of this.#waiting.splice(0)) send();
    this.#flush();
  }

  #closed(code, reason) {
    const wasStable = this.#isUp && performance.now() - this.#openedAt >= STABLE_MS;
    const isFinal = (code >= 3500 && code < 4000) || (code >= 4500 && code < 5000);

    if (isFinal || (code === CLOSE_TOO_BIG && !this.#refuseBiggest())) return this.#end(code, reason);
    if (wasStable) this.#attempts = 0;
    this.#abandon(code, reason);
    this._timer = setTimeout(() => this.#open(), backoff(this.#attempts++, Math.random()));
    this.#setState(code, reason);
  }

  // Nobody but the program brings it back.
  #end(code, reason) {
    this.#abandon(code, reason);
    clearInterval(this.#clock);
    this.#clock = 0;
    for (const send of this.#waiting.splice(0)) send(new CarillonError(DISCONNECTED, "disconnected"));
    this.#setState(code, reason);
  }

  // There is reason to believe that an attempt would succeed, or that the socket only seems to live:
  // connects at once.
  #renew() {
    if (!this.#clock) return;
    this.#attempts = 0;
    this.#open();
  }

  #abandon(code = CLOSED, reason = LOST) {
    const socket = this.#socket;
    const requests = [...this.#requests.values()];

    this._try = this.#socket = null;
    this.#isUp = false;
    socket?.close();
    clearTimeout(this._timer);
    clearTimeout(this.#pauseTimer);
    this.#pauseTimer = 0;
    this.#requests.clear();
    for (const subscription of this.#subscriptions.values()) {
      clearTimeout(subscription._timer);
      subscription._try = null;
      if (subscription._state === IN) this.#leave(subscription, code, reason);
    }
    for (const { timer, answered } of requests) {
      clearTimeout(timer);
      answered(new CarillonError(CLOSED, LOST, true));
    }
    this.#requeue();
  }

  #watch() {
    const now = Date.now();
    const hasSlept = now - this.#watchedAt > SLEEP_MS;

    this.#watchedAt = now;
    if (hasSlept) this.#renew();
    else if (this.#isSilent()) this.#closed(NO_PING, "no ping");
    else if (this.#isOverdue()) {
      this.#answerDeadline = Math.min(ANSWER_DEADLINE_LIMIT_MS, 2 * this.#answerDeadline);
      this.#renew();
    }
  }

  #isSilent() {
    const silence = performance.now() - this.#heardAt;
    return this.#isUp && this.#pingMs > 0 && silence > this.#pingMs + PING_PATIENCE_MS;
  }

  // An answer to any publication gives the others as much time again: on a slow line they come one by one.
  #isOverdue() {
    const [oldest] = this.#publications.values();
    if (!oldest || oldest.sentAt === null) return false;

    return performance.now() - Math.max(oldest.sentAt, this.#answeredAt) >= this.#answerDeadline;
  }

  #setState(code, reason) {
    const state = this.#currentState();

    if (state === this.#state) return;
    this.#state = state;
    this._emit("state", { state, code, reason });
  }

  #currentState() {
    if (this.#isUp) return "connected";
    if (!this.#clock) return "disconnected";
    if (page.navigator?.onLine === false) return "offline";
    return this.#wasUp || this.#attempts > 0 ? "reconnecting" : "connecting";
  }

  // Requests and replies.

  #write(command) {
    this.#socket.send(JSON.stringify(command));
  }

  // `answered(error, result)` is called once, when the reply is read.
  #request(method, parameters, answered, deadlineMs = DEADLINE_MS) {
    const id = ++this.#lastId;
    const late = () => this.#answer({ id, error: { code: TIMEOUT, message: "timeout", temporary: true } });

    this.#requests.set(id, { method, answered, timer: deadlineMs && setTimeout(late, deadlineMs) });
    this.#write({ id, [method]: parameters });
  }

  #answer({ id, error, ...reply }) {
    const request = this.#requests.get(id);
    if (!request) return;

    this.#requests.delete(id);
    clearTimeout(request.timer);
    request.answered(
      error && new CarillonError(error.code, error.message, error.temporary),
      reply[request.method] ?? {},
    );
  }

  // As a promise, on this connection or the next one.
  #ask(method, parameters, isFleeting) {
    return new Promise((resolve, reject) => {
      const settle = (error, result) => (error ? reject(error) : resolve(result));
      const send = (error) => (error ? reject(error) : this.#request(method, parameters, settle));

      if (this.#isUp) send();
      else if (this.#clock && !isFleeting) this.#waiting.push(send);
      else reject(new CarillonError(DISCONNECTED, "not connected"));
    });
  }

  #receive(frame) {
    const socket = this.#socket;

    this.#heardAt = performance.now();
    for (const line of frame.split("\n")) {
      if (socket !== this.#socket) return; // what was read before has ended it
      if (!line) continue;

      let reply;
      try {
        reply = JSON.parse(line);
      } catch {
        return this.#end(3501, "bad protocol");
      }
      if (reply.id) this.#answer(reply);
      else if (reply.push) this.#pushed(reply.push);
      else if (this.#wantsPong) this.#write({});
    }
  }

  #pushed({ channel, pub, join, leave, unsubscribe, subscribe, message, disconnect, refresh }) {
    const subscription = this.#subscriptions.get(channel);

    if (message) this._emit("message", { data: message.data });
    else if (refresh) this.#awaitExpiry(this, refresh);
    else if (subscribe) this.#serve(channel, subscribe);
    else if (disconnect) {
      const end = disconnect.reconnect ? this.#closed : this.#end;
      end.call(this, disconnect.code, disconnect.reason);
    } else if (!subscription) return;
    else if (pub) this.#deliver(subscription, pub);
    else if (join) subscription._tell("join", { info: toInfo(join.info) });
    else if (leave) subscription._tell("leave", { info: toInfo(leave.info) });
    else if (unsubscribe) this.#sentAway(subscription, unsubscribe.code, unsubscribe.reason);
  }

  #deliver(subscription, pub) {
    if (pub.offset && subscription._place) subscription._place.offset = pub.offset;
    subscription._tell("publication", toPublication(pub));
  }

  // Tokens: of the client, and of each subscription.

  #withToken(owner, isCurrent, use, failed) {
    if (owner._token || !owner._options.getToken) use();
    else this.#fetchToken(owner, isCurrent, use, failed);
  }

  async #fetchToken(owner, isCurrent, use, failed) {
    let token;

    try {
      token = await owner._options.getToken({ channel: owner.channel });
    } catch (error) {
      owner._emit("error", error);
      if (isCurrent()) failed();
      return;
    }
    if (!isCurrent()) return;
    owner._token = token;
    if (token) use();
    else this.#dismiss(owner, UNAUTHORIZED, "no token");
  }

  #awaitExpiry(owner, { expires, ttl }) {
    clearTimeout(owner._timer);
    if (expires && owner._options.getToken) {
      owner._timer = setTimeout(() => this.#refresh(owner), 1000 * Math.min(LONGEST_TIMER_S, ttl));
    }
  }

  #refresh(owner) {
    const isCurrent = this.#begin(owner);
    const again = () => this.#awaitExpiry(owner, { expires: true, ttl: REFRESH_AGAIN_S });
    const use = () => {
      const method = owner === this ? "refresh" : "sub_refresh";
      this.#request(method, { channel: owner.channel, token: owner._token }, (error, result) => {
        if (!isCurrent()) return;
        if (!error) this.#awaitExpiry(owner, result);
        else if (this.#isWorthAnotherTry(owner, error)) again();
        else this.#dismiss(owner, error.code, error.message);
      });
    };

    this.#fetchToken(owner, isCurrent, use, again);
  }

  #dismiss(owner, code, reason) {
    if (owner === this) this.#end(code, reason);
    else this._unsubscribe(owner, code, reason);
  }

  // What is refused now may be granted a little later, or with another token. 108 says that the bus is away.
  #isWorthAnotherTry(owner, { code, isTemporary }) {
    if (code !== ERROR_TOKEN_EXPIRED) return isTemporary || code < 100 || code === ERROR_NOT_AVAILABLE;

    owner._token = "";
    return Boolean(owner._options.getToken);
  }

  // Subscriptions.

  _subscribe(subscription) {
    if (subscription._state !== OUT) return;
    subscription._state = ON_THE_WAY;
    this.#subscriptions.set(subscription.channel, subscription);
    if (this.#isUp) this.#enter(subscription);
  }

  _unsubscribe(subscription, code, reason) {
    const { channel } = subscription;

    if (subscription._state === OUT) return;
    if (this.#isUp && subscription._try) this.#request("unsubscribe", { channel }, () => {});
    clearTimeout(subscription._timer);
    subscription._state = OUT;
    subscription._try = null;
    this.#subscriptions.delete(channel);
    subscription._tell(OUT, { code, reason });
    this.#flush(); // what waited for it waits no longer
  }

  #leave(subscription, code, reason) {
    subscription._state = ON_THE_WAY;
    subscription._reason = { code, reason };
    subscription._tell(ON_THE_WAY, { code, reason });
  }

  #enter(subscription) {
    const isCurrent = this.#begin(subscription);

    this.#withToken(
      subscription,
      isCurrent,
      () => this.#askIn(subscription, isCurrent),
      () => this.#enterLater(subscription),
    );
  }

  #askIn(subscription, isCurrent) {
    const { _token: token, _place: position, _options: options, channel } = subscription;
    const { data, joinLeave: join_leave, recover = true } = options;
    const parameters = { channel, token, data, join_leave, positioned: recover, recoverable: recover };

    if (position) Object.assign(parameters, { recover: true, ...position });
    this.#request("subscribe", parameters, (error, result) => {
      if (!isCurrent()) return;
      if (!error) this.#entered(subscription, result);
      else if (error.code === TIMEOUT) this.#closed(TIMEOUT, "subscribe timeout");
      else {
        const { code, message } = error;

        subscription._try = null;
        subscription._tell("error", { code, message });
        if (this.#isWorthAnotherTry(subscription, error)) this.#enterLater(subscription);
        else this._unsubscribe(subscription, code, message);
      }
    });
  }

  #enterLater(subscription) {
    const delay = backoff(subscription._tries++, Math.random());

    subscription._timer = setTimeout(() => this.#enter(subscription), delay);
  }

  #entered(subscription, result) {
    const place = toPlace(result);
    const publications = result.publications ?? [];

    subscription._state = IN;
    subscription._tries = 0;
    subscription._place = result.recoverable ? { ...place } : null;
    subscription._tell(IN, {
      ...place,
      ...subscription._reason,
      wasRecovering: result.was_recovering ?? false,
      recovered: result.recovered ?? false,
      missed: publications.length,
      data: result.data,
    });
    for (const pub of publications) this.#deliver(subscription, pub);
    if (subscription._place) subscription._place.offset = place.offset;
    if (subscription._state === IN) this.#awaitExpiry(subscription, result);
    this.#flush();
  }

  // The server ends it: for good, or (2500 and above) so that it is begun again.
  #sentAway(subscription, code, reason) {
    subscription._try = null;
    if (code < 2500 || subscription._isServed) return this._unsubscribe(subscription, code, reason);

    if (subscription._options.getToken) subscription._token = "";
    this.#leave(subscription, code, reason);
    this.#enter(subscription);
  }

  // One that the server has made: by the token, or by the application's word.
  #serve(channel, result) {
    let subscription = this.#subscriptions.get(channel);

    if (!subscription) {
      subscription = new Subscription(this, channel, {}, true);
      this.#subscriptions.set(channel, subscription);
    }
    this.#entered(subscription, result);
  }

  // Publications. Those for a channel that we are on the way into wait until we are in, and so are seen
  // when they come back. After a pause they go one by one until one is taken: none overtakes another.

  #flush() {
    if (!this.#isUp || this.#pauseTimer) return;
    for (const publication of this.#publications.values()) {
      const { sentAt, channel, data, key } = publication;
      const isEarly = this.#subscriptions.get(channel)?._state === ON_THE_WAY;

      if (sentAt !== null && this.#pauses) return;
      if (sentAt !== null || isEarly) continue;
      publication.sentAt = performance.now();
      this._emit("sent", { channel, key });
      const answered = (error, result) => this.#settle(publication, error, result);
      this.#request("publish", { channel, data, idempotency_key: key }, answered, 0);
      if (this.#pauses) return;
    }
  }

  #settle(publication, error, result) {
    if (error?.code === CLOSED) return; // #requeue follows
    this.#answeredAt = performance.now();
    if (error?.isTemporary || error?.code === ERROR_NOT_AVAILABLE) return this.#pause();

    this.#answerDeadline = ANSWER_DEADLINE_MS;
    this.#pauses = 0;
    this.#publications.delete(publication.key);
    if (error) publication.reject(error);
    else publication.resolve(toPlace(result));
    this.#flush();
  }

  // The server cannot take it now. All that waits is sent again, and nothing overtakes it.
  #pause() {
    for (const [id, { method }] of this.#requests) {
      if (method === "publish") this.#requests.delete(id);
    }
    this.#requeue();
    clearTimeout(this.#pauseTimer);
    this.#pauseTimer = setTimeout(
      () => {
        this.#pauseTimer = 0;
        this.#flush();
      },
      backoff(this.#pauses++, Math.random()),
    );
  }

  #requeue() {
    for (const publication of this.#publications.values()) {
      if (publication.sentAt === null) continue;
      publication.sentAt = null;
      this._emit("waiting", { channel: publication.channel, key: publication.key });
    }
  }

  // The server does not say which message it refused, but the biggest one was over its limit for sure.
  // Returns false if there was none.
  #refuseBiggest() {
    const sent = [...this.#publications.values()].filter(({ sentAt }) => sentAt !== null);
    const [biggest] = sent.sort((one, other) => other.size - one.size);

    if (!biggest) return false;
    this.#publications.delete(biggest.key);
    biggest.reject(new CarillonError(CLOSE_TOO_BIG, "message too big"));
    return true;
  }
}

function toPlace({ epoch = "", offset = 0 }) {
  return { epoch, offset };
}

function toPublication({ data, offset = 0, time, tags, info }) {
  return { data, offset, time, tags, info: info && toInfo(info) };
}

function toInfo({ user = "", client = "", conn_info: connInfo, chan_info: chanInfo }) {
  return { user, client, connInfo, chanInfo };
}

// 144 random bits. Not crypto.randomUUID(), which is missing where a page came over plain http.
function createKey() {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(18))));
}
