/** Finds the containers of a pod that build images: by their image, or by the pod's annotation. */
import { isMountable, normalisePath, wordsOf, type ContainerList } from "./build-container.ts";
import { NAMED_BUILDER, type Builder } from "./builders.ts";
import { elementsOf, isObject, textOf, type JsonObject, type Pod } from "../kubernetes.ts";
import { BUILD_CONTAINERS_ANNOTATION, DOCKER_CONFIG_PATH_ANNOTATION } from "../labels.ts";
import { annotationOf, listAnnotationOf } from "../pod.ts";
import type { RegistryIndex } from "../registry.ts";
import type { WarningList } from "../warning.ts";

/** A container that builds, and what is known of it. */
export interface BuilderContainer {
  readonly pod: Pod;
  readonly list: ContainerList;
  readonly position: number;
  readonly container: JsonObject;
  /** Its name, or where it stands if it has none. */
  readonly name: string;
  readonly builder: Builder;
  /** For people. */
  readonly recognisedBy: string;
  /** The annotation names it. */
  readonly isNamed: boolean;
  /** Of its image. */
  readonly tag: string | undefined;
  /** Of its command and arguments. */
  readonly words: readonly string[];
  /** The directory that the pod's annotation gives it, normalised. */
  readonly chosen: string | undefined;
}

/** In the order of the pod, init containers first. Warns of annotations that say nothing. */
export function findBuilders(
  pod: Pod,
  index: RegistryIndex,
  warnings: WarningList,
): readonly BuilderContainer[] {
  const named = new Set(listAnnotationOf(pod, BUILD_CONTAINERS_ANNOTATION));
  const chosen = chosenDirectory(pod, warnings);
  const unknown = new Set(named);
  unknown.delete("*");
  const found: BuilderContainer[] = [];
  for (const list of ["initContainers", "containers"] as const) {
    elementsOf(pod.spec[list]).forEach((container, position) => {
      if (!isObject(container)) return;
      const name = textOf(container, "name") ?? `spec.${list}[${position.toString()}]`;
      unknown.delete(name);
      const isNamed = named.has("*") || named.has(name);
      const { builder, recognisedBy, tag } = recognise(container, isNamed, index);
      if (builder === undefined) return;
      found.push({
        ...{ pod, list, position, container, name, builder, recognisedBy, isNamed, tag },
        words: wordsOf(container),
        // Where the annotation names containers, the directory is theirs alone.
        chosen: named.size === 0 || isNamed ? chosen : undefined,
      });
    });
  }
  for (const name of unknown) {
    warnings.add(`${BUILD_CONTAINERS_ANNOTATION}: the pod has no container ${JSON.stringify(name)}`);
  }
  return found;
}

interface Recognition {
  readonly builder?: Builder;
  readonly recognisedBy: string;
  readonly tag: string | undefined;
}

/** What the image says comes first: it knows more than that the container builds. */
function recognise(container: JsonObject, isNamed: boolean, index: RegistryIndex): Recognition {
  const lookup = index.lookUp(textOf(container, "image") ?? "");
  const tag = lookup.kind === "parsed" ? lookup.reference.tag : undefined;
  const byImage = lookup.kind === "parsed" ? lookup.builder : undefined;
  if (byImage !== undefined) {
    return { builder: byImage.builder, recognisedBy: `its image ends in ${byImage.tail}`, tag };
  }
  const recognisedBy = `${BUILD_CONTAINERS_ANNOTATION} names it`;
  return isNamed ? { builder: NAMED_BUILDER, recognisedBy, tag } : { recognisedBy, tag };
}

function chosenDirectory(pod: Pod, warnings: WarningList): string | undefined {
  const path = annotationOf(pod, DOCKER_CONFIG_PATH_ANNOTATION)?.trim();
  if (path === undefined) return undefined;
  if (isMountable(path)) return normalisePath(path);
  warnings.add(`${DOCKER_CONFIG_PATH_ANNOTATION}: not an absolute path to mount at: ${JSON.stringify(path)}`);
  return undefined;
}
