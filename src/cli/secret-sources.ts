/** Reads credentials from the Secrets of a cluster, once. */
import type { SecretSource } from "../config/configuration.ts";
import { UnusableCredentialsError } from "../config/credentials.ts";
import type { Address } from "../core/address.ts";
import type { AddressedCredential } from "../core/credential.ts";
import { CREDENTIALS_LABEL } from "../core/labels.ts";
import { credentialsInOffer, credentialsInSecret, UnusableSecretError } from "../core/source-secret.ts";
import { createApis } from "../kube/api.ts";
import { KubeApiError, KubeUnreachableError } from "../kube/errors.ts";
import { getSecret } from "../kube/resources/copies.ts";
import { readMetadata } from "../kube/resources/metadata.ts";
import type { Transport } from "../kube/transport.ts";

/**
 * Reads the credentials for an address from a Secret in the cluster.
 *
 * @throws UnusableCredentialsError if it is not there, is not offered or holds nothing for the address; the message is printed.
 */
export type ReadSecretSource = (
  source: SecretSource,
  address: Address,
) => Promise<readonly AddressedCredential[]>;

/** `ownNamespace` is where Secrets are that are named without a namespace. */
export function secretReader(transport: Transport, ownNamespace: string): ReadSecretSource {
  const apisFor = createApis(transport);
  return async (source, address) => {
    const namespace = (source.kind === "secret" ? source.namespace : undefined) ?? ownNamespace;
    const secretName = `Secret ${namespace}/${source.name}`;
    try {
      const secret = await getSecret(apisFor, namespace, source.name, "high");
      if (secret === undefined) throw new UnusableCredentialsError(`${secretName} does not exist`);
      if (source.kind === "secret") return credentialsInSecret(secret, address);
      if (readMetadata(secret).labels[CREDENTIALS_LABEL] !== "true") {
        throw new UnusableCredentialsError(
          `${secretName} is not offered: it does not have the label ${CREDENTIALS_LABEL}=true`,
        );
      }
      return credentialsInOffer(secret, source, address);
    } catch (error) {
      const isExpected =
        error instanceof UnusableSecretError ||
        error instanceof KubeApiError ||
        error instanceof KubeUnreachableError;
      if (!isExpected) throw error;
      throw new UnusableCredentialsError(`${secretName}: ${error.message}`, { cause: error });
    }
  };
}
