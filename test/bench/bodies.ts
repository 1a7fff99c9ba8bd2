/** Reviews of three sizes, as a real API server sent them. */
import { statSync } from "node:fs";
import path from "node:path";

export interface BenchBody {
  readonly name: string;
  readonly file: string;
  readonly kibibytes: number;
}

const RECORDED = path.join(import.meta.dirname, "../fixtures");

export function benchBodies(): readonly BenchBody[] {
  return [
    recorded("bare pod", "reviews/01-create-bare-pod-kubectl-apply.json"),
    recorded("typical pod", "reviews/10-create-init-and-sidecar.json"),
    recorded("100 containers", "large-reviews/create-100-containers.json"),
  ];
}

function recorded(name: string, review: string): BenchBody {
  const file = path.join(RECORDED, review);
  return { name, file, kibibytes: statSync(file).size / 1024 };
}
