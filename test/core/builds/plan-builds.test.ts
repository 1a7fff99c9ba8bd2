import { describe, expect, it } from "vitest";
import type { JsonObject, Pod, PodContext } from "../../../src/core/kubernetes.ts";
import { planBuilds, type BuildPlan } from "../../../src/core/builds/plan-builds.ts";
import type { ConfiguredBuilder } from "../../../src/core/builds/builders.ts";
import { lookUpImages } from "../../../src/core/pod.ts";
import { indexRegistries, type Registry } from "../../../src/core/registry.ts";
import { WarningList } from "../../../src/core/warning.ts";
import { makeRegistry } from "../make-registry.ts";

const HUB = makeRegistry("hub", "docker.io");
const TEAM_A = makeRegistry("team-a", "registry.example.com/team-a");
const LIMITED = makeRegistry("limited", "quay.io", { namespaces: { matchLabels: { team: "b" } } });
const connection = (name: string, address: string, directory: string, secretName = "docker-conf"): Registry =>
  makeRegistry(name, address, { secretName, buildSource: { kind: "own-secret", directory } });
const FOR_KANIKO = connection("poly-kaniko", "my.registry.com/org", "/kaniko/.docker");
const FOR_ROOT = connection("poly-root", "my.registry.com", "/root/.docker", "root-conf");

const CONTEXT: PodContext = { namespace: { isOptedIn: true, labels: {} }, serviceAccount: undefined };
const KANIKO = { name: "build", image: "gcr.io/kaniko-project/executor" };
const SKOPEO = { name: "build", image: "quay.io/skopeo/stable" };
const BUILDKIT = { name: "build", image: "moby/buildkit" };
const DOCKERIZER = { name: "build", image: "polyaxon/polyaxon-dockerizer" };
const BUILDAH = { name: "build", image: "quay.io/buildah/stable" };
const DOCKER = { name: "build", image: "docker:cli", args: ["push"] };

interface Planned extends BuildPlan {
  readonly warnings: readonly string[];
}

function plan(
  container: JsonObject | readonly JsonObject[],
  registries: readonly Registry[] = [HUB, TEAM_A],
  {
    annotations = {},
    spec = {},
    context = CONTEXT,
    builders = [],
  }: {
    annotations?: object;
    spec?: object;
    context?: PodContext;
    builders?: readonly ConfiguredBuilder[];
  } = {},
): Planned {
  const containers = Array.isArray(container) ? (container as readonly JsonObject[]) : [container];
  const pod: Pod = { metadata: { annotations }, spec: { containers, ...spec } };
  const index = indexRegistries(registries, builders);
  const warnings = new WarningList();
  return {
    ...planBuilds(pod, lookUpImages(pod, index), context, index, warnings),
    warnings: warnings.texts(),
  };
}

/** `skip reason` or `mount secret at directory for registries`. */
function outcomesOf({ findings }: BuildPlan): readonly string[] {
  return findings.map(({ outcome }) =>
    outcome.kind === "skip"
      ? `skip ${outcome.reason}`
      : `mount ${outcome.secretName} at ${outcome.directory} for ${outcome.registries.map(({ name }) => name).join(",")}`,
  );
}

const MERGED = "mount pullpass.build at /kaniko/.docker for hub,team-a";
const env = (name: string, value: string): JsonObject => ({ env: [{ name, value }] });

