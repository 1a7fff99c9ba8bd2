/** The part of the form of a registry that is about its credentials: of which type they are, and what is typed of them. */
import type { VNode } from "preact";
import type { SessionInfo } from "../api.ts";
import type { FormAuth } from "./draft.ts";
import { Choice, Field } from "./field.tsx";
import { Time } from "./parts.tsx";
import type { RegistryFormState } from "./use-registry-form.ts";

const AUTH_TYPES: readonly (readonly [FormAuth, string])[] = [
  ["BasicAuth", "User name and password"],
  ["Token", "Token"],
  ["DockerConfig", "config.json"],
  ["Provider", "Provider"],
  ["None", "None: an admin keeps the Secret"],
];

export function CredentialFields(props: {
  readonly form: RegistryFormState;
  readonly session: SessionInfo;
  readonly providers: readonly string[];
}): VNode {
  const { form, session, providers } = props;
  const { fields, base, change } = form;
  const { auth } = fields;
  const canWriteSecret = base === undefined ? session.rights.createSecrets : session.rights.updateSecrets;
  return (
    <>
      <Choice
        legend="Auth type"
        name="auth"
        options={AUTH_TYPES}
        value={auth}
        onChange={(chosen) => {
          change({ auth: chosen });
        }}
      />
      {auth !== "None" && auth !== "Provider" && !canWriteSecret && (
        <p class="notice warn">
          You may not write Secrets in namespace {session.namespace}: the Role pullpass-registry-credentials
          allows it. The registry can refer to one that is there.
        </p>
      )}
      {auth === "BasicAuth" && (
        <>
          <UserName form={form} />
          <Secret form={form} id="password" label="Password" />
        </>
      )}
      {auth === "Token" && (
        <>
          <Secret form={form} id="token" label="Token" />
          <UserName form={form} hint="default: what the vendor expects for the host" />
        </>
      )}
      {auth === "DockerConfig" && <Secret form={form} id="config" label="config.json" />}
      {auth === "Provider" && <ProviderName form={form} providers={providers} />}
    </>
  );
}

function UserName(props: { readonly form: RegistryFormState; readonly hint?: string }): VNode {
  return <Field {...props.form.text("username")} label="User name" hint={props.hint} />;
}

/** It is never read back: what is left empty stays. */
function Secret(props: {
  readonly form: RegistryFormState;
  readonly id: "password" | "token" | "config";
  readonly label: string;
}): VNode {
  const { form, id, label } = props;
  const { fields, base, text } = form;
  const setAt = base?.credentialsChangedAt ?? null;
  const keep = base?.spec.auth?.type === fields.auth && (
    <>
      {setAt !== null && (
        <>
          set <Time at={setAt} />;{" "}
        </>
      )}
      {id === "password" ? "leave both empty to keep them" : "leave empty to keep it"}
    </>
  );
  return (
    <Field
      {...text(id)}
      label={label}
      isSecret
      isLong={id === "config"}
      hint={keep === false ? undefined : keep}
    />
  );
}

function ProviderName(props: {
  readonly form: RegistryFormState;
  readonly providers: readonly string[];
}): VNode {
  return (
    <Field
      {...props.form.text("provider")}
      label="Provider"
      hint="An entry of providers in the configuration, whose program hands out the credentials and renews them."
      suggestions={props.providers}
    />
  );
}
