// What the public port answers to HTTP: the handshake's refusals, the page, health.

import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { Bystanders } from "../lib/bystanders.js";
import { removeDirectory, temporaryDirectory } from "../lib/directory.js";
import { start } from "../lib/gateway.js";
import { metric } from "../lib/metrics.js";
import { RawClient, frame, request } from "../lib/raw_client.js";
import { until } from "../lib/wait.js";

const PLAIN = { Upgrade: null, Connection: null, "Sec-WebSocket-Key": null, "Sec-WebSocket-Version": null };

const BIG = "big ".repeat(2 << 20); // more than the kernel takes at once, and than --send-queue-limit

let gateway;
let bystanders;
let webRoot;
before(async () => {
  webRoot = await temporaryDirectory("web");
  await mkdir(join(webRoot, "deep"));
  await writeFile(join(webRoot, "index.html"), "<!doctype html><title>page</title>");
  await writeFile(join(webRoot, "main.js"), "export {};");
  await writeFile(join(webRoot, "style.css"), "body {}");
  await writeFile(join(webRoot, "deep", "icon.svg"), "<svg/>");
  await writeFile(join(webRoot, "big.png"), BIG);
  await writeFile(join(webRoot, "notes.xyz"), "of no known type");
  gateway = await start({ webRoot, args: ["--allow-origin", "https://chat.example.org,https://*.example.com"] });
  bystanders = await Bystanders.open(gateway, { channel: "bystanders" });
});
after(async () => {
  bystanders.close();
  await gateway.stop();
  await removeDirectory(webRoot);
});

async function answer(text, port = gateway.port) {
  const raw = await RawClient.connect({ port });
  raw.send(text);
  const response = await raw.response({ isHead: text.startsWith("HEAD") });
  raw.destroy();
  return response;
}

const plain = (path, options = {}) => request({ ...options, path, headers: { ...PLAIN, ...options.headers } });
const get = (path, headers = {}) => answer(plain(path, { headers }));

// Sends `bytes` in two packets.
async function sendSplit(raw, bytes, at) {
  raw.socket.setNoDelay(true);
  raw.send(bytes.subarray(0, at));
  await new Promise((resolve) => setImmediate(resolve));
  raw.send(bytes.subarray(at));
}

