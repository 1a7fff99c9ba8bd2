/** What is wrong with the labels and annotations by which a namespace says what it wants, as reasons of Events. */
import { INJECT_LABEL, SERVICE_ACCOUNTS_ANNOTATION, type Labels } from "./labels.ts";

/** In characters, keys and values together. The longest label has 381, an ordinary one 40: more than anybody uses. */
export const MAX_LABELS_LENGTH = 16 * 1024;
/** Each is read, and perhaps patched, at every change. */
export const MAX_SERVICE_ACCOUNTS = 100;

export type NamespaceProblem = "InjectLabelHasNoEffect" | "LabelsTooLong" | "TooManyServiceAccounts";

export function describeProblem(problem: NamespaceProblem, labels: Labels): string {
  switch (problem) {
    case "InjectLabelHasNoEffect":
      return `The label ${INJECT_LABEL}=${labels[INJECT_LABEL] ?? ""} has no effect. To opt the namespace in, set it to "enabled".`;
    case "LabelsTooLong":
      return `The labels of the namespace have more than ${String(MAX_LABELS_LENGTH)} characters. Pullpass does not read them and treats the namespace as not opted in.`;
    case "TooManyServiceAccounts":
      return `The annotation ${SERVICE_ACCOUNTS_ANNOTATION} lists more than ${String(MAX_SERVICE_ACCOUNTS)} ServiceAccounts. Pullpass ignores the rest.`;
  }
}
