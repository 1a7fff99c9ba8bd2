import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { LEFT_OUTSIDE } from "../../src/cli/purge-cluster.ts";
import { indexBuilders, listBuilders } from "../../src/core/builds/builders.ts";
import { parseImageReference } from "../../src/core/image-reference.ts";
import { buildGoTool } from "./harness/build-go-tool.ts";
import {
  ATTACHMENT_MANIFEST,
  CHART_DIRECTORY,
  createHelm,
  GUARD_API,
  INSTALL_MANIFEST,
  installManifest,
  renderAttachment,
  renderManifest,
  type Helm,
} from "./harness/chart.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import { reportToStandardError, type Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import type { KubernetesObject } from "./harness/kubectl.ts";
import type { PodList } from "./harness/pods.ts";
import { CommandError, runCommand } from "./harness/run-command.ts";
import { KUBE_SCORE } from "./harness/tools.ts";

const NAMESPACE = "pullpass";
/** Whatever it asks for, nothing here runs pods. */
const INSTALL = ["install", "pullpass", CHART_DIRECTORY, `--namespace=${NAMESPACE}`];
const UPGRADE = ["upgrade", "pullpass", CHART_DIRECTORY, `--namespace=${NAMESPACE}`];

/** Two by image volumes, of which one is in the root of its image, and two by init containers. */
const CREDENTIAL_PROVIDERS = [
  { image: "example.com/one:v1", path: "/usr/local/bin/one" },
  { image: "example.com/two:v1", path: "/two", pullPolicy: "Always" },
  { image: "example.com/three:v1", path: "/three", initContainer: true, copyCommand: ["/busybox/cp"] },
  { image: "example.com/four:v1", path: "/opt/four", initContainer: true },
];

interface PodWithVolumes {
  readonly containers: readonly {
    readonly args?: readonly string[];
    readonly volumeMounts: readonly Mount[];
  }[];
  readonly initContainers: readonly object[];
  readonly volumes: readonly { readonly name: string }[];
}

interface Mount {
  readonly name: string;
  readonly mountPath: string;
}

interface Egress {
  readonly spec: { readonly egress: readonly object[] };
}

const ATTACHING = { serviceAccounts: { attach: ["default"] } };

const BUILDER = {
  name: "ours",
  images: [
    ...["docker.io/acme/builder", "docker.io/library/alone", "library/short"],
    ...["tools/*", "*/own/tool", "registry.example.com/*/ci"],
  ],
  dockerConfigPath: "/home/builder/.docker",
};
const BUILDER_PODS = [
  ...["acme/builder:1", "docker.io/acme/builder", "index.docker.io/acme/builder:1", "alone", "short:v1"],
  ...["docker.io/library/alone:v1", "tools/any", `tools/any:v1@sha256:${"0".repeat(64)}`],
  ...["registry.example.com:5000/a/tools/any:v1", "own/tool:v1", "registry.example.com/own/tool"],
  ...["registry.example.com/a/ci", "gcr.io/kaniko-project/executor:v1", "docker:28-dind"],
];
const OTHER_PODS = [
  ...["nginx", "acme/other:1", "acme/builder/part", "tools/any/part", "mytools/any", "alone-too"],
  ...["registry.example.com/a/b/ci", "registry.example.com/ci", "gcr.io/kaniko-project/other:v1"],
];

/** The flag for a configuration that is not in the file's first document. */
function inLaterDocument(configuration: object): string {
  const text = `# The registries.\nregistries: []\n--- # The rest.\n${JSON.stringify(configuration)}\n`;
  return `--set-json=configFile=${JSON.stringify(text)}`;
}

