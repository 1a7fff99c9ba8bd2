/** Reads credentials from the Secrets of a cluster, once, for `check --login`. */
import { UnusableCredentialsError } from "../config/credentials.ts";
import { credentialsInSecret, UnusableSecretError } from "../core/source-secret.ts";
import { createApis } from "../kube/api.ts";
import { KubeApiError, KubeUnreachableError } from "../kube/errors.ts";
import type { KubeConnection } from "../kube/connection.ts";
import { createRequestRate } from "../kube/request-rate.ts";
import { getSecret } from "../kube/resources/copies.ts";
import { createTransport } from "../kube/transport.ts";
import type { ReadSecretSource } from "./check-login.ts";

export interface SecretSources {
  readonly read: ReadSecretSource;
  close(): void;
}

/** A person waits, and asks for a few Secrets. */
const RATE = { concurrency: 8 };

/** `ownNamespace` is where Secrets are that the configuration names without a namespace. */
export function readSecretSources(connection: KubeConnection, ownNamespace: string): SecretSources {
  const transport = createTransport({ connection, rate: createRequestRate(RATE) });
  const apisFor = createApis(transport);
  return {
    async read(name, namespace = ownNamespace, address) {
      const secretName = `Secret ${namespace}/${name}`;
      try {
        const secret = await getSecret(apisFor, namespace, name, "high");
        if (secret === undefined) throw new UnusableCredentialsError(`${secretName} does not exist`);
        return credentialsInSecret(secret, address);
      } catch (error) {
        const isExpected =
          error instanceof UnusableSecretError ||
          error instanceof KubeApiError ||
          error instanceof KubeUnreachableError;
        if (!isExpected) throw error;
        throw new UnusableCredentialsError(`${secretName}: ${error.message}`, { cause: error });
      }
    },
    close() {
      transport.close();
    },
  };
}
