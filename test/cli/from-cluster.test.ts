/** `--from-cluster`: ClusterRegistries beside the registries of the file. */
import { describe, expect, it } from "vitest";
import { startOddServer } from "../registry/odd-server.ts";
import {
  clusterRegistry,
  offeredSecret,
  REGISTRIES_PATH,
  startClusterOfObjects,
} from "./cluster-of-objects.ts";

const FILE = { "pullpass.yaml": "registries: [{ name: file, address: file.example.com }]" };
const UNKNOWN = "the cluster has no ClusterRegistries: its API server does not know pullpass.dev/v1alpha1\n";
const POD = JSON.stringify({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web" },
  spec: { containers: [{ name: "app", image: "a.example.com/app" }] },
});

describe("explain --from-cluster", () => {
  it("reads all pages of ClusterRegistries and joins them with the file's", async () => {
    const { run, server } = await startClusterOfObjects(
      [
        clusterRegistry("a", { address: "a.example.com", secretName: "regcred" }),
        clusterRegistry("b", { address: "b.example.com" }),
        clusterRegistry("c", { address: "user:made-up@c.example.com" }),
        clusterRegistry("file", { address: "other.example.com" }),
        clusterRegistry("z", { address: "z.example.com" }),
      ],
      { files: FILE },
    );
    const images = ["a", "z", "file", "other"].map((name) => `${name}.example.com/app`);
    const args = ["explain", "--from-cluster", "--config=pullpass.yaml", "--json", ...images];
    const { stdout, stderr, status } = await run(args);
    const needed = stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { readonly registries: readonly unknown[] }).registries);
    expect(needed).toEqual([
      [{ name: "a", address: "a.example.com", secret: "regcred" }],
      [{ name: "z", address: "z.example.com", secret: "pullpass-z" }],
      [{ name: "file", address: "file.example.com", secret: "pullpass-file" }],
      [],
    ]);
    expect(stderr.split("\n")).toEqual([
      "warning: ClusterRegistry c is not used: spec.address: not a registry address: it holds an @; user name and password go under auth",
      "warning: ClusterRegistry file is not used: the configuration file has a registry file, which is used instead",
      "",
    ]);
    expect(status).toBe(0);
    expect(server.seen.map(({ url }) => url.pathname)).toEqual(Array<string>(3).fill(REGISTRIES_PATH));
  });

  it("needs no file, and no CRD", async () => {
    const { run } = await startClusterOfObjects(404);
    const { stdout, stderr, status } = await run(["explain", "--from-cluster", "a.example.com/app"]);
    expect(stdout).toContain("no configured registry covers it");
    expect({ stderr, status }).toEqual({ stderr: UNKNOWN, status: 0 });
  });

  it("fails where the API server refuses, but explains pods by the file", async () => {
    const { run } = await startClusterOfObjects(403, { files: FILE });
    const refusal = `GET ${REGISTRIES_PATH}: 403 Refused: made up: Refused\n`;
    expect(await run(["explain", "--from-cluster", "--config=pullpass.yaml", "nginx"])).toEqual({
      stdout: "",
      stderr: `pullpass: ${refusal}`,
      status: 1,
    });
    const pod = await run(["explain", "--from-cluster", "--config=pullpass.yaml", "--pod=-"], { input: POD });
    expect(pod.stderr).toContain(
      `warning: the ClusterRegistries of the cluster are not considered: ${refusal}warning: Neither Pullpass's webhook nor its policy is there`,
    );
    expect(pod.stdout).toContain("a.example.com/app needs no registry");
    expect(pod.status).toBe(0);
  });
});

describe("inject --from-cluster", () => {
  it("adds the pull secrets of ClusterRegistries", async () => {
    const { run } = await startClusterOfObjects([clusterRegistry("a", { address: "a.example.com" })]);
    const { stdout, stderr, status } = await run(["inject", "--from-cluster"], { input: POD });
    expect(stdout).toContain('"imagePullSecrets":[{"name":"pullpass-a"}]');
    expect(stderr).toBe("Pod/web: injected pullpass-a for a\n");
    expect(status).toBe(0);
  });

  it("writes nothing where the ClusterRegistries cannot be read", async () => {
    const { run } = await startClusterOfObjects(500, { files: FILE });
    const { stdout, status } = await run(["inject", "--from-cluster", "--config=pullpass.yaml"], {
      input: POD,
    });
    expect({ stdout, status }).toEqual({ stdout: "", status: 1 });
  });

  it("is what --kubeconfig needs", async () => {
    const { run } = await startClusterOfObjects([], { files: FILE });
    const { stderr, status } = await run(["inject", "--config=pullpass.yaml", "--kubeconfig=kubeconfig"]);
    expect(stderr).toContain("--kubeconfig needs --from-cluster");
    expect(status).toBe(2);
  });
});

