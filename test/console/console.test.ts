import { once } from "node:events";
import { expect, it } from "vitest";
import { readConfiguration } from "../../src/config/read.ts";
import type { Changes } from "../../src/console/api.ts";
import { Console } from "../../src/console/console.ts";

function start(count: () => Promise<number>) {
  const server = new Console({
    ...{ connection: {} as never, login: "token", sessionMs: 1_000, clusterName: "", namespace: "" },
    ...{ configuration: readConfiguration([]), testLogin: undefined, onKey: () => undefined },
  });
  const changes = new EventTarget();
  const versions = { registries: 1, namespaces: 1, pods: 1 };
  const view = {
    versions: () => ({ ...versions }),
    subscribe(listener: () => void) {
      changes.addEventListener("change", listener);
      return () => {
        changes.removeEventListener("change", listener);
      };
    },
  };
  const session = { person: { view, stuckPods: { count } }, ended: new AbortController().signal };
  const control = new AbortController();
  const sent: Changes[] = [];
  const send = (each: Changes): void => {
    sent.push(each);
    changes.dispatchEvent(new Event("sent"));
  };
  return {
    ...{ sent, control },
    follow() {
      server.follow(session as never, send, control.signal);
      return once(changes, "sent");
    },
    change() {
      versions.registries++;
      changes.dispatchEvent(new Event("change"));
      return once(changes, "sent");
    },
  };
}

it("reports changes also while the stuck pods cannot be counted, with the last number of them", async () => {
  let answer = (): Promise<number> => Promise.resolve(3);
  const following = start(() => answer());
  await following.follow();
  answer = () => Promise.reject(new Error("no answer"));
  await following.change();
  answer = () => Promise.resolve(4);
  await following.change();
  expect(following.sent.map(({ registries, stuckPods }) => [registries, stuckPods])).toEqual([
    [1, 3],
    [2, 3],
    [3, 4],
  ]);
  following.control.abort();
});
