/**
 * The credentials of registries that have a credential provider. The leader has the programs run and keeps their answers in a Secret;
 * every replica reads them there.
 */
import { hash } from "node:crypto";
import type { Logger } from "pino";
import type { Configuration, ConfiguredRegistry } from "../config/configuration.ts";
import { requestsFor, type CredentialProvider, ANSWERS_SECRET_NAME } from "../core/credential-provider.ts";
import type { Address } from "../core/address.ts";
import type { AddressedCredential } from "../core/credential.ts";
import { messageOf } from "../core/error-message.ts";
import type { ApisFor } from "../kube/api.ts";
import {
  readAnswersSecret,
  writeAnswersSecret,
  type AnswersSecret,
} from "../kube/resources/provider-answers.ts";
import { getSecret } from "../kube/resources/copies.ts";
import { askProvider, type Programs } from "../providers/ask.ts";
import { Renewal, type RenewalOptions, type WantedAnswer } from "../providers/renewal.ts";
import {
  keyOf,
  readAnswers,
  writeAnswers,
  type StoredAnswer,
  type StoredAnswers,
} from "../providers/stored-answers.ts";
import type { ProvidedState } from "./credential-sources.ts";
import type { ObjectWatch } from "./informers.ts";
import { describeSecret, type SecretName, type WatchSecret } from "./watched-sources.ts";

export interface ProvidedCredentialsOptions {
  /** Its writes are sent only while this replica leads. */
  readonly apisFor: ApisFor;
  /** Pullpass's own. */
  readonly namespace: string;
  readonly watchSecret: WatchSecret;
  readonly programs: Programs;
  readonly logger: Logger;
  readonly onAnswer: RenewalOptions["onAnswer"];
  /** What {@link ProvidedCredentials.stateOf} says may be different. */
  readonly onChange: () => void;
}

const NO_ANSWERS: StoredAnswers = new Map();

export class ProvidedCredentials {
  readonly #options: ProvidedCredentialsOptions;
  readonly #secretId: SecretName;
  readonly #renewal: Renewal;
  #providers: ReadonlyMap<string, CredentialProvider> = new Map();
  #watch: ObjectWatch | undefined;
  /** What is known of the Secret, and the answers in it. */
  #stored: { readonly secret: AnswersSecret | "missing"; readonly answers: StoredAnswers } | undefined;
  #writeError: string | undefined;

