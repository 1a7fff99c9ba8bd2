import { beforeAll, expect, it } from "vitest";
import { sendRequest } from "../send-request.ts";
import { waitUntil } from "../wait-until.ts";
import type { KeyPair } from "./harness/certificates.ts";
import { CHART_DIRECTORY, createHelm } from "./harness/chart.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { refusal } from "./harness/run-command.ts";

const NAMESPACE = "--namespace=pullpass";
/** May do what the chart gives Pullpass, and has the Role for credentials besides. */
const PULLPASS = "system:serviceaccount:pullpass:pullpass";
const OFFERED_LABEL = "pullpass.dev/registry-credentials";
const OFFERED = { [OFFERED_LABEL]: "true" };
const COPY = { "app.kubernetes.io/managed-by": "pullpass" };
const REGISTRIES = "/apis/pullpass.dev/v1alpha1/clusterregistries";
const POLICY = "ValidatingAdmissionPolicy 'pullpass-registry-credentials'";

const BINDINGS = [
  ["clusterrolebinding", "platform", "--clusterrole=pullpass-registry-admin", "--user=platform"],
  ["clusterrolebinding", "viewer", "--clusterrole=view", "--user=viewer"],
  ["rolebinding", "namespace-admin", "--clusterrole=admin", "--user=namespace-admin", NAMESPACE],
  [
    ...["rolebinding", "credentials", "--role=pullpass-registry-credentials", NAMESPACE],
    ...["--user=platform", "--user=namespace-admin", "--user=cluster-admin", `--user=${PULLPASS}`],
  ],
  ["role", "elsewhere", "--verb=create", "--resource=secrets", "--namespace=default"],
  ["rolebinding", "elsewhere", "--role=elsewhere", "--user=platform", "--namespace=default"],
  ["clusterrolebinding", "admin-of-all", "--clusterrole=cluster-admin", "--user=cluster-admin"],
];

type Labels = Readonly<Record<string, string>>;

interface SecretOptions {
  readonly type?: string;
  readonly data?: Labels;
  readonly namespace?: string;
}

function secret(name: string, labels: Labels, options: SecretOptions = {}) {
  const { type = "Opaque", data = {}, namespace = "pullpass" } = options;
  // Without it the API server refuses a token by itself.
  const annotations = { "kubernetes.io/service-account.name": "pullpass" };
  const metadata = { name, namespace, labels, annotations };
  return { apiVersion: "v1", kind: "Secret", metadata, type, data };
}

const CERTIFICATE = { type: "kubernetes.io/tls", data: { "tls.crt": "", "tls.key": btoa("made-up") } };

