// npm run render: writes the CRD and the images of builders into the chart, and deploy/install.yaml and deploy/service-accounts.yaml from the chart.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments, stringify } from "yaml";
import { registryCrd, REGISTRY_CRD_NAME } from "../../../src/config/registry-crd.ts";
import { listBuilders } from "../../../src/core/builds/builders.ts";
import { buildGoTool } from "./build-go-tool.ts";
import { reportToStandardError, type Cluster } from "./cluster.ts";
import type { KubernetesObject } from "./kubectl.ts";
import { runCommand, type CommandOutput } from "./run-command.ts";
import { HELM } from "./tools.ts";

export interface Helm {
  /** Runs helm; fails with a `CommandError` that holds what it printed. */
  run(...args: readonly string[]): Promise<CommandOutput>;
}

export const CHART_DIRECTORY = join(import.meta.dirname, "..", "..", "..", "deploy", "pullpass");

/** Helm on a cluster, or without one for what needs none. It keeps nothing outside of the cluster's directory. */
export async function createHelm(
  cluster?: Pick<Cluster, "kubeconfig" | "network">,
  report = reportToStandardError,
): Promise<Helm> {
  const program = join(await buildGoTool(HELM, report), "helm");
  const directory = cluster === undefined ? "/nonexistent" : join(cluster.network.directory, "helm");
  const env = {
    ...process.env,
    HELM_CACHE_HOME: join(directory, "cache"),
    HELM_CONFIG_HOME: join(directory, "config"),
    HELM_DATA_HOME: join(directory, "data"),
    KUBECONFIG: cluster?.kubeconfig ?? "/nonexistent",
  };
  return { run: (...args) => runCommand(program, args, { env }) };
}

const DEPLOY = join(import.meta.dirname, "..", "..", "..", "deploy");

/** Pullpass as people install it without Helm. */
export const INSTALL_MANIFEST = join(DEPLOY, "install.yaml");
/** What they apply besides where ServiceAccounts are to get pull secrets. */
export const ATTACHMENT_MANIFEST = join(DEPLOY, "service-accounts.yaml");

const RIGHTS = ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];

/** The objects of one manifest; default: of both. */
export async function installManifest(...manifests: readonly string[]): Promise<readonly KubernetesObject[]> {
  const files = manifests.length === 0 ? [INSTALL_MANIFEST, ATTACHMENT_MANIFEST] : manifests;
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return texts
    .flatMap((text) => parseAllDocuments(text))
    .map((document) => document.toJS() as KubernetesObject);
}

/** Pullpass's ServiceAccount and all that it may do: the roles that are bound. The others are for people. */
export async function rightsOf(...manifests: readonly string[]): Promise<readonly KubernetesObject[]> {
  const objects = (await installManifest(...manifests)).filter(({ kind = "" }) => RIGHTS.includes(kind));
  const bound = new Set(objects.map(boundRole));
  return objects.filter(({ kind = "", metadata }) => !kind.endsWith("Role") || bound.has(metadata?.name));
}

function boundRole({ roleRef }: KubernetesObject): string | undefined {
  return (roleRef as { readonly name: string } | undefined)?.name;
}

/** Every release of Kubernetes that the chart supports has policies; helm knows of them only by a flag. */
export const GUARD_API = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy";

const INSTALL_HEAD = `# Pullpass without Helm, rendered from deploy/pullpass by npm run render; do not edit.
#
#   kubectl apply --server-side --filename deploy/install.yaml
#   kubectl create secret generic pullpass-config --namespace pullpass --from-file pullpass.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: pullpass
  labels:
    pod-security.kubernetes.io/enforce: restricted
`;

const ATTACHMENT_HEAD = `# Lets Pullpass add pull secrets to ServiceAccounts, rendered from deploy/pullpass by npm run render; do not edit.
#
#   kubectl apply --server-side --filename deploy/service-accounts.yaml
`;

/** The CRD as a template of the chart. */
export const CRD_TEMPLATE = join(CHART_DIRECTORY, "templates", "cluster-registry-crd.yaml");

/** What the template has to be. */
export function renderCrdTemplate(): string {
  const spec = stringify({ spec: registryCrd()["spec"] }, { lineWidth: 120 });
  return `{{- /* Made from src/config/registry-crd.ts by npm run render; do not edit. */}}
{{- if .Values.crds.enabled }}
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: ${REGISTRY_CRD_NAME}
  labels:
    {{- include "pullpass.labels" . | nindent 4 }}
  {{- if .Values.crds.keep }}
  annotations:
    # With the CRD Helm would delete every ClusterRegistry.
    helm.sh/resource-policy: keep
  {{- end }}
${spec.replaceAll("{{", '{{ "{{" }}')}{{- end }}
`;
}

/** The ends of the images of builders that Pullpass knows, for the webhook of `mode: policy+webhook`. */
export const BUILDERS_TEMPLATE = join(CHART_DIRECTORY, "templates", "_builders.tpl");

/** What the template has to be. Docker Hub's `docker` is `library/docker` in full, and no mirror's `docker` is that. */
export function renderBuildersTemplate(): string {
  const ends = listBuilders([]).flatMap(({ repositories }) => repositories);
  const patterns = [...new Set(ends)].map((end) => end.replaceAll(".", "\\.").replaceAll("*", "[^/]+"));
  return `{{- /* Made from src/core/builds/builders.ts by npm run render; do not edit. */}}
{{- define "pullpass.builtInBuilders" -}}
${[...patterns, "docker"].join("|")}
{{- end }}
`;
}

/** What `deploy/install.yaml` has to be. The configuration is left to whoever applies it, so that no apply undoes it. */
export async function renderManifest(helm: Helm): Promise<string> {
  return INSTALL_HEAD + (await render(helm, "--set=configSecret=pullpass-config,crds.keep=false"));
}

/** What `deploy/service-accounts.yaml` has to be. */
export async function renderAttachment(helm: Helm): Promise<string> {
  const only = "--show-only=templates/attachment.yaml";
  const documents = await render(helm, "--set=serviceAccounts.enabled=true", only);
  return ATTACHMENT_HEAD + documents.replace(/^---\n/, "");
}

async function render(helm: Helm, ...flags: readonly string[]): Promise<string> {
  const { stdout } = await helm.run(
    ...["template", "pullpass", CHART_DIRECTORY, "--namespace=pullpass"],
    ...[`--api-versions=${GUARD_API}`, ...flags],
  );
  // Nothing of Helm is in the cluster then.
  const documents = stdout
    .replaceAll("app.kubernetes.io/managed-by: Helm", "app.kubernetes.io/managed-by: kubectl")
    .replaceAll(/^ *helm\.sh\/chart: .*\n/gm, "")
    .replaceAll(/^# Source: .*\n/gm, "")
    .replaceAll(/\n+---\n/g, "\n---\n");
  return `${documents.trimEnd()}\n`;
}

// npm run render
if (import.meta.main) {
  const helm = await createHelm();
  await writeFile(CRD_TEMPLATE, renderCrdTemplate());
  await writeFile(BUILDERS_TEMPLATE, renderBuildersTemplate());
  await writeFile(INSTALL_MANIFEST, await renderManifest(helm));
  await writeFile(ATTACHMENT_MANIFEST, await renderAttachment(helm));
}
