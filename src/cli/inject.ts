/** `pullpass inject`: manifests in, the same manifests with pull secrets out. */
import jsonpatch from "fast-json-patch";
import { SKIP_REASONS, type Decision } from "../core/decision.ts";
import type { AddOperation } from "../core/json-patch.ts";
import type { NamespaceFacts } from "../core/kubernetes.ts";
import type { Labels } from "../core/labels.ts";
import { patchPod } from "../core/patch.ts";
import { asPod } from "../core/pod.ts";
import { decide } from "../core/policy.ts";
import type { RegistryIndex } from "../core/registry.ts";
import { namespaceLabelsIn, podSitesIn, type PodSite } from "./manifest.ts";
import { editManifests, parseManifests, type ManifestChange, type ManifestFile } from "./manifest-file.ts";

export interface InjectedFile {
  readonly text: string;
  /** One line for each pod and pod template, and one for each of its warnings. */
  readonly report: readonly string[];
}

/**
 * Injects into all files or into none. Every namespace counts as opted in, since the command was given for it; what a
 * registry asks of a namespace's labels is held against the Namespaces in the input, and against no other.
 *
 * @throws UnreadableManifestError for the first document that is not YAML or cannot be changed.
 */
export function injectFiles(files: readonly ManifestFile[], index: RegistryIndex): readonly InjectedFile[] {
  const parsed = files.map((file) => ({ file, documents: parseManifests(file) }));
  const labels = new Map(
    parsed.flatMap(({ documents }) => documents.flatMap(({ value }) => namespaceLabelsIn(value))),
  );
  const factsOf = (namespace: string | undefined): NamespaceFacts => ({
    isOptedIn: true,
    labels:
      (namespace === undefined ? undefined : (labels.get(namespace) as Labels | undefined)) ?? "unknown",
  });

  return parsed.map(({ file, documents }) => {
    const report: string[] = [];
    const changes = documents.map((document): ManifestChange => {
      const operations = podSitesIn(document.value).flatMap((site) => {
        const injected = injectSite(site, factsOf(site.namespace), index);
        report.push(...injected.report);
        return injected.operations;
      });
      return { document, operations };
    });
    return { text: editManifests(file, changes), report };
  });
}

interface InjectedSite {
  /** For the whole document. */
  readonly operations: readonly AddOperation[];
  readonly report: readonly string[];
}

function injectSite(site: PodSite, namespace: NamespaceFacts, index: RegistryIndex): InjectedSite {
  // A template may go without metadata; the API server fills it in before it asks the webhook.
  const hasMetadata = site.value["metadata"] !== undefined && site.value["metadata"] !== null;
  const pod = asPod(hasMetadata ? site.value : { ...site.value, metadata: {} });
  if (pod === undefined)
    return { operations: [], report: [`${title(site)}: skipped: it has no readable pod spec`] };

  const decision = decide(pod, { namespace, serviceAccount: undefined }, index);
  const report = [
    `${title(site)}: ${describe(decision)}`,
    ...decision.warnings.map((warning) => `${title(site)}: warning: ${warning}`),
  ];
  if (decision.kind === "skip") return { operations: [], report };
  const missing: readonly AddOperation[] = hasMetadata ? [] : [{ op: "add", path: "/metadata", value: {} }];
  const prefix = site.path.map((key) => `/${jsonpatch.escapePathComponent(key.toString())}`).join("");
  const operations = [...missing, ...patchPod(pod, decision)].map(({ op, path, value }) => ({
    op,
    path: prefix + path,
    value,
  }));
  return { operations, report };
}

function title({ owner, namespace }: PodSite): string {
  // Names are not checked yet: a line break in one must not make a line of its own.
  return JSON.stringify(namespace === undefined ? owner : `${owner} in ${namespace}`).slice(1, -1);
}

function describe(decision: Decision): string {
  if (decision.kind === "skip") return `skipped: ${SKIP_REASONS[decision.reason]}`;
  const registries = decision.registries.map((registry) => registry.name).join(", ");
  return `injected ${decision.secretNames.join(", ")} for ${registries}`;
}
