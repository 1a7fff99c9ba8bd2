import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { BUILDERS } from "../../../src/core/builds/builders.ts";
import type { BuildMount } from "../../../src/core/decision.ts";
import { isObject } from "../../../src/core/kubernetes.ts";
import { planBuilds } from "../../../src/core/builds/plan-builds.ts";
import { lookUpImages } from "../../../src/core/pod.ts";
import { indexRegistries } from "../../../src/core/registry.ts";
import { WarningList } from "../../../src/core/warning.ts";
import { BUILDERS_TEMPLATE, renderBuildersTemplate } from "../../cluster/harness/chart.ts";
import { makeRegistry } from "../make-registry.ts";

const INDEX = indexRegistries([makeRegistry("hub", "docker.io")]);
const CONTEXT = { namespace: { isOptedIn: true, labels: {} }, serviceAccount: undefined };

/** What a container with an image gets, and what its builder is called. */
function mountFor(
  image: string,
  rest: object = {},
): readonly [builder: string, mount: BuildMount] | undefined {
  const pod = { metadata: {}, spec: { containers: [{ name: "build", image, ...rest }] } };
  const [finding] = planBuilds(pod, lookUpImages(pod, INDEX), CONTEXT, INDEX, new WarningList()).findings;
  return finding?.outcome.kind === "mount" ? [finding.builder, finding.outcome] : undefined;
}

/** As the rows below are, where the image does not run its builder by itself. */
const run = (...command: readonly string[]): object => ({ command });
const KANIKO_ENV = ["DOCKER_CONFIG=/kaniko/.docker"];
const AUTH_FILE = ["REGISTRY_AUTH_FILE=/pullpass/docker/config.json"];
const DOCKER_ENV = ["DOCKER_CONFIG=/pullpass/docker"];
const DIGEST = `@sha256:${"0".repeat(64)}`;

/** The rows of the table, in its order: the builder, images of it, the directory, the variables. */
const ROWS: readonly (readonly [string, readonly string[], string, readonly string[], object?])[] = [
  [
    "kaniko",
    [
      "gcr.io/kaniko-project/executor",
      "gcr.io/kaniko-project/executor:v1.24.0-slim",
      `gcr.io/kaniko-project/executor:debug${DIGEST}`,
      "gcr.io/kaniko-project/warmer:latest",
      "registry.local:5000/mirror/kaniko-project/executor:v1",
      "registry.local/gcr.io/kaniko-project/executor",
    ],
    "/kaniko/.docker",
    KANIKO_ENV,
  ],
  [
    "kaniko-osscontainertools",
    [
      "ghcr.io/osscontainertools/kaniko:v1.28.3-alpine",
      "ghcr.io/osscontainertools/kaniko-dev",
      "martizih/kaniko",
    ],
    "/kaniko/.docker",
    KANIKO_ENV,
  ],
  [
    "kaniko-chainguard",
    [
      "cgr.dev/acme.com/kaniko",
      "cgr.dev/acme.com/kaniko-warmer",
      "registry.local/cgr.dev/acme/kaniko-fips",
      "cgr.dev/acme/kaniko-warmer-fips",
    ],
    "/kaniko/.docker",
    KANIKO_ENV,
  ],
  [
    "buildkit",
    ["moby/buildkit", "docker.io/moby/buildkit:buildx-stable-1", `registry.local/moby/buildkit${DIGEST}`],
    "/root/.docker",
    [],
    run("buildctl", "build"),
  ],
  [
    "buildkit-rootless",
    [
      "moby/buildkit:rootless",
      "moby/buildkit:master-rootless",
      `moby/buildkit:v0.20.0-rootless${DIGEST}`,
      "registry.local/moby/buildkit:buildx-stable-1-rootless",
    ],
    "/home/user/.docker",
    [],
    run("buildctl", "build"),
  ],
  [
    "buildah",
    [
      "quay.io/buildah/stable:v1.14.8",
      "quay.io/buildah/testing",
      "registry.local/buildah/upstream",
      "quay.io/containers/buildah",
    ],
    "/pullpass/docker",
    AUTH_FILE,
    run("buildah", "bud"),
  ],
  [
    "podman",
    [
      "quay.io/podman/stable",
      "quay.io/podman/testing",
      "quay.io/podman/upstream",
      "quay.io/containers/podman",
    ],
    "/pullpass/docker",
    AUTH_FILE,
    run("podman", "push"),
  ],
  [
    "skopeo",
    [
      "quay.io/skopeo/stable",
      "quay.io/skopeo/testing",
      "quay.io/skopeo/upstream",
      "quay.io/containers/skopeo",
    ],
    "/pullpass/docker",
    AUTH_FILE,
  ],
  ["img", ["r.j3ss.co/img", "registry.local/r.j3ss.co/img:v0.5.11"], "/home/user/.docker", []],
  [
    "docker",
    [
      "docker",
      "docker:28-cli",
      "docker:dind",
      "docker.io/docker:latest",
      "registry.local/hub/library/docker:dind",
    ],
    "/pullpass/docker",
    DOCKER_ENV,
    run("docker", "push"),
  ],
  [
    "docker-rootless",
    ["docker:dind-rootless", "docker.io/library/docker:28-dind-rootless"],
    "/pullpass/docker",
    DOCKER_ENV,
    run("docker", "push"),
  ],
  [
    "dockerizer",
    ["polyaxon/polyaxon-dockerizer:1.3.2", "registry.local/mirror/polyaxon-dockerizer"],
    "/root/.docker",
    [],
  ],
  [
    "crane",
    ["gcr.io/go-containerregistry/crane", "gcr.io/go-containerregistry/crane:debug"],
    "/root/.docker",
    [],
  ],
  [
    "crane-chainguard",
    ["cgr.dev/chainguard/crane", "cgr.dev/acme.com/crane:latest-dev", "registry.local/cgr.dev/acme/crane"],
    "/home/nonroot/.docker",
    [],
  ],
  ["ko", ["ghcr.io/ko-build/ko:v0.17.1", "ghcr.io/google/ko"], "/pullpass/docker", DOCKER_ENV],
  [
    "lifecycle",
    ["buildpacksio/lifecycle:0.20.5", "registry.local/hub/buildpacksio/lifecycle"],
    "/pullpass/docker",
    DOCKER_ENV,
    run("/cnb/lifecycle/exporter"),
  ],
];

