/** Asks a credential provider: runs its program with its question, and reads the answer. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { readAnswer, questionFor, type ProviderAnswer } from "./answer.ts";
import type { WantedAnswer } from "./renewal.ts";
import { runProgram } from "./run-program.ts";

export interface Programs {
  /** One or more, as in PATH: an image volume is a directory of its own, and the first one that has a program counts. */
  readonly directory: string;
  /** Of which the programs get what {@link PASSED_ON} names. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * kubelet passes on all of its environment. In that of Pullpass there may be passwords of other registries. These are what programs need
 * to find their home, their proxy and their trusted certificates, and what clouds give to a pod as its identity.
 */
const PASSED_ON: readonly string[] = [
  ...["PATH", "HOME", "TMPDIR", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"],
  // Amazon: IAM roles for service accounts, and EKS Pod Identity.
  ...["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_SESSION_NAME", "AWS_REGION"],
  ...["AWS_DEFAULT_REGION", "AWS_STS_REGIONAL_ENDPOINTS", "AWS_CA_BUNDLE"],
  ...["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"],
  // Microsoft: workload identity.
  ...["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST"],
  // Google: workload identity federation.
  "GOOGLE_APPLICATION_CREDENTIALS",
];

/** @throws ProviderFailedError */
export async function askProvider(
  { provider, request }: Pick<WantedAnswer, "provider" | "request">,
  { directory, environment }: Programs,
  signal: AbortSignal,
): Promise<ProviderAnswer> {
  const { name, protocol, args, env } = provider;
  const passedOn = PASSED_ON.flatMap((variable) => {
    const value = environment[variable];
    return value === undefined ? [] : [[variable, value] as const];
  });
  const output = await runProgram({
    file: findProgram(directory, name),
    args: protocol === "docker" ? [...args, "get"] : args,
    environment: Object.fromEntries([
      ...passedOn,
      ...env.map((variable) => [variable.name, variable.value.reveal()] as const),
    ]),
    input: questionFor(provider, request),
    signal,
  });
  return readAnswer(provider, request, output);
}

/** Where no directory has it, running it says so. */
function findProgram(directories: string, name: string): string {
  const files = directories.split(delimiter).map((directory) => join(directory, name));
  return files.find((file) => existsSync(file)) ?? files[0] ?? name;
}
