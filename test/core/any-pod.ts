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
  ),
  fc.string({ unit: "binary" }),
);

const someText = fc.oneof(
  fc.string(),
  fc.constantFrom("*", "hub", "team-a,hub", "disabled", "enabled", "regcred"),
);
const annotations = fc.dictionary(
  fc.oneof(anyKey, fc.constantFrom("pullpass.dev/registries", "kubernetes.io/config.mirror")),
  fc.oneof(someText, fc.jsonValue()),
);
const container = fc.record({ name: fc.string(), image: anyImage }, { requiredKeys: [] });

/** Now and then something of another type. */
function mostly<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 9, arbitrary }, { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) });
}

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
                  fc.record({ image: mostly(fc.record({ reference: anyImage }, { requiredKeys: [] })) }),
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
