/** What carillon.js offers; README.md explains it. */

export type State = "disconnected" | "connecting" | "connected" | "reconnecting" | "offline";
export type SubscriptionState = "subscribing" | "subscribed" | "unsubscribed";

/** Where somebody stands in a channel: behind the publication with this offset. */
export interface Place {
  epoch: string;
  offset: number;
}

/** Who is, or was, there. `connInfo` and `chanInfo` are what tokens say. */
export interface Info {
  user: string;
  client: string;
  connInfo?: unknown;
  chanInfo?: unknown;
}

export interface Publication<Data = unknown> {
  data: Data;
  /** 0 where the channel keeps no history. */
  offset: number;
  /** Milliseconds since 1970, by the gateway's clock. */
  time?: number;
  tags?: Record<string, string>;
  info?: Info;
}

/** Why something has ended. */
export interface Reason {
  code: number;
  reason: string;
}

export interface OfChannel {
  channel: string;
}

export interface Subscribed extends OfChannel, Place, Partial<Reason> {
  wasRecovering: boolean;
  /** Everything that was missed follows. */
  recovered: boolean;
  /** How many publications follow that were missed. */
  missed: number;
  data?: unknown;
}

export interface ChannelEvents {
  subscribed: Subscribed;
  publication: OfChannel & Publication;
  join: OfChannel & { info: Info };
  leave: OfChannel & { info: Info };
  unsubscribed: OfChannel & Reason;
}

export interface SubscriptionEvents extends ChannelEvents {
  /** It has been interrupted and is begun again by itself. */
  subscribing: OfChannel & Reason;
  error: unknown;
}

/** Those of channels come from subscriptions that the server has made. */
export interface ClientEvents extends ChannelEvents {
  state: Reason & { state: State };
  connected: { client: string; data?: unknown };
  message: { data: unknown };
  subscribing: OfChannel & Reason;
  /** A publication was handed to a socket. */
  sent: OfChannel & { key: string };
  /** That socket broke before the answer came; it waits for the next one. */
  waiting: OfChannel & { key: string };
  error: unknown;
}

export interface Options {
  token?: string;
  /** Called for a first token and whenever one has expired; resolve to "" where there is none. */
  getToken?: (context: { channel?: undefined }) => string | Promise<string>;
  /** Passed on when connecting. */
  data?: unknown;
  name?: string;
  version?: string;
  /** Publications that wait for their acknowledgement; 100. */
  queueLimit?: number;
  /** Where there is none in the environment. */
  WebSocket?: unknown;
}

export interface SubscribeOptions {
  token?: string;
  getToken?: (context: { channel: string }) => string | Promise<string>;
  data?: unknown;
  /** True: whatever is missed while there is no connection is asked for. */
  recover?: boolean;
  /** Who comes and goes is told. */
  joinLeave?: boolean;
  /** What follows this place is asked for first. */
  since?: Place;
}

export interface PublishOptions {
  /** The message's name: published again under it within minutes, it is delivered once. */
  key?: string;
  /** Worth nothing later: rejected where there is no connection. */
  isFleeting?: boolean;
}

export interface HistoryOptions {
  /** How many; 0: only where the channel stands; -1: all. */
  limit?: number;
  since?: Place;
  /** Newest first. */
  reverse?: boolean;
}

export interface History extends Place {
  publications: Publication[];
}

/**
 * Below 100 the code is ours: 1 no answer in time, 2 the connection broke, 3 not connected, 4 too many
 * publications wait, 5 no token, 6 no ping. From 100 on it is the protocol's; 1009: the message is too big.
 */
export class CarillonError extends Error {
  constructor(code: number, message: string, isTemporary?: boolean);
  code: number;
  isTemporary: boolean;
}

export class Subscription {
  private constructor();
  readonly channel: string;
  readonly state: SubscriptionState;
  readonly position: Place | null;
  on<Type extends keyof SubscriptionEvents>(type: Type, listener: (event: SubscriptionEvents[Type]) => void): () => void;
  publish(data: unknown, options?: PublishOptions): Promise<Place>;
  history(options?: HistoryOptions): Promise<History>;
  presence(): Promise<Info[]>;
  presenceStats(): Promise<{ clients: number; users: number }>;
  subscribe(): void;
  unsubscribe(): void;
}

export class Carillon {
  constructor(url: string, options?: Options);
  readonly state: State;
  /** The server's name for this connection; "" before the first. */
  readonly client: string;
  /** How many publications wait for their acknowledgement. */
  readonly pending: number;
  on<Type extends keyof ClientEvents>(type: Type, listener: (event: ClientEvents[Type]) => void): () => void;
  connect(): void;
  disconnect(): void;
  subscribe(channel: string, options?: SubscribeOptions): Subscription;
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<Place>;
  history(channel: string, options?: HistoryOptions): Promise<History>;
  presence(channel: string): Promise<Info[]>;
  presenceStats(channel: string): Promise<{ clients: number; users: number }>;
  rpc(method: string, data?: unknown): Promise<unknown>;
}
