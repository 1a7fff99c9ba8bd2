/** Tries credentials at their registry: those that are typed before they are saved, and those that Pullpass has. */
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Failure, RegistryRow, TestLoginAnswer } from "../api.ts";
import { ask, failureOf } from "./client.ts";
import { credentialsOf, type Fields } from "./draft.ts";
import { useAction } from "./live.ts";
import { Button, focus, withValue } from "./parts.tsx";

export interface Test {
  readonly isBusy: boolean;
  /** Of the last one, if it is over. */
  readonly answer: Answer | undefined;
  /** Without an image: the login alone. */
  readonly start: (image: string) => void;
}

interface Answer {
  readonly level: "good" | "fault" | "quiet";
  readonly sentence: string;
}

/** From where the console runs, with what was typed. */
export function useTypedTest(fields: Fields): Test {
  const [answer, setAnswer] = useState<Answer>();
  const { address, auth, username } = fields;
  const [start, isBusy, failure] = useAction(async (image: string) => {
    setAnswer(undefined);
    const credentials = credentialsOf(fields);
    const body = { address, username: auth === "Token" ? username : "", credentials, image };
    const { works, sentence } = await ask<TestLoginAnswer>("POST", "/api/test-login", body);
    setAnswer({ level: works ? "good" : "fault", sentence });
  });
  return { isBusy, answer: failure === undefined ? answer : answerOf(failure), start };
}

/** There are ten seconds between two logins to one registry, and ten for its answer. */
const LATE_MS = 25_000;

/** By Pullpass itself, which is asked by annotations and answers in the state of the registry. */
export function useStoredTest({ name, object }: RegistryRow): Test {
  const test = object?.test ?? undefined;
  /** What had been asked before. */
  const [asked, setAsked] = useState<{ readonly before: string | undefined }>();
  const [failure, setFailure] = useState<Failure>();
  const [isLate, setIsLate] = useState(false);
  useEffect(() => {
    setIsLate(false);
    if (asked === undefined) return undefined;
    const timer = setTimeout(() => {
      setIsLate(true);
    }, LATE_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [asked]);
  const run = async (image: string): Promise<void> => {
    setFailure(undefined);
    setAsked({ before: test?.requestedAt });
    try {
      await ask("POST", `/api/registries/${name}/test-login`, { image });
    } catch (error) {
      setAsked(undefined);
      setFailure(failureOf(error));
    }
  };
  const isOver = test !== undefined && test.isAnswered && test.requestedAt !== asked?.before;
  const type = test?.image === "" ? "LoginSucceeded" : "PullSucceeded";
  const condition = object?.conditions.find((each) => each.type === type);
  const answer = (): Answer | undefined => {
    if (failure !== undefined) return answerOf(failure);
    if (asked === undefined) return undefined;
    if (!isOver) return isLate ? LATE : undefined;
    return (
      condition && { level: condition.status === "True" ? "good" : "fault", sentence: condition.message }
    );
  };
  const isBusy = asked !== undefined && !isOver && !isLate;
  return {
    isBusy,
    answer: answer(),
    start(image) {
      if (!isBusy) void run(image);
    },
  };
}

const LATE: Answer = {
  level: "quiet",
  sentence: "There is no answer yet. See that Pullpass runs, and that one of its replicas leads.",
};

function answerOf({ message, problems }: Failure): Answer {
  const sentences = problems?.map(
    (each) => `${each.field.replace(/^(?:credentials|spec)\./, "")}: ${each.message}`,
  );
  return { level: "fault", sentence: sentences?.join("; ") ?? message };
}

/** The two buttons, among others in their row; below them the image, and the answer. */
export function TestPanel(props: {
  readonly test: Test;
  /** There are credentials to test. */
  readonly isReady: boolean;
  /** Of the registry. */
  readonly address: string;
  readonly before?: ComponentChildren;
  readonly children?: ComponentChildren;
}): VNode {
  const { test, isReady, before, children } = props;
  /** Undefined while none is asked for. */
  const [image, setImage] = useState<string>();
  return (
    <div class="test">
      <div class="buttons">
        {before}
        <Button
          disabled={!isReady}
          aria-disabled={test.isBusy}
          onClick={() => {
            setImage(undefined);
            test.start("");
          }}
        >
          Test login
        </Button>
        <Button
          disabled={!isReady}
          aria-expanded={image !== undefined}
          onClick={() => {
            setImage(image === undefined ? "" : undefined);
          }}
        >
          Test pull…
        </Button>
        {children}
      </div>
      {image !== undefined && <ImageToPull {...props} image={image} onInput={setImage} />}
      <TestAnswer test={test} />
    </div>
  );
}

function ImageToPull(props: {
  readonly test: Test;
  readonly isReady: boolean;
  readonly address: string;
  readonly image: string;
  readonly onInput: (image: string) => void;
}): VNode {
  const { test, address, image, onInput } = props;
  const named = image.trim();
  const isReady = props.isReady && named !== "";
  const start = (): void => {
    if (isReady) test.start(named);
  };
  return (
    <div class="requirement">
      <input
        aria-label="Image to pull"
        placeholder={`${address}/app:v1`}
        spellcheck={false}
        autocomplete="off"
        ref={focus}
        value={image}
        onInput={withValue(onInput)}
        onKeyDown={(event) => {
          // In a form, Enter would save.
          if (event.key !== "Enter") return;
          event.preventDefault();
          start();
        }}
      />
      <Button disabled={!isReady} aria-disabled={test.isBusy} onClick={start}>
        Test pull
      </Button>
    </div>
  );
}

export function TestAnswer({ test: { isBusy, answer } }: { readonly test: Test }): VNode {
  return (
    <p role="status" class={answer?.level ?? "quiet"}>
      {isBusy ? "Asking the registry…" : answer?.sentence}
    </p>
  );
}
