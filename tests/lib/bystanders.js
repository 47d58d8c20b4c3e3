// Two people who talk on while somebody else misbehaves, and who must not notice.

import assert from "node:assert/strict";

import { Client, closeClients } from "./client.js";

export class Bystanders {
  #round = 0;

  static async open(gateway, options) {
    const bystanders = new Bystanders();
    bystanders.people = [await Client.open(gateway, options), await Client.open(gateway, options)];
    return bystanders;
  }

  // Each says something, both hear both, and nothing else has come in between.
  async talk() {
    const [ada, ben] = this.people;
    const heard = this.people.map((person) => person.messages.length);
    const round = this.#round++;

    ada.send(`ada ${round}`);
    ben.send(`ben ${round}`);
    await Promise.all(this.people.map((person, i) => person.received(heard[i] + 2)));
    for (const [i, person] of this.people.entries()) {
      assert.deepEqual(person.messages.slice(heard[i]).sort(), [`ada ${round}`, `ben ${round}`]);
    }
    assert.deepEqual(ada.messages, ben.messages);
  }

  // They talk before, all through and after what `act` does.
  async during(act) {
    let end;

    await this.talk();
    Promise.resolve(act()).then(
      (result) => {
        end = { result };
      },
      (error) => {
        end = { error };
      },
    );
    do {
      await Promise.all([this.talk(), new Promise((resolve) => setTimeout(resolve, 25))]);
    } while (!end);
    if (end.error) throw end.error;
    await this.talk();
    return end.result;
  }

  close() {
    closeClients(this.people);
  }
}
