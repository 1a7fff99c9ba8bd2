/** `pullpass inject`: manifests in, the same manifests with pull secrets out. */
import type { Command } from "commander";
import jsonpatch, { type AddOperation } from "fast-json-patch";
import { indexConfiguration } from "../config/configuration.ts";
import { BUILD_SKIP_REASONS, type BuildFinding, type Decision, SKIP_REASONS } from "../core/decision.ts";
import type { Labels } from "../core/labels.ts";
import { patchPod } from "../core/patch.ts";
import { escapeControls } from "../core/quote.ts";
import type { RegistryIndex } from "../core/registry.ts";
import { decidePodTemplate, imageLeftOut, namespaceLabels } from "../manifest/decide-pod-template.ts";
import { editDocument } from "../manifest/edit-document.ts";
import { encodeManifests } from "../manifest/encoding.ts";
import {
  mayHoldPodTemplate,
  parseManifests,
  repeatedKeys,
  type ManifestDocument,
  type ManifestFile,
} from "../manifest/parse-manifests.ts";
import { indexPodTemplateKinds, keyOf, type PodTemplateKinds } from "../manifest/pod-template-kinds.ts";
import {
  formatPath,
  objectsIn,
  podTemplatesOf,
  titleOf,
  type ManifestObject,
  type PodTemplate,
} from "../manifest/pod-templates.ts";
import { joinFiles } from "../manifest/split-documents.ts";
import { readManifests, ReportedError, type ProgramIo } from "./program-io.ts";
import { readRegistries, requireRegistries, type RegistryFlags } from "./registries-source.ts";

interface InjectFlags extends RegistryFlags {
  readonly filename?: readonly string[];
}

export function injectCommand(command: Command, io: ProgramIo): void {
  command
    .description("write manifests with their pull secrets to standard output, and a report to standard error")
    .option(
      "-f, --filename <file>",
      "manifests, YAML or JSON; again for more; - is standard input, the default",
      (value: string, before: readonly string[] | undefined) => [...(before ?? []), value],
    )
    .option("--from-cluster", "read ClusterRegistries from the cluster, beside those of --config")
    .option("--kubeconfig <file>", "with --from-cluster: this cluster; default: as for serve")
    .action(async (flags: InjectFlags) => {
      requireRegistries(command, flags);
      const { filename = ["-"], kubeconfig, fromCluster } = flags;
      if (kubeconfig !== undefined && fromCluster !== true)
        command.error("error: --kubeconfig needs --from-cluster");
      const configuration = await readRegistries(flags, io);
      const index = indexConfiguration(configuration, true);
      const kinds = indexPodTemplateKinds(configuration.podTemplates);
      const files = await Promise.all(filename.map((name) => readManifests(name, io)));
      const injected = injectFiles(files, index, kinds);
      const [encoding = "utf-8", ...others] = new Set(files.map((file) => file.encoding));
      const output = joinFiles(injected.map((file) => file.text));
      io.writeOut(encodeManifests(output, others.length === 0 ? encoding : "utf-8"));
      io.writeError(injected.flatMap((file) => file.report.map((line) => `${line}\n`)).join(""));
      if (injected.some((file) => file.hasErrors)) throw new ReportedError(1);
    });
}

export interface InjectedFile {
  readonly text: string;
  /** One line for each pod and pod template, for each of its warnings, and for whatever was left as it is. */
  readonly report: readonly string[];
  /** A document that may hold a pod template could not be read or changed. It is in the text as it was. */
  readonly hasErrors: boolean;
}

/**
 * Every namespace counts as opted in, since the command was given for it; what a registry asks of a namespace's labels is held
 * against the Namespaces in the input, and against no other.
 */
export function injectFiles(
  files: readonly ManifestFile[],
  index: RegistryIndex,
  kinds: PodTemplateKinds = indexPodTemplateKinds(),
): readonly InjectedFile[] {
  const parsed = files.map(parseManifests);
  const labelsOf = namespaceLabels(parsed.flat());
  return parsed.map((documents) => {
    const injected = documents.map((document) => injectDocument(document, { labelsOf, index, kinds }));
    return {
      text: injected.map(({ text }) => text).join(""),
      report: injected.flatMap(({ report }) => report),
      hasErrors: injected.some(({ hasErrors }) => hasErrors),
    };
  });
}

interface InjectContext {
  readonly labelsOf: (namespace: string | undefined) => Labels | "unknown";
  readonly index: RegistryIndex;
  readonly kinds: PodTemplateKinds;
}

/*
 * the document                             | its text            | the report
 * cannot be parsed, no kind of ours        | as it is            | nothing
 * cannot be parsed, and may hold a pod     | as it is            | an error
 * no pod template                          | as it is            | images that a registry covers, if any
 * pod templates, nothing to add            | as it is            | a line each
 * pod templates, something to add          | with what is missing | a line each, and one if it was reformatted
 * the same, and no text gives what we want | as it is            | an error
 */
