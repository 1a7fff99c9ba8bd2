/** Manifests of random pods, written in random styles. */
import fc from "fast-check";
import { Document, isMap, isSeq, visit } from "yaml";
import { parseManifests } from "../../src/manifest/parse-manifests.ts";

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
    volumes: fc.option(fc.array(fc.record({ name, emptyDir: fc.constant(null) }), { maxLength: 1 })),
    restartPolicy: fc.constantFrom("Always", "Never"),
  },
  { requiredKeys: [] },
);
const template = fc.record({ metadata: fc.option(metadata), spec: podSpec }, { requiredKeys: ["spec"] });
/** Parts that several pods of a document share: an anchor and its aliases. */
const sharedSpec = { priority: 7, containers: [{ name: "shared", image: "nginx" }] };
const sharedMetadata = { name: "shared", labels: { a: "b" } };

const pod = fc.record({
  apiVersion: fc.constant("v1"),
  kind: fc.constant("Pod"),
  metadata: fc.oneof(metadata, fc.constant(sharedMetadata)),
  spec: fc.oneof(podSpec, fc.constant(sharedSpec)),
});
const workload = fc.record({
  apiVersion: fc.constantFrom("apps/v1", "argoproj.io/v1alpha1"),
  kind: fc.constantFrom("Deployment", "DaemonSet", "Rollout"),
  metadata,
  spec: fc.record({ template, replicas: fc.nat() }, { requiredKeys: ["template"] }),
});
const trainingJob = fc.record({
  apiVersion: fc.constant("kubeflow.org/v1"),
  kind: fc.constant("TFJob"),
  spec: fc.record({ tfReplicaSpecs: fc.dictionary(name, fc.record({ template }), { maxKeys: 2 }) }),
});
const other = fc.record({
  kind: name,
  metadata: fc.constant(sharedMetadata),
  data: fc.dictionary(name, scalar),
});
const single = fc.oneof(pod, workload, trainingJob, other);
const list = fc.record({
  apiVersion: fc.constant("v1"),
  kind: fc.constant("List"),
  items: fc.array(single, { maxLength: 3 }),
});

/** Members in any order, since that moves what an edit has to find. What is shared stays shared. */
function shuffled(value: unknown, rotate: number, done = new Map<unknown, unknown>()): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (done.has(value)) return done.get(value);
  const result = shuffle(value, rotate, done);
  done.set(value, result);
  return result;
}

function shuffle(value: object, rotate: number, done: Map<unknown, unknown>): unknown {
  if (Array.isArray(value)) return value.map((element) => shuffled(element, rotate, done));
  const entries = Object.entries(value).map(([key, child]) => [key, shuffled(child, rotate, done)] as const);
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
  readonly nullStr: string;
  readonly end: string;
}
const style: fc.Arbitrary<Style> = fc
  .record({
    rotate: fc.nat(6),
    indent: fc.integer({ min: 1, max: 5 }),
    indentSeq: fc.boolean(),
    flowEvery: fc.integer({ min: 2, max: 30 }),
    commentEvery: fc.integer({ min: 2, max: 30 }),
    isJson: fc.boolean(),
    nullStr: fc.constantFrom("null", "~", ""),
    end: fc.constantFrom("", "", "\n\n", "# the end", "...\n", "...\n# after the end\n"),
  })
  // In brackets kubectl takes the colon of a key without a value for a part of the key.
  .map((chosen) => (chosen.nullStr === "" ? { ...chosen, flowEvery: Infinity } : chosen));

function write(
  value: unknown,
  { rotate, indent, indentSeq, flowEvery, commentEvery, isJson, nullStr, end }: Style,
): string {
  const ordered = shuffled(value, rotate);
  if (isJson) return JSON.stringify(ordered, null, rotate % 2 === 0 ? indent : rotate % 3 === 0 ? "\t" : 0);
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
  return document.toString({ indent, indentSeq, nullStr, lineWidth: 0 }) + end;
}

/** The text of a file of up to three documents. */
export const anyManifests: fc.Arbitrary<string> = fc
  .record({
    documents: fc.array(fc.tuple(fc.oneof(single, list), style), { minLength: 1, maxLength: 3 }),
    separator: fc.constantFrom("\n---\n", "\n--- # next\n\n", "\n---\n# next\n---\n"),
    newline: fc.constantFrom("\n", "\n", "\r\n", "\r"),
    mark: fc.constantFrom("", "", "\ufeff"),
    isClosed: fc.boolean(),
  })
  .map(({ documents, separator, newline, mark, isClosed }) => {
    const text = documents.map(([value, how]) => write(value, how)).join(separator);
    return mark + (isClosed ? `${text}\n` : text.replace(/\n$/, "")).replaceAll("\n", newline);
  })
  // The library does not always find a place for a comment where it can be read again.
  .filter((text) => parseManifests({ name: "", text }).every(({ fault }) => fault === undefined));
