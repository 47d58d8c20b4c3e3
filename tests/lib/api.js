// The server API for tests: keys in a file, calls with them; and the tokens of users.

import { createHmac } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { removeDirectory, temporaryDirectory } from "./directory.js";

export const KEY = "the-key-of-the-tests";
export const OLD_KEY = "the-key-before-that-one";
const SECRET = "a-secret-that-signs-tokens-of-tests";

// Files for `--api-key-file` and `--token-hmac-secret-file`, and the options that name them; and a
// config file with a namespace, so that there are channels whose namespace is none.
export async function apiFiles() {
  const directory = await temporaryDirectory("api");
  const keys = join(directory, "keys");
  const secret = join(directory, "secret");
  await writeFile(keys, `# for tests\n${KEY}\n\n ${OLD_KEY} \n`);
  const config = join(directory, "gateway.conf");
  await writeFile(secret, SECRET);
  await writeFile(config, "[namespace known]\n");
  return {
    args: ["--config", config, "--api-key-file", keys, "--token-hmac-secret-file", secret],
    keys,
    remove: () => removeDirectory(directory),
  };
}

const encode = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

export function token(user, claims = {}) {
  const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub: user, ...claims })}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

// A request as it is: { status, headers, text }.
export async function request(gateway, path, { method = "POST", headers = { "X-API-Key": KEY }, body } = {}) {
  const response = await fetch(`http://127.0.0.1:${gateway.adminPort}${path}`, { method, headers, body });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

// What the API replies to a method: { result } or { error }.
export async function call(gateway, method, params = {}) {
  const { status, text } = await request(gateway, `/api/${method}`, { body: JSON.stringify(params) });
  if (status !== 200) throw new Error(`${method}: ${status} ${text}`);
  return JSON.parse(text);
}
