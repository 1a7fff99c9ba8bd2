/** Reviews of three sizes, all made from one that a real API server sent. */
import { readFileSync } from "node:fs";

export interface BenchBody {
  readonly name: string;
  readonly body: Buffer;
}

const RECORDED = new URL("../fixtures/reviews/", import.meta.url);

interface RecordedReview {
  readonly request: { readonly object: { readonly spec: { containers: { name: string; image: string }[] } } };
}

export function benchBodies(): readonly BenchBody[] {
  const bare = readFileSync(new URL("01-create-bare-pod-kubectl-apply.json", RECORDED), "utf8");
  const typical = readFileSync(new URL("10-create-init-and-sidecar.json", RECORDED), "utf8");
  const many = JSON.parse(bare) as RecordedReview;
  const { spec } = many.request.object;
  spec.containers = Array.from({ length: 100 }, (_, index) => ({
    ...spec.containers[0],
    name: `app-${index.toString()}`,
    image: `127.0.0.1:5000/private/app-${index.toString()}:1`,
  }));
  return [
    { name: "bare pod", body: Buffer.from(bare) },
    { name: "typical pod", body: Buffer.from(typical) },
    { name: "100 containers", body: Buffer.from(JSON.stringify(many)) },
  ];
}
