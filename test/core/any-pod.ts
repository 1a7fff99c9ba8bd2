/** Pods as an attacker or a broken client writes them, some of them good. */
import fc from "fast-check";

/** Keys that have hurt programs in JavaScript, and ours. */
const anyKey = fc.oneof(
  fc.constantFrom("__proto__", "constructor", "toString", "a/b", "~", "", "pullpass.dev/injected"),
  fc.string(),
);

const anyImage = fc.oneof(
  fc.constantFrom(
    "nginx",
    "registry.example.com/team-a/app:v1",
    "127.0.0.1:5000/private/app",
    "",
    "Bad/Image:",
    "gcr.io/kaniko-project/executor:slim",
    "docker:cli",
    "polyaxon/polyaxon-dockerizer",
    "quay.io/skopeo/stable",
  ),
  fc.string({ unit: "binary" }),
);

const someText = fc.oneof(
  fc.string(),
  fc.constantFrom("*", "hub", "team-a,hub", "disabled", "enabled", "regcred"),
);
const annotations = fc.dictionary(
  fc.oneof(
    anyKey,
    fc.constantFrom(
      "pullpass.dev/registries",
      "pullpass.dev/build-containers",
      "pullpass.dev/docker-config-path",
      "kubernetes.io/config.mirror",
    ),
  ),
  fc.oneof(someText, fc.jsonValue()),
);

/** Now and then something of another type. */
function mostly<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 9, arbitrary }, { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) });
}

const path = fc.constantFrom("/kaniko/.docker", "/root", "/pullpass/docker/", "/data", ".docker");
const volumeName = fc.constantFrom("pullpass-build", "pullpass-build-2", "pullpass-docker", "data");
const variable = fc.record(
  {
    name: fc.constantFrom("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "HOME", "A"),
    value: fc.oneof(path, fc.constant("$(A)")),
  },
  { requiredKeys: ["name"] },
);
const container = fc.record(
  {
    name: fc.oneof(fc.string(), fc.constant("hub")),
    image: anyImage,
    args: mostly(
      fc.array(fc.oneof(fc.string(), fc.constantFrom("-d", "quay.io/a/b", "build")), { maxLength: 3 }),
    ),
    env: mostly(fc.option(fc.array(mostly(variable), { maxLength: 2 }))),
    volumeMounts: mostly(
      fc.option(fc.array(mostly(fc.record({ name: volumeName, mountPath: path })), { maxLength: 2 })),
    ),
  },
  { requiredKeys: [] },
);

export const anyPod: fc.Arbitrary<unknown> = mostly(
  fc.record(
    {
      metadata: mostly(
        fc.record(
          {
            name: fc.string(),
            labels: mostly(fc.dictionary(fc.oneof(anyKey, fc.constant("pullpass.dev/inject")), someText)),
            annotations: mostly(fc.oneof(annotations, fc.constant(null))),
          },
          { requiredKeys: [] },
        ),
      ),
      spec: mostly(
        fc.record(
          {
            containers: mostly(fc.array(mostly(container), { maxLength: 4 })),
            initContainers: mostly(fc.array(mostly(container), { maxLength: 2 })),
            volumes: mostly(
              fc.array(
                mostly(
                  fc.record(
                    {
                      name: volumeName,
                      image: mostly(fc.record({ reference: anyImage }, { requiredKeys: [] })),
                      emptyDir: fc.constant({}),
                      secret: fc.record({ secretName: fc.constantFrom("pullpass.build", "mine") }),
                    },
                    { requiredKeys: [] },
                  ),
                ),
                {
                  maxLength: 2,
                },
              ),
            ),
            imagePullSecrets: mostly(
              fc.oneof(
                fc.array(mostly(fc.record({ name: someText }, { requiredKeys: [] })), { maxLength: 3 }),
                fc.constant(null),
              ),
            ),
          },
          { requiredKeys: [] },
        ),
      ),
    },
    { requiredKeys: [] },
  ),
);