await describeLevel("control-plane", "the rights that the chart has for people", () => {
  let cluster: Cluster;
  let admin: KeyPair;

  beforeAll(async () => {
    cluster = await borrowCluster();
    admin = await cluster.authority.issue({ commonName: "admin", organizations: ["system:masters"] });
    const helm = await createHelm(cluster);
    const { kubectl } = cluster;
    await helm.run("install", "pullpass", CHART_DIRECTORY, NAMESPACE, "--create-namespace");
    for (const binding of BINDINGS) await kubectl.run(["create", ...binding]);
    for (const object of [
      secret("pullpass-tls", {}, CERTIFICATE),
      secret("unlabelled", {}),
      secret("copy", { ...OFFERED, ...COPY }),
      secret("offered", OFFERED),
    ])
      await kubectl.create(object);
    // The policy is in force a moment after it was created, and so is what is aggregated to view.
    await waitUntil("the policy", async () =>
      (await create("platform", secret("some", {}))).includes(POLICY),
    );
    await waitUntil("the right to view", async () => (await send("viewer", "GET", REGISTRIES)) === "");
  });

  /** Why the API server refuses a user's request; empty if it does not. kubectl gets what it patches, for which there is no right. */
  async function send(user: string, method: string, path: string, body?: object, type = "json") {
    const { server, authority } = cluster;
    const { status, body: answer } = await sendRequest(`${server}${path}`, {
      ...{ ca: authority.pem, cert: admin.certificatePem, key: admin.keyPem, method },
      headers: { "impersonate-user": user, "content-type": `application/${type}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return status < 300 ? "" : (JSON.parse(answer) as { readonly message: string }).message;
  }
  const secretPath = (name: string, namespace = "pullpass") =>
    `/api/v1/namespaces/${namespace}/secrets/${name}?dryRun=All`;
  const create = (user: string, object: ReturnType<typeof secret>) =>
    send(user, "POST", secretPath("", object.metadata.namespace).replace("/?", "?"), object);
  const patch = (user: string, name: string, change: object) =>
    send(user, "PATCH", secretPath(name), change, "merge-patch+json");
  const remove = (user: string, name: string) => send(user, "DELETE", secretPath(name));

  it("let a platform team apply a registry and its Secret, change both, and delete both", async () => {
    const { kubectl } = cluster;
    const registry = {
      apiVersion: "pullpass.dev/v1alpha1",
      kind: "ClusterRegistry",
      metadata: { name: "team-a" },
      spec: {
        address: "registry.example.com/team-a",
        auth: { type: "BasicAuth", secretRef: { name: "team-a-login" } },
      },
    };
    for (const password of ["made-up-1", "made-up-2"].map(btoa)) {
      const data = { username: btoa("user"), password };
      const login = secret("team-a-login", OFFERED, { type: "kubernetes.io/basic-auth", data });
      await kubectl.run(
        ["apply", "--server-side", "--filename=-", "--as=platform"],
        JSON.stringify({ apiVersion: "v1", kind: "List", items: [login, registry] }),
      );
      expect(await kubectl.json("get", "secret", "team-a-login", NAMESPACE)).toMatchObject({ data });
    }
    await kubectl.run(["get", "creg", "team-a", "--as=platform"]);
    await kubectl.run(["delete", "creg", "team-a", "--as=platform"]);
    // To wait is to get and to watch.
    await kubectl.run(["delete", "secret", "team-a-login", NAMESPACE, "--as=platform", "--wait=false"]);
  });

  it.each<[what: string, object: ReturnType<typeof secret>]>([
    ["without the label", secret("some", {})],
    ["with another value of the label", secret("some", { [OFFERED_LABEL]: "yes" })],
    ["of the type of a token", secret("some", OFFERED, { type: "kubernetes.io/service-account-token" })],
    ["of the type of a certificate", secret("some", OFFERED, CERTIFICATE)],
    ["that looks like a copy", secret("some", { ...OFFERED, ...COPY })],
    ["in the place of the configuration", secret("pullpass-config", OFFERED)],
    ["in the place of the certificate", secret("pullpass-tls", OFFERED)],
    ["in the place of cert-manager's authority for it", secret("pullpass-tls-ca", OFFERED)],
    ["in the place of what providers answered", secret("pullpass-provider-answers", OFFERED)],
    ["that Helm would take for a release", secret("some", { ...OFFERED, owner: "helm", name: "pullpass" })],
    ["with the name of a release", secret("sh.helm.release.v1.pullpass.v2", OFFERED)],
  ])("do not let a platform team create a Secret %s", async (_, object) => {
    expect(await create("platform", object)).toContain(POLICY);
  });

  it("let a platform team create a Secret with a generated name", async () => {
    const { metadata, ...rest } = secret("some", OFFERED);
    const generated = (generateName: string) =>
      create("platform", { ...rest, metadata: { ...metadata, name: "", ...{ generateName } } });
    expect(await generated("login-")).toBe("");
    expect(await generated("sh.helm.release.v1.pullpass.v")).toContain(POLICY);
  });

  it.each<[what: string, name: string, change: object]>([
    ["take the label off", "offered", { metadata: { labels: { [OFFERED_LABEL]: null } } }],
    ["make it look like a copy", "offered", { metadata: { labels: COPY } }],
    ["put the label on a Secret of others", "unlabelled", { metadata: { labels: OFFERED } }],
    ["offer the configuration", "pullpass-config", { metadata: { labels: OFFERED } }],
    ["change the configuration", "pullpass-config", { data: {} }],
    ["change the certificate", "pullpass-tls", { data: { "tls.key": "" } }],
    // The answer would be the whole Secret.
    ["read the certificate by a patch that changes nothing", "pullpass-tls", {}],
    ["change a copy", "copy", {}],
  ])("do not let a platform team %s", async (_, name, change) => {
    expect(await patch("platform", name, change)).toContain(POLICY);
  });

  it("let a platform team delete the Secrets that it may write, and no others", async () => {
    expect(await remove("platform", "offered")).toBe("");
    for (const name of ["unlabelled", "copy", "pullpass-config", "pullpass-tls"])
      expect(await remove("platform", name)).toContain(POLICY);
  });

  it.each([
    ["read a Secret", "GET", "/api/v1/namespaces/pullpass/secrets/offered"],
    ["list Secrets", "GET", "/api/v1/namespaces/pullpass/secrets"],
    ["watch Secrets", "GET", "/api/v1/namespaces/pullpass/secrets?watch=true"],
    ["delete all Secrets at once", "DELETE", "/api/v1/namespaces/pullpass/secrets"],
    ["write a Secret elsewhere", "PATCH", "/api/v1/namespaces/default/secrets/some"],
    ["delete all registries at once", "DELETE", REGISTRIES],
    ["write the status of a registry", "PATCH", `${REGISTRIES}/team-a/status`],
  ])("do not let a platform team %s", async (_, method, path) => {
    expect(await send("platform", method, path, {}, "merge-patch+json")).toContain('User "platform" cannot');
  });

  it("do not hold a platform team in other namespaces, where it has other rights", async () => {
    expect(await create("platform", secret("some", {}, { namespace: "default" }))).toBe("");
  });

  it.each([["namespace-admin"], ["cluster-admin"]])("do not hold a %s", async (user) => {
    expect(await create(user, secret("some", {}))).toBe("");
    expect(await patch(user, "offered", { metadata: { labels: { [OFFERED_LABEL]: null } } })).toBe("");
    expect(await patch(user, "pullpass-config", { data: {} })).toBe("");
    expect(await remove(user, "pullpass-tls")).toBe("");
  });

  it("leave Pullpass's account to the policy that is its own", async () => {
    expect(await patch(PULLPASS, "pullpass-tls", {})).toBe("");
    const config = { type: "kubernetes.io/dockerconfigjson", data: { ".dockerconfigjson": btoa("{}") } };
    expect(await create(PULLPASS, secret("some", COPY, config))).toBe("");
    expect(await create(PULLPASS, secret("some", COPY, { ...config, namespace: "default" }))).toBe("");
    const refused = await create(PULLPASS, secret("some", OFFERED));
    expect(refused).toContain("ValidatingAdmissionPolicy 'pullpass-secrets'");
    expect(refused).not.toContain(POLICY);
  });

  it("let whoever may view the cluster see registries, and no more", async () => {
    const canI = (...args: readonly string[]) =>
      refusal(() => cluster.kubectl.run(["auth", "can-i", ...args, "--as=viewer", "--quiet"]));
    for (const verb of ["get", "list", "watch"])
      expect(await canI(verb, "clusterregistries")).toBeUndefined();
    for (const verb of ["create", "update", "patch", "delete"])
      expect(await canI(verb, "clusterregistries")).toBeDefined();
    expect(await canI("get", "secrets", NAMESPACE)).toBeDefined();
  });

  it("let Pullpass's account watch registries and write their status, and change nothing else of them", async () => {
    const registry = {
      apiVersion: "pullpass.dev/v1alpha1",
      kind: "ClusterRegistry",
      metadata: { name: "team-b" },
      spec: { address: "registry.example.com/team-b" },
    };
    expect(await send("platform", "POST", REGISTRIES, registry)).toBe("");
    expect(await send(PULLPASS, "GET", REGISTRIES)).toBe("");
    const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    const name = "clusterregistries.pullpass.dev";
    expect(await send(PULLPASS, "GET", `${crds}?fieldSelector=metadata.name%3D${name}`)).toBe("");
    expect(await send(PULLPASS, "GET", crds)).toContain("cannot list");
    const path = `${REGISTRIES}/team-b`;
    const change = { status: { secretName: "pullpass-team-b" } };
    expect(await send(PULLPASS, "PATCH", `${path}/status`, change, "merge-patch+json")).toBe("");
    expect(await send(PULLPASS, "PATCH", path, change, "merge-patch+json")).toContain("cannot patch");
    expect(await send(PULLPASS, "DELETE", path)).toContain("cannot delete");
  });
});
