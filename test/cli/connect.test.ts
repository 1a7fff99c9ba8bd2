import { expect, it } from "vitest";
import { ownNamespace } from "../../src/cli/connect.ts";

const KUBERNETES_SERVICE_HOST = "10.0.0.1";

// The rows of the table above ownNamespace, and where several hold.
it.each<
  [what: string, flags: object, environment: Readonly<Record<string, string>>, name: string, from: RegExp]
>([
  ["--namespace", { namespace: "a" }, { POD_NAMESPACE: "b", KUBERNETES_SERVICE_HOST }, "a", /^--namespace$/],
  ["POD_NAMESPACE", {}, { POD_NAMESPACE: "b", KUBERNETES_SERVICE_HOST }, "b", /^POD_NAMESPACE$/],
  ["the pod's ServiceAccount", {}, { KUBERNETES_SERVICE_HOST }, "connected", /ServiceAccount/],
  [
    "nothing in a pod with a kubeconfig",
    { kubeconfig: "f" },
    { KUBERNETES_SERVICE_HOST },
    "pullpass",
    /default/,
  ],
  ["nothing outside of a pod", {}, {}, "pullpass", /default/],
])("the namespace is named by %s", (_, flags, environment, name, from) => {
  const found = ownNamespace(flags, environment, { namespace: "connected" });
  expect(found.name).toBe(name);
  expect(found.from).toMatch(from);
});
