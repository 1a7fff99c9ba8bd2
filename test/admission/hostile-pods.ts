/** Reviews of pods that are written to take long: one of a pod's texts or lists, or several, filled with the same thing over and over. */
import fc from "fast-check";

/** Makes a review's body of about so many bytes. What has a number in it differs from one `salt` to another. */
export type HostileReview = (bytes: number, salt: number) => string;

type Members = Record<string, unknown>;
type Container = Members & { env: readonly unknown[]; args: readonly unknown[] };

/** What floods are written into. */
interface Draft {
  readonly metadata: Members & { annotations: Members };
  readonly spec: Members & { containers: readonly unknown[]; volumes: readonly unknown[] };
  readonly builder: Container;
  /** Of the review's request. */
  readonly request: Members;
}

type Flood = (draft: Draft, bytes: number, salt: number) => void;

const KANIKO = "gcr.io/kaniko-project/executor";
const BUILDERS = [
  KANIKO,
  "docker",
  "moby/buildkit",
  "polyaxon/polyaxon-dockerizer",
  "quay.io/skopeo/stable",
  "nginx",
];

/** A body with one or several floods that share its bytes; the first container has the image of a builder. */
export function hostileReview(image: string, ...floods: readonly Flood[]): HostileReview {
  return (bytes, salt) => {
    const builder: Container = { name: "build", image, env: [], args: ["build", "buildctl"] };
    const draft: Draft = {
      metadata: { annotations: {} },
      spec: { containers: [builder], volumes: [] },
      builder,
      request: { namespace: "shop" },
    };
    for (const flood of floods) flood(draft, bytes / floods.length, salt);
    return JSON.stringify({
      kind: "AdmissionReview",
      apiVersion: "admission.k8s.io/v1",
      request: {
        uid: "63df8efa-f7e4-4bd9-8385-52e0c61edcc9",
        kind: { group: "", version: "v1", kind: "Pod" },
        operation: "CREATE",
        ...draft.request,
        object: { metadata: draft.metadata, spec: draft.spec },
      },
    });
  };
}

/** Each `#` becomes a number, another one every time. */
function numbered(template: string, number: number): string {
  return template.replaceAll("#", number.toString(36));
}

/** Not by `push`, which takes no list of 100,000 as its arguments. */
function append<K extends string>(
  object: Record<K, readonly unknown[]>,
  key: K,
  elements: readonly unknown[],
): void {
  object[key] = [...object[key], ...elements];
}

const TEXT_PLACES = {
  image: (draft, text) => {
    append(draft.spec, "containers", [{ image: text }]);
  },
  tag: (draft, text) => {
    append(draft.spec, "containers", [{ image: `nginx:${text}` }]);
  },
  digest: (draft, text) => {
    append(draft.spec, "containers", [{ image: `nginx@${text}` }]);
  },
  host: (draft, text) => {
    append(draft.spec, "containers", [{ image: `${text}.example.com/app` }]);
  },
  imageVolume: (draft, text) => {
    append(draft.spec, "volumes", [{ image: { reference: text } }]);
  },
  registries: (draft, text) => (draft.metadata.annotations["pullpass.dev/registries"] = text),
  injected: (draft, text) => (draft.metadata.annotations["pullpass.dev/injected"] = text),
  buildContainers: (draft, text) => (draft.metadata.annotations["pullpass.dev/build-containers"] = text),
  configPath: (draft, text) => (draft.metadata.annotations["pullpass.dev/docker-config-path"] = `/${text}`),
  annotation: (draft, text) => (draft.metadata.annotations["note"] = text),
  label: (draft, text) => (draft.metadata["labels"] = { "pullpass.dev/inject": text }),
  manager: (draft, text) => (draft.metadata["managedFields"] = [{ manager: text }]),
  owner: (draft, text) =>
    (draft.metadata["ownerReferences"] = [{ controller: true, kind: text, name: text }]),
  account: (draft, text) => (draft.spec["serviceAccountName"] = text),
  pullSecret: (draft, text) => (draft.spec["imagePullSecrets"] = [{ name: text }]),
  volume: (draft, text) => {
    append(draft.spec, "volumes", [{ name: text, secret: { secretName: text } }]);
  },
  namespace: (draft, text) => (draft.request["namespace"] = text),
  container: ({ builder }, text) => (builder["name"] = text),
  mountPath: ({ builder }, text) => (builder["volumeMounts"] = [{ mountPath: `/${text}` }]),
  devicePath: ({ builder }, text) => (builder["volumeDevices"] = [{ devicePath: `/${text}` }]),
  variable: ({ builder }, text) => {
    append(builder, "env", [{ name: text, value: "a" }]);
  },
  dockerConfig: ({ builder }, text) => {
    append(builder, "env", [{ name: "DOCKER_CONFIG", value: `/${text}x` }]);
  },
  authFile: ({ builder }, text) => {
    append(builder, "env", [{ name: "REGISTRY_AUTH_FILE", value: `/${text}x` }]);
  },
  home: ({ builder }, text) => {
    append(builder, "env", [{ name: "HOME", value: `/${text}` }]);
  },
  kanikoDirectory: ({ builder }, text) => {
    append(builder, "env", [{ name: "KANIKO_DIR", value: `/${text}` }]);
  },
  kanikoFlag: ({ builder }, text) => {
    append(builder, "args", [`--kaniko-dir=/${text}`]);
  },
  argument: ({ builder }, text) => {
    append(builder, "args", [text]);
  },
  destination: ({ builder }, text) => {
    append(builder, "args", ["-d", text, `--tag=${text}`]);
  },
  output: ({ builder }, text) => {
    append(builder, "args", [`--output=type=image,name=${text}`]);
  },
  script: ({ builder }, text) => (builder["command"] = ["sh", "-c", `build buildctl ${text}`]),
} satisfies Readonly<Record<string, (draft: Draft, text: string) => void>>;

