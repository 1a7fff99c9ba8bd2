/** Asks before a registry is deleted, and says what goes with it. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { Failure, Impact, RegistryRow, SessionInfo } from "../api.ts";
import { ask, failureOf } from "./client.ts";
import { useFetched } from "./live.ts";
import { Dialog, Fault, focus, plural } from "./parts.tsx";
import { go } from "./place.ts";

export function DeleteRegistry(props: {
  readonly row: RegistryRow;
  readonly session: SessionInfo;
  readonly onClose: () => void;
}): VNode {
  const { row, session, onClose } = props;
  const { data: impact, failure: unread } = useFetched<Impact>(`/api/registries/${row.name}/impact`, 0);
  const [typed, setTyped] = useState("");
  const [isSecretToo, setIsSecretToo] = useState(true);
  const [failure, setFailure] = useState<Failure>();
  const [isBusy, setIsBusy] = useState(false);
  // What nobody uses goes without another question.
  const mustType = impact !== undefined && impact.copies > 0;
  const isReady = impact !== undefined && (!mustType || typed === row.name);
  const remove = async (): Promise<void> => {
    if (isBusy || !isReady) return;
    setIsBusy(true);
    try {
      const deleteSecret = isSecretToo && session.rights.deleteSecrets;
      await ask("DELETE", `/api/registries/${row.name}`, { uid: row.object?.uid, deleteSecret });
      go("registries");
      onClose();
    } catch (error) {
      setFailure(failureOf(error));
      setIsBusy(false);
    }
  };
  return (
    <Dialog title={`Delete ${row.displayName}`} onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void remove();
        }}
      >
        {impact === undefined ? (
          <p class="quiet">{unread === undefined ? "Looking at what goes with it…" : unread.message}</p>
        ) : (
          <p>{describe(impact)}</p>
        )}
        {impact?.secret != null && session.rights.deleteSecrets && (
          <label class="check">
            <input
              type="checkbox"
              checked={isSecretToo}
              onChange={(event) => {
                setIsSecretToo(event.currentTarget.checked);
              }}
            />
            Delete its credentials, too: Secret <code>{impact.secret}</code>
          </label>
        )}
        {mustType && (
          <>
            <label for="delete-name">
              Type the name <code>{row.name}</code>
            </label>
            <input
              id="delete-name"
              ref={focus}
              autocomplete="off"
              spellcheck={false}
              value={typed}
              onInput={(event) => {
                setTyped(event.currentTarget.value);
              }}
            />
          </>
        )}
        <Fault failure={failure} />
        <div class="buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button class="danger" aria-disabled={isBusy} disabled={!isReady}>
            Delete registry
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function describe({ copies, namespaces, runningPods }: Impact): string {
  if (copies === 0) return "No namespace has a copy of its credentials.";
  const where = `${plural(copies, "copy", "copies")} of its credentials ${copies === 1 ? "goes" : "go"}, in ${plural(namespaces, "namespace")}.`;
  if (runningPods === null)
    return `${where} Pods that pulled with it go on running, and cannot pull again. How many they are, you may not see.`;
  if (runningPods === 0) return `${where} No running pod was given them.`;
  return `${where} ${plural(runningPods, "running pod")} pulled with it; ${runningPods === 1 ? "it goes" : "they go"} on running, and cannot pull again.`;
}
