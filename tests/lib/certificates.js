// Certificates of a test's own, made by the openssl command in a directory that goes with them.
//
//     const authority = await Authority.create();
//     const { certificate, key } = await authority.issue("gateway", { names: "DNS:localhost" });
//     authority.file   // for those who are to trust it
//     await authority.remove();

import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { removeDirectory, temporaryDirectory } from "./directory.js";

const run = promisify(execFile);

export const LOCAL_NAMES = "DNS:localhost,IP:127.0.0.1";

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
const NEW_RSA_KEY = ["-newkey", "rsa:2048", "-nodes"];

export class Authority {
  static async create(name = "authority") {
    const authority = new Authority();

    authority.directory = await temporaryDirectory("tls");
    authority.file = authority.path(`${name}.pem`);
    authority.keyFile = authority.path(`${name}.key`);
    await run("openssl", [
      ...["req", "-x509", ...NEW_KEY, "-days", "2", "-subj", `/CN=${name}`],
      ...["-keyout", authority.keyFile, "-out", authority.file],
    ]);
    authority.pem = await readFile(authority.file);
    return authority;
  }

  path(name) {
    return join(this.directory, name);
  }

  // A certificate for these names, in NAME.pem and NAME.key; a negative number of days is over already.
  async issue(name, { names = LOCAL_NAMES, days = 2, isRsa = false } = {}) {
    const certificate = this.path(`${name}.pem`);
    const key = this.path(`${name}.key`);
    const request = this.path(`${name}.csr`);
    const extensions = this.path(`${name}.ext`);

    await writeFile(extensions, `subjectAltName=${names}\n`);
    const newKey = isRsa ? NEW_RSA_KEY : NEW_KEY;
    await run("openssl", ["req", ...newKey, "-subj", `/CN=${name}`, "-keyout", key, "-out", request]);
    await run("openssl", [
      ...["x509", "-req", "-in", request, "-CA", this.file, "-CAkey", this.keyFile, "-days", String(days)],
      ...["-CAcreateserial", "-extfile", extensions, "-out", certificate],
    ]);
    return { certificate, key };
  }

  remove() {
    return removeDirectory(this.directory);
  }
}
