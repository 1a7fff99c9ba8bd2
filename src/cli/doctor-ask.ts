/** `pullpass doctor --ask-registry`: whether the credentials of a pod, or those of its registries, may pull its images. */
import type { ConfiguredRegistry } from "../config/configuration.ts";
import { parseAddress } from "../core/address.ts";
import type { AddressedCredential } from "../core/credential.ts";
import { diagnose, type DiagnosisContext, type PodWithStatus } from "../core/diagnosis.ts";
import { repositoryName, type ImageReference } from "../core/image-reference.ts";
import type { Labels } from "../core/labels.ts";
import { visitImages } from "../core/pod.ts";
import { isPermittedIn, selectRegistries } from "../core/registry.ts";
import { credentialsInSecret, UnusableSecretError } from "../core/source-secret.ts";
import { createApis, type ApisFor } from "../kube/api.ts";
import { hasStatus } from "../kube/errors.ts";
import { getSecret } from "../kube/resources/copies.ts";
import type { Transport } from "../kube/transport.ts";
import { checkLogin, type LoginReport } from "../registry/login.ts";
import { planLogins } from "../registry/plan-logins.ts";
import type { KnownRegistries, RegistryAnswer } from "./doctor-facts.ts";
import type { RegistryCredentials } from "./registries-source.ts";

export interface PodQuestion {
  readonly pod: PodWithStatus;
  readonly namespace: string;
  readonly labels: Labels | "unknown";
  readonly pullSecretNames: readonly string[];
}

export interface AskOptions {
  readonly transport: Transport;
  readonly known: KnownRegistries;
  readonly readCredentials: (registry: ConfiguredRegistry) => Promise<readonly RegistryCredentials[]>;
}

/**
 * Asks with each pull secret that the pod has, or would get, as kubelet would use it. Where none of a registry can be read, with
 * the credentials of the registry itself. Each question is asked once, however many pods there are.
 */
export class RegistryQuestions {
  readonly #options: AskOptions;
  readonly #apisFor: ApisFor;
  readonly #asked = new Map<string, Promise<LoginReport>>();
  readonly #byName: ReadonlyMap<string, ConfiguredRegistry>;

  constructor(options: AskOptions) {
    this.#options = options;
    this.#apisFor = createApis(options.transport);
    this.#byName = new Map(options.known.registries.map((registry) => [registry.name, registry]));
  }

  /** The answers about the images that the pod waits for, or about all if it waits for none, by image. */
  async ask(question: PodQuestion): Promise<ReadonlyMap<string, readonly RegistryAnswer[]>> {
    const { pod } = question;
    const waiting = diagnose(pod, withoutContext(this.#options.known)).containers.map(({ image }) => image);
    const images = new Set(waiting);
    if (waiting.length === 0)
      visitImages(pod, (image) => {
        if (typeof image === "string") images.add(image);
      });
    const answers = [...images].map(async (image) => [image, await this.#askAbout(image, question)] as const);
    return new Map(await Promise.all(answers));
  }

  async #askAbout(
    image: string,
    { namespace, labels, pullSecretNames }: PodQuestion,
  ): Promise<readonly RegistryAnswer[]> {
    const lookup = this.#options.known.index.lookUp(image);
    if (lookup.kind === "invalid" || lookup.reference.domain === "") return [];
    const { reference } = lookup;
    const needed = selectRegistries(lookup.covering, (registry) => isPermittedIn(registry, labels));
    const names = new Set([...pullSecretNames, ...needed.map(({ secretName }) => secretName)]);
    const bySecret = new Map<string, readonly RegistryAnswer[]>();
    for (const name of names) bySecret.set(name, await this.#askWithSecret(namespace, name, reference));
    const fromRegistries = await Promise.all(
      needed
        .filter(({ secretName }) => bySecret.get(secretName)?.length === 0)
        .map(({ name }) => this.#askWithRegistry(name, reference)),
    );
    const answers = [...bySecret.values(), ...fromRegistries].flat();
    return answers.length > 0 ? answers : [NOTHING_TO_ASK_WITH];
  }

  async #askWithSecret(
    namespace: string,
    name: string,
    image: ImageReference,
  ): Promise<readonly RegistryAnswer[]> {
    try {
      const secret = await getSecret(this.#apisFor, namespace, name, "low");
      // Kubelet ignores Secrets of other types.
      if (!secret?.type?.startsWith("kubernetes.io/dockerc")) return [];
      const found = credentialsInSecret(secret, parseAddress(repositoryName(image)));
      const credentials = `pull secret ${name}`;
      return await Promise.all(found.map((credential) => this.#askOnce(credentials, credential, image)));
    } catch (error) {
      if (error instanceof UnusableSecretError || hasStatus(error, 403)) return [];
      throw error;
    }
  }

  async #askWithRegistry(name: string, image: ImageReference): Promise<readonly RegistryAnswer[]> {
    const registry = this.#byName.get(name);
    if (registry?.source === undefined) return [];
    const credentials = `registry ${name}`;
    const answers = (await this.#options.readCredentials(registry)).flatMap((read) => {
      if ("fault" in read) {
        const message = `not asked: ${read.fault}`;
        return Promise.resolve<RegistryAnswer>({ credentials, outcome: "unknown", message });
      }
      return planLogins(registry, read.credentials, [image]).flatMap((step) =>
        step.kind === "ask" && step.images.length > 0
          ? this.#askOnce(credentials, step.credential, image)
          : [],
      );
    });
    return Promise.all(answers);
  }

  async #askOnce(
    credentials: string,
    { username, password }: AddressedCredential,
    image: ImageReference,
  ): Promise<RegistryAnswer> {
    const question = { authority: image.domain, credential: { username, password }, images: [image] };
    const report = await this.#asked.getOrInsertComputed(JSON.stringify(question), () =>
      checkLogin(question),
    );
    return { credentials, ...describe(report, image) };
  }
}

const NOTHING_TO_ASK_WITH: RegistryAnswer = {
  credentials: "nothing",
  outcome: "unknown",
  message: "not asked: no credentials for the image could be read",
};

/** Enough to tell which images a pod waits for. */
function withoutContext({ index }: KnownRegistries): DiagnosisContext {
  const namespace = { isOptedIn: false, labels: {} };
  return { namespace, serviceAccount: undefined, index, pullSecret: () => ({ kind: "unknown" }), now: 0 };
}

function describe({ login, pulls }: LoginReport, image: ImageReference): Omit<RegistryAnswer, "credentials"> {
  const outcome =
    pulls[0]?.outcome ?? (login.kind === "works" || login.kind === "asks-for-none" ? undefined : login);
  switch (outcome?.kind) {
    case "allowed":
      return { outcome: "may-pull", message: "these credentials may pull it" };
    case "not-there": {
      const what = image.digest === undefined ? `tag ${image.tag ?? "latest"}` : "digest";
      return { outcome: "not-there", message: `the registry has no such ${what}` };
    }
    case "refused":
      return { outcome: "may-not-pull", message: `these credentials may not pull it: ${outcome.reason}` };
    default:
      return { outcome: "unknown", message: `no usable answer: ${outcome?.reason ?? "none"}` };
  }
}
