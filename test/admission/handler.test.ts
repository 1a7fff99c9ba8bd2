import jsonpatch, { type Operation } from "fast-json-patch";
import { describe, expect, it } from "vitest";
import { measured, type ReviewEvent, reviewHandler } from "../../src/admission/handler.ts";
import type { AdmissionPorts, HandledReview } from "../../src/admission/ports.ts";
import { decodeReview } from "../../src/admission/review.ts";
import { type Decision, skip } from "../../src/core/decision.ts";
import { indexOf, makeRegistry } from "../core/make-registry.ts";
import { readReview } from "./read-review.ts";

const PORTS: AdmissionPorts = {
  registries: () =>
    indexOf(
      makeRegistry("local", "127.0.0.1:5000/private", { secretName: "local-creds" }),
      makeRegistry("hub", "docker.io", { secretName: "hub-creds" }),
    ),
  namespace: () => ({ isOptedIn: true, labels: {} }),
  buildSecret: () => undefined,
  serviceAccount: () => undefined,
};

type RequestDraft = Record<string, unknown> & {
  object: { metadata: Record<string, unknown>; spec: unknown };
};

function handle(name: string, change: (request: RequestDraft) => void = () => undefined, ports = PORTS) {
  const body = JSON.parse(readReview(name)) as { request: RequestDraft };
  change(body.request);
  const handled = reviewHandler(ports)(decodeReview(JSON.stringify(body)));
  return { ...handled, object: body.request.object, patch: decodePatch(handled.answer.patch) };
}

function decodePatch(patch = "W10="): Operation[] {
  return JSON.parse(Buffer.from(patch, "base64").toString("utf8")) as Operation[];
}

function outcomeOf(decision: Decision): string {
  return decision.kind === "inject" ? decision.secretNames.join(",") : decision.reason;
}

