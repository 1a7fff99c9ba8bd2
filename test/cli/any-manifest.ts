/** Manifests of random pods, written in random styles. */
import fc from "fast-check";
import { Document, isMap, isSeq, LineCounter, visit } from "yaml";
import { parseYaml } from "../../src/config/parse-yaml.ts";

const image = fc.constantFrom(
  "nginx",
  "registry.example.com/team-a/app:v1",
  "ghcr.io/app",
  "Bad/Image:",
  "quay.io/x",
  "gcr.io/kaniko-project/executor",
  "docker:cli",
);
const scalar = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.constantFrom(
    "null",
    "7",
    "yes",
    "multi\nline\n",
    "- a",
    "a: b",
    "# no comment",
    "trailing ",
    "'",
    '"',
    "{}",
  ),
);
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,6}$/);
const metadata = fc.record(
  {
    name,
    labels: fc.dictionary(name, scalar, { maxKeys: 2 }),
    annotations: fc.option(fc.dictionary(name, scalar, { maxKeys: 2 })),
  },
  { requiredKeys: [] },
);
const podSpec = fc.record(
  {
    priority: fc.integer(),
    imagePullSecrets: fc.option(
      fc.array(fc.record({ name: fc.constantFrom("mine", "hub-creds") }), { maxLength: 2 }),
    ),
    initContainers: fc.array(fc.record({ image }), { maxLength: 1 }),
    containers: fc.array(
      fc.record(
        {
          name,
          image,
          args: fc.array(scalar, { maxLength: 2 }),
          env: fc.option(fc.array(fc.record({ name, value: scalar }), { maxLength: 1 })),
          volumeMounts: fc.array(fc.record({ name, mountPath: fc.constant("/data") }), { maxLength: 1 }),
        },
        { requiredKeys: ["image"] },
      ),
      { maxLength: 2 },
    ),
    volumes: fc.option(fc.array(fc.record({ name }), { maxLength: 1 })),
    restartPolicy: fc.constantFrom("Always", "Never"),
  },
  { requiredKeys: [] },
);
const template = fc.record({ metadata: fc.option(metadata), spec: podSpec }, { requiredKeys: ["spec"] });

const pod = fc.record({ apiVersion: fc.constant("v1"), kind: fc.constant("Pod"), metadata, spec: podSpec });
const workload = fc.record({
  apiVersion: fc.constant("apps/v1"),
  kind: fc.constantFrom("Deployment", "DaemonSet"),
  metadata,
  spec: fc.record({ template, replicas: fc.nat() }, { requiredKeys: ["template"] }),
});
const single = fc.oneof(pod, workload, fc.record({ kind: name, data: fc.dictionary(name, scalar) }));
const list = fc.record({
  apiVersion: fc.constant("v1"),
  kind: fc.constant("List"),
  items: fc.array(single, { maxLength: 3 }),
});

/** Members in any order, since that moves what an edit has to find. */
function shuffled(value: unknown, rotate: number): unknown {
  if (Array.isArray(value)) return value.map((element) => shuffled(element, rotate));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, child]) => [key, shuffled(child, rotate)] as const);
  const cut = entries.length === 0 ? 0 : rotate % entries.length;
  return Object.fromEntries([...entries.slice(cut), ...entries.slice(0, cut)]);
}

interface Style {
  readonly rotate: number;
  readonly indent: number;
  readonly indentSeq: boolean;
  readonly flowEvery: number;
  readonly commentEvery: number;
  readonly isJson: boolean;
  readonly newline: string;
}
const style: fc.Arbitrary<Style> = fc.record({
  rotate: fc.nat(6),
  indent: fc.integer({ min: 1, max: 5 }),
  indentSeq: fc.boolean(),
  flowEvery: fc.integer({ min: 2, max: 30 }),
  commentEvery: fc.integer({ min: 2, max: 30 }),
  isJson: fc.boolean(),
  newline: fc.constantFrom("\n", "\n", "\r\n"),
});

function write(
  value: unknown,
  { rotate, indent, indentSeq, flowEvery, commentEvery, isJson, newline }: Style,
): string {
  const ordered = shuffled(value, rotate);
  if (isJson) return JSON.stringify(ordered, null, rotate % 2 === 0 ? indent : 0);
  const document = new Document(ordered);
  let count = 0;
  visit(document, {
    Collection(_key, node) {
      count++;
      if ((isMap(node) || isSeq(node)) && count % flowEvery === 0) node.flow = true;
    },
    Scalar(_key, node) {
      count++;
      if (count % commentEvery === 0) node.comment = ` comment ${count.toString()}`;
      if (count % (commentEvery + 1) === 0) node.commentBefore = ` before ${count.toString()}`;
    },
  });
  return document.toString({ indent, indentSeq, lineWidth: 0 }).replaceAll("\n", newline);
}

/** The text of a file of up to three documents. */
export const anyManifests: fc.Arbitrary<string> = fc
  .array(fc.tuple(fc.oneof(single, list), style), { minLength: 1, maxLength: 3 })
  .map((documents) => documents.map(([value, how]) => write(value, how)).join("\n---\n"))
  // The library does not always find a place for a comment where it can be read again.
  .filter((text) => parseYaml(text, new LineCounter()).every(({ errors }) => errors.length === 0));
