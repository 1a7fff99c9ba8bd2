import { beforeAll, describe, expect, it } from "vitest";
import { startReviewServer, type RunningWebhook } from "./running-webhook.ts";
import {
  operationsIn,
  patchedPod,
  RECORDED_NAMES,
  recordedReview,
  responseIn,
  type RecordedReview,
  type ReviewResponse,
} from "./recorded-review.ts";

let webhook: RunningWebhook;
beforeAll(async () => {
  webhook = await startReviewServer({
    namespace: (name) => ({
      isOptedIn: name !== "not-opted-in",
      labels: { team: name === "team-a" ? "a" : "b" },
    }),
    serviceAccount: (_namespace, name) =>
      name === "strict"
        ? {
            isMountableSecretsEnforced: true,
            pullSecretNames: new Set(["other"]),
            mountableSecretNames: new Set(),
          }
        : undefined,
  });
});

async function review(body: unknown): Promise<ReviewResponse> {
  const answer = await webhook.send({ body: JSON.stringify(body) });
  expect(answer.status).toBe(200);
  expect(answer.headers["content-type"]).toBe("application/json");
  return responseIn(answer.body);
}

/** A recorded creation of a bare pod, but for what is changed. */
function tweak(change: (review: RecordedReview) => void): RecordedReview {
  const changed = recordedReview("01-create-bare-pod-kubectl-apply.json");
  change(changed);
  return changed;
}

function tweakPod(change: (pod: NonNullable<RecordedReview["request"]["object"]>) => void): RecordedReview {
  return tweak(({ request }) => {
    if (request.object !== null) change(request.object);
  });
}

describe("recorded reviews", () => {
  it("README example: a bare pod gets its pull secret and says so", async () => {
    const recorded = recordedReview("01-create-bare-pod-kubectl-apply.json");
    const response = await review(recorded);
    expect(response).toMatchObject({ uid: recorded.request.uid, allowed: true, patchType: "JSONPatch" });
    expect(operationsIn(response)).toEqual([
      { op: "add", path: "/spec/imagePullSecrets", value: [{ name: "local-creds" }] },
      { op: "add", path: "/metadata/annotations/pullpass.dev~1injected", value: "local" },
    ]);
  });

  it.each([
    ["01-create-bare-pod-kubectl-apply.json", ["local-creds"]],
    ["02-create-sa-with-imagepullsecrets.json", ["regcred", "local-creds"]],
    ["03-create-own-imagepullsecrets-and-sa.json", ["mine", "local-creds"]],
    ["04-create-generatename.json", ["local-creds"]],
    ["05-create-dryrun-server.json", ["local-creds"]],
    ["07b-update-label-pod-without-secret.json", "no patch"],
    ["10-create-init-and-sidecar.json", ["local-creds"]],
    ["12-create-empty-imagepullsecrets-list.json", ["local-creds"]],
    ["16-create-by-serviceaccount-user.json", ["local-creds"]],
    ["20-create-pods-binding.json", "no patch"],
    ["23-delete-pod.json", "no patch"],
    ["30-create-replicaset-pod.json", ["local-creds"]],
    ["31-create-job-pod.json", ["local-creds"]],
    ["33-create-mirror-pod-by-kubelet.json", "no patch"],
  ])("%s ends with %j", async (name, expected) => {
    const recorded = recordedReview(name);
    const response = await review(recorded);
    expect(response).toMatchObject({ uid: recorded.request.uid, allowed: true });
    expect(response.warnings).toBeUndefined();
    if (expected === "no patch") {
      expect(response.patch).toBeUndefined();
      expect(response.patchType).toBeUndefined();
      return;
    }
    const names = patchedPod(recorded, response).spec.imagePullSecrets?.map((entry) => entry.name);
    expect(names).toEqual(expected);
  });

  it("are all in the table above", () => {
    expect(RECORDED_NAMES).toHaveLength(14);
  });
});

