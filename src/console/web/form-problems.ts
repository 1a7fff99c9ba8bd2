/** What is wrong with the form of a registry: what the server says, by field, and what only the form can know. */
import type { Problem } from "../api.ts";
import { nameOf, type Fields, type FormAuth, type TextField } from "./draft.ts";

/** Fields by the path of what they make, from top to bottom: the focus goes to the first that is not right. */
const FIELDS: Readonly<Record<string, FieldId>> = {
  "spec.displayName": "displayName",
  "spec.address": "address",
  "credentials.username": "username",
  "spec.auth.username": "username",
  "credentials.password": "password",
  credentials: "password",
  "credentials.token": "token",
  "credentials.config": "config",
  "spec.auth.provider": "provider",
  "spec.namespaces": "requirements",
  "spec.use": "uses",
  "metadata.name": "name",
  "spec.secretName": "secretName",
  "spec.auth.secretRef.name": "secret",
  "spec.hosts": "hosts",
};

export type FieldId = TextField | "requirements" | "uses";

/** What is in a list, or in a selector, is about the field of all of it. */
export function fieldOf({ field }: Problem): FieldId {
  const whole = Object.keys(FIELDS).find(
    (path) => field.startsWith(`${path}.`) || field.startsWith(`${path}[`),
  );
  return FIELDS[field] ?? FIELDS[whole ?? ""] ?? "address";
}

/** The first from top to bottom. */
export function firstField(problems: readonly Problem[]): FieldId | undefined {
  const fields = new Set(problems.map(fieldOf));
  return Object.values(FIELDS).find((id) => fields.has(id));
}

/** The display name makes the names of the registry and of its Secret, unless somebody typed them. */
export function inWordsOfForm(problem: Problem, { name, displayName, secret }: Fields): Problem {
  const isMade =
    problem.field === "metadata.name" || (problem.field === "spec.auth.secretRef.name" && secret === "");
  if (!isMade || nameOf({ name, displayName }) !== "") return problem;
  return {
    field: "spec.displayName",
    message: displayName === "" ? "is missing" : "needs a letter or a digit",
  };
}

/**
 * What the server cannot tell: a registry of these types needs credentials, unless its Secret is there already or is somebody else's to
 * write; and whoever chooses by labels does not mean everybody.
 */
export function missingParts(
  fields: Fields,
  isEdited: boolean,
  typeBefore: string | undefined,
): readonly Problem[] {
  const { auth, secret, isForAll, requirements } = fields;
  if (!isForAll && requirements.every(({ key }) => key.trim() === ""))
    return [{ field: "spec.namespaces", message: "names no label: choose all that opted in, or a label" }];
  const mayStay = (isEdited && typeBefore === auth) || (!isEdited && secret !== "");
  const missing = PARTS[auth].filter((part) => fields[part] === "");
  if (mayStay && missing.length === PARTS[auth].length) return [];
  return missing.map((part) => ({ field: `credentials.${part}`, message: "is missing" }));
}

/** What is typed of credentials. */
const PARTS: Readonly<Record<FormAuth, readonly TextField[]>> = {
  BasicAuth: ["username", "password"],
  Token: ["token"],
  DockerConfig: ["config"],
  Provider: [],
  None: [],
};
