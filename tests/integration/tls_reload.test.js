// Certificates that change while people talk: nobody is dropped, newcomers see the new one, and a bad one
// changes nothing.

import assert from "node:assert/strict";
import { copyFile, mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";

import { Bystanders } from "../lib/bystanders.js";
import { Authority } from "../lib/certificates.js";
import { closeClients } from "../lib/client.js";
import { metric } from "../lib/metrics.js";
import { nameShown, openTls, startWithTls } from "../lib/tls.js";
import { until } from "../lib/wait.js";

const expiryOf = (gateway) =>
  metric(
    gateway,
    `carillon_tls_certificate_expiry_timestamp_seconds{role="clients",file="${authority.path("live.pem")}"}`,
  );

let authority;

before(async () => (authority = await Authority.create()));
after(() => authority.remove());

// A gateway whose files are `live.pem` and `live.key`, two who talk over TLS, and newcomers all the time,
// while `act(gateway, put)` happens; put(name) puts another pair in their place.
async function underLoad(act) {
  const live = { certificate: authority.path("live.pem"), key: authority.path("live.key") };
  const put = async (name) => {
    await copyFile(authority.path(`${name}.key`), live.key);
    await copyFile(authority.path(`${name}.pem`), live.certificate);
  };
  await put("old");
  const gateway = await startWithTls(authority, { pairs: [live], args: ["--message-rate", "0"] });
  const bystanders = await Bystanders.open({ port: gateway.port }, { channel: "bystanders" });
  const ada = await openTls(gateway, { channel: "room" });
  const bob = await openTls(gateway, { channel: "room" });
  let isOver = false;
  let sent = 0;
  const talk = (async () => {
    while (!isOver) {
      ada.send(`message ${sent++}`);
      await bob.received(sent);
      (await openTls(gateway)).destroy();
    }
  })();

  await bystanders.during(() => act(gateway, put));
  isOver = true;
  await talk;
  assert.deepEqual(
    bob.messages,
    Array.from({ length: sent }, (_, i) => `message ${i}`),
  );
  assert.ok(ada.isOpen && bob.isOpen);
  closeClients([ada, bob]);
  bystanders.close();
  await gateway.stop();
}

const shows = (gateway, name) => until(async () => (await nameShown(gateway)) === name, `the certificate ${name}`);

describe("a certificate that is replaced", () => {
  before(async () => {
    await authority.issue("old");
    await authority.issue("new", { days: 1 });
    await authority.issue("expired", { days: -1 });
  });

  it("is shown on SIGHUP and when its file changes, and nobody is dropped", () =>
    underLoad(async (gateway, put) => {
      const expiry = await expiryOf(gateway);
      await put("new");
      await shows(gateway, "new");
      assert.ok((await expiryOf(gateway)) < expiry - 43_200);
      await put("old");
      gateway.signal("SIGHUP");
      await shows(gateway, "old");
      assert.equal(await expiryOf(gateway), expiry);
    }));

  it("is refused with a line where it cannot be used, and the old one stays", () =>
    underLoad(async (gateway, put) => {
      const refused = /level=error event="certificates refused, the old ones stay" role=clients error="([^"]*)"/;
      const refusal = async (act) => {
        const length = gateway.log.length;
        await act();
        const [, error] = await gateway.waitForLog(refused, { after: length });
        assert.equal(await nameShown(gateway), "old");
        return error;
      };
      assert.match(await refusal(() => writeFile(authority.path("live.pem"), "rubbish\n")), /no start line/);
      assert.match(await refusal(() => copyFile(authority.path("new.pem"), authority.path("live.pem"))), /mismatch/);
      assert.match(await refusal(() => put("expired")), /has expired/);
      await put("new");
      await shows(gateway, "new");
    }));

  it("is found behind the symbolic links that Kubernetes swaps", async () => {
    const directory = authority.path("secret");
    const version = async (number, name) => {
      await mkdir(`${directory}/..${number}`, { recursive: true });
      await copyFile(authority.path(`${name}.pem`), `${directory}/..${number}/tls.crt`);
      await copyFile(authority.path(`${name}.key`), `${directory}/..${number}/tls.key`);
      await symlink(`..${number}`, `${directory}/..data_tmp`);
      await rename(`${directory}/..data_tmp`, `${directory}/..data`);
    };
    await version(1, "old");
    for (const file of ["tls.crt", "tls.key"]) await symlink(`..data/${file}`, `${directory}/${file}`);
    const pairs = [{ certificate: `${directory}/tls.crt`, key: `${directory}/tls.key` }];
    const gateway = await startWithTls(authority, { pairs });
    assert.equal(await nameShown(gateway), "old");
    await version(2, "new");
    await shows(gateway, "new");
    await gateway.stop();
  });
});
