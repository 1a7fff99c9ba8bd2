import { CHART_DIRECTORY, type Helm } from "./helm.ts";

/** Policies are known to every release of Kubernetes that the chart takes, and to helm only if it is told. */
export const GUARD_API = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy";

const INSTALL_HEAD = `# Pullpass without Helm, rendered from deploy/pullpass by npm run render; do not edit.
#
#   kubectl apply --server-side --filename deploy/install.yaml
#   kubectl create secret generic pullpass-config --namespace pullpass --from-file pullpass.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: pullpass
  labels:
    pod-security.kubernetes.io/enforce: restricted
`;

const ATTACHMENT_HEAD = `# Lets Pullpass add pull secrets to ServiceAccounts, rendered from deploy/pullpass by npm run render; do not edit.
#
#   kubectl apply --server-side --filename deploy/service-accounts.yaml
`;

/** What `deploy/install.yaml` has to be. The configuration is left to whoever applies it, so that no apply undoes it. */
export async function renderManifest(helm: Helm): Promise<string> {
  return INSTALL_HEAD + (await render(helm, "--set=configSecret=pullpass-config"));
}

/** What `deploy/service-accounts.yaml` has to be. */
export async function renderAttachment(helm: Helm): Promise<string> {
  const only = "--show-only=templates/attachment.yaml";
  const documents = await render(helm, "--set=serviceAccounts.enabled=true", only);
  return ATTACHMENT_HEAD + documents.replace(/^---\n/, "");
}

async function render(helm: Helm, ...flags: readonly string[]): Promise<string> {
  const { stdout } = await helm.run(
    ...["template", "pullpass", CHART_DIRECTORY, "--namespace=pullpass"],
    ...[`--api-versions=${GUARD_API}`, ...flags],
  );
  // Nothing of Helm is in the cluster then.
  const documents = stdout
    .replaceAll("app.kubernetes.io/managed-by: Helm", "app.kubernetes.io/managed-by: kubectl")
    .replaceAll(/^ *helm\.sh\/chart: .*\n/gm, "")
    .replaceAll(/^# Source: .*\n/gm, "")
    .replaceAll(/\n+---\n/g, "\n---\n");
  return `${documents.trimEnd()}\n`;
}