describe("planBuilds", () => {
  it("README example", () => {
    const { findings, injection, warnings } = plan({
      ...KANIKO,
      args: ["-d", "registry.example.com/team-a/app:v1"],
    });
    expect(findings).toEqual([
      {
        list: "containers",
        position: 0,
        container: "build",
        builder: "kaniko",
        recognisedBy: "its image ends in kaniko-project/executor",
        outcome: {
          kind: "mount",
          secretName: "pullpass.build",
          directory: "/kaniko/.docker",
          registries: [HUB, TEAM_A],
          volumeMounts: [{ name: "pullpass-build", mountPath: "/kaniko/.docker", readOnly: true }],
          env: [{ name: "DOCKER_CONFIG", value: "/kaniko/.docker" }],
        },
        destinations: [{ repository: "registry.example.com/team-a/app", registries: [TEAM_A] }],
      },
    ]);
    expect(injection).toEqual({
      registries: [HUB, TEAM_A],
      volumes: [
        {
          name: "pullpass-build",
          secret: {
            secretName: "pullpass.build",
            items: [{ key: ".dockerconfigjson", path: "config.json" }],
            defaultMode: 0o444,
          },
        },
      ],
      findings,
    });
    expect(warnings).toEqual([]);
  });

  // In the order of the table above `skipReasonOf`.
  it.each([
    ["env is no list", { ...KANIKO, env: {} }, "skip unknown-shape"],
    ["volumeMounts are no list", { ...KANIKO, volumeMounts: "a" }, "skip unknown-shape"],
    [
      "it mounts its own",
      { ...KANIKO, volumeMounts: [{ name: "a", mountPath: "/kaniko" }] },
      "skip mounts-there",
    ],
    ["it logs in", { ...KANIKO, command: ["sh", "-c", "/kaniko/executor login"] }, "skip brings-its-own"],
    [
      "it writes the file",
      { ...KANIKO, args: ["echo $AUTH >/kaniko/.docker/config.json"] },
      "skip brings-its-own",
    ],
    ["it names a file", { ...SKOPEO, args: ["copy", "--authfile", "/a"] }, "skip brings-its-own"],
    [
      "a registry and an image have such words in their names",
      { ...KANIKO, args: ["-d", "docker.io/a/login-service", "--registry-mirror=index.docker.io"] },
      MERGED,
    ],
    [
      "it mounts its own where docker looks",
      { ...DOCKER, volumeMounts: [{ name: "a", mountPath: "/root/.docker" }] },
      "skip brings-its-own",
    ],
    [
      "it mounts its own where buildah looks",
      { ...BUILDAH, args: ["buildah"], volumeMounts: [{ mountPath: "/root/.config/containers/" }] },
      "skip brings-its-own",
    ],
    [
      "Tekton brings them",
      { ...BUILDAH, args: ["-docker-config=pusher", "-entrypoint", "buildah", "--", "push"] },
      "skip brings-its-own",
    ],
    [
      "kpack brings them",
      { image: "buildpacksio/lifecycle", args: ["-dockerconfig=/var/a", "/cnb/lifecycle/exporter"] },
      "skip brings-its-own",
    ],
    ["it does not run the builder", { ...KANIKO, command: ["sleep", "99d"] }, "skip builder-not-run"],
    [
      "the variable says another place",
      { ...KANIKO, ...env("DOCKER_CONFIG", "/mine") },
      "skip sets-the-variable",
    ],
    [
      "nobody knows the variable",
      { ...KANIKO, ...env("DOCKER_CONFIG", "$(MINE)") },
      "skip sets-the-variable",
    ],
    ["the variable says the same", { ...KANIKO, ...env("DOCKER_CONFIG", "/kaniko/.docker/") }, MERGED],
    [
      "the variable leads away from the home",
      { ...DOCKERIZER, ...env("DOCKER_CONFIG", "/mine") },
      "skip sets-the-variable",
    ],
    ["envFrom may set what is needed", { ...SKOPEO, envFrom: [{}] }, "skip may-set-the-variable"],
    ["envFrom may set what the image sets", { ...KANIKO, envFrom: [{}] }, MERGED],
  ])("where %s: %2$s", (_title, container, expected) => {
    expect(outcomesOf(plan(container))).toEqual([expected]);
  });

  const TEKTON = ["/tekton/bin/entrypoint"];
  const GITLAB = [
    "sh",
    "-c",
    "if [ -x /bin/bash ]; then\n\texec /bin/bash\nelse\n\texec /busybox/sh\nfi\n\n",
  ];
  const PROGRAM = "a program of its own";

  // In the order of the table above `runsBuilder`.
  it.each([
    ["a builder of the configuration", { image: "tools/builder", command: ["sleep", "99d"] }, true],
    [PROGRAM, { ...KANIKO, command: ["/kaniko/executor"] }, true],
    [PROGRAM, { ...KANIKO, command: ["executor", "--context=."] }, true],
    [PROGRAM, { ...KANIKO, command: ["sh", "-c", "/kaniko/executor --context ."] }, true],
    [
      PROGRAM,
      { ...KANIKO, command: TEKTON, args: ["-entrypoint", "/kaniko/executor", "--", "-c", "."] },
      true,
    ],
    [PROGRAM, { ...BUILDAH, command: TEKTON, args: ["-entrypoint", "buildah", "--", "bud", "."] }, true],
    [PROGRAM, { ...BUILDAH, args: ["bash", "-c", "set -e\nbuildah bud .\nbuildah push a"] }, true],
    [PROGRAM, { ...DOCKER, command: ["sh", "-c", 'id=$(docker build -q .); docker push "$id"'] }, true],
    [PROGRAM, { ...DOCKER, command: ["/usr/local/bin/docker", "push"] }, true],
    [PROGRAM, { ...DOCKER, command: ["sh"], args: ["-ec", "cd /a&&'docker' push b"] }, true],
    [PROGRAM, { ...BUILDKIT, command: ["sh", "-c", "buildctl-daemonless.sh build"] }, true],
    [PROGRAM, { ...DOCKERIZER, command: ["python3", "-u", "dockerizer/build_cmd.py"] }, true],
    ["a shell that reads its script", { ...DOCKER, command: GITLAB }, false],
    ["a shell that reads its script", { ...KANIKO, command: GITLAB }, false],
    ["nothing yet", { ...DOCKER, command: ["sleep"], args: ["99d"] }, false],
    ["nothing yet", { ...KANIKO, command: ["/busybox/cat"], tty: true }, false],
    ["nothing yet", { ...BUILDKIT, command: ["sleep", "infinity"] }, false],
    ["a script that stands elsewhere", { ...DOCKER, command: ["sh", "/scripts/docker.sh"] }, false],
    [
      "a script that stands elsewhere",
      { ...BUILDAH, command: TEKTON, args: ["-entrypoint", "/tekton/scripts/script-0-x7k2p", "--", "A=b"] },
      false,
    ],
    ["what only the cluster knows", { ...KANIKO, command: ["$(BUILDER)"] }, false],
    ["a program whose name ends the same", { ...DOCKER, command: ["my-docker", "--of=/docker"] }, false],
    ["its image's entrypoint", { ...KANIKO, command: [] }, true],
    ["its image's entrypoint", { ...SKOPEO, args: ["copy"] }, true],
    ["its image's entrypoint", { ...DOCKERIZER, args: ["-c", "/ctx"] }, true],
    ["its image's entrypoint", { ...DOCKER, args: ["push", "acme/app"] }, true],
    ["a shell", { ...DOCKER, args: [], tty: true, stdin: true }, false],
    ["a shell that reads its script", { ...DOCKER, args: GITLAB }, false],
    ["a daemon", { ...DOCKER, image: "docker:28-dind", args: ["--mtu=1400"] }, false],
    ["a daemon", { ...BUILDKIT, args: ["--addr", "tcp://0.0.0.0:1234"] }, false],
    ["a daemon", { ...BUILDKIT, command: ["rootlesskit", "buildkitd"] }, false],
    ["nothing that is known", BUILDAH, false],
  ])("where it runs %s, %j: %s", (_title, container, isRun) => {
    const builders = [{ name: "ours", images: ["tools/builder"], dockerConfigPath: "/b" }];
    const [finding] = plan(container, [HUB], { builders }).findings;
    expect(finding?.outcome).toMatchObject(
      isRun ? { kind: "mount" } : { kind: "skip", reason: "builder-not-run" },
    );
  });

  it("sets no variable that envFrom may set, nor one that is right already", () => {
    for (const rest of [{ envFrom: [{}] }, env("DOCKER_CONFIG", "/kaniko/.docker")]) {
      expect(plan({ ...KANIKO, ...rest }).findings).toMatchObject([{ outcome: { kind: "mount", env: [] } }]);
    }
  });

  it("leaves a pod alone whose volumes are no list", () => {
    expect(outcomesOf(plan(KANIKO, [HUB], { spec: { volumes: {} } }))).toEqual(["skip unknown-shape"]);
  });

  it("finds builders among init containers, without a name too, and passes over what is no container", () => {
    const spec = { initContainers: [null, { image: "martizih/kaniko" }] };
    const { findings, injection } = plan([KANIKO, { name: "app", image: "nginx" }, { name: "none" }], [HUB], {
      spec,
    });
    expect(findings.map(({ container, position }) => [container, position])).toEqual([
      ["spec.initContainers[1]", 1],
      ["build", 0],
    ]);
    expect(injection?.volumes).toHaveLength(1);
  });

  it("gives what writes beside config.json directories to write to, each container its own", () => {
    const { injection } = plan([DOCKER, { ...DOCKER, name: "second" }]);
    const mounts = injection?.findings.map(({ outcome }) => outcome.volumeMounts);
    const secret = { name: "pullpass-build", mountPath: "/pullpass/docker", readOnly: true };
    const beside = (name: string) => [
      { name, mountPath: "/pullpass/docker/buildx", subPath: "buildx" },
      { name, mountPath: "/pullpass/docker/contexts", subPath: "contexts" },
      { name, mountPath: "/pullpass/docker/manifests", subPath: "manifests" },
    ];
    expect(mounts).toEqual([
      [secret, ...beside("pullpass-docker")],
      [secret, ...beside("pullpass-docker-2")],
    ]);
    expect(injection?.volumes).toMatchObject([
      { name: "pullpass-build" },
      { name: "pullpass-docker", emptyDir: {} },
      { name: "pullpass-docker-2", emptyDir: {} },
    ]);
  });
});

