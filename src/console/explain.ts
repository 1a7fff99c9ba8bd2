/** Which registry an image needs, and what a pod with it would get in a namespace: the text of `pullpass explain`. */
import { explainImage, explanationText } from "../core/explain-image.ts";
import type { Mode } from "../core/mode.ts";
import { explainPodTemplate } from "../manifest/explain-pod-template.ts";
import { podTemplatesIn } from "../manifest/pod-templates.ts";
import { readMode } from "../kube/resources/mode.ts";
import type { ExplainAnswer, ExplainRequest } from "./api.ts";
import type { Person } from "./console.ts";

export async function explain(
  { image, namespace }: ExplainRequest,
  { view, apisFor }: Pick<Person, "view" | "apisFor">,
): Promise<ExplainAnswer> {
  await Promise.all([view.registries.ready(), view.namespaces.ready()]);
  const index = view.index();
  const explanation = explainImage(image, index);
  const unread = [
    view.registries.refusal() ?? [],
    namespace === "" ? [] : (view.namespaces.refusal() ?? []),
  ].flat();
  const known = view.namespaces.get("", namespace);
  const lines = [explanationText(explanation)];
  if (namespace !== "" && explanation.reference !== undefined) {
    const { mode, notes } = await readMode(apisFor);
    unread.push(...notes);
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "pod", namespace },
      spec: { containers: [{ image }] },
    };
    const surroundings = {
      namespaceLabels: known?.labels ?? ("unknown" as const),
      // A pod of any account: one that is restricted to the Secrets that it lists is `pullpass explain --pod`'s to find.
      serviceAccount: undefined,
      unread: known === undefined ? [`namespace ${namespace} is not there, or may not be read`] : [],
    };
    for (const template of podTemplatesIn(pod)) {
      const [, ...rest] = explainPodTemplate(template, index, surroundings, mode);
      lines.push(`a pod with it in namespace ${namespace}, by the ${MODES[mode]}`, ...rest);
    }
  }
  return {
    text: lines.join("\n"),
    command: commandFor(shellWord(image), shellWord(namespace)),
    registries: explanation.registries.map(({ name }) => name),
    unread,
  };
}

const MODES: Readonly<Record<Mode, string>> = {
  webhook: "webhook",
  policy: "policy",
  "policy+webhook": "policy, and the webhook for builders",
};

function commandFor(image: string, namespace: string): string {
  if (namespace === "''") return `pullpass explain --from-cluster ${image}`;
  const pod = `kubectl run pod --image=${image} --namespace=${namespace} --dry-run=client --output=yaml`;
  return `${pod} | pullpass explain --from-cluster --pod -`;
}

/** People paste what the page shows into a shell. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
