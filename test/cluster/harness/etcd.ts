/** What an API server stores, past the API server: by etcd's JSON, in which keys and values are in base64. */
import { randomUUID } from "node:crypto";
import { sendRequest } from "../../send-request.ts";

export interface KeyValue {
  readonly key: string;
  readonly value: string;
}

export type EtcdOperation =
  { readonly requestPut: KeyValue } | { readonly requestDeleteRange: { readonly key: string } };

export const keyOf = (name: string): string => Buffer.from(name).toString("base64");
export const nameOf = (key: string): string => Buffer.from(key, "base64").toString();

/** All from `first` to before `end`. */
export async function readKeys(etcdUrl: string, first: string, end: string): Promise<readonly KeyValue[]> {
  const range = { key: keyOf(first), range_end: keyOf(end) };
  const { kvs = [] } = (await ask(`${etcdUrl}/v3/kv/range`, range)) as { readonly kvs?: readonly KeyValue[] };
  return kvs;
}

/** etcd takes 128 of them at once. */
export async function writeKeys(etcdUrl: string, operations: readonly EtcdOperation[]): Promise<void> {
  for (let first = 0; first < operations.length; first += 128) {
    await ask(`${etcdUrl}/v3/kv/txn`, { success: operations.slice(first, first + 128) });
  }
}

/**
 * Stores an object, which has `name` in its key, under other names of the same length, each with a uid of its own. An API server
 * takes a tenth of a second of processor time to create one of a megabyte, and learns of these as of what another one creates.
 */
export async function storeCopies(
  etcdUrl: string,
  { key, uid, name }: { readonly key: string; readonly uid: string; readonly name: string },
  names: readonly string[],
): Promise<void> {
  const [stored] = await readKeys(etcdUrl, key, `${key}\0`);
  if (stored === undefined) throw new Error(`etcd has no ${key}`);
  const text = Buffer.from(stored.value, "base64").toString("latin1");
  for (const other of names) {
    if (other.length !== name.length) throw new Error(`${other} is not as long as ${name}`);
    const copy = text.replaceAll(name, other).replaceAll(uid, randomUUID());
    const value = Buffer.from(copy, "latin1").toString("base64");
    await writeKeys(etcdUrl, [{ requestPut: { key: keyOf(key.replace(name, other)), value } }]);
  }
}

async function ask(url: string, body: object): Promise<unknown> {
  const answer = await sendRequest(url, { method: "POST", body: JSON.stringify(body) });
  if (answer.status !== 200) throw new Error(`${url} answered ${String(answer.status)}: ${answer.body}`);
  return JSON.parse(answer.body);
}
