import type { JsonObject } from "../../../src/core/kubernetes.ts";
import type { Transport } from "../../../src/kube/transport.ts";
import { waitUntil, type WaitOptions } from "../../wait-until.ts";

/** A Secret as the API server sends it. */
export interface SecretObject extends JsonObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly type: string;
  readonly immutable?: boolean;
  readonly data?: Readonly<Record<string, string>>;
}

/** What a copy says: `username:password` by the registry's key. */
export type CopyContent = Readonly<Record<string, string>>;

interface DockerConfig {
  readonly auths: Readonly<Record<string, { readonly auth: string }>>;
}

/** The copies of a namespace, by name. */
export async function copiesIn(
  client: Transport,
  namespace: string,
): Promise<Readonly<Record<string, SecretObject>>> {
  const { items } = await client.request({
    method: "GET",
    path: `/api/v1/namespaces/${namespace}/secrets`,
    query: { labelSelector: "app.kubernetes.io/managed-by=pullpass" },
  });
  return Object.fromEntries((items as readonly SecretObject[]).map((item) => [item.metadata.name, item]));
}

export function contentOf({ data = {} }: SecretObject): CopyContent {
  const text = Buffer.from(data[".dockerconfigjson"] ?? "", "base64").toString("utf8");
  const { auths } = JSON.parse(text) as DockerConfig;
  const decode = ({ auth }: { readonly auth: string }) => Buffer.from(auth, "base64").toString("utf8");
  return Object.fromEntries(Object.entries(auths).map(([key, entry]) => [key, decode(entry)]));
}

/** Waits until a namespace has just these copies with this content, and returns them. */
export async function waitForCopies(
  client: Transport,
  namespace: string,
  expected: Readonly<Record<string, CopyContent>>,
  options: WaitOptions = {},
): Promise<Readonly<Record<string, SecretObject>>> {
  return waitUntil(
    `the copies of ${namespace}`,
    async () => {
      const copies = await copiesIn(client, namespace);
      const contents = Object.fromEntries(
        Object.entries(copies).map(([name, copy]) => [name, contentOf(copy)]),
      );
      if (sorted(contents) === sorted(expected)) return copies;
      // Made up by tests, so that they may be shown.
      throw new Error(`it has ${JSON.stringify(contents)}`);
    },
    { timeoutMs: 15_000, intervalMs: 20, ...options },
  );
}

function sorted(copies: Readonly<Record<string, CopyContent>>): string {
  const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : 1);
  const entries = Object.entries(copies).map(
    ([name, content]) => [name, Object.entries(content).toSorted(byKey)] as const,
  );
  return JSON.stringify(entries.toSorted(byKey));
}
