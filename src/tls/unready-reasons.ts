/** Why API servers would not trust a replica, as `/readyz` says it. */
export const UNREADY_REASONS = {
  registrationUnknown: (webhook: string) => `the MutatingWebhookConfiguration ${webhook} is not known yet`,
  ended: () => "the serving certificate has ended",
  untrusted: (webhook: string) =>
    `the serving certificate does not chain to the caBundle of the MutatingWebhookConfiguration ${webhook}`,
};
