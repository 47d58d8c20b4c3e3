// The official SDK (npm's `centrifuge`) as a client of ours, in JSON or protobuf, which remembers what it was told.
//
//     const ann = await SdkClient.open(gateway, { format: "protobuf", token });
//     const room = ann.subscribe("room", { recoverable: true });
//     await room.isOn();
//     await room.publish({ any: "JSON" });
//     await room.heard(1);
//     room.publications   // [{ data, offset, info, … }], `data` read as JSON in both formats
//     ann.leave();

import { Centrifuge } from "centrifuge";
import { Centrifuge as ProtobufCentrifuge } from "centrifuge/build/protobuf";
import { WebSocket } from "ws";

import { PATH } from "./command_client.js";
import { EventSource } from "./event_source.js";
import { until, within } from "./wait.js";

export const FORMATS = ["json", "protobuf"];

// The same as options of a client, by a name for each.
export const SOCKETS = { json: {}, protobuf: { format: "protobuf" } };
export const STREAMS = {
  "json over HTTP": { transport: "http_stream" },
  "protobuf over HTTP": { transport: "http_stream", format: "protobuf" },
  "json in events": { transport: "sse" },
};

const SOON = { minReconnectDelay: 20, maxReconnectDelay: 200 };
const SUBSCRIPTION_SOON = { minResubscribeDelay: 20, maxResubscribeDelay: 200 };

export class SdkClient {
  disconnections = []; // { code, reason }, those after which it comes back among them
  errors = [];

  // `port`: of a relay, say, instead of the gateway's. `transport`: "http_stream" or "sse" for one without WebSocket,
  // which posts what it says to `posts` (a gateway or a relay; the same by default).
  constructor({ port }, { format = "json", transport, posts = { port }, ...options } = {}) {
    const Class = format === "protobuf" ? ProtobufCentrifuge : Centrifuge;
    const endpoint = transport
      ? [{ transport, endpoint: `http://127.0.0.1:${port}/connection/${transport}` }]
      : `ws://127.0.0.1:${port}${PATH}`;
    const means = {
      websocket: WebSocket,
      eventsource: EventSource,
      emulationEndpoint: `http://127.0.0.1:${posts.port}/emulation`,
    };

    this.isBinary = format === "protobuf";
    this.sdk = new Class(endpoint, { ...means, ...SOON, ...options });
    this.sdk.on("error", ({ error }) => this.errors.push(error));
    this.sdk.on("connecting", ({ code, reason }) => code > 0 && this.disconnections.push({ code, reason }));
    this.disconnected = new Promise((resolve) => {
      this.sdk.on("disconnected", (end) => {
        this.disconnections.push(end);
        resolve(end);
      });
    });
  }

  static async open(gateway, options) {
    const client = new SdkClient(gateway, options);
    await client.connect();
    return client;
  }

  async connect() {
    const connected = new Promise((resolve) => this.sdk.once("connected", resolve));
    this.sdk.connect();
    this.welcome = await within(connected, () => `the SDK to connect: ${JSON.stringify(this.errors)}`);
  }

  subscribe(channel, options) {
    return new SdkSubscription(this, channel, options);
  }

  encode(data) {
    return this.isBinary ? new TextEncoder().encode(JSON.stringify(data)) : data;
  }

  decode(data) {
    return this.isBinary && data !== undefined ? JSON.parse(new TextDecoder().decode(data)) : data;
  }

  publication({ data, ...rest }) {
    return { ...rest, data: this.decode(data) };
  }

  leave() {
    this.sdk.disconnect();
  }
}

export function leaveAll(clients) {
  for (const client of clients) client.leave();
}

export class SdkSubscription {
  publications = [];
  beginnings = []; // what "subscribed" told
  joins = []; // { client, user }
  leaves = [];
  endings = []; // { code, reason } of "unsubscribed" and of "subscribing" again
  errors = [];

  constructor(client, channel, options) {
    this.client = client;
    this.sdk = client.sdk.newSubscription(channel, { ...SUBSCRIPTION_SOON, ...options });
    this.sdk.on("publication", (publication) => this.publications.push(client.publication(publication)));
    this.sdk.on("subscribed", (context) => this.beginnings.push(context));
    this.sdk.on("join", ({ info }) => this.joins.push(info));
    this.sdk.on("leave", ({ info }) => this.leaves.push(info));
    this.sdk.on("error", ({ error }) => this.errors.push(error));
    this.sdk.on("subscribing", ({ code, reason }) => code > 0 && this.endings.push({ code, reason }));
    this.ended = new Promise((resolve) => {
      this.sdk.on("unsubscribed", (end) => {
        this.endings.push(end);
        resolve(end);
      });
    });
    this.sdk.subscribe();
  }

  get data() {
    return this.publications.map(({ data }) => data);
  }

  // Subscribed for the nth time.
  isOn(count = 1) {
    return until(
      () => this.beginnings.length >= count,
      () => `subscription ${count}; ${JSON.stringify([this.errors, this.endings])}`,
    );
  }

  heard(count) {
    return until(
      () => this.publications.length >= count,
      () => `${count} publications; heard: ${JSON.stringify(this.data).slice(0, 300)}`,
    );
  }

  publish(data) {
    return this.sdk.publish(this.client.encode(data));
  }

  async history(options) {
    const { publications, ...rest } = await this.sdk.history(options);
    return { ...rest, publications: publications.map((publication) => this.client.publication(publication)) };
  }
}