describe("more than any real pod has", () => {
  const builders = (count: number): readonly JsonObject[] => Array.from({ length: count }, () => KANIKO);

  it("of builders: 32 are given directories, and of one more none is, with one warning", () => {
    expect(plan(builders(32)).injection?.findings).toHaveLength(32);
    const { findings, injection, warnings } = plan(builders(1000));
    expect(injection).toBeUndefined();
    expect(new Set(outcomesOf({ findings, injection }))).toEqual(new Set(["skip too-many-builders"]));
    expect(findings).toHaveLength(33);
    expect(warnings).toEqual(["more than 32 containers build images; none is given credentials"]);
  });

  it("of script: what is not read is left alone, unless the annotation names it", () => {
    const script = (length: number): JsonObject => ({
      ...KANIKO,
      command: ["sh", "-c"],
      args: ["/kaniko/executor ".padEnd(length, "a")],
    });
    expect(outcomesOf(plan(script(16 * 1024)))).toEqual([MERGED]);
    expect(outcomesOf(plan(script(16 * 1024 + 1)))).toEqual(["skip script-too-long"]);
    expect(outcomesOf(plan([script(9000), script(9000)]))).toEqual([MERGED, "skip script-too-long"]);
    const annotations = { "pullpass.dev/build-containers": "build" };
    expect(outcomesOf(plan(script(100_000), [HUB, TEAM_A], { annotations }))).toEqual([MERGED]);
  });

  it("of destinations: the first 128 of all builders are looked at", () => {
    const container = { ...KANIKO, args: Array.from({ length: 100 }, (_, n) => `-dacme/${n.toString()}`) };
    const { findings } = plan([container, container]);
    expect(findings.map(({ destinations }) => destinations.length)).toEqual([100, 28]);
  });

  it("of names in the annotation: the first 1024 count, and a warning says so", () => {
    const annotations = { "pullpass.dev/build-containers": `${"build,".repeat(1024)}app` };
    expect(plan([KANIKO, { name: "app", image: "nginx" }], [HUB], { annotations })).toMatchObject({
      findings: [{ container: "build" }],
      warnings: ["pullpass.dev/build-containers: it is too long to be read to its end"],
    });
  });

  it("of a container's name: where it is stands for it", () => {
    expect(plan({ ...KANIKO, name: "a".repeat(64) }).findings).toMatchObject([
      { container: "spec.containers[0]" },
    ]);
  });
});

