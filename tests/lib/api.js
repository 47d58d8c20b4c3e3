// The server API for tests: keys in a file, calls with them; and the tokens of users.

import { createHmac } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const KEY = "the-key-of-the-tests";
export const OLD_KEY = "the-key-before-that-one";
const SECRET = "a-secret-that-signs-tokens-of-tests";

// Files for `--api-key-file` and `--token-hmac-secret-file`, and the options that name them.
export async function apiFiles() {
  const directory = await mkdtemp(join(tmpdir(), "carillon-api-"));
  const keys = join(directory, "keys");
  const secret = join(directory, "secret");
  await writeFile(keys, `# for tests\n${KEY}\n\n ${OLD_KEY} \n`);
  await writeFile(secret, SECRET);
  return {
    args: ["--api-key-file", keys, "--token-hmac-secret-file", secret],
    keys,
    remove: () => rm(directory, { recursive: true }),
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
