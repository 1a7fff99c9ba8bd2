/** Below an explanation, the registries that it names: where they are, and whether they let the image be pulled. */
import type { VNode } from "preact";
import type { RegistryList, RegistryRow } from "../api.ts";
import { useFetched, type PageProps } from "./live.ts";
import { hrefOf } from "./place.ts";
import { TestAnswer, useStoredTest } from "./test-credentials.tsx";
import { Button } from "./parts.tsx";

interface Question {
  readonly image: string;
  /** Empty: any. */
  readonly namespace: string;
}

export function ExplainRegistries(props: {
  readonly page: PageProps;
  readonly question: Question;
  readonly names: readonly string[];
}): VNode {
  const { page, question, names } = props;
  const { data } = useFetched<RegistryList>("/api/registries", page.changes?.registries);
  return (
    <>
      {names.map((name) => {
        const row = data?.rows.find((each) => each.name === name);
        const canTest = row?.object?.spec.auth !== undefined && page.session.rights.updateRegistries;
        const open = (
          <a class="button" href={hrefOf("registries", name)}>
            Open registry {name}
          </a>
        );
        return canTest ? (
          <Tested key={name} row={row} image={question.image} open={open} />
        ) : (
          <div class="test" key={name}>
            <div class="buttons">{open}</div>
            {row !== undefined && <Command row={row} question={question} />}
          </div>
        );
      })}
    </>
  );
}

function Tested(props: { readonly row: RegistryRow; readonly image: string; readonly open: VNode }): VNode {
  const { row, image, open } = props;
  const test = useStoredTest(row);
  return (
    <div class="test">
      <div class="buttons">
        {open}
        <Button
          aria-label={`Test pull with ${row.displayName}`}
          aria-disabled={test.isBusy}
          onClick={() => {
            test.start(image);
          }}
        >
          Test pull
        </Button>
      </div>
      <TestAnswer test={test} />
    </div>
  );
}

/** What tests the pull where Pullpass is not to be asked for it. */
function Command(props: { readonly row: RegistryRow; readonly question: Question }): VNode | null {
  const { row, question } = props;
  const namespace = question.namespace === "" ? "NAMESPACE" : question.namespace;
  if (row.object?.spec.auth !== undefined) return null;
  return (
    <p class="quiet">
      {row.object === null
        ? "It is a registry of the configuration file. Where that is, this tests the pull: "
        : "An admin keeps its Secret in the namespaces. This tests the pull with it: "}
      <code>
        {row.object === null
          ? `pullpass check --config FILE --login --pull ${question.image}`
          : `pullpass doctor POD --namespace ${namespace} --ask-registry`}
      </code>
    </p>
  );
}
