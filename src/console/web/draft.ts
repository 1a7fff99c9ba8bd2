/** The fields of the form, and the ClusterRegistry that they make. */
import type { Credentials, LabelSelector, RegistryRow, RegistrySpec } from "../api.ts";

export type FormAuth = "BasicAuth" | "Token" | "DockerConfig" | "Provider" | "None";

export interface Requirement {
  readonly key: string;
  readonly operator: string;
  /** With commas. */
  readonly values: string;
}

export interface Fields {
  readonly displayName: string;
  readonly address: string;
  readonly auth: FormAuth;
  readonly username: string;
  readonly password: string;
  readonly token: string;
  readonly config: string;
  readonly provider: string;
  /** Empty: the display name makes it. */
  readonly name: string;
  readonly secret: string;
  readonly requirements: readonly Requirement[];
  readonly isForAll: boolean;
  readonly pull: boolean;
  readonly build: boolean;
  readonly secretName: string;
  /** With commas. */
  readonly hosts: string;
}

/** What is typed into one line, or a few. */
export type TextField =
  | "displayName"
  | "address"
  | "username"
  | "password"
  | "token"
  | "config"
  | "provider"
  | "name"
  | "secret"
  | "secretName"
  | "hosts";

export const EMPTY_FIELDS: Fields = {
  ...{ displayName: "", address: "", auth: "BasicAuth", username: "", password: "", token: "", config: "" },
  ...{ provider: "", name: "", secret: "", requirements: [], isForAll: true, pull: true, build: true },
  ...{ secretName: "", hosts: "" },
};

export function fieldsOf({ name, displayName, object }: RegistryRow): Fields {
  if (object === null) return EMPTY_FIELDS;
  const { spec } = object;
  const use = spec.use ?? ["pull", "build"];
  return {
    ...EMPTY_FIELDS,
    name,
    displayName: spec.displayName ?? displayName,
    address: spec.address,
    auth: authOf(spec.auth?.type),
    username: spec.auth?.username ?? "",
    provider: spec.auth?.provider ?? "",
    secret: spec.auth?.secretRef?.name ?? "",
    requirements: requirementsOf(spec.namespaces),
    isForAll: spec.namespaces === undefined,
    pull: use.includes("pull"),
    build: use.includes("build"),
    secretName: spec.secretName ?? "",
    hosts: (spec.hosts ?? []).join(", "),
  };
}

function authOf(type: string | undefined): FormAuth {
  if (type === "BasicAuth" || type === "Token" || type === "DockerConfig" || type === "Provider") return type;
  return "None";
}

function requirementsOf({
  matchLabels = {},
  matchExpressions = [],
}: LabelSelector = {}): readonly Requirement[] {
  return [
    ...Object.entries(matchLabels).map(([key, value]) => ({ key, operator: "In", values: value })),
    ...matchExpressions.map(({ key, operator, values = [] }) => ({
      key,
      operator,
      values: values.join(", "),
    })),
  ];
}

/** A DNS label of the display name: `My Org Private Registry` is `my-org-private-registry`. */
export function nameOf({ name, displayName }: Pick<Fields, "name" | "displayName">): string {
  if (name !== "") return name;
  const slug = displayName
    .normalize("NFKD")
    .toLowerCase()
    .replaceAll(/\p{M}/gu, "")
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
  return slug.slice(0, 50).replace(/-+$/, "");
}

export function secretOf(fields: Fields): string {
  return fields.secret !== "" ? fields.secret : `${nameOf(fields)}-login`;
}

/** What is edited elsewhere, and is not in the form, stays as it is in `before`. */
export function specOf(fields: Fields, before: RegistrySpec | undefined): RegistrySpec {
  const { displayName, address, pull, build, secretName, hosts, isForAll } = fields;
  const {
    auth: _,
    namespaces: __,
    use: ___,
    secretName: ____,
    hosts: _____,
    displayName: ______,
    ...rest
  } = before ?? { address };
  const hostList = list(hosts);
  return {
    ...rest,
    address: address.trim(),
    ...(displayName.trim() !== "" && { displayName: displayName.trim() }),
    ...authPart(fields),
    ...(!isForAll && { namespaces: selectorOf(fields.requirements) }),
    ...(!(pull && build) && { use: [...(pull ? ["pull"] : []), ...(build ? ["build"] : [])] }),
    ...(secretName.trim() !== "" && { secretName: secretName.trim() }),
    ...(hostList.length > 0 && { hosts: hostList }),
  };
}

function authPart(fields: Fields): Pick<RegistrySpec, "auth"> {
  const { auth: type, username, provider } = fields;
  if (type === "None") return {};
  if (type === "Provider") return { auth: { type, provider: provider.trim() } };
  const isNamed = type === "Token" && username.trim() !== "";
  return {
    auth: { type, secretRef: { name: secretOf(fields) }, ...(isNamed && { username: username.trim() }) },
  };
}

function list(text: string): readonly string[] {
  return text
    .split(",")
    .map((each) => each.trim())
    .filter(Boolean);
}

/** As short as it can be written: labels with one value each, and expressions for the rest. */
export function selectorOf(requirements: readonly Requirement[]): LabelSelector {
  const filled = requirements.filter(({ key }) => key.trim() !== "");
  const isPlain = ({ operator, values }: Requirement): boolean => operator === "In" && !values.includes(",");
  const plain = filled.filter(isPlain);
  const rest = filled.filter((requirement) => !isPlain(requirement));
  return {
    ...(plain.length > 0 && {
      matchLabels: Object.fromEntries(plain.map(({ key, values }) => [key.trim(), values.trim()])),
    }),
    ...(rest.length > 0 && {
      matchExpressions: rest.map(({ key, operator, values }) => ({
        key: key.trim(),
        operator,
        ...(operator.endsWith("In") && { values: list(values) }),
      })),
    }),
  };
}

/** Null where nothing was typed: what is there stays. */
export function credentialsOf({ auth, username, password, token, config }: Fields): Credentials | null {
  switch (auth) {
    case "BasicAuth":
      return password === "" && username === "" ? null : { type: auth, username, password };
    case "Token":
      return token === "" ? null : { type: auth, token };
    case "DockerConfig":
      return config === "" ? null : { type: auth, config };
    default:
      return null;
  }
}

/** The parts of a spec that are not the same, in the words of the form. */
export function differences(one: RegistrySpec, other: RegistrySpec): readonly string[] {
  const words: Readonly<Record<keyof RegistrySpec, string>> = {
    displayName: "display name",
    address: "address",
    auth: "auth",
    namespaces: "namespaces",
    use: "uses",
    secretName: "pull secret",
    hosts: "hosts",
  };
  return (Object.keys(words) as (keyof RegistrySpec)[])
    .filter((key) => JSON.stringify(one[key]) !== JSON.stringify(other[key]))
    .map((key) => words[key]);
}
