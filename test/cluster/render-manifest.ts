import { CHART_DIRECTORY, type Helm } from "./helm.ts";

/** Policies are known to every release of Kubernetes that the chart takes, and to helm only if it is told. */
const GUARD_API = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy";

const HEAD = `# Pullpass without Helm, rendered from deploy/pullpass by npm run render; do not edit.
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

/** What `deploy/install.yaml` has to be. The configuration is left to whoever applies it, so that no apply undoes it. */
export async function renderManifest(helm: Helm): Promise<string> {
  const { stdout } = await helm.run(
    ...["template", "pullpass", CHART_DIRECTORY, "--namespace=pullpass"],
    ...[`--api-versions=${GUARD_API}`, "--set=configSecret=pullpass-config"],
  );
  // Nothing of Helm is in the cluster then.
  const documents = stdout
    .replaceAll("app.kubernetes.io/managed-by: Helm", "app.kubernetes.io/managed-by: kubectl")
    .replaceAll(/^ *helm\.sh\/chart: .*\n/gm, "")
    .replaceAll(/^# Source: .*\n/gm, "")
    .replaceAll(/\n+---\n/g, "\n---\n");
  return `${HEAD}${documents.trimEnd()}\n`;
}
