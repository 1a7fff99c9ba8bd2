/** Plans what the builder containers of a pod get. */
import { variableOf } from "./build-container.ts";
import { arrangementOf } from "./build-arrangement.ts";
import { findBuilders, type BuilderContainer } from "./find-builders.ts";
import type {
  BuildDestination,
  BuildFinding,
  BuildInjection,
  BuildMount,
  BuildSkipReason,
} from "./build-decision.ts";
import { destinationsOf } from "./build-destinations.ts";
import { buildSupplyOf, chooseSecret, resolveDestinations, type BuildSupply } from "./build-source.ts";
import { targetOf, type BuildTarget } from "./build-target.ts";
import { BuildVolumes } from "./build-volumes.ts";
import type { JsonObject, Pod, PodContext, ServiceAccountFacts } from "../kubernetes.ts";
import type { RegistryIndex } from "../registry.ts";
import type { WarningList } from "../warning.ts";

/** What was decided about all builder containers of a pod. */
export interface BuildPlan {
  /** One for each builder, init containers first. */
  readonly findings: readonly BuildFinding[];
  readonly injection: BuildInjection | undefined;
}

/** For a pod that has a container with a builder's image, or the annotation that names some. */
export function planBuilds(
  pod: Pod,
  context: PodContext,
  index: RegistryIndex,
  warnings: WarningList,
): BuildPlan {
  const { serviceAccount } = context;
  const supply = buildSupplyOf(context, index);
  const volumes = new BuildVolumes(pod);
  const findings = findBuilders(pod, index, warnings).map((found): BuildFinding => {
    const target = targetOf(found);
    const images = destinationsOf(found.builder.destinations, found.words);
    const destinations = resolveDestinations(images, supply, index);
    const reason = arrangementOf(found, target);
    const outcome =
      reason ?? mountFor(found, target, { destinations, supply, volumes, serviceAccount, warnings });
    const { list, position, name, builder, recognisedBy } = found;
    const finding = { list, position, container: name, builder: builder.name, recognisedBy };
    return typeof outcome === "string"
      ? {
          ...finding,
          outcome: { kind: "skip", reason: outcome },
          destinations: withoutCredentials(destinations),
        }
      : { ...finding, outcome, destinations: ofMounted(destinations, outcome) };
  });
  warnOfDestinations(findings, supply, warnings);
  return { findings, injection: injectionOf(findings, volumes, index) };
}

interface Surroundings {
  readonly destinations: readonly BuildDestination[];
  readonly supply: BuildSupply;
  readonly volumes: BuildVolumes;
  readonly serviceAccount: ServiceAccountFacts | undefined;
  readonly warnings: WarningList;
}

function mountFor(
  { builder, container, name: containerName }: BuilderContainer,
  target: BuildTarget,
  { destinations, supply, volumes, serviceAccount, warnings }: Surroundings,
): BuildMount | BuildSkipReason {
  const secret = chooseSecret(builder, target, destinations, supply);
  if (secret === undefined) {
    if (supply.isPartlyUnreadable) {
      warnings.add(`container ${containerName}: the credentials of its registries cannot be read now`);
      return "credentials-unreadable";
    }
    return supply.isPartlyUnknown ? "labels-unknown" : "no-credentials";
  }
  const { secretName, isBuildSecret, registries } = secret;
  if (!isBuildSecret && volumes.carries(secretName)) return "carried-by-the-pod";
  if (
    serviceAccount?.isMountableSecretsEnforced === true &&
    !serviceAccount.mountableSecretNames.includes(secretName)
  ) {
    warnings.add(`the service account does not list Secret ${secretName}, so the pod may not mount it`);
    return "mountable-secrets-enforced";
  }
  const { directory, variables } = target;
  const env: { name: string; value: string }[] = [];
  for (const { name, value, mode } of variables) {
    if (mode !== "watched" && variableOf(container, name).kind === "unset") env.push({ name, value });
  }
  const volumeMounts: JsonObject[] = [
    { name: volumes.nameForSecret(secretName, isBuildSecret), mountPath: directory, readOnly: true },
  ];
  if (builder.writesBeside) {
    // Nothing can be written beside config.json but in volumes that are mounted there; kubelet makes their mount points.
    const name = volumes.nameForScratch();
    for (const subPath of WRITTEN_BESIDE) {
      volumeMounts.push({ name, mountPath: `${directory}/${subPath}`, subPath });
    }
  }
  const present = {
    volumeMounts: Array.isArray(container["volumeMounts"]),
    env: Array.isArray(container["env"]),
  };
  return { kind: "mount", secretName, directory, registries, volumeMounts, env, present };
}

/** Of `docker buildx`, `docker context` and `docker manifest`. */
const WRITTEN_BESIDE = ["buildx", "contexts", "manifests"];

function withoutCredentials(destinations: readonly BuildDestination[]): readonly BuildDestination[] {
  return destinations.map(({ repository }) => ({ repository, registries: [] }));
}

/** What covers a destination counts only if it is in the Secret that is mounted. */
function ofMounted(
  destinations: readonly BuildDestination[],
  mount: BuildMount,
): readonly BuildDestination[] {
  return destinations.map(({ repository, registries }) => ({
    repository,
    registries: registries.filter((registry) => mount.registries.includes(registry)),
  }));
}

/** Nothing is said of containers that have arrangements of their own, nor where builds get nothing at all. */
function warnOfDestinations(
  findings: readonly BuildFinding[],
  { merged, connections }: BuildSupply,
  warnings: WarningList,
): void {
  if (merged.length + connections.length === 0) return;
  for (const { container, outcome, destinations } of findings) {
    if (outcome.kind === "skip" && outcome.reason !== "no-credentials") continue;
    for (const { repository, registries } of destinations) {
      if (registries.length === 0)
        warnings.add(`container ${container}: no credentials to push ${repository}`);
    }
  }
}

function injectionOf(
  findings: readonly BuildFinding[],
  volumes: BuildVolumes,
  { buildRegistries }: RegistryIndex,
): BuildInjection | undefined {
  const mounted = findings.flatMap((finding) =>
    finding.outcome.kind === "mount" ? { ...finding, outcome: finding.outcome } : [],
  );
  if (mounted.length === 0) return undefined;
  const given = new Set(mounted.flatMap(({ outcome }) => outcome.registries));
  const registries = buildRegistries.filter((registry) => given.has(registry));
  return { registries, volumes: volumes.added(), findings: mounted };
}
