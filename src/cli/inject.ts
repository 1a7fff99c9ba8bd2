/** `pullpass inject`: manifests in, the same manifests with pull secrets out. */
import jsonpatch from "fast-json-patch";
import { BUILD_SKIP_REASONS, type BuildFinding } from "../core/builds/build-decision.ts";
import { SKIP_REASONS, type Decision } from "../core/decision.ts";
import type { AddOperation } from "../core/json-patch.ts";
import type { Labels } from "../core/labels.ts";
import { patchPod } from "../core/patch.ts";
import type { RegistryIndex } from "../core/registry.ts";
import { decideSite, namespaceLabels } from "./decide-site.ts";
import { podSitesIn, titleOf, type PodSite } from "./manifest.ts";
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
  const labelsOf = namespaceLabels(parsed.flatMap(({ documents }) => documents));

  return parsed.map(({ file, documents }) => {
    const report: string[] = [];
    const changes = documents.map((document): ManifestChange => {
      const operations = podSitesIn(document.value).flatMap((site) => {
        const injected = injectSite(site, labelsOf(site.namespace), index);
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

function injectSite(site: PodSite, labels: Labels | "unknown", index: RegistryIndex): InjectedSite {
  const title = titleOf(site);
  const decided = decideSite(site, { labels }, index);
  if (decided === undefined) {
    return { operations: [], report: [`${title}: skipped: it has no readable pod spec`] };
  }
  const { pod, hasMetadata, decision, findings } = decided;
  const report = [
    ...describe(decision),
    ...findings.map(describeFinding),
    ...decision.warnings.map((warning) => `warning: ${warning}`),
  ].map((line) => `${title}: ${line}`);
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

function describe(decision: Decision): readonly string[] {
  if (decision.kind === "skip") return [`skipped: ${SKIP_REASONS[decision.reason]}`];
  if (decision.secretNames.length === 0) return [];
  const registries = decision.registries.map((registry) => registry.name).join(", ");
  return [`injected ${decision.secretNames.join(", ")} for ${registries}`];
}

function describeFinding({ container, builder, outcome }: BuildFinding): string {
  const title = `container ${JSON.stringify(container).slice(1, -1)} (${builder})`;
  if (outcome.kind === "skip") return `${title}: left as it is: ${BUILD_SKIP_REASONS[outcome.reason]}`;
  const registries = outcome.registries.map((registry) => registry.name).join(", ");
  const env = outcome.env.map(({ name, value }) => `, ${name}=${value}`).join("");
  return `${title}: mounted ${outcome.secretName} at ${outcome.directory} for ${registries}${env}`;
}
