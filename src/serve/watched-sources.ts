/** Watches the Secrets and files that registries name. */
import { watchFiles, type FileWatch } from "../config/files.ts";
import type { JsonObject } from "../core/kubernetes.ts";
import type { ObjectWatch } from "./informers.ts";

export interface SecretName {
  readonly namespace: string;
  readonly name: string;
}

export type WatchSecret = (
  secret: SecretName,
  onChange: (state: JsonObject | "missing") => void,
) => ObjectWatch;

/** What is known of a Secret that is a source; `missing` is known, too. */
interface SecretState {
  state: JsonObject | "missing" | "unknown";
  isAsked: boolean;
}

export class WatchedSources {
  readonly #watchSecret: WatchSecret;
  readonly #onChange: () => void;
  readonly #secrets = new Map<string, { readonly known: SecretState; readonly watch: ObjectWatch }>();
  #files: readonly string[] = [];
  #fileWatch: FileWatch | undefined;

  constructor(watchSecret: WatchSecret, onChange: () => void) {
    this.#watchSecret = watchSecret;
    this.#onChange = onChange;
  }

  setSecrets(secrets: readonly SecretName[]): void {
    const needed = new Map(secrets.map((secret) => [describeSecret(secret), secret]));
    for (const [name, { watch }] of this.#secrets) {
      if (needed.has(name)) continue;
      watch.close();
      this.#secrets.delete(name);
    }
    for (const [name, secret] of needed) if (!this.#secrets.has(name)) this.#open(name, secret);
  }

  setFiles(files: readonly string[]): void {
    if (this.#fileWatch !== undefined && files.join("\n") === this.#files.join("\n")) return;
    this.#files = files;
    this.#fileWatch?.close();
    this.#fileWatch = watchFiles(files, this.#onChange);
  }

  /** By its name with its namespace. */
  stateOf(secret: string): Readonly<SecretState> {
    return this.#secrets.get(secret)?.known ?? { state: "unknown", isAsked: false };
  }

  /** Resolves once every Secret was asked for. */
  asked(): Promise<unknown> {
    return Promise.all(this.#secrets.values().map(({ watch }) => watch.asked));
  }

  close(): void {
    this.#fileWatch?.close();
    for (const { watch } of this.#secrets.values()) watch.close();
  }

  #open(name: string, secret: SecretName): void {
    const known: SecretState = { state: "unknown", isAsked: false };
    const watch = this.#watchSecret(secret, (state) => {
      known.state = state;
      known.isAsked = true;
      this.#onChange();
    });
    void watch.asked.then(() => {
      if (known.isAsked) return;
      known.isAsked = true;
      this.#onChange();
    });
    this.#secrets.set(name, { known, watch });
  }
}

export function describeSecret({ namespace, name }: SecretName): string {
  return `${namespace}/${name}`;
}