describe("which Secret", () => {
  const to = (...images: readonly string[]): JsonObject => ({
    ...KANIKO,
    args: images.map((image) => `--destination=${image}`),
  });
  const CONNECTION = "mount docker-conf at /kaniko/.docker for poly-kaniko";

  // In the order of the table above `chooseSecret`, and of what is certain.
  it.each([
    ["no registry", [], to(), "skip no-credentials"],
    ["a connection for another builder", [FOR_ROOT], to(), "skip no-credentials"],
    ["no connection", [HUB, TEAM_A], to(), MERGED],
    ["a connection for another builder, and others", [HUB, FOR_ROOT, TEAM_A], to(), MERGED],
    ["a connection that covers", [HUB, FOR_KANIKO], to("nginx", "my.registry.com/org/app"), CONNECTION],
    [
      "others that cover",
      [HUB, FOR_KANIKO],
      to("acme/app"),
      "mount pullpass.build at /kaniko/.docker for hub",
    ],
    [
      "none that covers",
      [HUB, FOR_KANIKO],
      to("ghcr.io/a"),
      "mount pullpass.build at /kaniko/.docker for hub",
    ],
    ["no destination", [HUB, FOR_KANIKO], to(), "mount pullpass.build at /kaniko/.docker for hub"],
    ["a connection alone", [FOR_KANIKO], to(), CONNECTION],
    ["a connection alone that does not cover", [FOR_KANIKO], to("ghcr.io/a"), CONNECTION],
    [
      "the second of two connections",
      [
        connection("first", "a.com", "/kaniko/.docker"),
        connection("second", "b.com", "/kaniko/.docker", "b-conf"),
      ],
      to("b.com/app"),
      "mount b-conf at /kaniko/.docker for second",
    ],
    [
      "connections that share it",
      [FOR_KANIKO, connection("twin", "b.com", "/root/.docker")],
      to(),
      "mount docker-conf at /kaniko/.docker for poly-kaniko,twin",
    ],
    [
      "the connection of a builder's usual directory",
      [FOR_ROOT],
      DOCKER,
      "mount root-conf at /pullpass/docker for poly-root",
    ],
    [
      "registries of another use",
      [makeRegistry("pulls", "docker.io", { buildSource: undefined })],
      to(),
      "skip no-credentials",
    ],
  ])("with %s", (_title, registries, container, expected) => {
    expect(outcomesOf(plan(container, registries))).toEqual([expected]);
  });

  it.each([
    [{ team: "b" }, [LIMITED], "mount pullpass.build at /kaniko/.docker for limited"],
    [{}, [LIMITED], "skip no-credentials"],
    ["unknown", [LIMITED], "skip labels-unknown"],
    ["unknown", [], "skip no-credentials"],
    ["unknown", [LIMITED, HUB], "mount pullpass.build at /kaniko/.docker for hub"],
  ] as const)("in a namespace with the labels %j, of %j: %s", (labels, registries, expected) => {
    const context = { ...CONTEXT, namespace: { isOptedIn: true, labels } };
    const planned = plan(KANIKO, registries, { context });
    expect(outcomesOf(planned)).toEqual([expected]);
    expect(planned.warnings).toEqual(
      expected === "skip labels-unknown"
        ? [
            "the labels of the namespace are not known: registries that are limited to certain namespaces are left out",
          ]
        : [],
    );
  });

  // In the order of the table above `availableCredentialsFor`.
  it.each([
    [undefined, [HUB, TEAM_A], MERGED, []],
    [{ exists: true, isExpected: false, unreadable: ["hub", "team-a"] }, [HUB, TEAM_A], MERGED, []],
    [
      { exists: false, isExpected: false, unreadable: [] },
      [HUB, TEAM_A],
      "skip build-secret-missing",
      ["container build: Secret pullpass.build is missing in its namespace, so it gets none"],
    ],
    [
      { exists: false, isExpected: false, unreadable: ["hub", "team-a"] },
      [HUB, TEAM_A],
      "skip credentials-unreadable",
      ["container build: the credentials of its registries cannot be read now"],
    ],
    [{ exists: false, isExpected: false, unreadable: [] }, [HUB, FOR_KANIKO], CONNECTION, []],
    [{ exists: false, isExpected: true, unreadable: ["other"] }, [HUB, TEAM_A], MERGED, []],
    [
      { exists: false, isExpected: true, unreadable: ["team-a"] },
      [HUB, TEAM_A],
      "mount pullpass.build at /kaniko/.docker for hub",
      [],
    ],
    [
      { exists: false, isExpected: true, unreadable: ["hub", "team-a"] },
      [HUB, TEAM_A],
      "skip credentials-unreadable",
      ["container build: the credentials of its registries cannot be read now"],
    ],
    [{ exists: false, isExpected: true, unreadable: ["hub"] }, [HUB, FOR_KANIKO], CONNECTION, []],
  ])("where the build secret is %j", (facts, registries, expected, warnings) => {
    const buildSecret = facts && { ...facts, unreadable: new Set(facts.unreadable) };
    const planned = plan(KANIKO, registries, { context: { ...CONTEXT, buildSecret } });
    expect(outcomesOf(planned)).toEqual([expected]);
    expect(planned.warnings).toEqual(warnings);
  });

  it("shows a connection's Secret as config.json, whichever key it has, and waits for it", () => {
    expect(plan(to(), [FOR_KANIKO]).injection?.volumes).toEqual([
      {
        name: "pullpass-build",
        projected: {
          sources: [
            {
              secret: {
                name: "docker-conf",
                items: [{ key: ".dockerconfigjson", path: "config.json" }],
                optional: true,
              },
            },
            { secret: { name: "docker-conf" } },
          ],
          defaultMode: 0o444,
        },
      },
    ]);
  });

  it.each([
    [
      "by its name",
      { name: "docker-conf", secret: { secretName: "docker-conf" } },
      "skip carried-by-the-pod",
    ],
    [
      "projected",
      { name: "a", projected: { sources: [7, { secret: { name: "docker-conf" } }] } },
      "skip carried-by-the-pod",
    ],
    ["in a volume of ours", { name: "pullpass-build-3", secret: { secretName: "docker-conf" } }, CONNECTION],
    ["in a volume without a name", { secret: { secretName: "docker-conf" } }, "skip carried-by-the-pod"],
    ["not at all", { name: "a", secret: { secretName: "other" } }, CONNECTION],
  ])("where the pod has a connection's Secret %s: %2$s", (_title, volume, expected) => {
    expect(outcomesOf(plan(to(), [FOR_KANIKO], { spec: { volumes: [volume] } }))).toEqual([expected]);
  });

  it.each([
    [false, [], MERGED, []],
    [true, ["pullpass.build"], MERGED, []],
    [
      true,
      ["other"],
      "skip mountable-secrets-enforced",
      ["the service account does not list Secret pullpass.build, so the pod may not mount it"],
    ],
  ])(
    "under an account that enforces its list (%s) and has %j",
    (isEnforced, mountable, expected, warnings) => {
      const serviceAccount = {
        isMountableSecretsEnforced: isEnforced,
        pullSecretNames: new Set<string>(),
        mountableSecretNames: new Set(mountable),
      };
      const planned = plan(KANIKO, [HUB, TEAM_A], { context: { ...CONTEXT, serviceAccount } });
      expect(outcomesOf(planned)).toEqual([expected]);
      expect(planned.warnings).toEqual(warnings);
    },
  );
});

