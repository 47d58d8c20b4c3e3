// What a chat owes its people: each message to everybody, once, in one order.

import assert from "node:assert/strict";

// Checks that every client was given the same messages in the same order, that these are exactly
// `sent` (texts, without regard to the order between senders), each once, and that each sender's own order
// was kept. `sent` is a list for each sender. Of `cutShort`, lists of senders whose gateway died, any
// first part may have come.
export function assertSameChat(clients, sent, { cutShort = [] } = {}) {
  const [first, ...others] = clients;
  const position = new Map(first.messages.map((text, index) => [text, index]));
  const arrived = cutShort.map((list) => list.slice(0, list.findLastIndex((text) => position.has(text)) + 1));
  const lists = [...sent, ...arrived];

  assertSameSet(first.messages, lists.flat());
  others.forEach((client, index) => {
    const at = client.messages.findIndex((text, i) => text !== first.messages[i]);
    assert.equal(at, -1, `client ${index + 1} differs from client 0 at message ${at}`);
    assert.equal(client.messages.length, first.messages.length, `client ${index + 1} got less than client 0`);
  });
  for (const list of lists) {
    for (let i = 1; i < list.length; i++) {
      assert.ok(position.get(list[i - 1]) < position.get(list[i]), `${list[i]} overtook ${list[i - 1]}`);
    }
  }
}

// Checks that every client was given a first part of one and the same conversation, of which `sent` says what
// there is, as above.
export function assertOneBeginning(clients, sent) {
  const [longest, ...others] = clients.toSorted((one, other) => other.messages.length - one.messages.length);

  assertSameChat([longest], [], { cutShort: sent });
  others.forEach(({ messages }, index) => {
    const at = messages.findIndex((text, i) => text !== longest.messages[i]);
    assert.equal(at, -1, `client ${index + 1} differs from the one that heard most at message ${at}`);
  });
}

function assertSameSet(received, sent) {
  const expected = new Set(sent);
  const seen = new Set();
  const doubled = received.filter((text) => seen.size === seen.add(text).size);
  const lost = sent.filter((text) => !seen.has(text));
  const foreign = [...seen].filter((text) => !expected.has(text));

  assert.equal(expected.size, sent.length, "the test sends distinct texts");
  assert.deepEqual(
    { lost: lost.length, doubled: doubled.length, foreign: foreign.length },
    { lost: 0, doubled: 0, foreign: 0 },
    `lost ${lost.slice(0, 5)}; doubled ${doubled.slice(0, 5)}; foreign ${foreign.slice(0, 5)}`,
  );
}

// Sends `count` texts from each client, a few at a time so that faults fall between them. Resolves to the
// list of each sender's texts. `tag` keeps rounds apart. A sender that is closed stops sending.
export async function chatter(senders, count, { tag = "m", batch = 20, pauseMs = 0 } = {}) {
  const sent = senders.map(() => []);

  for (let start = 0; start < count; start += batch) {
    senders.forEach((sender, who) => {
      for (let i = start; sender.isOpen && i < Math.min(start + batch, count); i++) {
        const text = `${tag}-${who}-${i}`;
        sender.send(text);
        sent[who].push(text);
      }
    });
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  return sent;
}
