/** Reviews of three sizes, as a real API server sent them. */
import { readFileSync } from "node:fs";

export interface BenchBody {
  readonly name: string;
  readonly body: Buffer;
}

const RECORDED = new URL("../fixtures/", import.meta.url);

export function benchBodies(): readonly BenchBody[] {
  return [
    { name: "bare pod", body: recorded("reviews/01-create-bare-pod-kubectl-apply.json") },
    { name: "typical pod", body: recorded("reviews/10-create-init-and-sidecar.json") },
    { name: "100 containers", body: recorded("large-reviews/create-100-containers.json") },
  ];
}

function recorded(name: string): Buffer {
  return readFileSync(new URL(name, RECORDED));
}