describe("names of volumes", () => {
  const namesFor = (volumes: readonly unknown[]): unknown => {
    const second = { ...KANIKO, name: "second", args: ["-d=my.registry.com/org/app"] };
    const { injection } = plan([DOCKER, second], [HUB, FOR_KANIKO], {
      spec: { volumes },
    });
    return [
      injection?.findings.map(({ outcome }) => [...new Set(outcome.volumeMounts.map(({ name }) => name))]),
      injection?.volumes.map(({ name }) => name),
    ];
  };

  it("are one for each Secret, however many containers mount it", () => {
    expect(namesFor([])).toEqual([
      [["pullpass-build", "pullpass-docker"], ["pullpass-build-2"]],
      ["pullpass-build", "pullpass-docker", "pullpass-build-2"],
    ]);
  });

  it("clash with none of the pod's", () => {
    expect(
      namesFor([
        { name: "pullpass-build", emptyDir: {} },
        { name: "pullpass-docker" },
        { name: "pullpass-build-2" },
        7,
      ]),
    ).toEqual([
      [["pullpass-build-3", "pullpass-docker-2"], ["pullpass-build-4"]],
      ["pullpass-build-3", "pullpass-docker-2", "pullpass-build-4"],
    ]);
  });

  it("are those of an earlier call where that has added them", () => {
    expect(
      namesFor([
        { name: "pullpass-build-2", secret: { secretName: "pullpass.build" } },
        { name: "pullpass-build", projected: { sources: [{ secret: { name: "docker-conf" } }] } },
        { name: "pullpass-docker", emptyDir: {} },
        { name: "pullpass-build-x", secret: { secretName: "pullpass.build" } },
      ]),
    ).toEqual([[["pullpass-build-2", "pullpass-docker-2"], ["pullpass-build"]], ["pullpass-docker-2"]]);
  });
});

