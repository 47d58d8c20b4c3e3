// Server-Sent Events as browsers have them, which Node does not: what the SDK needs of EventSource, over fetch.

const OPEN = 1;
const CLOSED = 2;

export class EventSource {
  readyState = 0;
  #end = new AbortController();

  constructor(url) {
    this.#read(url).catch((error) => this.#fail(error));
  }

  async #read(url) {
    const response = await fetch(url, { headers: { Accept: "text/event-stream" }, signal: this.#end.signal });
    const type = response.headers.get("content-type");
    if (response.status !== 200 || type !== "text/event-stream") throw new Error(`${response.status}, ${type}`);
    this.readyState = OPEN;
    this.onopen?.();
    let text = "";
    for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
      const events = (text + part).split("\n\n");
      text = events.pop();
      for (const event of events) this.#dispatch(event);
    }
    throw new Error("the stream has ended");
  }

  // Any line end ends a line, as the specification says.
  #dispatch(event) {
    const lines = event.split(/\r\n|\n|\r/).filter((line) => line.startsWith("data:"));
    if (lines.length > 0) this.onmessage?.({ data: lines.map((line) => line.replace(/^data: ?/, "")).join("\n") });
  }

  #fail(error) {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.onerror?.(error);
  }

  close() {
    this.readyState = CLOSED;
    this.#end.abort();
  }
}
