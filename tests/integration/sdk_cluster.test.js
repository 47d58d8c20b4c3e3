// What the official SDK is promised of tokens and of calls, where the others are at another gateway.

import assert from "node:assert/strict";
import { after, before, it } from "node:test";

import { Backend } from "../lib/backend.js";
import { onEachBus, SHARED_BUSES } from "../lib/buses.js";
import { withCluster } from "../lib/cluster.js";
import { CommandClient } from "../lib/command_client.js";
import { FORMATS, leaveAll, SdkClient } from "../lib/sdk.js";
import { inSeconds, TokenKeys } from "../lib/tokens.js";
import { until } from "../lib/wait.js";

const LATE_S = 60 + 25; // after its time somebody is sent away: the leeway and the grace
const CHANNEL = "$club";

let keys;
let backend;

before(async () => {
  keys = await TokenKeys.create();
  backend = await Backend.start();
});
after(async () => {
  await backend.stop();
  await keys.remove();
});

// Claims that are over at first and say so how often they were asked for.
function fresh(claims) {
  let count = 0;
  return async () => {
    count++;
    return keys.token("ann", { ...claims(count), exp: inSeconds(count === 1 ? 1 : 3600) });
  };
}

onEachBus(SHARED_BUSES, (Bus) => {
  const args = () => [...keys.args, "--token-leeway", "60s", ...backend.args("rpc")];

  for (const format of FORMATS) {
    it(`who is refreshed is another to those at the other gateway, in ${format}`, async () => {
      await withCluster(Bus, { args: args() }, async ({ gateways: [here, there] }) => {
        const getToken = fresh((mood) => ({ info: { mood } }));
        const ann = await SdkClient.open(here, { format, getToken });
        const ben = await SdkClient.open(there, { format, token: keys.token("ben") });
        const room = ann.subscribe(CHANNEL, { getToken: fresh((seat) => ({ channel: CHANNEL, info: { seat } })) });
        const other = ben.subscribe(CHANNEL, { token: keys.token("ben", { channel: CHANNEL }) });
        const infos = ({ connInfo, chanInfo }) => [ben.decode(connInfo), ben.decode(chanInfo)];
        const now = [{ mood: 2 }, { seat: 2 }];

        await Promise.all([room.isOn(), other.isOn()]);
        const presence = async () => {
          const present = (await other.sdk.presence()).clients[ann.welcome.client];
          return present && JSON.stringify(infos(present)) === JSON.stringify(now);
        };
        await until(presence, "the other gateway to list her as she is now");
        await room.publish("still here");
        await other.heard(1);
        assert.deepEqual(infos(other.publications[0].info), now);
        assert.deepEqual([ann.disconnections, room.endings], [[], []]);
        leaveAll([ann, ben]);
      });
    });
  }

  it("who is not refreshed is sent away, and leaves the other gateway's lists", async () => {
    await withCluster(Bus, { args: args() }, async ({ gateways: [here, there] }) => {
      const ben = await CommandClient.connect(there, { token: keys.token("ben") });
      const token = keys.token("ann", { expire_at: inSeconds(-LATE_S + 3) });
      const ann = await CommandClient.connect(here, { token });
      const present = async () => {
        const { presence } = await ben.ask({ presence: { channel: "room" } });
        return Object.keys(presence.presence ?? {});
      };

      await ann.ask({ subscribe: { channel: "room" } });
      await until(async () => (await present()).length === 1, "her to be listed");
      assert.equal((await ann.closed).code, 3005);
      await until(async () => (await present()).length === 0, "her to be gone");
      ben.destroy();
    });
  });

  it("calls of the clients of any gateway reach the application, with what the last token says", async () => {
    await withCluster(Bus, { args: args() }, async ({ gateways }) => {
      backend.answers.rpc = ({ user, method, data }) => ({ result: { data: { user, method, data } } });
      const users = gateways.flatMap((gateway, i) =>
        FORMATS.map((format) => ({ gateway, format, user: `${format} ${i}` })),
      );
      await Promise.all(
        users.map(async ({ gateway, format, user }) => {
          const client = await SdkClient.open(gateway, { format, token: keys.token(user) });
          const { data } = await client.sdk.rpc("sum", client.encode([1, 2]));
          assert.deepEqual(client.decode(data), { user, method: "sum", data: [1, 2] });
          client.leave();
        }),
      );

      backend.answers.rpc = ({ meta }) => ({ result: { data: meta } });
      const ann = await CommandClient.connect(gateways[1], { token: keys.token("ann", { meta: 1 }) });
      assert.equal((await ann.ask({ rpc: { method: "meta" } })).rpc.data, 1);
      await ann.ask({ refresh: { token: keys.token("ann", { meta: 2 }) } });
      assert.equal((await ann.ask({ rpc: { method: "meta" } })).rpc.data, 2);
      ann.destroy();
    });
  });
});
