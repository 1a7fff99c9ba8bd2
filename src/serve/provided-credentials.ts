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
import { describeSecret, type CredentialSourcesOptions, type ProvidedState } from "./credential-sources.ts";
import type { ObjectWatch } from "./informers.ts";

export interface ProvidedCredentialsOptions {
  /** Its writes are sent only while this replica leads. */
  readonly apisFor: ApisFor;
  /** Pullpass's own. */
  readonly namespace: string;
  readonly watchSecret: CredentialSourcesOptions["watchSecret"];
  readonly programs: Programs;
  readonly logger: Logger;
  readonly onAnswer: RenewalOptions["onAnswer"];
  /** What {@link ProvidedCredentials.stateOf} says may be different. */
  readonly onChange: () => void;
}

export interface ProvidedCredentials {
  setRegistries(configuration: Pick<Configuration, "registries" | "providers">, isComplete: boolean): void;
  readonly stateOf: (registry: ConfiguredRegistry) => ProvidedState;
  /** Resolves once the Secret was asked for, if any registry needs it. */
  settled(): Promise<void>;
  /** This replica leads until `signal`. */
  start(signal: AbortSignal): void;
  close(): void;
}

export function createProvidedCredentials(options: ProvidedCredentialsOptions): ProvidedCredentials {
  const { apisFor, namespace, watchSecret, programs, logger, onAnswer, onChange } = options;
  const secretId = { namespace, name: ANSWERS_SECRET_NAME };
  const secretName = describeSecret(secretId);
  let secret: AnswersSecret | "missing" | undefined;
  let answers: StoredAnswers = new Map();
  let providers = new Map<string, CredentialProvider>();
  let watch: ObjectWatch | undefined;
  let writeError: string | undefined;

  const isForeign = (): boolean => typeof secret === "object" && !secret.isOurs;

  /** A watch may report a state that is older than what this replica has read or written. */
  function take(next: AnswersSecret | "missing"): void {
    if (typeof next === "object" && typeof secret === "object" && next.version < secret.version) return;
    secret = next;
    answers = next === "missing" || !next.isOurs ? new Map() : readAnswers(next.text);
    renewal.wake();
    onChange();
  }

  const renewal = new Renewal({
    ask: (wanted, signal) => askProvider(wanted, programs, signal),
    stored: () => (secret === undefined || isForeign() ? undefined : answers),
    async write(next) {
      const over = typeof secret === "object" ? secret : undefined;
      const written = await writeAnswersSecret(apisFor, namespace, writeAnswers(next), over);
      writeError = undefined;
      if (written !== undefined) take(written);
      return written !== undefined;
    },
    onAnswer(provider, outcome) {
      if (outcome === "changed")
        logger.info({ provider }, "a credential provider handed out a new credential");
      onAnswer(provider, outcome);
    },
    onFailures: onChange,
    onWriteError(error) {
      const message = messageOf(error);
      if (message === writeError) return;
      writeError = message;
      onChange();
      logger.error(
        { secret: secretName, error: message },
        "failed to keep the answers of providers; retrying",
      );
    },
  });

  function openWatch(): ObjectWatch {
    return watchSecret(secretId, (object) => {
      take(object === "missing" ? object : readAnswersSecret(object));
    });
  }

  return {
    setRegistries({ registries, providers: list }, isComplete) {
      providers = new Map(list.map((provider) => [provider.name, provider]));
      const wanted = registries.flatMap((registry) => questionsOf(registry, providers));
      // Once it is watched, answers that nobody wants any more are removed.
      if (wanted.length > 0) watch ??= openWatch();
      const byKey = new Map(wanted.map((each) => [keyOf(each.provider.name, each.request), each]));
      renewal.setWanted({ answers: byKey, isComplete });
    },
    stateOf(registry) {
      const questions = questionsOf(registry, providers);
      const keys = questions.map(({ provider, request }) => keyOf(provider.name, request));
      const found = questions.flatMap(({ provider, request }, index) => {
        const answer = answers.get(keys[index] ?? "");
        return answer === undefined ? [] : [{ answer, provider, address: request.address }];
      });
      const now = Date.now();
      const due = keys.flatMap((key) => renewal.dueAt(key) ?? []);
      return {
        credentials: found.map((each) => credentialOf(each, now)),
        fault: questions.length === 0 ? undefined : (faultOfSecret() ?? faultOf(questions)),
        changedAt: latest(found.map(({ answer }) => answer.changedAt)),
        nextRefreshAt: due.length === 0 ? undefined : Math.min(...due),
        graceEndsAt: Math.min(...found.map(graceEndOf).filter((time) => time > now)),
      };
    },
    async settled() {
      await watch?.asked;
    },
    start(signal) {
      void (async () => {
        // The leader before this one may have written a moment ago.
        if (watch !== undefined) await refresh();
        if (!signal.aborted) renewal.start(signal);
      })();
    },
    close() {
      watch?.close();
    },
  };

  function faultOfSecret(): string | undefined {
    if (isForeign()) return `Secret ${secretName} is not Pullpass's, which keeps answers there`;
    return writeError && `the answers cannot be kept in Secret ${secretName}: ${writeError}`;
  }

  function faultOf(questions: readonly WantedAnswer[]): string | undefined {
    return questions
      .flatMap(({ provider, request }) => {
        const fault = renewal.faults.get(keyOf(provider.name, request));
        return fault === undefined ? [] : `provider ${provider.name} ${fault.message}`;
      })
      .at(0);
  }

  async function refresh(): Promise<void> {
    try {
      const current = await getSecret(apisFor, namespace, ANSWERS_SECRET_NAME, "high");
      take(current === undefined ? "missing" : readAnswersSecret(current));
    } catch (error) {
      logger.warn({ secret: secretName, error: messageOf(error) }, "failed to read the answers of providers");
    }
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
