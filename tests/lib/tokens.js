// Tokens (JWT) as an application issues them, and the keys for the gateway.
//
//     const keys = await TokenKeys.create();
//     await start({ args: keys.args });
//     keys.sign("HS256", { sub: "ann", exp: inSeconds(60) })
//     await keys.remove();

import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { removeDirectory, temporaryDirectory } from "./directory.js";

export const SECRET = "a secret of the tests, of 32 bytes or more";

const SIGNERS = {
  HS256: (keys, bytes) => createHmac("sha256", SECRET).update(bytes).digest(),
  RS256: (keys, bytes) => sign("sha256", bytes, keys.rsa.privateKey),
  ES256: (keys, bytes) => sign("sha256", bytes, { key: keys.ec.privateKey, dsaEncoding: "ieee-p1363" }),
  EdDSA: (keys, bytes) => sign(null, bytes, keys.ed.privateKey),
};

export function inSeconds(seconds) {
  return Math.floor(Date.now() / 1000) + seconds;
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

// The token with this signature, whoever made it.
export function assemble(header, claims, signature) {
  return `${encode(header)}.${encode(claims)}.${Buffer.from(signature).toString("base64url")}`;
}

export class TokenKeys {
  // A pair of each kind; the gateway knows that of the set by its kid alone.
  static async create() {
    const keys = new TokenKeys();

    keys.rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
    keys.ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
    keys.ed = generateKeyPairSync("ed25519");
    keys.inSet = generateKeyPairSync("rsa", { modulusLength: 2048 });
    keys.directory = await temporaryDirectory("tokens");
    const pem = ({ publicKey }) => publicKey.export({ type: "spki", format: "pem" });
    const jwk = { ...keys.inSet.publicKey.export({ format: "jwk" }), kid: "in the set", use: "sig", alg: "RS256" };
    const files = {
      "token-hmac-secret-file": `${SECRET}\n`,
      "token-rsa-public-key": pem(keys.rsa),
      "token-ecdsa-public-key": pem(keys.ec),
      "token-eddsa-public-key": pem(keys.ed),
      "token-jwks-file": JSON.stringify({ keys: [jwk] }),
    };
    keys.args = [];
    for (const [option, content] of Object.entries(files)) {
      const path = join(keys.directory, option);
      await writeFile(path, content);
      keys.args.push(`--${option}`, path);
    }
    return keys;
  }

  sign(algorithm, claims, header = {}) {
    const head = { alg: algorithm, typ: "JWT", ...header };
    const bytes = Buffer.from(`${encode(head)}.${encode(claims)}`);
    return assemble(head, claims, SIGNERS[algorithm](this, bytes));
  }

  // By the key that the gateway finds by its name.
  signByName(claims) {
    const head = { alg: "RS256", kid: "in the set" };
    const bytes = Buffer.from(`${encode(head)}.${encode(claims)}`);
    return assemble(head, claims, sign("sha256", bytes, this.inSet.privateKey));
  }

  token(user, claims = {}) {
    return this.sign("HS256", { sub: user, ...claims });
  }

  remove() {
    return removeDirectory(this.directory);
  }
}
