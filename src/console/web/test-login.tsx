/** Tries what was typed, at the registry itself, before it is saved. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { Failure, TestLoginAnswer } from "../api.ts";
import { ask, failureOf } from "./client.ts";
import { focus } from "./parts.tsx";
import { credentialsOf, type Fields } from "./draft.ts";

export function TestLogin({ fields }: { readonly fields: Fields }): VNode | null {
  const [answer, setAnswer] = useState<TestLoginAnswer>();
  const [failure, setFailure] = useState<Failure>();
  const [isBusy, setIsBusy] = useState(false);
  const [image, setImage] = useState<string>();
  const credentials = credentialsOf(fields);
  if (fields.auth === "None" || fields.auth === "Provider") return null;
  const test = async (pulled: string): Promise<void> => {
    setIsBusy(true);
    setAnswer(undefined);
    setFailure(undefined);
    try {
      const { address, auth, username } = fields;
      const body = { address, username: auth === "Token" ? username : "", credentials, image: pulled };
      setAnswer(await ask<TestLoginAnswer>("POST", "/api/test-login", body));
    } catch (error) {
      setFailure(failureOf(error));
    }
    setIsBusy(false);
  };
  const isReady = credentials !== null && !isBusy;
  return (
    <div class="test-login">
      <div class="buttons">
        <button
          type="button"
          disabled={!isReady}
          onClick={() => {
            setImage(undefined);
            void test("");
          }}
        >
          Test login
        </button>
        <button
          type="button"
          disabled={!isReady}
          aria-expanded={image !== undefined}
          onClick={() => {
            setImage(image === undefined ? "" : undefined);
          }}
        >
          Test pull…
        </button>
      </div>
      {image !== undefined && (
        <div class="requirement">
          <input
            aria-label="Image to pull"
            placeholder={`${fields.address}/app:v1`}
            spellcheck={false}
            ref={focus}
            value={image}
            onInput={(event) => {
              setImage(event.currentTarget.value);
            }}
          />
          <button type="button" disabled={!isReady || image === ""} onClick={() => void test(image)}>
            Test pull
          </button>
        </div>
      )}
      <p
        role="status"
        class={
          answer === undefined ? (failure === undefined ? "quiet" : "fault") : answer.works ? "good" : "fault"
        }
      >
        {isBusy ? "Asking the registry…" : (answer?.sentence ?? sentenceOf(failure))}
      </p>
    </div>
  );
}

function sentenceOf(failure: Failure | undefined): string {
  if (failure === undefined) return "";
  const problems = failure.problems?.map(
    ({ field, message }) => `${field.replace(/^(?:credentials|spec)\./, "")}: ${message}`,
  );
  return problems === undefined ? failure.message : problems.join("; ");
}
