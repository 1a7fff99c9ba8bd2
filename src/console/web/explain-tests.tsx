/** Below an explanation: whether the registries that it names let the image be pulled, with the credentials that Pullpass has. */
import type { VNode } from "preact";
import type { RegistryList, RegistryRow } from "../api.ts";
import { useFetched } from "./live.ts";
import type { PageProps } from "./main.tsx";
import { TestAnswer, useStoredTest } from "./test-credentials.tsx";

export function ExplainTests(props: {
  readonly page: PageProps;
  readonly image: string;
  readonly namespace: string;
  /** Names, the first of which a pod uses. */
  readonly registries: readonly string[];
}): VNode {
  const { page, image, namespace, registries } = props;
  const { data } = useFetched<RegistryList>("/api/registries", page.changes?.registries);
  const rows = (data?.rows ?? []).filter(({ name }) => registries.includes(name));
  const canTest = page.session.rights.updateRegistries;
  return (
    <>
      {rows.map((row) =>
        row.object?.spec.auth === undefined ? (
          <p key={row.name} class="quiet">
            {row.object === null
              ? `${row.displayName} is a registry of the file. Where its configuration is, this tests a pull: `
              : `An admin keeps the Secret of ${row.displayName} in the namespaces. This tests a pull: `}
            <code>
              {row.object === null
                ? `pullpass check --config FILE --login --pull ${image}`
                : `pullpass doctor POD --namespace ${namespace === "" ? "NAMESPACE" : namespace} --ask-registry`}
            </code>
          </p>
        ) : (
          canTest && <RegistryTest key={row.name} row={row} image={image} />
        ),
      )}
    </>
  );
}

function RegistryTest({ row, image }: { readonly row: RegistryRow; readonly image: string }): VNode {
  const test = useStoredTest(row);
  return (
    <div class="test">
      <div class="buttons">
        <button
          type="button"
          aria-disabled={test.isBusy}
          onClick={() => {
            test.start(image);
          }}
        >
          Test pull with {row.displayName}
        </button>
      </div>
      <TestAnswer test={test} />
    </div>
  );
}
