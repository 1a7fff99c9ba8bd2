/** Plans what a ServiceAccount's list of pull secrets has to become: ours are in it, those of others untouched. */

/** A ServiceAccount, as far as attachment goes. */
export interface ServiceAccount {
  readonly resourceVersion: string;
  /** The list `imagePullSecrets` as it stands; undefined if there is none. Entries may lack a name. */
  readonly imagePullSecrets: readonly unknown[] | undefined;
  /** All annotations; undefined if there are none. */
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

export interface AddOperation {
  readonly op: "add";
  readonly path: string;
  readonly value: unknown;
}
export interface RemoveOperation {
  readonly op: "remove";
  readonly path: string;
}
/** Makes the whole patch fail where somebody else was faster. */
export interface TestOperation {
  readonly op: "test";
  readonly path: string;
  readonly value: unknown;
}
