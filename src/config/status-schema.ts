/** The `status` of a ClusterRegistry, as Pullpass writes it. Nothing in it is secret, and no hash of anything secret. */
import * as z from "zod";
import type { RegistryStatus } from "../core/registry-status.ts";

const time = z.string().max(64).meta({ format: "date-time" });
const count = z.int().min(0);

/** `metav1.Condition`. */
const condition = z.object({
  type: z.string().max(64).describe("Ready, CredentialsAvailable, Synced, LoginSucceeded or PullSucceeded."),
  status: z.enum(["True", "False", "Unknown"]).describe("True, False or Unknown."),
  observedGeneration: z.int().min(0).optional().describe("The generation of the object that it is about."),
  lastTransitionTime: time.describe("When the status of the condition last changed."),
  reason: z.string().max(64).describe("The reason as one word, such as SecretNotFound."),
  message: z.string().max(1024).describe("The reason as a sentence."),
});

export const registryStatusSchema = z.object({
  observedGeneration: z.int().min(0).optional().describe("The generation of the object that this is about."),
  address: z.string().max(520).optional().describe("The address that images are matched against."),
  secretName: z.string().max(253).optional().describe("The pull secret that pods name."),
  namespaces: z
    .object({
      selected: count.describe("Opted-in namespaces that may have the credentials."),
      synced: count.optional().describe("Those that have an up-to-date copy."),
      refused: count.optional().describe("Those where a Secret that is not Pullpass's has the copy's name."),
    })
    .optional()
    .describe("The copies, in numbers."),
  credentials: z
    .object({
      changedAt: time.optional().describe("When the Secret with the credentials last changed."),
      expiresAt: time.optional().describe("When the credentials expire, if that is known."),
      nextRefreshAt: time.optional().describe("When the credentials are renewed."),
      lastLoginAt: time.optional().describe("When Pullpass last logged in to the registry, on request."),
    })
    .optional()
    .describe("The credentials, without anything secret."),
  check: z
    .object({
      requestedAt: z.string().max(64).describe("The annotation pullpass.dev/check-requested-at."),
      image: z.string().max(1024).optional().describe("The annotation pullpass.dev/check-image."),
    })
    .optional()
    .describe("The request that LoginSucceeded and PullSucceeded answer."),
  conditions: z
    .array(condition)
    .meta({ maxItems: 16, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] })
    .optional()
    .describe("The state of the registry; Ready sums it up."),
});

/** Undefined if it is not one, or of another release. */
export function readRegistryStatus(value: unknown): Partial<RegistryStatus> | undefined {
  return registryStatusSchema.safeParse(value).data as Partial<RegistryStatus> | undefined;
}