  constructor(options: ProvidedCredentialsOptions) {
    const { namespace, programs, logger, onAnswer, onChange } = options;
    this.#options = options;
    this.#secretId = { namespace, name: ANSWERS_SECRET_NAME };
    this.#renewal = new Renewal({
      ask: (wanted, signal) => askProvider(wanted, programs, signal),
      stored: () => (this.#isForeign ? undefined : this.#stored?.answers),
      write: (answers) => this.#write(answers),
      onAnswer(provider, outcome) {
        if (outcome === "changed")
          logger.info({ provider }, "a credential provider handed out a new credential");
        onAnswer(provider, outcome);
      },
      onFailures: onChange,
      onWriteError: (error) => {
        this.#reportWriteError(error);
      },
    });
  }

  setRegistries(configuration: Pick<Configuration, "registries" | "providers">, isComplete: boolean): void {
    const { registries, providers } = configuration;
    this.#providers = new Map(providers.map((provider) => [provider.name, provider]));
    const wanted = registries.flatMap((registry) => questionsOf(registry, this.#providers));
    // Once it is watched, answers that nobody wants any more are removed.
    if (wanted.length > 0) this.#watch ??= this.#openWatch();
    const byKey = new Map(wanted.map((each) => [keyOf(each.provider.name, each.request), each]));
    this.#renewal.setWanted({ answers: byKey, isComplete });
  }

  stateOf(registry: ConfiguredRegistry): ProvidedState {
    const questions = questionsOf(registry, this.#providers);
    const keys = questions.map(({ provider, request }) => keyOf(provider.name, request));
    const found = questions.flatMap(({ provider, request }, index) => {
      const answer = this.#stored?.answers.get(keys[index] ?? "");
      return answer === undefined ? [] : [{ answer, provider, address: request.address }];
    });
    const now = Date.now();
    const due = keys.flatMap((key) => this.#renewal.dueAt(key) ?? []);
    return {
      credentials: found.map((each) => credentialOf(each, now)),
      fault: questions.length === 0 ? undefined : (this.#faultOfSecret() ?? this.#faultOf(questions)),
      changedAt: latest(found.map(({ answer }) => answer.changedAt)),
      nextRefreshAt: due.length === 0 ? undefined : Math.min(...due),
      graceEndsAt: Math.min(...found.map(graceEndOf).filter((time) => time > now)),
    };
  }

  /** Resolves once the Secret was asked for, if any registry needs it. */
  async settled(): Promise<void> {
    await this.#watch?.asked;
  }

  /** This replica leads until `signal`. */
  start(signal: AbortSignal): void {
    void (async () => {
      // The leader before this one may have written a moment ago.
      if (this.#watch !== undefined) await this.#refresh();
      if (!signal.aborted) this.#renewal.start(signal);
    })();
  }

  close(): void {
    this.#watch?.close();
  }

  #openWatch(): ObjectWatch {
    return this.#options.watchSecret(this.#secretId, (object) => {
      this.#take(object === "missing" ? object : readAnswersSecret(object));
    });
  }

  /** A watch may report a state that is older than what this replica has read or written. */
  #take(secret: AnswersSecret | "missing"): void {
    const known = this.#stored?.secret;
    if (typeof secret === "object" && typeof known === "object" && secret.version < known.version) return;
    const answers = secret === "missing" || !secret.isOurs ? NO_ANSWERS : readAnswers(secret.text);
    this.#stored = { secret, answers };
    this.#renewal.wake();
    this.#options.onChange();
  }

  async #write(answers: StoredAnswers): Promise<boolean> {
    const { apisFor, namespace } = this.#options;
    const known = this.#stored?.secret;
    const over = typeof known === "object" ? known : undefined;
    const written = await writeAnswersSecret(apisFor, namespace, writeAnswers(answers), over);
    this.#writeError = undefined;
    if (written !== undefined) this.#take(written);
    return written !== undefined;
  }

  #reportWriteError(error: unknown): void {
    const { logger, onChange } = this.#options;
    const message = messageOf(error);
    if (message === this.#writeError) return;
    this.#writeError = message;
    onChange();
    logger.error(
      { secret: describeSecret(this.#secretId), error: message },
      "failed to keep the answers of providers; retrying",
    );
  }

  async #refresh(): Promise<void> {
    const { apisFor, namespace, logger } = this.#options;
    try {
      const current = await getSecret(apisFor, namespace, ANSWERS_SECRET_NAME, "high");
      this.#take(current === undefined ? "missing" : readAnswersSecret(current));
    } catch (error) {
      const facts = { secret: describeSecret(this.#secretId), error: messageOf(error) };
      logger.warn(facts, "failed to read the answers of providers");
    }
  }

  get #isForeign(): boolean {
    const secret = this.#stored?.secret;
    return typeof secret === "object" && !secret.isOurs;
  }

  #faultOfSecret(): string | undefined {
    const name = describeSecret(this.#secretId);
    if (this.#isForeign) return `Secret ${name} is not Pullpass's, which keeps answers there`;
    return this.#writeError && `the answers cannot be kept in Secret ${name}: ${this.#writeError}`;
  }

  #faultOf(questions: readonly WantedAnswer[]): string | undefined {
    return questions
      .flatMap(({ provider, request }) => {
        const fault = this.#renewal.faults.get(keyOf(provider.name, request));
        return fault === undefined ? [] : `provider ${provider.name} ${fault.message}`;
      })
      .at(0);
  }
}

/** An answer, and what it is for. */
interface Provided {
  readonly answer: StoredAnswer;
  readonly provider: CredentialProvider;
  readonly address: Address;
}

/** Without a grace period the previous credential is not written, and no copy has it. */
function credentialOf(provided: Provided, now: number): AddressedCredential {
  const { answer, provider, address } = provided;
  const { credential, previous } = answer;
  if (previous === undefined || provider.gracePeriodMs === 0) return { ...credential, address };
  return { ...credential, address, previous: { ...previous, isInGrace: now < graceEndOf(provided) } };
}

function graceEndOf({ answer, provider }: Provided): number {
  return answer.previous === undefined ? Infinity : answer.changedAt + provider.gracePeriodMs;
}

function questionsOf(
  registry: ConfiguredRegistry,
  providers: ReadonlyMap<string, CredentialProvider>,
): readonly WantedAnswer[] {
  const { source } = registry;
  const provider = source?.kind === "provider" ? providers.get(source.provider) : undefined;
  if (provider === undefined) return [];
  const { protocol, args, env } = provider;
  const entry = [protocol, args, env.map(({ name, value }) => [name, value.reveal()])];
  const settings = hash("sha256", JSON.stringify(entry), "base64");
  return requestsFor(registry).map((request) => ({ provider, request, settings }));
}

function latest(times: readonly number[]): number | undefined {
  return times.length === 0 ? undefined : Math.max(...times);
}