const FRAGMENTS = [
  ...Array.from("a/:@,-._A0 \n\"'\\\u0001ü$[{}="),
  ...["a/", "a.", "a-", "a__", "a#", "a#.", "./", "/.", "../", "a,", "a#,", "*,", "a ", "a# ", "$(", "😀"],
  ...["-d ", "-da# ", "-d=a#/b ", "-t a#/b ", "login ", ".docker/", "name=a#,", "a;b|c&(d) "],
  ...['"object":{', '"managedFields":[', ']},"spec":{', 'object":{'],
];

/** Fills one text. */
export function textFlood(place: keyof typeof TEXT_PLACES, fragment: string): Flood {
  return (draft, bytes, salt) => {
    const count = Math.ceil(bytes / JSON.stringify(fragment).slice(1, -1).length);
    const parts = Array.from({ length: count }, (_, index) => numbered(fragment, salt + index));
    TEXT_PLACES[place](draft, parts.join("").slice(0, bytes));
  };
}

const LIST_PLACES = {
  containers: (draft, list) => {
    append(draft.spec, "containers", list);
  },
  namedContainers(draft, list) {
    append(draft.spec, "containers", list);
    draft.metadata.annotations["pullpass.dev/build-containers"] = "*";
  },
  initContainers: (draft, list) => (draft.spec["initContainers"] = list),
  volumes: (draft, list) => {
    append(draft.spec, "volumes", list);
  },
  pullSecrets(draft, list) {
    draft.spec["imagePullSecrets"] = list;
    draft.metadata.annotations["pullpass.dev/registries"] = "*";
  },
  projectedSources: (draft, list) => {
    append(draft.spec, "volumes", [{ name: "a", projected: { sources: list } }]);
  },
  ownerReferences: (draft, list) => (draft.metadata["ownerReferences"] = list),
  managedFields: (draft, list) => (draft.metadata["managedFields"] = list),
  annotations: (draft, list) => Object.assign(draft.metadata.annotations, keyed(list)),
  labels: (draft, list) => (draft.metadata["labels"] = keyed(list)),
  env: ({ builder }, list) => {
    append(builder, "env", list);
  },
  envFrom: ({ builder }, list) => (builder["envFrom"] = list),
  args: ({ builder }, list) => {
    append(builder, "args", list);
  },
  command: ({ builder }, list) => (builder["command"] = list),
  volumeMounts: ({ builder }, list) => (builder["volumeMounts"] = list),
  volumeDevices: ({ builder }, list) => (builder["volumeDevices"] = list),
} satisfies Readonly<Record<string, (draft: Draft, list: unknown[]) => void>>;

