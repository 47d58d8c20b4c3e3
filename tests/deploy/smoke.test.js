// What deploy/smoke goes by, and what it says where it can do nothing. The rest of it takes a Docker engine.

import assert from "node:assert/strict";
import { join } from "node:path";
import { it } from "node:test";

import { problemsIn } from "../smoke/pieces.js";
import { TOP, run } from "./package.js";

const ADA = ["ada/1/0", "bob/1/0", "ada/1/1", "bob/1/1", "ada/1/2"];
const heard = (...pieces) => problemsIn([{ name: "ada", pieces: [ADA] }, { name: "bob", pieces }]).join("; ");

it("people who were given unbroken pieces of one order have nothing to complain of", () => {
  assert.equal(heard(ADA), "");
  assert.equal(heard(ADA.slice(0, 2), ADA.slice(3)), ""); // what came between two connections nobody can know
  assert.equal(heard(ADA.slice(1, 3), [], [...ADA.slice(3), "bob/2/2"]), "");
});

it("a message that one of them missed is found", () => {
  assert.match(heard([...ADA.slice(0, 2), ...ADA.slice(3)]), /after bob\/1\/0 bob heard bob\/1\/1, somebody else ada\/1\/1/);
});

it("a message that came twice is found, on one connection or on two", () => {
  assert.match(heard([...ADA.slice(0, 2), ADA[1], ...ADA.slice(2)]), /bob heard twice: bob\/1\/0/);
  assert.match(heard(ADA.slice(0, 3), ADA.slice(2)), /bob heard twice: ada\/1\/1/);
});

it("two orders are found, and a message that overtook one of the same connection", () => {
  assert.match(heard([ADA[1], ADA[0], ...ADA.slice(2)]), /somebody else/);
  assert.match(heard(["ada/2/8", "ada/2/7"]), /bob heard ada\/2\/7 after 8/);
});

it("without an engine it says loudly that nothing was tried", async () => {
  const env = { ...process.env, DOCKER_HOST: "unix:///nonexistent/docker.sock" };
  const { code, stdout } = await run(join(TOP, "deploy/smoke"), [], { env });

  assert.equal(code, 0);
  assert.match(stdout, /^THE SMOKE TEST IS SKIPPED: there is no Docker engine here$/m);
  assert.match(stdout, /\n0 passed, 0 failed, 1 skipped\n$/);
});
