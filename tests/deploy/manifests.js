// The manifests of deploy/kubernetes as kubectl renders them, and what the schemas of the API say of them.

import { appendFile, cp, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";

import { parseAllDocuments } from "yaml";

import { TOP, run, succeed } from "./package.js";

const MODULES = {
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator/",
  "gateway.networking.k8s.io": "@kubernetes-models/gateway-api/",
};
const API = "kubernetes-models/";
const API_FOLDER = join(TOP, "tests/node_modules/kubernetes-models");

const parse = (text) => parseAllDocuments(text).map((document) => document.toJS({ merge: true }));

export async function canRender() {
  return (await run("kubectl", ["kustomize", "--help"])).code === 0;
}

// A copy of the manifests to render from: the files that hold secrets, or what is known of one cluster alone, are not in
// the repository.
export class Manifests {
  static async copyTo(folder) {
    const manifests = new Manifests();

    manifests.folder = join(folder, "kubernetes");
    await cp(join(TOP, "deploy/kubernetes"), manifests.folder, { recursive: true, filter: (path) => !isMade(path) });
    return manifests;
  }

  // The file that a README has people make.
  async make(file, text) {
    await writeFile(join(this.folder, file), text);
  }

  async addComponent(overlay, component) {
    await appendFile(join(this.folder, overlay, "kustomization.yaml"), `components: [../${component}]\n`);
  }

  // The objects of an overlay.
  async render(overlay) {
    return parse(await succeed("kubectl", ["kustomize", join(this.folder, overlay)]));
  }
}

const isMade = (path) => ["bus.env", "router.secret", "proxy.env"].includes(basename(path));

export async function readObjects(path) {
  return parse(await readFile(join(TOP, "deploy/kubernetes", path), "utf8"));
}

export function named(objects, kind, name) {
  return objects.find((object) => object.kind === kind && object.metadata.name === name);
}

// What is wrong with an object, as a list.
export async function problemsOf(object) {
  const group = object.apiVersion.includes("/") ? object.apiVersion.split("/")[0] : "";
  const module = (MODULES[group] ?? API) + object.apiVersion;
  const model = (await import(module))[object.kind];
  const where = `${object.kind} ${object.metadata.name}`;

  if (!model) return [`${where}: there is no such kind`];
  const problems = [];
  try {
    new model(object).validate();
  } catch (error) {
    problems.push(`${where}: ${error.message}`);
  }
  if (MODULES[group]) return problems;
  const file = join(API_FOLDER, object.apiVersion, `${object.kind}.d.ts`);
  return [...problems, ...(await unknownFields(object, file, where))];
}

// The schemas allow fields that they do not know; the API's types, as they are declared, do not. Yields the path of
// each field that has no declaration.
async function unknownFields(value, file, path) {
  const text = await readFile(file, "utf8");
  const imports = new Map(
    [...text.matchAll(/^import \{ (.+?) \} from "(.+?)";/gm)].flatMap(([, names, from]) =>
      names.split(", ").map((name) => [name, from]),
    ),
  );
  const body = text.match(/^export interface [^{]*\{\n(.*?)^\}/ms)?.[1] ?? "";
  const fields = new Map([...body.matchAll(/^ {4}"(\S+?)"\??: (.+)$/gm)].map(([, name, type]) => [name, type]));
  const unknown = [];

  for (const [key, inner] of Object.entries(value)) {
    const type = fields.get(key);
    if (!type) {
      unknown.push(`${path}: unknown field ${key}`);
      continue;
    }
    const name = type.match(/\bII\w+/)?.[0];
    // Of labels, quantities and the like the schema has said enough.
    if (!imports.has(name) || /\[key: string\]/.test(type)) continue;
    const target = locate(imports.get(name), dirname(file));
    for (const item of [inner].flat()) {
      if (item !== null && typeof item === "object") {
        unknown.push(...(await unknownFields(item, target, `${path}.${key}`)));
      }
    }
  }
  return unknown;
}

const require = createRequire(import.meta.url);

function locate(from, folder) {
  if (from.startsWith(".")) return join(folder, from.replace(/\.js$/, ".d.ts"));
  const [scope, name, ...rest] = from.split("/");
  return join(dirname(require.resolve(`${scope}/${name}/package.json`)), `${rest.join("/")}.d.ts`);
}
