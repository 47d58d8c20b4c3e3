// Ties the page together: what the user writes goes to the connection, what arrives goes to the view.

import { Connection, OUTBOX_LIMIT, socketUrl } from "./connection.js";
import { createMessage, parseMessage } from "./message.js";
import { View } from "./view.js";

const SHOWN_LIMIT = 5000;

const shown = new Set(); // ids of the newest messages; a message sent again is shown once

const view = new View({
  channel: new URLSearchParams(location.search).get("channel") || null,
  send,
});

const connection = new Connection(socketUrl(document.baseURI, location.search), {
  state(state) {
    view.showState(state);
    if (state === "connected") view.clearNotice();
  },
  resumed,
  message: receive,
  sent: (id) => view.list.annotate(id, "Sending…"),
  waiting: (id) => view.list.annotate(id, "Waiting for the connection"),
  tooBig,
  refused,
});

connection.open();
addEventListener("beforeunload", (event) => {
  if (connection.pending > 0) event.preventDefault();
});

function send(name, text) {
  const message = createMessage(name, text);
  if (!message) return false;

  view.list.depart(message, "Waiting for the connection");
  if (connection.send(message.id, message.raw)) return true;

  view.list.arrive(message.id);
  view.composer.complain(
    `${OUTBOX_LIMIT} messages wait for the connection already. Send this one when they have gone.`,
  );
  return false;
}

function receive(data) {
  const message = parseMessage(data);

  if (message.kind === "chat") {
    const isOwn = connection.acknowledge(message.id, data);

    if (isOwn) view.list.arrive(message.id);
    else if (shown.has(message.id)) return;
    message.isOwn = isOwn;
    rememberShown(message.id);
  }
  view.add(message);
}

function rememberShown(id) {
  shown.add(id);
  if (shown.size > SHOWN_LIMIT) shown.delete(shown.values().next().value);
}

function tooBig(id) {
  view.add({ ...view.list.arrive(id), note: "Not sent: too long for this server" });
}

function resumed(isLost) {
  view.list.addGap(isLost ? "The server lost messages here" : "Reconnected: messages may be missing here");
}

function refused(reason) {
  const because = reason ? ` (${reason})` : "";

  view.notify(`The server closed the connection${because}.`, {
    label: "Connect again",
    run: () => connection.open(),
  });
}
