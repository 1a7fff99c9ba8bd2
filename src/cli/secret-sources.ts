/** Reads credentials from the Secrets of a cluster, once, for `check --login`. */
import { UnusableCredentialsError } from "../config/credentials.ts";
import { credentialsInSecret, UnusableSecretError } from "../core/source-secret.ts";
import { KubeApiError, KubeUnreachableError } from "../kube/client.ts";
import type { KubeConnection } from "../kube/connection.ts";
import { createHttpsClient } from "../kube/https-client.ts";
import { createRequestRate } from "../kube/request-rate.ts";
import { getSecret } from "../kube/secrets.ts";
import type { ReadSecretSource } from "./check-login.ts";

export interface SecretSources {
  readonly read: ReadSecretSource;
  close(): void;
}

/** A person waits, and asks for a few Secrets. */
const RATE = { perSecond: 50, burst: 50, concurrency: 8 };

/** `ownNamespace` is where Secrets are that the configuration names without a namespace. */
export function readSecretSources(connection: KubeConnection, ownNamespace: string): SecretSources {
  const client = createHttpsClient({ connection, rate: createRequestRate(RATE) });
  return {
    async read(name, namespace = ownNamespace, address) {
      const secretName = `Secret ${namespace}/${name}`;
      try {
        const secret = await getSecret(client, namespace, name, "urgent");
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
      client.close();
    },
  };
}
