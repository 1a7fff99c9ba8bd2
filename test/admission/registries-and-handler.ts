/** Registries, few and many, and a handler over them, for tests that send hostile reviews. */
import { reviewHandler } from "../../src/admission/handler.ts";
import type { ReviewHandler } from "../../src/admission/ports.ts";
import { decodeReview, encodeAnswer } from "../../src/admission/review.ts";
import { indexRegistries, type Registry } from "../../src/core/registry.ts";
import { makeRegistry } from "../core/make-registry.ts";

const connection = (name: string, address: string, directory: string): Registry =>
  makeRegistry(name, address, { buildSource: { kind: "own-secret", directory } });
const limited = { namespaces: { matchLabels: { team: "a" } } };
const numbers = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, number) => String(number));

const FEW = [
  makeRegistry("hub", "docker.io"),
  makeRegistry("team-a", "registry.example.com/team-a"),
  makeRegistry("limited", "quay.io", limited),
];
const MANY = [
  connection("docker-conf", "my.registry.com/org", "/kaniko/.docker"),
  connection("root-conf", "my.registry.com", "/root/.docker"),
  ...["*.example.com", "*.azurecr.io", "*.dkr.ecr.*.amazonaws.com", "*a*.example.com"].map((address) =>
    makeRegistry(`any-${address.length.toString()}`, address),
  ),
  ...numbers(100).map((n) => makeRegistry(`hub-${n}`, "docker.io")),
  ...numbers(100).map((n) => makeRegistry(`shared-${n}`, `shared.example.com/team-${n}`)),
  ...numbers(100).map((n) => makeRegistry(`prefix-${n}`, `team-${n}-*.example.com/app`)),
  ...numbers(100).map((n) => makeRegistry(`zone-${n}`, `*.zone-${n}.example.com`, limited)),
  ...numbers(600).map((n) => makeRegistry(`host-${n}`, `registry-${n}.example.com/team`)),
];

export function handlerOver(registries: readonly Registry[]): ReviewHandler {
  const index = indexRegistries(registries);
  return reviewHandler({
    registries: () => index,
    namespace: () => ({ isOptedIn: true, labels: { team: "a" } }),
    buildSecret: () => undefined,
    serviceAccount: () => undefined,
  });
}

/** From the body of a request to the body of its answer. */
export function answer(handle: ReviewHandler, body: string): string {
  const review = decodeReview(body);
  return encodeAnswer(review, handle(review).answer);
}

export const REGISTRIES = [
  ["few registries", FEW],
  ["1,000 registries, connections and wildcard addresses among them", MANY],
] as const;