await describeLevel("control-plane", "the chart", () => {
  let cluster: Cluster;
  let helm: Helm;
  let kubeScore: string;

  beforeAll(async () => {
    kubeScore = join(await buildGoTool(KUBE_SCORE, reportToStandardError), "kube-score");
    cluster = await borrowCluster();
    helm = await createHelm(cluster);
    // As deploy/install.yaml has it.
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE, labels } };
    await cluster.kubectl.run(["apply", "--filename=-"], JSON.stringify(namespace));
  });

  const template = (...flags: readonly string[]) =>
    helm.run("template", "pullpass", CHART_DIRECTORY, `--namespace=${NAMESPACE}`, ...flags);

  it("passes helm lint", async () => {
    const { stdout } = await helm.run("lint", "--strict", CHART_DIRECTORY);
    expect(stdout).toContain("1 chart(s) linted, 0 chart(s) failed");
  });

  it.each([
    [INSTALL_MANIFEST, renderManifest],
    [ATTACHMENT_MANIFEST, renderAttachment],
  ])("is what %s was rendered from, which the API server takes", async (manifest, render) => {
    expect(await readFile(manifest, "utf8")).toBe(await render(helm));
    const { stdout, stderr } = await cluster.kubectl.run([
      ...["apply", "--dry-run=server", "--validate=strict", `--filename=${manifest}`],
    ]);
    expect(stdout.split("\n").filter((line) => line.endsWith("(server dry run)"))).toHaveLength(
      (await installManifest(manifest)).length,
    );
    expect(stderr).not.toContain("Warning:");
  });

  it("has a console with the value console.enabled, whose account has no rights and whose pods have no token", async () => {
    const { stdout: without } = await template();
    expect(without).not.toContain("pullpass-console");
    const { stdout } = await template(
      "--set=console.enabled=true",
      "--set=console.tlsSecret=console-tls",
      "--set=console.testLogin.enabled=true",
      "--set=console.testLogin.networks={10.96.0.0/12}",
      "--set=console.hosts={console.example.com}",
    );
    const objects = parseAllDocuments(stdout).map((document) => document.toJS() as KubernetesObject);
    const own = objects.filter(
      ({ metadata }) => metadata?.labels?.["app.kubernetes.io/component"] === "console",
    );
    expect(own.map(({ kind }) => kind).toSorted()).toEqual([
      "Deployment",
      "NetworkPolicy",
      "Service",
      "ServiceAccount",
    ]);
    const bound = objects.filter(({ kind }) => kind?.endsWith("Binding"));
    expect(JSON.stringify(bound)).not.toContain("pullpass-console");
    const { spec } = own.find(({ kind }) => kind === "Deployment") as { readonly spec: DeploymentSpec };
    const { automountServiceAccountToken, containers } = spec.template.spec;
    expect(automountServiceAccountToken).toBe(false);
    expect(containers[0]?.args).toEqual([
      "console",
      "--login=token",
      "--listen=:8443",
      "--session-lifetime=1h",
      "--namespace=pullpass",
      "--cluster-name=kubernetes",
      "--allowed-host=pullpass-console.pullpass.svc",
      "--allowed-host=console.example.com",
      "--tls-cert=/etc/pullpass/tls/tls.crt",
      "--tls-key=/etc/pullpass/tls/tls.key",
      "--test-login-allow=10.96.0.0/12",
    ]);
    const { stderr } = await cluster.kubectl.run(
      ["apply", "--dry-run=server", "--validate=strict", "--filename=-"],
      JSON.stringify({ apiVersion: "v1", kind: "List", items: own }),
    );
    expect(stderr).not.toContain("Warning:");
  });

  it("holds nothing that kube-score finds but what values.yaml argues for", async () => {
    const score = runCommand(kubeScore, [
      "score",
      "--output-format=ci",
      INSTALL_MANIFEST,
      ATTACHMENT_MANIFEST,
    ]);
    // Its exit status says that it found something.
    const { stdout } = await score.catch((error: unknown) => {
      if (error instanceof CommandError) return error;
      throw error;
    });
    const lines = stdout.trimEnd().split("\n");
    expect(lines.filter((line) => line.startsWith("[OK]")).length).toBeGreaterThan(20);
    const findings = lines.flatMap(
      (line) => /^\[(?:CRITICAL|WARNING)\] .*?: (?:\(\S+\) )?(.*)/.exec(line)?.[1] ?? [],
    );
    expect(new Set(findings)).toEqual(
      new Set(["CPU limit is not set", "ImagePullPolicy is not set to Always"]),
    );
  });

  it.each([
    ["by default", false, []],
    ["with the value serviceAccounts.enabled", true, ["--set=serviceAccounts.enabled=true"]],
    ["with accounts in config", true, ['--set-json=config.serviceAccounts={"attach":["default"]}']],
    [
      "with accounts in configFile",
      true,
      [`--set-file=configFile=${CHART_DIRECTORY}/../examples/pullpass.yaml`],
    ],
    ["with accounts in a later document of configFile", true, [inLaterDocument(ATTACHING)]],
    ["with none in configFile", false, ["--set=configFile=registries: []"]],
  ])(
    "gives the right to change ServiceAccounts, and guards it, or does not: %s",
    async (_, isGiven, flags) => {
      const { stdout } = await template(`--api-versions=${GUARD_API}`, ...flags);
      expect(/resources: \[serviceaccounts\]\n +verbs: \[patch\]/.test(stdout)).toBe(isGiven);
      expect(policiesIn(stdout)).toEqual([
        ...["pullpass-registry-credentials", "pullpass-secrets"],
        ...(isGiven ? ["pullpass-service-accounts"] : []),
      ]);
    },
  );

  it("gives nobody a right that a policy should hold to something where there are no policies", async () => {
    const flags = ["--set=secretGuard.enabled=false", "--set=serviceAccounts.enabled=true"];
    const { stdout } = await template(`--api-versions=${GUARD_API}`, ...flags);
    expect(policiesIn(stdout)).toEqual([]);
    expect(stdout).not.toContain("pullpass-registry-credentials");
    // For registries none is needed.
    expect(stdout).toContain("name: pullpass-registry-admin\n");
  });

  it.each([
    ["and keeps it", "", true, true],
    ["and does not keep it", "crds.keep=false", true, false],
    ["or does not", "crds.enabled=false", false, false],
  ])("has the CRD %s", async (_, values, isThere, isKept) => {
    const { stdout } = await template(`--set=${values}`);
    expect(/^kind: CustomResourceDefinition$/m.test(stdout)).toBe(isThere);
    expect(stdout.includes("helm.sh/resource-policy: keep")).toBe(isKept);
  });

  it.each([
    ["registries as values", ['--set-json=config.registries=[{"name":"a","address":"b.example"}]']],
    ["registries as a file", [`--set-file=configFile=${CHART_DIRECTORY}/../examples/pullpass.yaml`]],
    ["registries as a Secret", ["--set=configSecret=mine"]],
    ["a port that private clusters reach", ["--set=webhook.port=10250,webhook.failurePolicy=Fail"]],
    ["certificates as a Secret", ["--set=tls.mode=secret,tls.secretName=mine"]],
    [
      "what pods are given besides",
      [
        '--set-json=tolerations=[{"operator":"Exists"}]',
        '--set-json=extraEnv=[{"name":"TEAM_A_PASSWORD","value":"made-up"}]',
        '--set-json=extraVolumes=[{"name":"credentials","secret":{"secretName":"mine"}}]',
        '--set-json=extraVolumeMounts=[{"name":"credentials","mountPath":"/etc/pullpass/credentials"}]',
        '--set-json=imagePullSecrets=[{"name":"mine"}]',
        "--set=nodeSelector.disk=ssd,podAnnotations.a=b,podLabels.a=b,priorityClassName=system-cluster-critical",
        '--set-json=networkPolicy.metricsFrom=[{"namespaceSelector":{}}]',
        '--set-json=affinity={"nodeAffinity":{}}',
      ],
    ],
    ["credential providers", [`--set-json=credentialProviders=${JSON.stringify(CREDENTIAL_PROVIDERS)}`]],
  ])("takes %s", async (_, flags) => {
    const { stdout } = await template(...flags);
    await cluster.kubectl.run(["apply", "--dry-run=server", "--validate=strict", "--filename=-"], stdout);
  });

  it.each([
    ["a key that it does not know", "--set=registires=x", "additional properties 'registires' not allowed"],
    ["a port that needs a capability", "--set=webhook.port=443", "/webhook/port"],
    ["a policy that there is not", "--set=webhook.failurePolicy=Maybe", "/webhook/failurePolicy"],
    ["more requests than serve takes", "--set=kubeApi.qps=1000001", "/kubeApi/qps"],
    ["a session that ends at once", "--set=console.sessionLifetime=9s", "/console/sessionLifetime"],
    ["a session of more than a day", "--set=console.sessionLifetime=25h", "/console/sessionLifetime"],
    ["a certificate that is none", "--set=tls.mode=secret,tls.caBundle=abc", "/tls/caBundle"],
    [
      "a program that is no absolute path",
      "--set=credentialProviders[0].image=a,credentialProviders[0].path=../b",
      "/credentialProviders/0/path",
    ],
    [
      "an image volume where Kubernetes has none",
      "--set=credentialProviders[0].image=a,credentialProviders[0].path=/b --kube-version=1.34.0",
      "credentialProviders[0]: Kubernetes v1.34.0 has no image volumes; set initContainer: true",
    ],
  ])("refuses %s", async (_, flags, message) => {
    await expect(template(...flags.split(" "))).rejects.toThrow(message);
  });

  it("gives Pullpass a directory for each image of credential providers, and one for those that are copied", async () => {
    const { stdout } = await template(
      `--set-json=credentialProviders=${JSON.stringify(CREDENTIAL_PROVIDERS)}`,
    );
    const pod = objectOfKind(stdout, "Deployment") as unknown as {
      readonly spec: { readonly template: { readonly spec: PodWithVolumes } };
    };
    const { containers, initContainers, volumes } = pod.spec.template.spec;
    const [pullpass] = containers;
    const directories = pullpass?.args
      ?.flatMap((arg) => /^--credential-provider-bin-dir=(.*)/.exec(arg)?.[1] ?? [])
      .flatMap((list) => list.split(":"));
    const mounts = directories?.map((path) =>
      pullpass?.volumeMounts.find(({ mountPath }) => mountPath === path),
    );
    expect(mounts).toEqual([
      {
        name: "credential-provider-0",
        mountPath: directories?.[0],
        subPath: "usr/local/bin",
        readOnly: true,
      },
      { name: "credential-provider-1", mountPath: directories?.[1], readOnly: true },
      { name: "credential-providers", mountPath: directories?.[2], readOnly: true },
    ]);
    expect(volumes.filter(({ name }) => name.startsWith("credential-"))).toEqual([
      {
        name: "credential-provider-0",
        image: { reference: "example.com/one:v1", pullPolicy: "IfNotPresent" },
      },
      { name: "credential-provider-1", image: { reference: "example.com/two:v1", pullPolicy: "Always" } },
      { name: "credential-providers", emptyDir: { sizeLimit: "256Mi" } },
    ]);
    expect(initContainers).toMatchObject([
      {
        image: "example.com/three:v1",
        command: ["/busybox/cp", "/three", `${directories?.[2] ?? ""}/`],
        securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
        volumeMounts: [{ name: "credential-providers", mountPath: directories?.[2] }],
      },
      { command: ["cp", "/opt/four", `${directories?.[2] ?? ""}/`] },
    ]);
  });

  it("lets Pullpass look up the names of registries, credential providers ask metadata services, and what a value adds", async () => {
    const egressOf = async (...flags: readonly string[]) =>
      (objectOfKind((await template(...flags)).stdout, "NetworkPolicy") as unknown as Egress).spec.egress;
    const usual = await egressOf();
    expect(usual).toEqual([
      {
        ports: [
          { port: 443, protocol: "TCP" },
          { port: 6443, protocol: "TCP" },
        ],
      },
      {
        ports: [
          { port: 53, protocol: "UDP" },
          { port: 53, protocol: "TCP" },
        ],
      },
    ]);
    expect(
      await egressOf(
        `--set-json=credentialProviders=${JSON.stringify(CREDENTIAL_PROVIDERS)}`,
        '--set-json=networkPolicy.extraEgress=[{"ports":[{"port":3128,"protocol":"TCP"}]}]',
      ),
    ).toEqual([
      ...usual,
      { to: [{ ipBlock: { cidr: "169.254.0.0/16" } }] },
      { ports: [{ port: 3128, protocol: "TCP" }] },
    ]);
  });

  it("registers no webhook for the policy, and one for builders alone beside it", async () => {
    const [policy, both] = await Promise.all(
      ["policy", "policy+webhook"].map((mode) =>
        template(
          `--set=mode=${mode},webhook.excludedNamespaces={spared},webhook.builderImages={tools/our.builder}`,
        ),
      ),
    );
    expect(policy?.stdout).not.toContain("kind: MutatingWebhookConfiguration");
    expect(policy?.stdout).toContain("--mode=policy\n");
    expect(argsIn(policy?.stdout ?? "")).toContain("--exclude-namespace=spared");
    expect(both?.stdout).toContain("|tools/our\\.builder)(?:[:@]|$)')");
    await expect(template("--set=mode=policy", "--kube-version=1.35.4")).rejects.toThrow(
      "mode: policy needs Kubernetes 1.36 or later",
    );
  });

  it.each([
    ["config", [`--set-json=config.builders=${JSON.stringify([BUILDER])}`]],
    ["a later document of configFile", [inLaterDocument({ builders: [BUILDER] })]],
    ["webhook.builderImages", [`--set-json=webhook.builderImages=${JSON.stringify(BUILDER.images)}`]],
  ])("has the webhook beside the policy asked about the pods with builders of %s", async (_, flags) => {
    const { stdout } = await template("--set=mode=policy+webhook", ...flags);
    const pattern = new RegExp(/matches\(r'(.*kaniko.*)'\)/.exec(stdout)?.[1] ?? "");
    const recognise = indexBuilders(listBuilders([BUILDER]));
    const images = [...BUILDER_PODS, ...OTHER_PODS];
    expect(images.filter((image) => recognise(parseImageReference(image)))).toEqual(BUILDER_PODS);
    expect(images.filter((image) => pattern.test(image))).toEqual(BUILDER_PODS);
  });

  it("gives programs names and numbers as they are written in a file of values", async () => {
    const { stdout } = await template(
      '--set-json=console={"enabled":true,"clusterName":"Prod: eu #2"}',
      '--set-json=webhook.excludedNamespaces=["1e3: #"]',
      '--set-json=kubeApi={"qps":1000000,"burst":2.5}',
      "--set=mode=policy+webhook",
    );
    const args = argsIn(stdout);
    expect(args).toContain("--cluster-name=Prod: eu #2");
    expect(args.filter((arg) => arg === "--exclude-namespace=1e3: #")).toHaveLength(2);
    expect(args).toContain("--kube-api-qps=1000000");
    expect(args).toContain("--kube-api-burst=2.5");
  });

  it("has nothing outside of its namespace that a purge leaves or may not remove, but the CRD", async () => {
    const { stdout } = await template(
      `--api-versions=${GUARD_API}`,
      "--set=mode=policy+webhook,tls.mode=cert-manager,console.enabled=true",
      "--set=heal.enabled=true,serviceAccounts.enabled=true,uninstall.purge=true",
    );
    const outside = objectsIn(stdout).filter(({ metadata }) => metadata?.namespace === undefined);
    const names = outside.map(
      ({ kind = "", metadata }) => `${kind.toLowerCase().replace(/y$/, "ie")}s/${metadata?.name ?? ""}`,
    );
    const removed = LEFT_OUTSIDE.map((path) => path.split("/").slice(-2).join("/"));
    expect(new Set(names)).toEqual(
      new Set([
        ...removed,
        "mutatingwebhookconfigurations/pullpass",
        "customresourcedefinitions/clusterregistries.pullpass.dev",
        // Helm removes the rights of the purge, which needs them to its end.
        ...["clusterroles/pullpass-purge", "clusterrolebindings/pullpass-purge"],
      ]),
    );
    const role = outside.find(
      ({ kind, metadata }) => kind === "ClusterRole" && metadata?.name === "pullpass-purge",
    ) as unknown as { readonly rules: readonly RuleOfNames[] };
    const deletable = role.rules
      .filter(({ verbs }) => verbs.includes("delete"))
      .flatMap(({ resources, resourceNames = [] }) =>
        resources.flatMap((resource) => resourceNames.map((name) => `${resource}/${name}`)),
      );
    expect(deletable).toEqual(expect.arrayContaining(removed));
  });

  it("asks cert-manager for the certificate, and for the webhook's caBundle", async () => {
    const { stdout } = await template("--set=tls.mode=cert-manager");
    expect(stdout).toContain("kind: Certificate\n");
    expect(stdout).toContain("kind: Issuer\n");
    expect(stdout).toContain("cert-manager.io/inject-ca-from: pullpass/pullpass");
    expect(stdout).toContain("--tls-cert=/etc/pullpass/tls/tls.crt");
    const { stdout: withIssuer } = await template(
      "--set=tls.mode=cert-manager,tls.certManager.issuerRef.name=x",
    );
    expect(withIssuer).not.toContain("kind: Issuer\n");
  });

  it.each([
    ["certificates of its own", "", true],
    ["cert-manager", ",tls.mode=cert-manager", true],
    ["a Secret and its authority", ",tls.mode=secret,tls.caBundle=-----BEGIN CERTIFICATE-----", true],
    ["a Secret whose authority others publish", ",tls.mode=secret", false],
  ])("has replicas wait until their certificate is trusted, or not, with %s", async (_, flags, waits) => {
    const { stdout } = await template(`--set=configSecret=mine${flags}`);
    expect(stdout.includes("--webhook-name=pullpass")).toBe(waits);
    // And they may watch it. That it is registered they may see anyway, before they remove the policy of another mode.
    expect(/resources: \[mutatingwebhookconfigurations\]\n.*\n *verbs: \[list, watch/.test(stdout)).toBe(
      waits,
    );
  });

  it("is installed, and its pods keep to the restricted Pod Security Standard", async () => {
    await helm.run(...INSTALL);
    const pods = ["pods", `--namespace=${NAMESPACE}`];
    await cluster.kubectl.waitFor<PodList>(pods, ({ items }) => items.length === 2);
  });

  it.each([
    ["server-side apply, as Helm 4 does", 2, ["--server-side=true"]],
    ["a three-way merge, as Helm 3 does", 3, ["--server-side=false"]],
    ["server-side apply by force", 4, ["--server-side=true", "--force-conflicts"]],
    ["a rollback", 3, undefined],
  ])("keeps the webhook's caBundle in %s", async (_, timeoutSeconds, flags) => {
    const caBundle = Buffer.from(cluster.authority.pem).toString("base64");
    // As Pullpass does at run time.
    const patch = [{ op: "add", path: "/webhooks/0/clientConfig/caBundle", value: caBundle }];
    const webhook = ["mutatingwebhookconfiguration", "pullpass"];
    await cluster.kubectl.run(["patch", ...webhook, "--type=json", `--patch=${JSON.stringify(patch)}`]);
    if (flags === undefined) await helm.run("rollback", "pullpass", `--namespace=${NAMESPACE}`);
    else await helm.run(...UPGRADE, `--set=webhook.timeoutSeconds=${String(timeoutSeconds)}`, ...flags);
    const { webhooks } = await cluster.kubectl.json("get", ...webhook);
    expect(webhooks).toMatchObject([{ timeoutSeconds, clientConfig: { caBundle } }]);
  });

  it("leaves nothing behind when it is uninstalled but the CRD with its objects, and takes it over again", async () => {
    await cluster.kubectl.apply({
      apiVersion: "pullpass.dev/v1alpha1",
      kind: "ClusterRegistry",
      metadata: { name: "team-a" },
      spec: { address: "registry.example.com/team-a" },
    });
    await helm.run("uninstall", "pullpass", `--namespace=${NAMESPACE}`);
    const kinds =
      "deployment,service,serviceaccount,secret,networkpolicy,pdb,role,rolebinding,clusterrole,clusterrolebinding," +
      "mutatingwebhookconfiguration,validatingadmissionpolicy,validatingadmissionpolicybinding";
    const { stdout } = await cluster.kubectl.run([
      ...["get", kinds, "--all-namespaces", "--selector=app.kubernetes.io/name=pullpass", "--output=name"],
    ]);
    expect(stdout).toBe("");
    await helm.run(...INSTALL);
    await cluster.kubectl.run(["get", "clusterregistry", "team-a"]);
  });
});

/** The names of the policies in a rendered chart, sorted. */
function policiesIn(manifest: string): readonly (string | undefined)[] {
  return objectsIn(manifest)
    .filter(({ kind }) => kind === "ValidatingAdmissionPolicy")
    .map(({ metadata }) => metadata?.name)
    .toSorted();
}

/** Those of all containers. */
function argsIn(manifest: string): readonly string[] {
  return objectsIn(manifest).flatMap(
    ({ spec }) =>
      (spec as Partial<DeploymentSpec> | undefined)?.template?.spec.containers.flatMap(
        ({ args = [] }) => args,
      ) ?? [],
  );
}

function objectsIn(manifest: string): readonly KubernetesObject[] {
  return parseAllDocuments(manifest)
    .map((document) => document.toJS() as KubernetesObject | null)
    .filter((object) => object !== null);
}

function objectOfKind(manifest: string, kind: string): KubernetesObject | undefined {
  return objectsIn(manifest).find((object) => object.kind === kind);
}

interface RuleOfNames {
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface DeploymentSpec {
  readonly template: {
    readonly spec: {
      readonly automountServiceAccountToken: boolean;
      readonly containers: readonly { readonly args?: readonly string[] }[];
    };
  };
}
