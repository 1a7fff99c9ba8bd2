/** When a policy has nothing to do, as a condition that an API server checks before the policy. */
import { REGISTRIES_ANNOTATION } from "../labels.ts";
import type { Registry } from "../registry.ts";
import { headsExpression, IMAGES, referencesExpression, REPOSITORY } from "./expressions.ts";
import { countCodePoints, MAX_CODE_POINTS, type PolicyVariable } from "./limits.ts";
import { MAX_ENTRIES, text } from "./tables.ts";

/*
 * An API server that evaluates a policy writes the pod as JSON, applies the patch, even an empty one, and reads it again. It does so a
 * second time for each pod that the policy changed. The condition spares it that for pods that need nothing, and the second time.
 *
 * It may hold for a pod that lacks nothing, never the other way around, and knows neither variables nor the namespace:
 *
 * the most specific address of an image | its pull secrets, and those that others may claim it with | holds
 * none                                  |                                                           | no
 * some                                  | the pod names all                                         | no
 * some                                  | the pod lacks one                                         | yes
 */

/**
 * None without a registry, or if it does not fit in one expression.
 *
 * @param registries none has a `*`: to compare a host with those that do is what costs most.
 * @param depths how many components their paths have.
 */
export function lackingCondition(
  registries: readonly Registry[],
  depths: readonly number[],
): readonly PolicyVariable[] {
  const byAddress = Map.groupBy(registries, ({ address }) => address.text);
  if (byAddress.size === 0 || byAddress.size > MAX_ENTRIES) return [];
  const entries = [...byAddress].map(
    ([address]) => `  ${text(`${address}/`)}: [${[...secretsFor(address, byAddress)].map(text).join(", ")}]`,
  );
  const expression = `// Whether the pod may lack a pull secret: the registries that it asks for by name are looked up later.
${text(REGISTRIES_ANNOTATION)} in object.metadata.?annotations.orValue({}) ||
${referencesExpression(`(${IMAGES})`)}
  .map(r, ${REPOSITORY})
  // The most specific address comes first, with the pull secrets of those that may claim an image that it covers.
  .exists(r, ${headsExpression(depths.toReversed())}.map(address, {
${entries.join(",\n")}
}[?address]).unwrapOpt().first().orValue([])
    .exists(secret, !object.spec.?imagePullSecrets.orValue([]).exists(s, s.?name.orValue("") == secret)))`;
  return countCodePoints(expression) > MAX_CODE_POINTS
    ? []
    : [{ name: "may-lack-a-pull-secret", expression }];
}

/** Those of the registries at an address and, where they may all be kept from a namespace, of those at the next one above. */
function secretsFor(
  address: string,
  byAddress: ReadonlyMap<string, readonly Registry[]>,
): ReadonlySet<string> {
  const registries = byAddress.get(address) ?? [];
  const secrets = new Set(registries.map(({ secretName }) => secretName));
  const slash = address.lastIndexOf("/");
  if (slash < 0 || registries.some(({ namespaces }) => namespaces === undefined)) return secrets;
  return secrets.union(secretsFor(address.slice(0, slash), byAddress));
}
