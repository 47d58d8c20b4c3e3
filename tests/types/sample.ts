// A program that uses web/carillon.js; the compiler says whether carillon.d.ts fits it.
import { Carillon, CarillonError, type Place, type Subscription } from "../../web/carillon.js";

const carillon = new Carillon("wss://example.org/connection/websocket", {
  getToken: async () => "token",
  queueLimit: 10,
});
const room: Subscription = carillon.subscribe("room", { joinLeave: true, since: { epoch: "e", offset: 1 } });

const end: () => void = carillon.on("state", ({ state, code, reason }) => console.log(state === "offline", code + 1, reason.length));
room.on("publication", ({ channel, data, offset, info, tags }) => console.log(channel, data, offset + 1, info?.user, tags?.kind));
room.on("subscribed", ({ recovered, missed, epoch }) => console.log(recovered, missed + 1, epoch));
room.on("join", ({ info }) => console.log(info.client));
carillon.connect();

const place: Place = await room.publish({ text: "hello" }, { key: "k" });
const { publications } = await room.history({ limit: 10, since: place, reverse: true });
console.log(publications.map(({ data }) => data), (await room.presenceStats()).clients, await carillon.rpc("add", [1, 2]));
await carillon.publish("other", 1).catch((error: CarillonError) => console.log(error.code, error.isTemporary));
end();

// @ts-expect-error there is no such event
room.on("shout", () => {});
// @ts-expect-error a position cannot be set
room.position = null;
// @ts-expect-error a channel is a text
carillon.subscribe(7);
// @ts-expect-error they are made by subscribe
new (room.constructor as typeof Subscription)();
