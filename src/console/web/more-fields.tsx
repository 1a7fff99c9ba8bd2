/** The part of the form of a registry that is folded: what most people leave as it is. */
import type { VNode } from "preact";
import { nameOf, type Fields } from "./draft.ts";
import { Check, Field } from "./field.tsx";
import type { RegistryFormState } from "./use-registry-form.ts";

/** What is folded, in a few words. */
function summaryOf(fields: Fields): string {
  const { pull, build, secretName } = fields;
  const use = pull && build ? "pulls and builds" : pull ? "pulls" : build ? "builds" : "nothing";
  return `used for ${use} · Secret ${secretName !== "" ? secretName : `pullpass-${nameSoFar(fields)}`}`;
}

function nameSoFar(fields: Fields): string {
  return nameOf(fields) || "…";
}

export function MoreFields({ form }: { readonly form: RegistryFormState }): VNode {
  const { fields, base, text } = form;
  const hasSecret = fields.auth !== "None" && fields.auth !== "Provider";
  return (
    <details>
      <summary>
        More <span class="quiet">{summaryOf(fields)}</span>
      </summary>
      <div class="stack">
        <Uses form={form} />
        {base === undefined && (
          <Field
            {...text("name")}
            label="Name"
            placeholder={nameOf(fields)}
            hint="in the cluster; it cannot be changed later"
          />
        )}
        <Field
          {...text("secretName")}
          label="Pull secret"
          placeholder={`pullpass-${nameSoFar(fields)}`}
          hint="the Secret in the namespaces, which pods name"
        />
        {hasSecret && (
          <Field
            {...text("secret")}
            label="Kept in Secret"
            placeholder={`${nameSoFar(fields)}-login`}
            hint="where Pullpass reads the credentials, in its own namespace"
          />
        )}
        <Field
          {...text("hosts")}
          label="Hosts"
          hint="for an address with *: the hosts behind it, for builders, with commas"
        />
      </div>
    </details>
  );
}

function Uses({ form: { fields, problemOf, change } }: { readonly form: RegistryFormState }): VNode {
  const problem = problemOf("uses");
  return (
    <fieldset class="field choice" id="uses" tabIndex={-1}>
      <legend>Used for</legend>
      <div class="control">
        {(["pull", "build"] as const).map((use) => (
          <Check
            key={use}
            type="checkbox"
            checked={fields[use]}
            onChange={(isChecked) => {
              change({ [use]: isChecked });
            }}
          >
            {use === "pull" ? "pulls by the kubelet" : "builds in pods"}
          </Check>
        ))}
      </div>
      {problem !== "" && <p class="fault">{problem}</p>}
    </fieldset>
  );
}
