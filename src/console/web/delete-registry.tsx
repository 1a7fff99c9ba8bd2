/** Asks before a registry is deleted, and says what goes with it. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { RegistryRow, RegistryUsage, SessionInfo } from "../api.ts";
import { ask } from "./client.ts";
import { Check } from "./field.tsx";
import { useAction, type Fetched } from "./live.ts";
import { Button, Dialog, Fault, focus, plural, preventingDefault, withValue } from "./parts.tsx";
import { go } from "./place.ts";

export function DeleteRegistry(props: {
  readonly row: RegistryRow;
  readonly session: SessionInfo;
  readonly usage: Fetched<RegistryUsage>;
  readonly onClose: () => void;
}): VNode {
  const { row, session, onClose } = props;
  const { data: usage, failure: unread } = props.usage;
  const copies = row.namespaces?.synced ?? 0;
  const [typed, setTyped] = useState("");
  const [isSecretToo, setIsSecretToo] = useState(true);
  // What nobody uses goes without another question.
  const mustType = copies > 0;
  const isReady = usage !== undefined && (!mustType || typed === row.name);
  const [remove, isBusy, failure] = useAction(async () => {
    if (!isReady) return;
    const deleteSecret = isSecretToo && session.rights.deleteSecrets;
    await ask("DELETE", `/api/registries/${row.name}`, { uid: row.object?.uid, deleteSecret });
    go("registries");
    onClose();
  });
  return (
    <Dialog title={`Delete ${row.displayName}`} onClose={onClose}>
      <form class="stack" onSubmit={preventingDefault(remove)}>
        {usage === undefined ? (
          <p class="quiet">{unread === undefined ? "Looking at what goes with it…" : unread.message}</p>
        ) : (
          <p>{describe(copies, usage.pods?.count)}</p>
        )}
        {usage?.secret != null && session.rights.deleteSecrets && (
          <Check type="checkbox" checked={isSecretToo} onChange={setIsSecretToo}>
            Delete its credentials, too: Secret <code>{usage.secret}</code>
          </Check>
        )}
        {mustType && <TypedName name={row.name} typed={typed} onInput={setTyped} />}
        <Fault failure={failure} />
        <div class="buttons">
          <Button autofocus={!mustType} onClick={onClose}>
            Cancel
          </Button>
          <button class="danger" aria-disabled={isBusy} disabled={!isReady}>
            Delete registry
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function TypedName(props: {
  readonly name: string;
  readonly typed: string;
  readonly onInput: (typed: string) => void;
}): VNode {
  return (
    <>
      <label for="delete-name">
        Type the name <code>{props.name}</code>
      </label>
      <input
        id="delete-name"
        autofocus
        ref={focus}
        autocomplete="off"
        spellcheck={false}
        value={props.typed}
        onInput={withValue(props.onInput)}
      />
    </>
  );
}

function describe(copies: number, runningPods: number | undefined): string {
  if (copies === 0) return "No namespace has a copy of its credentials.";
  const where = `${plural(copies, "copy", "copies")} of its credentials ${copies === 1 ? "goes" : "go"}, in ${plural(copies, "namespace")}.`;
  if (runningPods === undefined)
    return `${where} Pods that pulled with it go on running, and cannot pull again. How many they are, you may not see.`;
  if (runningPods === 0) return `${where} No running pod was given them.`;
  return `${where} ${plural(runningPods, "running pod")} pulled with it; ${runningPods === 1 ? "it goes" : "they go"} on running, and cannot pull again.`;
}
