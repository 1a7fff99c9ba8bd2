/** Which registry an image needs, and what a pod with it gets in a namespace. */
import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ExplainAnswer, Failure } from "../api.ts";
import { ask, failureOf } from "./client.ts";
import { ExplainRegistries } from "./explain-registries.tsx";
import { Field } from "./field.tsx";
import type { PageProps } from "./live.ts";
import { Code, Fault, preventingDefault, Unread } from "./parts.tsx";
import { go, type Place } from "./place.ts";
import { PageHead } from "./table.tsx";

/** The image and the namespace are in the address, so that it can be sent to a colleague. */
export function Explain({ session, changes, place }: PageProps & { readonly place: Place }): VNode {
  const [image, setImage] = useState(place.name);
  const [namespace, setNamespace] = useState(place.action);
  const [answer, setAnswer] = useState<ExplainAnswer>();
  const [failure, setFailure] = useState<Failure>();
  useEffect(() => {
    if (place.name === "") return;
    setFailure(undefined);
    ask<ExplainAnswer>("POST", "/api/explain", { image: place.name, namespace: place.action }).then(
      setAnswer,
      (error: unknown) => {
        setFailure(failureOf(error));
      },
    );
  }, [place.name, place.action, changes?.registries, changes?.namespaces]);
  return (
    <>
      <PageHead title="Explain" />
      <form
        class="registry"
        onSubmit={preventingDefault(() => {
          go("explain", image.trim(), namespace.trim());
        })}
      >
        <Field
          id="image"
          label="Image"
          placeholder="registry.example.com/team-a/shop:v7"
          autofocus
          value={image}
          onInput={setImage}
        />
        <Field id="namespace" label="Namespace" placeholder="any" value={namespace} onInput={setNamespace} />
        <div class="buttons">
          <button class="primary" disabled={image.trim() === ""}>
            Explain
          </button>
        </div>
      </form>
      <Fault failure={failure} />
      {answer !== undefined && place.name !== "" && (
        <section class="explanation" aria-live="polite">
          <Unread sentences={answer.unread} />
          <Code text={answer.text} label="Explanation" />
          <p class="quiet">
            <code>{answer.command}</code> says the same.
          </p>
          <ExplainRegistries
            key={place.name}
            page={{ session, changes }}
            question={{ image: place.name, namespace: place.action }}
            names={answer.registries}
          />
        </section>
      )}
    </>
  );
}
