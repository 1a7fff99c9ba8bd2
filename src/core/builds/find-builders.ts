/** Finds the containers of a pod that build images: by their image, or by the pod's annotation. */
import { isMountable, normalisePath, readCommand } from "./build-container.ts";
import { type Builder, NAMED_BUILDER, type RecognisedBuilder } from "./builders.ts";
import type { ContainerList } from "../decision.ts";
import { asArray, isObject, getString, type JsonObject, type Pod } from "../kubernetes.ts";
import { BUILD_CONTAINERS_ANNOTATION, DOCKER_CONFIG_PATH_ANNOTATION } from "../labels.ts";
import { annotationOf, listAnnotationOf, type PodImage } from "../pod.ts";
import { quote } from "../quote.ts";
import type { WarningList } from "../warning.ts";

/** A container that builds, and what is known of it. */
export interface BuilderContainer {
  readonly pod: Pod;
  readonly list: ContainerList;
  readonly position: number;
  readonly container: JsonObject;
  /** Its name, or its location if it has none that a container can have. */
  readonly name: string;
  readonly builder: Builder;
  /** For people. */
  readonly recognisedBy: string;
  /** The annotation names it. */
  readonly isNamed: boolean;
  /** Of its image. */
  readonly tag: string | undefined;
  /** The words of its command and arguments. */
  readonly argv: readonly string[];
  /** False if a script was too long to be read. */
  readonly isArgvComplete: boolean;
  /** The directory that the pod's annotation gives it, normalised. */
  readonly chosen: string | undefined;
}

/**
 * A build pod has one builder, or one for each step of a task: a few. Planning one takes as long as parsing a hundred of the
 * smallest containers, so that a pod of thousands would keep the webhook from its work.
 */
export const MAX_BUILDERS = 32;

/** Of all builders of a pod, in characters: 400 lines, which cost ten times as much to split as to parse as JSON. */
const MAX_SCRIPT_LENGTH = 16 * 1024;

/** A DNS label, as the name of every container is. */
const MAX_NAME_LENGTH = 63;

/**
 * In the order of the pod, init containers first; of more than {@link MAX_BUILDERS} one more than that. Warns of annotations
 * that say nothing.
 */
export function findBuilders(
  pod: Pod,
  images: readonly PodImage[],
  warnings: WarningList,
): readonly BuilderContainer[] {
  const { entries: named, rest } = listAnnotationOf(pod, BUILD_CONTAINERS_ANNOTATION);
  if (rest !== "") warnings.add(() => `${BUILD_CONTAINERS_ANNOTATION}: it is too long to be read to its end`);
  const byImage = new Map<JsonObject, ImageBuilder>();
  for (const { lookup, holder } of images) {
    if (lookup.kind === "parsed" && lookup.builder !== undefined) {
      byImage.set(holder, { ...lookup.builder, tag: lookup.reference.tag });
    }
  }
  if (byImage.size === 0 && named.size === 0) return [];
  const chosen = chosenDirectory(pod, warnings);
  const unknown = new Set(named);
  unknown.delete("*");
  const found: BuilderContainer[] = [];
  let scriptLength = 0;
  for (const list of ["initContainers", "containers"] as const) {
    for (const [position, container] of asArray(pod.spec[list]).entries()) {
      if (!isObject(container)) continue;
      const given = getString(container, "name") ?? "";
      unknown.delete(given);
      const isNamed = named.has("*") || named.has(given);
      // What the image says comes first: it knows more than that the container builds.
      const recognised = byImage.get(container);
      if (recognised === undefined && !isNamed) continue;
      const command = readCommand(container, MAX_SCRIPT_LENGTH - scriptLength);
      scriptLength += command.scriptLength;
      const hasName = given !== "" && given.length <= MAX_NAME_LENGTH;
      found.push({
        ...{ pod, list, position, container, isNamed },
        builder: recognised?.builder ?? NAMED_BUILDER,
        recognisedBy:
          recognised === undefined
            ? `${BUILD_CONTAINERS_ANNOTATION} names it`
            : `its image ends in ${recognised.repositorySuffix}`,
        tag: recognised?.tag,
        name: hasName ? given : `spec.${list}[${position.toString()}]`,
        argv: command.argv,
        isArgvComplete: command.isComplete,
        // Where the annotation names containers, the directory is theirs alone.
        chosen: named.size === 0 || isNamed ? chosen : undefined,
      });
      if (found.length > MAX_BUILDERS) return found;
    }
  }
  for (const name of unknown) {
    warnings.add(() => `${BUILD_CONTAINERS_ANNOTATION}: the pod has no container ${quote(name)}`);
  }
  return found;
}

/** A builder by its image. */
interface ImageBuilder extends RecognisedBuilder {
  readonly tag: string | undefined;
}

function chosenDirectory(pod: Pod, warnings: WarningList): string | undefined {
  const path = annotationOf(pod, DOCKER_CONFIG_PATH_ANNOTATION)?.trim();
  if (path === undefined) return undefined;
  if (isMountable(path)) return normalisePath(path);
  warnings.add(() => `${DOCKER_CONFIG_PATH_ANNOTATION}: not an absolute path to mount at: ${quote(path)}`);
  return undefined;
}