describe("the table of builders", () => {
  it("is what the chart's webhook is asked about in policy+webhook: npm run render", async () => {
    expect(await readFile(BUILDERS_TEMPLATE, "utf8")).toBe(renderBuildersTemplate());
  });

  it("has the rows of this test, in this order", () => {
    expect(BUILDERS.map(({ name }) => name)).toEqual(ROWS.map(([name]) => name));
  });

  it.each(
    ROWS.flatMap(([name, images, directory, env, rest]) =>
      images.map((image) => ({ name, image, directory, env, rest })),
    ),
  )("takes $image for $name, which reads $directory", ({ name, image, directory, env, rest }) => {
    const [builder, mount] = mountFor(image, rest) ?? [];
    expect(builder).toBe(name);
    expect(mount?.directory).toBe(directory);
    expect(mount?.env.map((variable) => `${variable.name}=${variable.value}`)).toEqual(env);
    expect(mount?.volumeMounts[0]).toEqual({ name: "pullpass-build", mountPath: directory, readOnly: true });
  });

  it.each([
    ["kaniko-project/executor", "/kaniko/executor"],
    ["kaniko-project/warmer", "/kaniko/warmer"],
    ["martizih/kaniko", "executor"],
    ["cgr.dev/acme/kaniko", "/usr/bin/executor"],
    ["moby/buildkit", "buildctl-daemonless.sh"],
    ["moby/buildkit:rootless", "/usr/bin/buildctl"],
    ["quay.io/buildah/stable", "/usr/bin/buildah"],
    ["quay.io/podman/stable", "podman"],
    ["quay.io/skopeo/stable", "skopeo"],
    ["r.j3ss.co/img", "img"],
    ["docker", "/usr/local/bin/docker"],
    ["docker:dind-rootless", "docker"],
    ["polyaxon/polyaxon-dockerizer", "build-and-push"],
    ["gcr.io/go-containerregistry/crane", "/ko-app/crane"],
    ["cgr.dev/chainguard/crane", "/usr/bin/crane"],
    ["ghcr.io/ko-build/ko", "/ko-app/ko"],
    ["buildpacksio/lifecycle", "/cnb/lifecycle/creator"],
    ["buildpacksio/lifecycle", "/cnb/lifecycle/lifecycle"],
  ])("takes %s for a builder where it runs %s, and not where it runs a shell", (image, program) => {
    expect(mountFor(image, run(program))).toBeDefined();
    expect(mountFor(image, run("sh"))).toBeUndefined();
  });

  it.each([
    "registry.example.com/acme/docker",
    "registry.example.com/acme/docker:dind",
    "quay.io/acme/stable",
    "acme/img",
    "acme/kaniko",
    "ghcr.io/acme/my-kaniko-project/executor",
    "registry.example.com/kaniko-project/executor/app",
    "acme/buildkit:rootless",
    "cgr.dev/kaniko",
    "ghcr.io/acme/crane",
    "cgr.dev/crane",
    "buildpacks/lifecycle",
    "acme/not-polyaxon-dockerizer",
    "executor",
    "ko",
  ])("takes %s for no builder", (image) => {
    expect(INDEX.lookUp(image)).toMatchObject({ kind: "parsed", builder: undefined });
  });

  it("comes after the admin's own, whose paths and names count first", () => {
    const configured = [
      {
        name: "ours",
        images: ["tools/builder", "registry.example.com/kaniko-project/executor"],
        dockerConfigPath: "/b",
      },
    ];
    const index = indexRegistries([], configured);
    const builderOf = (image: string): unknown => {
      const lookup = index.lookUp(image);
      return isObject(lookup) && lookup.kind === "parsed" ? lookup.builder?.builder.name : undefined;
    };
    expect(builderOf("quay.io/tools/builder:v1")).toBe("ours");
    expect(builderOf("registry.example.com/kaniko-project/executor")).toBe("ours");
    expect(builderOf("gcr.io/kaniko-project/executor")).toBe("kaniko");
    expect(builderOf("quay.io/my-tools/builder")).toBeUndefined();
  });
});
