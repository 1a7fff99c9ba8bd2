/** `pullpass explain --pod`: what the pods of a manifest would be given, and why. */
import { BUILD_SKIP_REASONS, type BuildFinding } from "../core/builds/build-decision.ts";
import { SKIP_REASONS, type Decision } from "../core/decision.ts";
import type { NamespaceFacts, Pod } from "../core/kubernetes.ts";
import { visitImages } from "../core/pod.ts";
import { isPermittedIn, selectRegistries, type RegistryIndex } from "../core/registry.ts";
import { decideSite, namespacesIn } from "./decide-site.ts";
import { podSitesIn, titleOf, type PodSite } from "./manifest.ts";
import { parseManifests, type ManifestFile } from "./manifest-file.ts";

/**
 * Lines for people, a block for each pod and template. Namespaces are taken as `inject` takes them.
 *
 * @throws UnreadableManifestError for the first document that is not YAML.
 */
export function explainPods(files: readonly ManifestFile[], index: RegistryIndex): readonly string[] {
  const documents = files.flatMap(parseManifests);
  const factsOf = namespacesIn(documents);
  return documents.flatMap(({ value }) =>
    podSitesIn(value).map((site) => explainSite(site, factsOf(site.namespace), index).join("\n")),
  );
}

function explainSite(site: PodSite, namespace: NamespaceFacts, index: RegistryIndex): readonly string[] {
  const decided = decideSite(site, namespace, index);
  if (decided === undefined) return [titleOf(site), "  nothing    it has no readable pod spec"];
  const { pod, decision, findings } = decided;
  return [
    titleOf(site),
    ...explainImages(pod, namespace, index),
    ...explainDecision(decision),
    ...findings.flatMap(explainFinding),
    ...decision.warnings.map((warning) => `  warning    ${warning}`),
  ];
}

function explainImages(pod: Pod, { labels }: NamespaceFacts, index: RegistryIndex): readonly string[] {
  const lines: string[] = [];
  visitImages(pod, (image) => {
    const lookup = index.lookUp(typeof image === "string" ? image : "");
    if (lookup.kind === "invalid") return;
    const registries = selectRegistries(lookup.covering, (registry) => isPermittedIn(registry, labels));
    const needs = registries.map(({ name, address }) => `${name} (${address.text})`).join(", ");
    lines.push(`  image      ${String(image)} needs ${needs === "" ? "no registry" : needs}`);
  });
  return lines;
}

function explainDecision(decision: Decision): readonly string[] {
  if (decision.kind === "skip") return [`  nothing    ${SKIP_REASONS[decision.reason]}`];
  return decision.secretNames.map((secretName) => {
    const registries = decision.registries.filter((registry) => registry.secretName === secretName);
    return `  gets       pull secret ${secretName} for ${registries.map(({ name }) => name).join(", ")}`;
  });
}

function explainFinding({
  container,
  builder,
  recognisedBy,
  outcome,
  destinations,
}: BuildFinding): readonly string[] {
  const name = JSON.stringify(container).slice(1, -1);
  const title = `  builder    container ${name} is ${builder}: ${recognisedBy}`;
  if (outcome.kind === "skip") {
    return [title, `    left     ${BUILD_SKIP_REASONS[outcome.reason]}`];
  }
  const { secretName, directory, registries, env } = outcome;
  return [
    title,
    `    mounts   Secret ${secretName} at ${directory} for ${registries.map((registry) => registry.name).join(", ")}`,
    ...env.map((variable) => `    sets     ${variable.name}=${variable.value}`),
    ...destinations.map(({ repository, registries: covering }) => {
      const names = covering.map((registry) => registry.name).join(", ");
      return `    pushes   ${repository} ${names === "" ? "without credentials" : `as ${names}`}`;
    }),
  ];
}
