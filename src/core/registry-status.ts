/** The status of a ClusterRegistry: what is known of a registry, as conditions and counts. */

/** Why a ClusterRegistry is not used as it is. */
export interface RegistryFault {
  readonly reason: "NameTakenByFile" | "InvalidSpec" | "SchemaTooOld";
  /** Nothing secret. */
  readonly message: string;
}
