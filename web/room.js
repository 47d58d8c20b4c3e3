// A room: a channel with its past. What is said there now comes by itself; what was said before is asked
// for, a page at a time; and where something may be missing, a gap says so.
//
// While the past is being asked for, what comes now waits, so that everything is told in its order.

const PAGE = 60; // messages of the past at a time

// Why a message was not taken.
const REFUSALS = {
  103: "Not sent: you may not write here",
  106: "Not sent: too long for this server",
  1009: "Not sent: too long for this server",
};

// Calls these methods of `events`:
//   message(pub)              a publication, as carillon.js has it, with its `place` in the channel
//   older(pubs, hasMore)      what was said before all of these, oldest first
//   gap(text)                 others may have said something here
//   delivered(id), failed(id, note)   what became of a message that was said
//   entered(), refused(code, reason)  whether we listen
export class Room {
  #channel;
  #subscription;
  #events;
  #epoch = ""; // of what was told last
  #offset = 0;
  #wasIn = false;
  #held = null; // publications that wait for the past

  constructor(carillon, channel, events) {
    this.#channel = channel;
    this.#events = events;
    this.#subscription = carillon.subscribe(channel, { joinLeave: true });
    this.#subscription.on("subscribed", (event) => this.#entered(event));
    this.#subscription.on("publication", (pub) => (this.#held ? this.#held.push(pub) : this.#tell(pub)));
    this.#subscription.on("unsubscribed", ({ code, reason }) => events.refused(code, reason));
  }

  get subscription() {
    return this.#subscription;
  }

  get channel() {
    return this.#channel;
  }

  // Says it, now or when there is a connection.
  async say(id, data) {
    try {
      await this.#subscription.publish(data, { key: id });
      this.#events.delivered(id, this.#subscription.state === "subscribed");
    } catch (error) {
      this.#events.failed(id, REFUSALS[error.code] ?? `Not sent: ${error.message}`);
    }
  }

  // Asks for what was said before the message at `place`.
  async askOlder(place) {
    try {
      const { publications } = await this.#history(place);
      this.#events.older(this.#placed(publications, place.epoch), publications.length === PAGE);
    } catch (error) {
      this.#events.older([], error.isTemporary === true || error.code < 100);
    }
  }

  // Asks to be let in, if we are not.
  again() {
    this.#subscription.subscribe();
  }

  // Newest pages first, each oldest first.
  async #history(since) {
    const history = await this.#subscription.history({ limit: PAGE, reverse: true, since });
    history.publications.reverse();
    return history;
  }

  #entered({ wasRecovering, recovered, missed, code, epoch, offset }) {
    const isFirst = !this.#wasIn;

    this.#wasIn = true;
    this.#events.entered();
    if (recovered && wasRecovering) {
      if (missed > 0) this.#events.gap(`While you were away: ${missed} ${missed === 1 ? "message" : "messages"}`);
      this.#epoch = epoch;
      return;
    }
    if (!isFirst) {
      const isLost = code === 3010 || code === 2500;
      this.#events.gap(isLost ? "The server lost messages here" : "Reconnected: messages may be missing here");
    }
    this.#catchUp(isFirst, epoch, offset);
  }

  // Tells the newest of what was said before `offset`, where we came in, and then what has come since.
  async #catchUp(isFirst, epoch, offset) {
    const held = (this.#held = []);
    let history = { publications: [], epoch };

    try {
      history = await this.#history();
    } catch {
      // This server keeps nothing, or does not tell; or the line broke again.
    }
    if (held !== this.#held) return; // we came in anew meanwhile
    this.#held = null;

    const isNew = (pub) => history.epoch !== this.#epoch || pub.offset > this.#offset;
    const publications = history.publications.filter((pub) => pub.offset <= offset && (isFirst || isNew(pub)));

    if (isFirst) {
      this.#events.older(this.#placed(publications, history.epoch), history.publications.length === PAGE);
    }
    this.#epoch = history.epoch || epoch;
    this.#offset = offset;
    for (const pub of isFirst ? held : [...publications, ...held]) this.#tell(pub);
  }

  #tell(pub) {
    if (pub.offset) this.#offset = pub.offset;
    this.#events.message(...this.#placed([pub], this.#epoch));
  }

  #placed(publications, epoch) {
    return publications.map((pub) => ({ ...pub, place: pub.offset ? { epoch, offset: pub.offset } : null }));
  }
}
