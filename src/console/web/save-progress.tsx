/** What a save has done and still does. It may be closed at any time. */
import type { VNode } from "preact";
import type { RegistryRow, SaveAnswer } from "../api.ts";
import { Button, focus, StateMark } from "./parts.tsx";

export function SaveProgress(props: {
  readonly answer: SaveAnswer;
  /** Undefined until the list has it. */
  readonly row: RegistryRow | undefined;
  readonly onClose: () => void;
}): VNode {
  const { answer, row, onClose } = props;
  const counts = row?.namespaces;
  return (
    <section class="registry" aria-labelledby="saved-title">
      <h1 id="saved-title">Saved {row?.displayName ?? answer.name}</h1>
      <ul class="steps" aria-live="polite">
        {answer.steps.map((step) => (
          <li key={step}>
            <StateMark state={{ level: "good", words: step }} />
          </li>
        ))}
        {counts?.synced != null && (
          <li>
            <StateMark
              state={{
                level: counts.synced === counts.selected ? "good" : "busy",
                words: `${counts.selected.toString()} namespaces: ${counts.synced.toString()} done`,
              }}
            />
          </li>
        )}
        {row !== undefined && (
          <li>
            <StateMark state={row.state} /> {row.advice !== "" && <span class="quiet">{row.advice}</span>}
          </li>
        )}
      </ul>
      <div class="buttons">
        <Button class="primary" ref={focus} onClick={onClose}>
          Close
        </Button>
      </div>
    </section>
  );
}