describe("the answer to a real API server's review", () => {
  it("README example", () => {
    const { answer, object, patch } = handle("01-create-bare-pod-kubectl-apply");
    expect(answer.warnings).toEqual([]);
    expect(patch).toEqual([
      { op: "add", path: "/spec/imagePullSecrets", value: [{ name: "local-creds" }] },
      { op: "add", path: "/metadata/annotations/pullpass.dev~1injected", value: "local" },
    ]);
    const patched = jsonpatch.applyPatch(object, patch, true).newDocument;
    expect(patched.spec).toMatchObject({ imagePullSecrets: [{ name: "local-creds" }] });
  });

  it.each([
    ["01-create-bare-pod-kubectl-apply", "local-creds"],
    ["02-create-sa-with-imagepullsecrets", "local-creds"],
    ["03-create-own-imagepullsecrets-and-sa", "local-creds"],
    ["04-create-generatename", "local-creds"],
    ["05-create-dryrun-server", "local-creds"],
    ["07b-update-label-pod-without-secret", "not-a-create"],
    ["10-create-init-and-sidecar", "local-creds"],
    ["12-create-empty-imagepullsecrets-list", "local-creds"],
    ["16-create-by-serviceaccount-user", "local-creds"],
    ["20-create-pods-binding", "not-a-pod"],
    ["23-delete-pod", "not-a-create"],
    ["30-create-replicaset-pod", "local-creds"],
    ["31-create-job-pod", "local-creds"],
    ["33-create-mirror-pod-by-kubelet", "mirror-pod"],
  ])("%s: %s", (name, outcome) => {
    expect(outcomeOf(handle(name).decision)).toBe(outcome);
  });

  it("says what made the pod", () => {
    const name = "30-create-replicaset-pod";
    expect(handle(name).owner).toMatch(/^ReplicaSet\//);
    expect(handle("01-create-bare-pod-kubectl-apply").owner).toBeUndefined();
    expect(
      handle(
        name,
        ({ object }) => void (object.metadata["ownerReferences"] = [{ controller: true, kind: "Job" }]),
      ).owner,
    ).toBeUndefined();
  });
});

describe("a request that is no pod's creation", () => {
  const POD = "01-create-bare-pod-kubectl-apply";

  it.each([
    ["another operation", "not-a-create", (request: RequestDraft) => void (request["operation"] = "CONNECT")],
    ["a subresource", "not-a-pod", (request: RequestDraft) => void (request["subResource"] = "eviction")],
    [
      "a kind of another group",
      "not-a-pod",
      (request: RequestDraft) =>
        void (request["kind"] = { group: "metrics.k8s.io", version: "v1", kind: "Pod" }),
    ],
    ["no operation", "unknown-shape", (request: RequestDraft) => void (request["operation"] = 1)],
    ["no kind", "unknown-shape", (request: RequestDraft) => void (request["kind"] = "Pod")],
    ["no namespace", "unknown-shape", (request: RequestDraft) => delete request["namespace"]],
    ["an empty namespace", "unknown-shape", (request: RequestDraft) => void (request["namespace"] = "")],
    ["an object that is no pod", "unknown-shape", (request: RequestDraft) => void (request.object.spec = [])],
  ])("%s: %s", (_title, reason, change) => {
    const { decision, answer } = handle(POD, change);
    expect(outcomeOf(decision)).toBe(reason);
    expect(answer.patch).toBeUndefined();
    expect(answer.warnings).toHaveLength(reason === "unknown-shape" ? 1 : 0);
  });

  it.each([
    ["a pod's creation", "review-too-large", {}],
    ["an update", "not-a-create", { operation: "UPDATE" }],
    ["another kind's creation", "not-a-pod", { subResource: "binding" }],
  ])("%s whose object was not read: %s", (_title, reason, change) => {
    const review = decodeReview(readReview(POD));
    const request = { ...review.request, ...change, object: null };
    const { decision, answer } = reviewHandler(PORTS)({ ...review, request, unread: "review-too-large" });
    expect(outcomeOf(decision)).toBe(reason);
    expect(answer.warnings).toEqual(
      reason === "review-too-large" ? ["pullpass: nothing injected: the pod is too large to be read"] : [],
    );
  });

  it("keeps no name that is longer than any in Kubernetes", () => {
    const long = "x".repeat(254);
    expect(handle(POD, (request) => void (request["namespace"] = long))).toMatchObject({
      namespace: "",
      decision: { reason: "unknown-shape" },
    });
    const owner = { controller: true, kind: "Job", name: long };
    expect(
      handle(POD, ({ object }) => void (object.metadata["ownerReferences"] = [owner])).owner,
    ).toBeUndefined();
  });

  it("takes an empty or absent group and subresource for none", () => {
    const { decision } = handle(POD, (request) => {
      request["kind"] = { version: "v1", kind: "Pod" };
      request["subResource"] = null;
    });
    expect(outcomeOf(decision)).toBe("local-creds");
  });

  it("asks for the facts of the request's namespace and the pod's account", () => {
    const asked: string[] = [];
    const ports: AdmissionPorts = {
      ...PORTS,
      namespace: (name) => {
        asked.push(name);
        return { isOptedIn: false, labels: {} };
      },
      buildSecret: (name) => void asked.push(`build secret of ${name}`),
      serviceAccount: (namespace, name) => void asked.push(`${namespace}/${name}`),
    };
    const { decision, namespace } = handle("02-create-sa-with-imagepullsecrets", () => undefined, ports);
    expect(outcomeOf(decision)).toBe("namespace-not-opted-in");
    expect(handle(POD, ({ object }) => void (object.spec = {}), ports).answer.patch).toBeUndefined();
    expect(asked).toEqual([
      ...[namespace, "build secret of probe", "probe/withips"],
      ...["probe", "build secret of probe", "probe/default"],
    ]);
  });
});

it("tells the observer what was done, when, and how many seconds it took", () => {
  const handled: HandledReview = {
    answer: { patch: undefined, warnings: [] },
    decision: skip("not-a-pod"),
    namespace: "probe",
    owner: "Job/a",
  };
  const observed: ReviewEvent[] = [];
  const elapsed = [1000, 1250];
  const clocks = { now: () => 7, elapsed: () => elapsed.shift() ?? NaN };
  const handle = measured(
    () => handled,
    clocks,
    (event) => observed.push(event),
  );
  const review = { apiVersion: "admission.k8s.io/v1", uid: "some-uid", request: {}, unread: undefined };
  expect(handle(review)).toBe(handled);
  const { decision, namespace, owner } = handled;
  expect(observed).toEqual([{ time: 7, durationSeconds: 0.25, uid: "some-uid", namespace, owner, decision }]);
});
