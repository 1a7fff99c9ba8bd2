/** The form of a registry, new or there already. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { DraftCheck, RegistryList, RegistryRow, SessionInfo } from "../api.ts";
import { CredentialFields } from "./credential-fields.tsx";
import { credentialsOf, differences } from "./draft.ts";
import { Field } from "./field.tsx";
import { MoreFields } from "./more-fields.tsx";
import { NamespacePicker, namespacesWords } from "./namespace-picker.tsx";
import { Button, Code, Fault, preventingDefault, withValue } from "./parts.tsx";
import { go } from "./place.ts";
import { Presets } from "./presets.tsx";
import { SaveProgress } from "./save-progress.tsx";
import { TestPanel, useTypedTest } from "./test-credentials.tsx";
import { useRegistryForm, type RegistryFormState } from "./use-registry-form.ts";

export function RegistryForm(props: {
  readonly session: SessionInfo;
  readonly list: RegistryList | undefined;
  /** Undefined for a new one. */
  readonly row: RegistryRow | undefined;
  readonly intro?: string;
  readonly onSaved: () => void;
}): VNode {
  const { session, list, row, intro, onSaved } = props;
  const form = useRegistryForm(row, list, onSaved);
  const { fields, check, saved } = form;
  const close = (): void => {
    go("registries", row?.name ?? saved?.name ?? "");
  };
  if (saved !== undefined) {
    const current = list?.rows.find((each) => each.name === saved.name && each.object !== null);
    return <SaveProgress answer={saved} row={current} onClose={close} />;
  }
  const canCancel = list !== undefined && list.rows.length > 0;
  return (
    <form
      class="registry"
      noValidate
      aria-labelledby="form-title"
      onSubmit={preventingDefault(form.save)}
      onKeyDown={(event) => {
        if (event.key === "Escape" && canCancel) close();
      }}
    >
      <h1 id="form-title">{row === undefined ? "Add a registry" : `Edit ${row.displayName}`}</h1>
      {intro !== undefined && <p class="quiet">{intro}</p>}
      <Conflict form={form} />
      {row === undefined && <Presets displayName={fields.displayName} onChoose={form.change} />}
      <Field
        {...form.text("displayName")}
        label="Display name"
        placeholder="My Org Private Registry"
        autofocus
      />
      <AddressField form={form} />
      <CredentialFields form={form} session={session} providers={list?.providers ?? []} />
      <WhichNamespaces form={form} />
      <MoreFields form={form} />
      <Fault failure={form.failure} />
      <FormButtons
        form={form}
        hasTest={session.hasTestLogin}
        check={check}
        onCancel={canCancel ? close : undefined}
      />
    </form>
  );
}

/** What others did while the form was open. */
function Conflict({ form }: { readonly form: RegistryFormState }): VNode | null {
  const { base, newer, isGone, takeNewer } = form;
  if (isGone) return <p class="notice warn">This registry was deleted while you were editing it.</p>;
  if (base === undefined || newer === undefined) return null;
  return (
    <div class="notice warn" role="alert">
      <p>
        Somebody else changed this registry while you were editing it:{" "}
        {differences(base.spec, newer.spec).join(", ") || "something"}. Nothing is overwritten.
      </p>
      <div class="buttons">
        <Button
          onClick={() => {
            takeNewer(false);
          }}
        >
          Load the new version
        </Button>
        <Button
          onClick={() => {
            takeNewer(true);
          }}
        >
          Keep my fields, and save them over it
        </Button>
      </div>
    </div>
  );
}

function AddressField({ form }: { readonly form: RegistryFormState }): VNode {
  const { image, setImage, check } = form;
  const cover = image === "" ? null : (check?.cover ?? null);
  return (
    <Field
      {...form.text("address")}
      label="Address"
      placeholder="registry.example.com/team-a"
      hint={
        cover === null ? (
          "What images are matched against: a host, maybe with a port and the beginning of a path."
        ) : (
          <span class={cover.isCovered ? "good" : "warn"} role="status">
            {cover.isCovered ? "✓" : "✕"} {cover.sentence}
          </span>
        )
      }
    >
      <input
        class="try-image"
        aria-label="Try an image"
        placeholder="try an image…"
        spellcheck={false}
        autocomplete="off"
        value={image}
        onInput={withValue(setImage)}
      />
    </Field>
  );
}

function WhichNamespaces({ form }: { readonly form: RegistryFormState }): VNode {
  const problem = form.problemOf("requirements");
  return (
    <details>
      <summary id="requirements">
        Which namespaces <span class="quiet">{namespacesWords(form.fields, form.check)}</span>
      </summary>
      <NamespacePicker form={form} />
      {problem !== "" && <p class="fault">{problem}</p>}
    </details>
  );
}

function FormButtons(props: {
  readonly form: RegistryFormState;
  readonly hasTest: boolean;
  readonly check: DraftCheck | undefined;
  readonly onCancel: (() => void) | undefined;
}): VNode {
  const { form, hasTest, check, onCancel } = props;
  const { fields, newer, isBusy } = form;
  const [hasYaml, setHasYaml] = useState(false);
  const test = useTypedTest(fields);
  const others = (
    <>
      <Button
        aria-expanded={hasYaml}
        onClick={() => {
          setHasYaml(!hasYaml);
        }}
      >
        Show YAML
      </Button>
      <span class="spring" />
      {onCancel !== undefined && <Button onClick={onCancel}>Cancel</Button>}
      <button class="primary" aria-disabled={isBusy} disabled={newer !== undefined}>
        Save
      </button>
    </>
  );
  return (
    <>
      {hasTest && fields.auth !== "None" && fields.auth !== "Provider" ? (
        <TestPanel test={test} isReady={credentialsOf(fields) !== null} address={fields.address}>
          {others}
        </TestPanel>
      ) : (
        <div class="buttons">{others}</div>
      )}
      {hasYaml && check !== undefined && <Code text={check.command} label="What kubectl takes" />}
    </>
  );
}