describe("check --from-cluster", () => {
  it("reports the errors and the warnings of ClusterRegistries", async () => {
    const { run } = await startClusterOfObjects(
      [
        clusterRegistry("bad", { address: "made-up:pass@a.com", use: [], auth: { type: "made-up" } }),
        clusterRegistry("dotted.name", { address: "a.com" }),
        clusterRegistry("file", { address: "a.com" }),
        clusterRegistry("hub", { address: "registry-1.docker.io" }),
        clusterRegistry("taken", {
          address: "a.com",
          auth: { type: "BasicAuth", secretRef: { name: "s" } },
          secretName: "pullpass.build",
        }),
        clusterRegistry("wild", {
          address: "*.azurecr.io",
          auth: { type: "Token", secretRef: { name: "s" } },
        }),
      ],
      { files: FILE },
    );
    const { stdout, stderr, status } = await run(["check", "pullpass.yaml", "--from-cluster"]);
    expect(stdout.split("\n")).toEqual([
      expect.stringMatching(
        /^error: ClusterRegistry bad: spec\.address: .*; spec\.use: .*; spec\.auth\.type: must be/,
      ),
      "error: ClusterRegistry dotted.name: the name is not a DNS label",
      "error: ClusterRegistry file: the configuration file has a registry file, which is used instead",
      "error: ClusterRegistry taken: spec.secretName: Secret pullpass.build is for builders; choose another name",
      "warning: ClusterRegistry hub: spec.address: images of Docker Hub do not match registry-1.docker.io; write docker.io",
      "warning: ClusterRegistry wild: spec: builders cannot use an address with *; list the concrete hosts under hosts, or set use: [pull]",
      "3 registries, 4 errors, 2 warnings",
      "",
    ]);
    expect({ stderr, status }).toEqual({ stderr: "", status: 2 });
    expect(stdout).not.toContain("made-up");
  });

  it("--login reads Secrets that are offered, and no others", async () => {
    const { host } = await startOddServer(() => ({}));
    const auth = (name: string, type = "BasicAuth") => ({
      address: host,
      auth: { type, secretRef: { name } },
      secretName: name,
    });
    const values = { username: "made-up-user", password: "made-up-password" };
    const basic = offeredSecret("kubernetes.io/basic-auth", values);
    const { run, server } = await startClusterOfObjects(
      [
        clusterRegistry("missing", auth("missing")),
        clusterRegistry("not-offered", auth("not-offered")),
        clusterRegistry("offered", auth("offered")),
        clusterRegistry("wrong-type", auth("wrong-type", "Token")),
      ],
      {
        secrets: {
          "apart/not-offered": offeredSecret("kubernetes.io/basic-auth", values, {
            "pullpass.dev/registry-credentials": "",
          }),
          "apart/offered": basic,
          "apart/wrong-type": basic,
        },
      },
    );
    const flags = ["--from-cluster", "--login", "--namespace=apart", "--kubeconfig=kubeconfig"];
    const { stdout, stderr, status } = await run(["check", ...flags], { isKnown: false });
    expect(stdout.trimEnd().split("\n").slice(-4)).toEqual([
      `missing: ${host}: not asked: Secret apart/missing does not exist`,
      `not-offered: ${host}: not asked: Secret apart/not-offered is not offered: it does not have the label pullpass.dev/registry-credentials=true`,
      `offered: ${host}: asks for no login`,
      `wrong-type: ${host}: not asked: Secret apart/wrong-type: the type of the Secret is not Opaque`,
    ]);
    expect(status).toBe(1);
    expect(stdout + stderr).not.toContain("made-up");
    expect(server.seen.every(({ method }) => method === "GET")).toBe(true);
  });
});