function injectDocument(document: ManifestDocument, context: InjectContext): InjectedFile {
  const { file, text, yaml, value, line, fault } = document;
  const unchanged = (report: readonly string[], hasErrors = false): InjectedFile => ({
    text,
    report,
    hasErrors,
  });
  const errorAt = (at: number, message: string): string =>
    `error: ${file}:${at.toString()}: ${message}; the document is left as it is`;

  if (fault !== undefined) {
    if (!mayHoldPodTemplate(document, context.kinds)) return unchanged([]);
    const hint = text.includes("{{") ? " (a template that was not rendered?)" : "";
    return unchanged([errorAt(fault.line, `not YAML: ${fault.message}${hint}`)], true);
  }
  const objects = objectsIn(value);
  const templates = objects.flatMap((object) => podTemplatesOf(object, context.kinds));
  const leftOut = objects.flatMap((object) => reportImageLeftOut(object, context));
  if (yaml === undefined || templates.length === 0) return unchanged(leftOut);

  const injected = templates.map((template) => injectPodTemplate(template, context));
  const report = [
    ...repeatedKeys(yaml, text, document.firstLine).map(
      ({ key, line: at }) =>
        `warning: ${file}:${at.toString()}: the key ${escapeControls(key)} is repeated; its last value counts`,
    ),
    ...leftOut,
    ...injected.flatMap((template) => template.report),
  ];
  const operations = injected.flatMap((template) => template.operations);
  if (operations.length === 0) return unchanged(report);

  const edited = editDocument(text, yaml, value, operations);
  if (edited === undefined) return unchanged([...leftOut, errorAt(line, CANNOT_BE_CHANGED)], true);
  const note =
    edited.extent === "additions"
      ? []
      : [`warning: ${file}:${line.toString()}: the document was reformatted: ${NO_ROOM}`];
  return { text: edited.text, report: [...report, ...note], hasErrors: false };
}

const NO_ROOM = "its text has no plain place for what was added";
const CANNOT_BE_CHANGED = "what is missing cannot be added to it";

interface InjectedPodTemplate {
  /** For the whole document. */
  readonly operations: readonly AddOperation<unknown>[];
  readonly report: readonly string[];
}

function injectPodTemplate(template: PodTemplate, { labelsOf, index }: InjectContext): InjectedPodTemplate {
  const title = titleOf(template);
  const decided = decidePodTemplate(template, { labels: labelsOf(template.namespace) }, index);
  if (decided === undefined) {
    return { operations: [], report: [`${title}: skipped: it has no readable pod spec`] };
  }
  const { pod, hasMetadata, decision, findings } = decided;
  const report = [
    ...describeDecision(decision),
    ...findings.map(describeFinding),
    ...decision.warnings.map((warning) => `warning: ${warning}`),
  ].map((line) => `${title}: ${line}`);
  if (decision.kind === "skip") return { operations: [], report };
  const prefix = template.path.map((key) => `/${jsonpatch.escapePathComponent(key.toString())}`).join("");
  const operations = [...metadataFor(template, hasMetadata), ...patchPod(pod, decision)]
    .filter(({ path }) => hasMetadata || template.allowsMetadata || !path.startsWith("/metadata"))
    .map(({ op, path, value }) => ({ op, path: prefix + path, value }));
  return { operations, report };
}

function metadataFor(template: PodTemplate, isThere: boolean): readonly AddOperation<unknown>[] {
  return isThere || !template.allowsMetadata ? [] : [{ op: "add", path: "/metadata", value: {} }];
}

function reportImageLeftOut(
  object: ManifestObject,
  { labelsOf, index, kinds }: InjectContext,
): readonly string[] {
  if (kinds.has(keyOf(object))) return [];
  const image = imageLeftOut(object, labelsOf(object.namespace), index);
  if (image === undefined) return [];
  const { title, namespace, kind, group } = object;
  const owner = escapeControls(namespace === undefined ? title : `${title} in ${namespace}`);
  const names = image.registries.map(({ name }) => name).join(", ");
  const path = escapeControls(formatPath(image.path));
  return [
    `${owner}: left out: ${path} needs ${names}, and no pod template is known for ${escapeControls(`${kind} of ${group}`)}; ` +
      "the webhook injects its pods when they are created in a namespace that opted in",
  ];
}

function describeDecision(decision: Decision): readonly string[] {
  if (decision.kind === "skip") {
    const remedy = decision.reason === "labels-unknown" ? "; add the manifest of the Namespace" : "";
    return [`skipped: ${SKIP_REASONS[decision.reason]}${remedy}`];
  }
  if (decision.secretNames.length === 0) return [];
  const registries = decision.registries.map((registry) => registry.name).join(", ");
  return [`injected ${decision.secretNames.join(", ")} for ${registries}`];
}

function describeFinding({ container, builder, outcome }: BuildFinding): string {
  const title = `container ${escapeControls(container)} (${builder})`;
  if (outcome.kind === "skip") return `${title}: left as it is: ${BUILD_SKIP_REASONS[outcome.reason]}`;
  const registries = outcome.registries.map((registry) => registry.name).join(", ");
  const env = outcome.env.map(({ name, value }) => `, ${name}=${value}`).join("");
  return `${title}: mounted ${outcome.secretName} at ${outcome.directory} for ${registries}${env}`;
}
