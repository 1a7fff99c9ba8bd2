/** Plans what the builder containers of a pod get. */
import { variableOf } from "./build-container.ts";
import { skipReasonOf, type ConfigPath, configPathOf } from "./config-path.ts";
import { findBuilders, MAX_BUILDERS, type BuilderContainer } from "./find-builders.ts";
import type { BuildDestination, BuildFinding, BuildInjection, BuildSkipReason } from "../decision.ts";
import {
  buildSecretNameOf,
  type AvailableCredentials,
  availableCredentialsFor,
  chooseSecret,
  destinationsOf,
  resolveDestinations,
} from "./choose-secret.ts";
import { BuildVolumes } from "./build-volumes.ts";
import type { JsonObject, Pod, PodContext, ServiceAccountInfo } from "../kubernetes.ts";
import type { PodImage } from "../pod.ts";
import type { RegistryIndex } from "../registry.ts";
import { BUILD_SECRET_NAME } from "../replication.ts";
import { LABELS_UNKNOWN, type WarningList } from "../warning.ts";

/** What was decided about all builder containers of a pod. */
export interface BuildPlan {
  /** One for each builder, init containers first. */
  readonly findings: readonly BuildFinding[];
  readonly injection: BuildInjection | undefined;
}

const NO_BUILDS: BuildPlan = { findings: [], injection: undefined };

/** Of all builders of a pod: many more than are pushed. To find what covers one takes as long as to parse fifty. */
const MAX_DESTINATIONS = 128;

export function planBuilds(
  pod: Pod,
  images: readonly PodImage[],
  context: PodContext,
  index: RegistryIndex,
  warnings: WarningList,
): BuildPlan {
  const builders = findBuilders(pod, images, warnings);
  if (builders.length === 0) return NO_BUILDS;
  if (builders.length > MAX_BUILDERS) {
    warnings.add(
      () => `more than ${MAX_BUILDERS.toString()} containers build images; none is given credentials`,
    );
    return {
      findings: builders.map((found) => findingFor(found, skipBecause("too-many-builders"), [])),
      injection: undefined,
    };
  }
  const available = availableCredentialsFor(context, index);
  const volumes = new BuildVolumes(pod);
  const surroundings = { available, volumes, serviceAccount: context.serviceAccount, warnings };
  let destinationsLeft = MAX_DESTINATIONS;
  const findings = builders.map((found): BuildFinding => {
    const pushed = destinationsOf(found.builder.destinations, found.argv, destinationsLeft);
    destinationsLeft -= pushed.length;
    const destinations = resolveDestinations(pushed, available, index);
    const configPath = configPathOf(found);
    const reason = skipReasonOf(found, configPath);
    const outcome =
      reason === undefined ? mountFor(found, configPath, destinations, surroundings) : skipBecause(reason);
    return findingFor(found, outcome, destinations);
  });
  warnOfDestinations(findings, available, warnings);
  return { findings, injection: injectionOf(findings, volumes, index) };
}

/** What covers a destination counts only if it is in the Secret that is mounted. */
function findingFor(
  { list, position, name, builder, recognisedBy }: BuilderContainer,
  outcome: BuildFinding["outcome"],
  destinations: readonly BuildDestination[],
): BuildFinding {
  const secretName = outcome.kind === "mount" ? outcome.secretName : undefined;
  return {
    ...{ list, position, container: name, builder: builder.name, recognisedBy, outcome },
    destinations: destinations.map(({ repository, registries }) => ({
      repository,
      registries: registries.filter((registry) => buildSecretNameOf(registry) === secretName),
    })),
  };
}

function skipBecause(reason: BuildSkipReason): BuildFinding["outcome"] {
  return { kind: "skip", reason };
}

interface Surroundings {
  readonly available: AvailableCredentials;
  readonly volumes: BuildVolumes;
  readonly serviceAccount: ServiceAccountInfo | undefined;
  readonly warnings: WarningList;
}

function mountFor(
  { builder, container, name: containerName }: BuilderContainer,
  configPath: ConfigPath,
  destinations: readonly BuildDestination[],
  { available, volumes, serviceAccount, warnings }: Surroundings,
): BuildFinding["outcome"] {
  const secret = chooseSecret(builder, configPath, destinations, available);
  if (secret === undefined) {
    if (available.isBuildSecretMissing) {
      warnings.add(
        () =>
          `container ${containerName}: Secret ${BUILD_SECRET_NAME} is missing in its namespace, so it gets none`,
      );
      return skipBecause("build-secret-missing");
    }
    if (available.isPartlyUnreadable) {
      warnings.add(() => `container ${containerName}: the credentials of its registries cannot be read now`);
      return skipBecause("credentials-unreadable");
    }
    if (!available.isPartlyUnknown) return skipBecause("no-credentials");
    warnings.add(() => LABELS_UNKNOWN);
    return skipBecause("labels-unknown");
  }
  const { secretName, registries } = secret;
  const isBuildSecret = secretName === BUILD_SECRET_NAME;
  if (!isBuildSecret && volumes.carries(secretName)) return skipBecause("carried-by-the-pod");
  if (
    serviceAccount?.isMountableSecretsEnforced === true &&
    !serviceAccount.mountableSecretNames.has(secretName)
  ) {
    warnings.add(() => `the service account does not list Secret ${secretName}, so the pod may not mount it`);
    return skipBecause("mountable-secrets-enforced");
  }
  const { directory, variables } = configPath;
  const env: { name: string; value: string }[] = [];
  for (const { name, value, mode } of variables) {
    if (mode !== "watched" && variableOf(container, name).kind === "unset") env.push({ name, value });
  }
  const volumeMounts: JsonObject[] = [
    { name: volumes.nameForSecret(secretName, isBuildSecret), mountPath: directory, readOnly: true },
  ];
  if (builder.needsWritableConfigDir) {
    // Nothing can be written beside config.json but in volumes that are mounted there; kubelet makes their mount points.
    const name = volumes.nameForScratch();
    for (const subPath of WRITABLE_SUBDIRECTORIES) {
      volumeMounts.push({ name, mountPath: `${directory}/${subPath}`, subPath });
    }
  }
  return { kind: "mount", secretName, directory, registries, volumeMounts, env };
}

/** Of `docker buildx`, `docker context` and `docker manifest`. */
const WRITABLE_SUBDIRECTORIES = ["buildx", "contexts", "manifests"];

/** Nothing is said of containers that have arrangements of their own, nor where builds get nothing at all. */
function warnOfDestinations(
  findings: readonly BuildFinding[],
  { registries: available }: AvailableCredentials,
  warnings: WarningList,
): void {
  if (available.size === 0) return;
  for (const { container, outcome, destinations } of findings) {
    if (outcome.kind === "skip" && outcome.reason !== "no-credentials") continue;
    for (const { repository, registries } of destinations) {
      if (registries.length === 0)
        warnings.add(() => `container ${container}: no credentials to push ${repository}`);
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
  // Builders mostly have one and the same list.
  const lists = new Set(mounted.map(({ outcome }) => outcome.registries));
  const given = new Set([...lists].flat());
  const registries = buildRegistries.filter((registry) => given.has(registry));
  return { registries, volumes: volumes.added(), findings: mounted };
}
