/** A registry as it is being typed: what is wrong with it, what it covers, whom it is for, and what kubectl would take. */
import { stringify } from "yaml";
import { isDnsLabel } from "../config/fields.ts";
import { joinRegistryObjects, asRegistryObject, readRegistryObject } from "../config/registry-objects.ts";
import { REGISTRY_API_VERSION, REGISTRY_KIND } from "../config/registry-crd.ts";
import { addressCovers, splitRepository } from "../core/address.ts";
import { repositoryName } from "../core/image-reference.ts";
import { getString, isObject } from "../core/kubernetes.ts";
import { CREDENTIALS_LABEL } from "../core/labels.ts";
import { isPermittedIn, selectRegistries, indexRegistries, type Registry } from "../core/registry.ts";
import type { Credentials, Draft, DraftCheck, Problem } from "./api.ts";
import type { ClusterView } from "./cluster-view.ts";
import { credentialsSecret } from "./credentials.ts";

/** @returns undefined if it is none */
export function readDraft(value: unknown): Draft | undefined {
  const spec = isObject(value) ? value["spec"] : undefined;
  if (!isObject(spec)) return undefined;
  return {
    name: getString(value, "name") ?? "",
    uid: getString(value, "uid") ?? "",
    // The schema judges the rest of it.
    spec: { ...spec, address: getString(spec, "address") ?? "" },
  };
}

export interface DraftContext {
  readonly view: ClusterView;
  /** Where the Secret is. */
  readonly namespace: string;
}

export function checkDraft(draft: Draft, image: string, { view, namespace }: DraftContext): DraftCheck {
  const { registry, problems } = judge(draft, view);
  const refusal = view.namespaces.refusal();
  return {
    problems,
    cover: image === "" || registry === undefined ? null : coverOf(registry, image, view),
    namespaces: refusal === undefined ? namespacesFor(draft, view) : null,
    unread: refusal ?? "",
    ...manifest(draft, namespace),
  };
}

/** By its selector, whatever else is not right yet. */
function namespacesFor({ spec }: Draft, view: ClusterView): DraftCheck["namespaces"] {
  const selecting = readRegistryObject({ ...ANY, spec: { ...ANY.spec, namespaces: spec.namespaces } });
  const optedIn = view.namespaces.entries().filter(([, each]) => each.isOptedIn && !each.isTerminating);
  const matching =
    selecting.kind === "invalid"
      ? []
      : optedIn.filter(([, { labels }]) => isPermittedIn(selecting.registry, labels));
  return {
    optedIn: optedIn.length,
    matching: matching.length,
    examples: matching.slice(0, MAX_EXAMPLES).map(([name]) => name),
  };
}

const MAX_EXAMPLES = 12;
/** A registry that nothing is wrong with. */
const ANY = { name: "any", createdAt: "", spec: { address: "registry.example.com" } };

/** As Pullpass judges it once it is saved: by the schema, and beside the other registries. */
function judge(
  { name, uid, spec }: Draft,
  view: ClusterView,
): { readonly registry: Registry | undefined; readonly problems: readonly Problem[] } {
  const objects = view.registries.entries().map(([, { object }]) => asRegistryObject(object));
  const own = objects.find((object) => object.name === name);
  // A new one is the youngest of all.
  const object = { name, createdAt: own?.createdAt ?? "9999", spec };
  const result = readRegistryObject(object);
  if (result.kind === "invalid") {
    // A name that is not right hides what else is not.
    const rest = isDnsLabel(name) ? result : readRegistryObject({ ...object, name: ANY.name });
    const others = rest.kind === "invalid" && rest !== result ? rest.problems : [];
    return { registry: undefined, problems: [...result.problems, ...others] };
  }
  const taken = own !== undefined && uid === "";
  const others = objects.filter((each) => each.name !== name);
  const fault = joinRegistryObjects(view.configuration, [...others, object]).faults.get(name);
  return {
    registry: result.registry,
    problems: [
      ...(taken ? [{ field: "metadata.name", message: "there is a registry of that name already" }] : []),
      ...(fault === undefined ? [] : [problemOf(fault.message)]),
    ],
  };
}

/** The message may begin with the field that it is about. */
function problemOf(message: string): Problem {
  const [, field = "metadata.name", rest = message] = /^(spec\.[\w.]+): (.*)$/s.exec(message) ?? [];
  return { field, message: rest };
}

function coverOf(registry: Registry, image: string, view: ClusterView): DraftCheck["cover"] {
  const others = view.joined().registries.filter(({ name }) => name !== registry.name);
  const lookup = indexRegistries([...others, registry]).lookUp(image);
  if (lookup.kind === "invalid") return { isCovered: false, sentence: lookup.reason };
  const name = repositoryName(lookup.reference);
  if (!addressCovers(registry.address, splitRepository(name)))
    return { isCovered: false, sentence: `${registry.address.text} does not cover ${name}` };
  const winners = selectRegistries(lookup.covering, () => true);
  const winner = winners.find((each) => each.name === registry.name) ?? winners[0] ?? registry;
  return winner.name === registry.name
    ? { isCovered: true, sentence: `covers ${name}` }
    : {
        isCovered: false,
        sentence: `covers ${name}, but ${winner.name} (${winner.address.text}) is more specific`,
      };
}

const PLACEHOLDER = "...";
const PLACEHOLDERS: Readonly<Record<string, Credentials>> = {
  BasicAuth: { type: "BasicAuth", username: "", password: "" },
  Token: { type: "Token", token: "" },
  DockerConfig: { type: "DockerConfig", config: "" },
};

/** Credentials are never sent back, so that the Secret shows which keys they belong under. */
function manifest(
  { name, spec }: Draft,
  namespace: string,
): { readonly yaml: string; readonly command: string } {
  const { auth } = spec;
  const placeholder = PLACEHOLDERS[auth?.type ?? ""];
  const secretName = auth?.secretRef?.name ?? "";
  const objects: object[] = [];
  if (placeholder !== undefined && secretName !== "") {
    const { data, ...secret } = credentialsSecret(placeholder, { name: secretName, namespace }, true);
    const stringData = Object.fromEntries(Object.keys(data).map((key) => [key, PLACEHOLDER]));
    objects.push({
      ...secret,
      metadata: { name: secretName, namespace, labels: { [CREDENTIALS_LABEL]: "true" } },
      stringData,
    });
  }
  // Somebody may type a password into an address, where none belongs: it does not come back either.
  const shown = spec.address.includes("@") ? { ...spec, address: PLACEHOLDER } : spec;
  objects.push({ apiVersion: REGISTRY_API_VERSION, kind: REGISTRY_KIND, metadata: { name }, spec: shown });
  const yaml = objects.map((object) => stringify(object, { lineWidth: 0 })).join("---\n");
  return { yaml, command: `kubectl apply --server-side --filename - <<'EOF'\n${yaml}EOF` };
}