function keyed(list: readonly unknown[]): Members {
  return Object.fromEntries(list.map((value, index) => [`key-${index.toString()}`, value]));
}

const IMAGES = [
  ...["nginx", "docker", KANIKO, "quay.io/skopeo/stable", "", "Not/An/Image", "a#", "a#/docker"],
  ...["registry-#.example.com/team/app", "#.example.com/app", "#.dkr.ecr.#.amazonaws.com/app", "a.#/b"],
  ...["docker.io/a/#", "shared.example.com/team-1/#", "a.b.c.d.e.f.g.h/i/j/k/l/m/n/#"],
];

const anyContainer = fc.record(
  {
    name: fc.constantFrom("a", "a#", ""),
    image: fc.constantFrom<unknown>(...IMAGES, 7),
    args: fc.constantFrom([], ["-d", "a/#"], ["-da/#", "-db/#"], ["a b c d e f g h"], ["--destination", "a"]),
    env: fc.constantFrom([], [{ name: "HOME", value: "//" }], [{ name: "DOCKER_CONFIG", value: "/a" }]),
    volumeMounts: fc.constantFrom([], [{ mountPath: "/a" }], [{ mountPath: "/kaniko/.docker" }]),
  },
  { requiredKeys: ["image"] },
);

const anyElement = fc.oneof(
  { weight: 2, arbitrary: anyContainer },
  fc.constantFrom<unknown>(0, null, {}, [], "a", "a#", "login", "a b", "-d", "-da#", "--destination=a/#"),
  fc.constantFrom<unknown>("-otype=image,name=a/#", "-o", "-t#/b", "--kaniko-dir=/a", "--tag=#"),
  fc.constantFrom<unknown>({ name: "a" }, { name: "a#" }, { name: "#" }, { name: "HOME", value: "$(A)" }),
  fc.constantFrom<unknown>({ mountPath: "/a/#" }, { devicePath: "/a" }, { image: { reference: "a/#" } }),
  fc.constantFrom<unknown>({ name: "pullpass-build-#" }, { name: "pullpass-docker-#" }),
  fc.constantFrom<unknown>({ secret: { secretName: "docker-conf" } }, { secret: { name: "a#" } }),
  fc.constantFrom<unknown>({ name: "pullpass-build", secret: { secretName: "pullpass.build" } }),
  fc.constantFrom<unknown>({ projected: { sources: [{ secret: { name: "a#" } }] } }, { controller: false }),
);

/** Fills one list. */
export function listFlood(place: keyof typeof LIST_PLACES, element: unknown): Flood {
  const template = JSON.stringify(element);
  return (draft, bytes, salt) => {
    const count = Math.ceil(bytes / (template.length + 4 * (template.split("#").length - 1) + 1));
    const list = Array.from(
      { length: count },
      (_, index) => JSON.parse(numbered(template, salt + index)) as unknown,
    );
    LIST_PLACES[place](draft, list);
  };
}

function keysOf<K extends string>(object: Readonly<Record<K, unknown>>): readonly K[] {
  return Object.keys(object) as K[];
}

const anyFlood: fc.Arbitrary<{ readonly flood: Flood; readonly title: string }> = fc.oneof(
  fc
    .tuple(fc.constantFrom(...keysOf(TEXT_PLACES)), fc.constantFrom(...FRAGMENTS))
    .map(([place, fragment]) => ({
      flood: textFlood(place, fragment),
      title: `${place} of ${JSON.stringify(fragment)}`,
    })),
  fc.tuple(fc.constantFrom(...keysOf(LIST_PLACES)), anyElement).map(([place, element]) => ({
    flood: listFlood(place, element),
    title: `${place} of ${JSON.stringify(element)}`,
  })),
);

/** With a title that says what is in it, since a body of 100 KiB does not. */
export const anyHostileReview: fc.Arbitrary<readonly [title: string, review: HostileReview]> = fc
  .tuple(fc.constantFrom(...BUILDERS), fc.array(anyFlood, { minLength: 1, maxLength: 3 }))
  .map(([image, floods]) => [
    `${image}, ${floods.map(({ title }) => title).join(", ")}`,
    hostileReview(image, ...floods.map(({ flood }) => flood)),
  ]);