describe("the rows of the answer table", () => {
  it("answers a second call about the pod that it patched without a patch", async () => {
    const first = tweak(() => undefined);
    const again = tweak(({ request }) => {
      request.uid = "second-call";
    });
    again.request.object = patchedPod(first, await review(first));
    const response = await review(again);
    expect(response).toEqual({ uid: "second-call", allowed: true });
  });

  it.each([
    ["an UPDATE", tweak(({ request }) => void (request.operation = "UPDATE"))],
    [
      "a DELETE without an object",
      tweak(({ request }) => void Object.assign(request, { operation: "DELETE", object: null })),
    ],
    ["a CONNECT", tweak(({ request }) => void (request.operation = "CONNECT"))],
    ["a subresource", tweak(({ request }) => void (request.subResource = "ephemeralcontainers"))],
    ["another kind", tweak(({ request }) => void (request.kind.kind = "Deployment"))],
    ["another group's Pod", tweak(({ request }) => void (request.kind.group = "example.com"))],
    [
      "a mirror pod",
      tweakPod((pod) => void (pod.metadata.annotations = { "kubernetes.io/config.mirror": "x" })),
    ],
    [
      "an opted-out pod",
      tweakPod((pod) => void (pod.metadata.labels = { "pullpass.dev/inject": "disabled" })),
    ],
    ["a namespace that did not opt in", tweak(({ request }) => void (request.namespace = "not-opted-in"))],
    [
      "an image that no registry covers",
      tweakPod((pod) => void Object.assign(pod.spec, { containers: [{ image: "nginx" }] })),
    ],
    [
      "a registry that the namespace may not have",
      tweakPod(
        (pod) => void Object.assign(pod.spec, { containers: [{ image: "registry.example.com/team-a/app" }] }),
      ),
    ],
  ])("lets %s pass without a patch and without a word", async (_name, body) => {
    expect(await review(body)).toEqual({ uid: body.request.uid, allowed: true });
  });

  it("passes over an image that does not parse, with a warning, and injects for the others", async () => {
    const body = tweakPod((pod) => pod.spec.containers.push({ name: "odd", image: "Not An Image" }));
    const response = await review(body);
    expect(response.warnings).toEqual([
      "spec.containers[1].image: not an image reference: the repository has to be lower case",
    ]);
    expect(patchedPod(body, response).spec.imagePullSecrets).toEqual([{ name: "local-creds" }]);
  });

  it("leaves a pod alone whose service account does not list the secret, with a warning", async () => {
    const response = await review(tweakPod((pod) => void (pod.spec.serviceAccountName = "strict")));
    expect(response.patch).toBeUndefined();
    expect(response.warnings).toEqual([
      "the service account does not list pull secret local-creds, so the pod may not name it",
    ]);
  });

  it.each([
    ["an object that is no object", tweak(({ request }) => void Object.assign(request, { object: "pod" }))],
    ["no operation", tweak(({ request }) => void Object.assign(request, { operation: undefined }))],
    ["no kind", tweak(({ request }) => void Object.assign(request, { kind: undefined }))],
    ["no namespace", tweak(({ request }) => void Object.assign(request, { namespace: undefined }))],
    [
      "pull secrets that are no list",
      tweakPod((pod) => void Object.assign(pod.spec, { imagePullSecrets: "x" })),
    ],
    ["annotations that are no map", tweakPod((pod) => void Object.assign(pod.metadata, { annotations: [] }))],
  ])("answers a review with %s with its uid and a warning", async (_name, body) => {
    const response = await review(body);
    expect(response).toEqual({
      uid: body.request.uid,
      allowed: true,
      warnings: ["pullpass: nothing injected: the request does not have the shape of a pod's creation"],
    });
  });

  it("answers other versions of the API in kind", async () => {
    const body = tweak((changed) => void (changed.apiVersion = "admission.k8s.io/v1beta1"));
    const answer = await webhook.send({ body: JSON.stringify(body) });
    expect(JSON.parse(answer.body)).toMatchObject({
      apiVersion: "admission.k8s.io/v1beta1",
      kind: "AdmissionReview",
    });
  });
});