describe("annotations", () => {
  const NAMES = "pullpass.dev/build-containers";
  const PATH = "pullpass.dev/docker-config-path";
  const app = { name: "app", image: "nginx" };
  const at = (directory: string): string => `mount pullpass.build at ${directory} for hub`;

  it.each([
    ["no container", [app], {}, []],
    ["one by its name", [app, { ...app, name: "other" }], { [NAMES]: "app" }, [at("/pullpass/docker")]],
    ["all", [app, { image: "Bad:" }], { [NAMES]: "*" }, [at("/pullpass/docker"), at("/pullpass/docker")]],
    [
      "one with a directory",
      [app],
      { [NAMES]: "app", [PATH]: " /home/me/.docker/ " },
      [at("/home/me/.docker")],
    ],
    [
      "one with a directory, which is not the builder's",
      [app, KANIKO],
      { [NAMES]: "app", [PATH]: "/c" },
      [at("/c"), at("/kaniko/.docker")],
    ],
    ["a builder by its image, with a directory", [KANIKO], { [PATH]: "/c" }, [at("/c")]],
    ["a builder by both", [KANIKO], { [NAMES]: "build" }, [at("/kaniko/.docker")]],
    ["one that logs in", [{ ...app, command: ["login"] }], { [NAMES]: "app" }, [at("/pullpass/docker")]],
    ["a daemon", [BUILDKIT], { [NAMES]: "build" }, [at("/root/.docker")]],
  ])("name %s", (_title, containers, annotations, expected) => {
    const planned = plan(containers, [HUB], { annotations });
    expect(outcomesOf(planned)).toEqual(expected);
    expect(planned.warnings).toEqual([]);
  });

  it("are warned of where they say nothing", () => {
    expect(
      plan(KANIKO, [HUB], { annotations: { [NAMES]: "nobody,build", [PATH]: "here" } }).warnings,
    ).toEqual([
      'pullpass.dev/docker-config-path: not an absolute path to mount at: "here"',
      'pullpass.dev/build-containers: the pod has no container "nobody"',
    ]);
  });
});

describe("a destination without credentials", () => {
  const args = ["-d", "ghcr.io/acme/app:v1", "-d", "acme/app", "-d", "Not/An/Image"];
  const warning = "container build: no credentials to push ghcr.io/acme/app";

  it.each([
    ["a mount", KANIKO, [HUB], [warning]],
    [
      "a mount of another Secret than the one that covers it",
      { ...KANIKO, args: ["-d", "my.registry.com/org/app", "-d", "acme/app"] },
      [HUB, FOR_KANIKO],
      ["container build: no credentials to push docker.io/acme/app"],
    ],
    [
      "nothing for this builder",
      KANIKO,
      [FOR_ROOT],
      [warning, "container build: no credentials to push docker.io/acme/app"],
    ],
    ["nothing for builds at all", KANIKO, [], []],
    ["an arrangement of its own", { ...KANIKO, ...env("DOCKER_CONFIG", "/mine") }, [HUB], []],
  ])("is warned of with %s: %3$j", (_title, container, registries, warnings) => {
    expect(plan({ args, ...container }, registries).warnings).toEqual(warnings);
  });
});
