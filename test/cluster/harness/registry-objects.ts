/** A ClusterRegistry, and the Secret that it refers to. */
export function clusterRegistry(name: string, spec: object): object {
  return {
    apiVersion: "pullpass.dev/v1alpha1",
    kind: "ClusterRegistry",
    metadata: { name },
    spec: { auth: { type: "BasicAuth", secretRef: { name: `${name}-login` } }, ...spec },
  };
}

/** It may be referred to, by its label. */
export function offeredLogin(
  name: string,
  { username, password }: { readonly username: string; readonly password: string },
): object {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: `${name}-login`,
      namespace: "pullpass",
      labels: { "pullpass.dev/registry-credentials": "true" },
    },
    type: "kubernetes.io/basic-auth",
    stringData: { username, password },
  };
}
