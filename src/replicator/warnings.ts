/** Warns of what is wrong with registries and namespaces although nothing fails. The same is not told twice within an hour. */
import type { Namespace } from "../core/kubernetes.ts";
import { describeProblem } from "../core/labels.ts";
import { isPermittedIn } from "../core/registry.ts";
import type { Source } from "../core/replication.ts";
import type { Warn } from "./ports.ts";

/** Credentials that no namespace may have are a mistake in a selector or in a label. */
export function warnOfIdleSources(
  sources: readonly Source[],
  namespaces: Iterable<Namespace>,
  warn: Warn,
): void {
  const optedIn = [...namespaces].filter(({ isOptedIn }) => isOptedIn);
  if (optedIn.length === 0) return;
  for (const { registry, credentials } of sources) {
    if (credentials === "kept-by-admin") continue;
    if (optedIn.some(({ labels }) => isPermittedIn(registry, labels))) continue;
    warn({
      reason: "CredentialsForNobody",
      message: `No opted-in namespace has the labels that registry ${registry.name} asks for under namespaces.`,
    });
  }
}

export function warnOfProblems({ name, labels, problems, isTerminating }: Namespace, warn: Warn): void {
  if (isTerminating) return;
  for (const reason of problems) warn({ reason, message: describeProblem(reason, labels), namespace: name });
}
