/** `pullpass check --login`: asks each registry whether its credentials work. */
import type { Configuration, ConfiguredRegistry } from "../config/configuration.ts";
import { readCredentials, UnusableCredentialsError, type Environment } from "../config/credentials.ts";
import type { Address } from "../core/address.ts";
import type { AddressedCredential } from "../core/credential.ts";
import type { ImageReference } from "../core/image-reference.ts";
import { checkLogin } from "../registry/login.ts";
import { loginLine, type LoginLine } from "./login-line.ts";
import { passOver, planLogins, reasonNotToAsk, type LoginStep, type PullRequests } from "./login-plan.ts";

/**
 * Reads a Secret that a registry's credentials are in, which takes a cluster: those for an address. A namespace that is
 * undefined is the one that Pullpass runs in.
 *
 * @throws UnusableCredentialsError if it is not there or holds nothing for the address; the message is printed.
 */
export type ReadSecretSource = (
  name: string,
  namespace: string | undefined,
  address: Address,
) => Promise<readonly AddressedCredential[]>;

export interface LoginSources {
  readonly environment: Environment;
  /** Without it, registries whose credentials are in a Secret are not asked. */
  readonly readSecretSource?: ReadSecretSource;
}

/** More would not be faster where one name server and one line serve all. */
const MAX_PARALLEL = 8;

/** The lines in the order of the configuration: one for each registry, or for each of the hosts behind a `*`. */
export async function checkLogins(
  { registries }: Configuration,
  { byRegistry }: PullRequests,
  sources: LoginSources,
): Promise<readonly LoginLine[]> {
  const planned = await Promise.all(
    registries.map(async (registry) => {
      const steps = await planRegistry(registry, byRegistry.get(registry) ?? [], sources);
      return steps.map((step) => ({ registry, step }));
    }),
  );
  return inParallel(planned.flat(), MAX_PARALLEL, ({ registry, step }) => takeStep(registry, step));
}

async function planRegistry(
  registry: ConfiguredRegistry,
  images: readonly ImageReference[],
  { environment, readSecretSource }: LoginSources,
): Promise<readonly LoginStep[]> {
  const { source, address } = registry;
  if (source?.kind === "secret" && readSecretSource !== undefined) {
    try {
      const credentials = await readSecretSource(source.name, source.namespace, address);
      return planLogins(registry, credentials, images);
    } catch (error) {
      if (!(error instanceof UnusableCredentialsError)) throw error;
      return [passOver(error.message, true)];
    }
  }
  const reason = reasonNotToAsk(registry);
  if (reason !== undefined) return [passOver(reason)];
  try {
    return planLogins(registry, readCredentials(registry, environment), images);
  } catch (error) {
    if (!(error instanceof UnusableCredentialsError)) throw error;
    // The check itself has printed why.
    return [passOver("its credentials cannot be read", true)];
  }
}

async function takeStep({ name, address }: ConfiguredRegistry, step: LoginStep): Promise<LoginLine> {
  if (step.kind === "pass-over") {
    return { text: `${name}: ${address.text}: not asked: ${step.reason}`, isFailure: step.isFailure };
  }
  const { authority } = step.address;
  const report = await checkLogin({ authority, credential: step.credential, images: step.images });
  return loginLine(`${name}: ${step.address.text}`, report);
}

/** Works on all items, at most `limit` at a time; the results are in the order of the items. */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  const waiting = items.entries();
  const takeTurns = async (): Promise<void> => {
    for (const [index, item] of waiting) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: limit }, takeTurns));
  return results;
}