describe("a handshake", () => {
  it("is accepted with the key of RFC 6455 §1.3", async () => {
    const { status, headers } = await answer(request());
    assert.equal(status, 101);
    assert.equal(headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert.equal(headers.upgrade.toLowerCase(), "websocket");
    assert.equal(headers.connection.toLowerCase(), "upgrade");
    assert.equal(headers["sec-websocket-extensions"], undefined);
    assert.equal(headers["sec-websocket-protocol"], undefined);
  });

  const refused = (name, status, options) =>
    it(`${name}: ${status}`, () =>
      bystanders.during(async () => {
        const raw = await RawClient.connect(gateway);
        raw.send(request(options) + plain("/main.js"));
        const response = await raw.response();
        assert.equal(response.status, status);
        assert.notEqual(response.body, "", "it says why");
        assert.equal(response.headers["x-content-type-options"], "nosniff");
        if (status === 426) assert.equal(response.headers["sec-websocket-version"], "13");
        if (status === 405) assert.equal(response.headers.allow, "GET");
        assert.equal(await raw.frame(), null, "nothing behind it is answered, and the connection ends");
        raw.destroy();
      }));

  refused("without a key", 400, { headers: { "Sec-WebSocket-Key": null } });
  refused("with a key of 15 bytes", 400, { headers: { "Sec-WebSocket-Key": "MTIzNDU2Nzg5MDEyMzQ1" } });
  refused("with two keys", 400, {
    headers: { "Sec-WebSocket-Key": ["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="] },
  });
  refused("with a key of 17 bytes", 400, { headers: { "Sec-WebSocket-Key": "MTIzNDU2Nzg5MDEyMzQ1Njc=" } });
  refused("with a key that is not base64", 400, { headers: { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25j*Q==" } });
  refused("without a Host", 400, { headers: { Host: null } });
  refused("with two Hosts", 400, { headers: { Host: ["a", "b"] } });
  refused("without a Host and without an upgrade", 400, { headers: { Host: null, Upgrade: null, Connection: null } });
  refused("without a Host to a path that is not served", 400, { path: "/elsewhere", headers: { Host: null } });
  refused("of version 8", 426, { headers: { "Sec-WebSocket-Version": "8" } });
  refused("of version 13 and 8", 400, { headers: { "Sec-WebSocket-Version": ["13", "8"] } });
  refused("without Connection: Upgrade", 400, { headers: { Connection: "keep-alive" } });
  refused("with a body", 413, { headers: { "Content-Length": "5" } });
  refused("without a version", 426, { headers: { "Sec-WebSocket-Version": null } });
  refused("by POST", 405, { method: "POST", headers: { "Content-Length": "0" } });
  refused("to a path that is not served", 404, { path: "/elsewhere" });
  refused("to /ws without an upgrade", 426, { headers: { Upgrade: null, Connection: null } });
  refused("over HTTP/1.0", 400, { version: "1.0" });
  refused("from an origin that is not allowed", 403, { headers: { Origin: "https://evil.example.net" } });
  refused("from an origin that only looks allowed", 403, { headers: { Origin: "https://chat.example.org.evil.net" } });
  refused("from an allowed host over http", 403, { headers: { Origin: "http://chat.example.org" } });
  refused("from two origins", 403, { headers: { Origin: ["https://chat.example.org", "https://a.example.com"] } });
  refused("from an allowed host on another port", 403, { headers: { Origin: "https://chat.example.org:444" } });
  refused("from the bare domain of a star", 403, { headers: { Origin: "https://example.com" } });
  refused("from a domain that only ends like a star's", 403, { headers: { Origin: "https://evilexample.com" } });
  refused("from the origin null", 403, { headers: { Origin: "null" } });
  refused("with a broken channel name", 400, { path: "/ws?channel=%f" });

  it("by HEAD: 405, without a body", async () => {
    const raw = await RawClient.connect(gateway);
    raw.send(request({ method: "HEAD" }));
    const { status, headers } = await raw.response({ isHead: true });
    assert.equal(status, 405);
    assert.ok(Number(headers["content-length"]) > 0);
    assert.equal(await raw.rest(), "");
    raw.destroy();
  });

  for (const origin of ["https://chat.example.org", "https://a.example.com", "https://a.b.example.com"]) {
    it(`from ${origin} is accepted`, async () => {
      assert.equal((await answer(request({ headers: { Origin: origin } }))).status, 101);
    });
  }

  it("does not need an exact Connection or case", async () => {
    const headers = { Upgrade: "WebSocket", Connection: "keep-alive, UPGRADE" };
    assert.equal((await answer(request({ headers }))).status, 101);
  });

  it("may be cut in two anywhere, and so may the frame behind it", async () => {
    const bytes = Buffer.concat([Buffer.from(request({ path: "/ws?channel=cut" })), frame({ payload: "hello" })]);

    for (let at = 1; at < bytes.length; at++) {
      const raw = await RawClient.connect(gateway);
      await sendSplit(raw, bytes, at);
      assert.equal((await raw.response()).status, 101, `cut at ${at}`);
      assert.equal((await raw.message()).toString(), "hello", `cut at ${at}`);
      raw.destroy();
    }
  });

  it("from the page's own host alone is accepted with --allow-origin same", async () => {
    const own = await start({ args: ["--allow-origin", "same"] });
    const from = async (Origin, Host) => (await answer(request({ headers: { Origin, Host } }), own.port)).status;

    assert.equal(await from("http://chat.example.org:8000", "chat.example.org:8000"), 101);
    assert.equal(await from("https://chat.example.org", "chat.example.org"), 101);
    assert.equal(await from("https://other.example.org", "chat.example.org"), 403);
    assert.equal(await from("http://chat.example.org:8001", "chat.example.org:8000"), 403);
    assert.equal(await from("null", "chat.example.org"), 403);
    await own.stop();
  });

  it("may come after other requests on the same connection", async () => {
    const raw = await RawClient.connect(gateway);
    raw.send(request({ path: "/health", headers: PLAIN }));
    assert.equal((await raw.response()).status, 200);
    raw.send(request({ path: "/ws?channel=after" }));
    assert.equal((await raw.response()).status, 101);
    raw.send(frame({ payload: "hello" }));
    assert.equal((await raw.message()).toString(), "hello");
    raw.destroy();
  });
});

describe("a request", () => {
  // What could be smuggled in stands behind it: it must not be answered.
  const refused = (name, status, text) =>
    it(`${name}: ${status}`, () =>
      bystanders.during(async () => {
        const raw = await RawClient.connect(gateway);
        raw.send(text + plain("/main.js"));
        const response = await raw.response();
        assert.equal(response.status, status);
        assert.equal(response.headers.connection, "close");
        assert.equal(await raw.frame(), null, "nothing behind it is answered, and the connection ends");
        raw.destroy();
      }));
  const head = (...lines) => ["GET / HTTP/1.1", "Host: a", ...lines, "", ""].join("\r\n");

  refused("that is no HTTP", 400, "\u0016\u0003\u0001 hello\r\n\r\n");
  refused("of HTTP/2", 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n");
  refused("with two lengths", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx");
  refused(
    "with a length and chunks",
    400,
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  );
  refused("with the same length twice", 400, `${head("Content-Length: 1", "Content-Length: 1")}x`);
  refused("with a list of lengths", 400, `${head("Content-Length: 1, 1")}x`);
  refused("with a signed length", 400, `${head("Content-Length: +1")}x`);
  refused("with a negative length", 400, head("Content-Length: -1"));
  refused("with a hexadecimal length", 400, head("Content-Length: 0x0"));
  refused("with an empty length", 400, head("Content-Length:"));
  refused("with a length beyond all numbers", 400, head("Content-Length: 99999999999999999999999"));
  refused("with chunks and a length", 400, `${head("Transfer-Encoding: chunked", "Content-Length: 5")}0\r\n\r\n`);
  refused("with chunks", 413, `${head("Transfer-Encoding: chunked")}0\r\n\r\n`);
  refused("with chunks spelled oddly", 413, `${head("tRANSFER-eNCODING:\tChunked")}0\r\n\r\n`);
  refused("with two encodings", 413, `${head("Transfer-Encoding: identity", "Transfer-Encoding: chunked")}0\r\n\r\n`);
  refused("with a space behind Transfer-Encoding", 400, `${head("Transfer-Encoding : chunked")}0\r\n\r\n`);
  refused("with a folded line", 400, head("X: a", " Content-Length: 5"));
  refused("with bare line feeds", 400, "GET / HTTP/1.1\nHost: a\n\n");
  refused("with a bare line feed in a header", 400, head("X: a\nContent-Length: 5"));
  refused("with a bare carriage return in a header", 400, head("X: a\rContent-Length: 5"));
  refused("with two spaces in its first line", 400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n");
  refused("of HTTP/0.9", 505, "GET /\r\n\r\n");
  refused("with an unknown method", 501, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n");
  refused("to a proxy", 400, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n");
  refused("with one header of 64 KiB", 431, head(`X: ${"y".repeat(65536)}`));
  refused("with a space before the colon", 400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n");
  refused("with a zero byte in a header", 400, "GET / HTTP/1.1\r\nHost: a\u0000b\r\n\r\n");
  refused("with a body above the limit", 413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n");
  refused("with a line of 64 KiB", 414, `GET /${"x".repeat(65536)} HTTP/1.1\r\nHost: a\r\n\r\n`);
  refused("with 64 KiB of headers", 431, `GET / HTTP/1.1\r\nHost: a\r\n${"X: y\r\n".repeat(11000)}\r\n`);

  it("may come in single bytes and with others behind it", async () => {
    const raw = await RawClient.connect(gateway);
    raw.socket.setNoDelay(true);
    for (const byte of request({ path: "/main.js", headers: PLAIN })) raw.send(byte);
    assert.equal((await raw.response()).body, "export {};");
    raw.send(plain("/main.js") + plain("/style.css"));
    assert.equal((await raw.response()).body, "export {};");
    assert.equal((await raw.response()).body, "body {}");
    raw.destroy();
  });

  it("may be cut in two anywhere, and so may the next", async () => {
    const bytes = Buffer.from(plain("/main.js") + plain("/style.css"));
    const raw = await RawClient.connect(gateway);

    for (let at = 1; at < bytes.length; at++) {
      await sendSplit(raw, bytes, at);
      assert.equal((await raw.response()).body, "export {};", `cut at ${at}`);
      assert.equal((await raw.response()).body, "body {}", `cut at ${at}`);
    }
    raw.destroy();
  });

  it("may come with a hundred others, and all are answered in order", async () => {
    const raw = await RawClient.connect(gateway);
    const paths = Array.from({ length: 100 }, (_, i) => (i % 3 ? "/main.js" : "/nowhere"));

    raw.send(paths.map((path) => plain(path)).join(""));
    for (const path of paths) assert.equal((await raw.response()).status, path === "/main.js" ? 200 : 404);
    raw.destroy();
  });

  it("must name one host, and is answered on a connection that stays", async () => {
    for (const port of [gateway.port, gateway.adminPort]) {
      const raw = await RawClient.connect({ port });
      for (const Host of [null, ["a", "b"], ["a", "a"]]) {
        raw.send(plain("/health", { headers: { Host } }));
        assert.equal((await raw.response()).status, 400);
      }
      raw.send(plain("/health"));
      assert.equal((await raw.response()).status, 200);
      raw.send(plain("/health", { version: "1.0", headers: { Host: null } }));
      assert.equal((await raw.response()).status, 200);
      raw.destroy();
    }
  });

  it("ends the connection after its answer when it says so, or is HTTP/1.0", async () => {
    for (const options of [{ headers: { Connection: "close" } }, { version: "1.0" }]) {
      const raw = await RawClient.connect(gateway);
      raw.send(plain("/main.js", options) + plain("/style.css"));
      const response = await raw.response();
      assert.deepEqual([response.body, response.headers.connection], ["export {};", "close"]);
      assert.equal(await raw.frame(), null);
      raw.destroy();
    }
    const raw = await RawClient.connect(gateway);
    raw.send(plain("/main.js", { version: "1.0", headers: { Connection: "keep-alive" } }) + plain("/style.css"));
    assert.equal((await raw.response()).headers.connection, "keep-alive");
    assert.equal((await raw.response()).body, "body {}");
    raw.destroy();
  });
});

describe("the page", () => {
  const types = {
    "/": /^text\/html/,
    "/index.html": /^text\/html/,
    "/main.js": /^text\/javascript/,
    "/style.css": /^text\/css/,
    "/deep/icon.svg": /^image\/svg\+xml/,
    "/notes.xyz": /^application\/octet-stream$/,
    "/main.js?v=2": /^text\/javascript/,
    "/deep/%69con.svg": /^image\/svg\+xml/,
  };
  for (const [path, type] of Object.entries(types)) {
    it(`${path} has its type and its guards`, async () => {
      const { status, headers } = await get(path);
      assert.equal(status, 200);
      assert.match(headers["content-type"], type);
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.match(headers["content-security-policy"], /default-src 'none'|default-src 'self'/);
      assert.ok(headers.etag);
    });
  }

  it("is told of its gateway", async () => {
    const other = await start({ args: ["--lobby", 'a "quoted" foyer', "--max-message-size", "1K"] });
    try {
      const read = (gateway) => fetch(`http://127.0.0.1:${gateway.port}/chat.json`);
      const response = await read(gateway);
      assert.equal(response.headers.get("content-type"), "application/json");
      assert.equal(response.headers.get("cache-control"), "no-store");
      assert.deepEqual(await response.json(), { lobby: "lobby", messageLimit: 65536 });
      assert.deepEqual(await (await read(other)).json(), { lobby: 'a "quoted" foyer', messageLimit: 1024 });
    } finally {
      await other.stop();
    }
  });

  it("is not sent again to those who have it", async () => {
    const { headers } = await get("/main.js");
    const again = await get("/main.js", { "If-None-Match": headers.etag });
    assert.equal(again.status, 304);
    assert.equal(again.body, "");
    assert.equal(again.headers.etag, headers.etag);
    for (const tags of ["*", `W/${headers.etag}`, `"other", ${headers.etag}`]) {
      assert.equal((await get("/main.js", { "If-None-Match": tags })).status, 304, tags);
    }
    for (const tags of ['"other"', "", headers.etag.slice(0, -1)]) {
      assert.equal((await get("/main.js", { "If-None-Match": tags })).status, 200, tags);
    }
    assert.notEqual((await get("/style.css")).headers.etag, headers.etag);
  });

  it("has a HEAD without a body, whatever the answer is", async () => {
    const expected = { "/main.js": 200, "/health": 200, "/ready": 200, "/nowhere": 404 };

    for (const port of [gateway.port, gateway.adminPort]) {
      const raw = await RawClient.connect({ port });
      for (const [path, status] of Object.entries({ ...expected, "/metrics": port === gateway.port ? 404 : 200 })) {
        raw.send(plain(path, { method: "HEAD" }) + plain("/health"));
        const response = await raw.response({ isHead: true });
        assert.equal(response.status, port === gateway.adminPort && path === "/main.js" ? 404 : status, path);
        assert.ok(Number(response.headers["content-length"]) > 0);
        assert.equal((await raw.response()).body, "alive\n", `what follows a HEAD of ${path}`);
      }
      raw.destroy();
    }
  });

  it("may have files that the kernel does not take at once, and that are above --send-queue-limit", async () => {
    const slow = await RawClient.connect(gateway);
    slow.socket.pause();
    slow.send(plain("/big.png"));
    assert.ok((await get("/big.png")).body === BIG);

    await bystanders.talk();
    slow.socket.resume();
    assert.ok((await slow.response()).body === BIG);
    slow.destroy();
  });

  it("is not piled up for those who ask again and again and read nothing", () =>
    bystanders.during(async () => {
      const greedy = await RawClient.connect(gateway);
      const requests = () => metric(gateway, "carillon_http_requests_total");
      const before = await requests();

      greedy.socket.pause();
      greedy.send(plain("/big.png"));
      await until(async () => (await requests()) === before + 1, "the first answer");
      greedy.send(plain("/big.png"));
      await until(async () => (await metric(gateway, "carillon_connections")) === 2, "the connection to end");
      greedy.destroy();
    }));

  for (const path of ["/../etc/passwd", "/%2e%2e/etc/passwd", "/deep/../../etc/passwd", "/..%2fetc%2fpasswd", "//etc/passwd", "/deep", "/main.js%00", "/%zz", "/deep/", "/main.js/", "/./main.js", "/deep/../main.js", "/\\..\\etc\\passwd"]) {
    it(`${path} leads nowhere`, async () => {
      const { status, body } = await get(path);
      assert.ok([400, 404].includes(status));
      assert.doesNotMatch(body, /root:|export/);
    });
  }

  it("is read only", async () => {
    for (const [path, port] of [["/main.js", gateway.port], ["/health", gateway.port], ["/metrics", gateway.adminPort]]) {
      for (const method of ["DELETE", "POST", "OPTIONS"]) {
        const { status, headers } = await answer(plain(path, { method }), port);
        assert.equal(status, 405, `${method} ${path}`);
        assert.match(headers.allow, /GET, HEAD/);
      }
    }
  });
});

describe("health", () => {
  const admin = (path) => fetch(`http://127.0.0.1:${gateway.adminPort}${path}`);

  it("is on both ports", async () => {
    for (const path of ["/health", "/ready"]) {
      assert.equal((await get(path)).status, 200);
      assert.equal((await admin(path)).status, 200);
    }
  });

  it("is on an admin port without the chat page and without WebSocket", async () => {
    for (const path of ["/index.html", "/main.js"]) assert.equal((await admin(path)).status, 404, path);
    for (const [path, status] of [["/", 200], ["/ws", 404]]) {
      assert.equal((await answer(request({ path }), gateway.adminPort)).status, status, path);
    }
  });

  it("/metrics is on the admin port alone, in Prometheus' format", async () => {
    assert.equal((await get("/metrics")).status, 404);
    const response = await admin("/metrics");
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type"), /^text\/plain; version=0\.0\.4/);
    for (const line of (await response.text()).trimEnd().split("\n")) {
      assert.match(line, /^(# (HELP|TYPE) carillon_\w+ .+|carillon_\w+(\{(,?\w+="[^"]*")+\})? [0-9.e+-]+)$/);
    }
  });
});
