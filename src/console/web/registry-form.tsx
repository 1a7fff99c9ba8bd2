/** The form of a registry, new or there already. */
import type { VNode } from "preact";
import { useRef, useState } from "preact/hooks";
import type {
  DraftCheck,
  Failure,
  Problem,
  RegistryList,
  RegistryRow,
  SaveAnswer,
  SessionInfo,
} from "../api.ts";
import { ask, failureOf } from "./client.ts";
import {
  credentialsOf,
  differences,
  EMPTY_FIELDS,
  fieldsOf,
  nameOf,
  secretOf,
  specOf,
  type Fields,
  type FormAuth,
} from "./draft.ts";
import { Choice, Field } from "./field.tsx";
import { useDraftCheck } from "./live.ts";
import { NamespacePicker, namespacesWords } from "./namespace-picker.tsx";
import { Code, Fault, Time } from "./parts.tsx";
import { go } from "./place.ts";
import { PRESETS, type Preset } from "./presets.ts";
import { SaveProgress } from "./save-progress.tsx";
import { TestLogin } from "./test-login.tsx";

const AUTH_TYPES: readonly (readonly [FormAuth, string])[] = [
  ["BasicAuth", "User name and password"],
  ["Token", "Token"],
  ["DockerConfig", "config.json"],
  ["Provider", "Provider"],
  ["None", "None: an admin keeps the Secret"],
];

/** Fields by the path of what they make. */
const IDS: Readonly<Record<string, string>> = {
  "metadata.name": "name",
  "spec.displayName": "display-name",
  "spec.address": "address",
  "spec.auth.username": "username",
  "spec.auth.secretRef.name": "secret",
  "spec.auth.provider": "provider",
  "spec.namespaces": "which-namespaces",
  "spec.secretName": "secret-name",
  "spec.hosts": "hosts",
  "spec.use": "uses",
  "credentials.username": "username",
  "credentials.password": "password",
  "credentials.token": "token",
  "credentials.config": "config",
  credentials: "password",
};
const IN_MORE = new Set(["name", "secret", "secret-name", "hosts", "uses"]);
/** From pressing a button of a mouse to its release, at the most. */
const CLICK_MS = 250;
/** From top to bottom: the focus goes to the first that is not right. */
const ORDER = [...new Set(["display-name", ...Object.values(IDS)])];

/** The display name makes the name, unless somebody typed one. */
function inWordsOfForm(problem: Problem, { name, displayName }: Fields): Problem {
  if (problem.field !== "metadata.name" || name !== "" || nameOf({ name, displayName }) !== "")
    return problem;
  return {
    field: "spec.displayName",
    message: displayName === "" ? "is missing" : "needs a letter or a digit",
  };
}

function idOf({ field }: Problem): string {
  const known = Object.keys(IDS).find(
    (path) => field === path || field.startsWith(`${path}.`) || field.startsWith(`${path}[`),
  );
  return IDS[known ?? ""] ?? "address";
}

export function RegistryForm(props: {
  readonly session: SessionInfo;
  readonly list: RegistryList | undefined;
  /** Undefined for a new one. */
  readonly row: RegistryRow | undefined;
  readonly intro?: string;
  readonly onSaved: () => void;
}): VNode {
  const { session, list, row, intro, onSaved } = props;
  /** As it was when the form was opened, or was last brought up to date. */
  const [base, setBase] = useState(row?.object ?? undefined);
  const [fields, setFields] = useState<Fields>(row === undefined ? EMPTY_FIELDS : fieldsOf(row));
  const [preset, setPreset] = useState<Preset>();
  const [image, setImage] = useState("");
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const [refused, setRefused] = useState<{
    readonly fields: Fields;
    readonly problems: readonly Problem[];
  }>();
  const [failure, setFailure] = useState<Failure>();
  const [saved, setSaved] = useState<SaveAnswer>();
  const [isBusy, setIsBusy] = useState(false);
  const [hasYaml, setHasYaml] = useState(false);
  const more = useRef<HTMLDetailsElement>(null);

  const name = nameOf(fields);
  const draft = { name, uid: base?.uid ?? "", spec: specOf(fields, base?.spec) };
  const check = useDraftCheck(draft, image);
  const change = (part: Partial<Fields>): void => {
    setFields((before) => ({ ...before, ...part }));
  };
  const leave = (id: string) => () => {
    // Whoever leaves a field by a click would miss what they clicked on if it moved away under the pointer.
    setTimeout(() => {
      setLeft((before) => new Set([...before, id]));
    }, CLICK_MS);
  };
  // What the server refused holds until the form is another one.
  const problems = [...(refused?.fields === fields ? refused.problems : []), ...(check?.problems ?? [])].map(
    (problem) => inWordsOfForm(problem, fields),
  );
  const problemOf = (id: string): string =>
    left.has(id) || left.has("*") ? (problems.find((problem) => idOf(problem) === id)?.message ?? "") : "";
  const field = (id: string) => ({ id, problem: problemOf(id), onBlur: leave(id) });

  const showProblems = (all: readonly Problem[]): void => {
    setLeft((before) => new Set([...before, "*"]));
    const ids = all.map((problem) => idOf(inWordsOfForm(problem, fields)));
    const first = ORDER.find((id) => ids.includes(id));
    if (first === undefined) return;
    if (more.current !== null && IN_MORE.has(first)) more.current.open = true;
    requestAnimationFrame(() => document.getElementById(first)?.focus());
  };
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    setIsBusy(true);
    setFailure(undefined);
    try {
      const now = await ask<DraftCheck>("POST", "/api/registries/check", { draft, image: "" });
      const missing = missingParts(fields, base !== undefined, base?.spec.auth?.type);
      if (now.problems.length + missing.length > 0) {
        setRefused({ fields, problems: missing });
        showProblems([...now.problems, ...missing]);
        return;
      }
      const request = { draft, generation: base?.generation ?? 0, credentials: credentialsOf(fields) };
      const answer =
        base === undefined
          ? await ask<SaveAnswer>("POST", "/api/registries", request)
          : await ask<SaveAnswer>("PUT", `/api/registries/${name}`, request);
      // What was typed is not kept for longer than it is needed.
      setFields(EMPTY_FIELDS);
      setSaved(answer);
      onSaved();
    } catch (error) {
      const fault = failureOf(error);
      if (fault.problems !== undefined) {
        setRefused({ fields, problems: fault.problems });
        showProblems(fault.problems);
      } else setFailure(fault);
    } finally {
      setIsBusy(false);
    }
  };
  const close = (): void => {
    go("registries", row?.name ?? saved?.name ?? "");
  };
  if (saved !== undefined) {
    const current = list?.rows.find((each) => each.name === saved.name && each.object !== null);
    return <SaveProgress answer={saved} row={current} onClose={close} />;
  }

  const stored = list?.rows.find((each) => each.name === row?.name && each.object !== null)?.object;
  /** What somebody else has made of it meanwhile. */
  const isNewer = stored?.generation !== base?.generation;
  const newer = base !== undefined && isNewer ? stored : undefined;
  const isGone = base !== undefined && list?.unread.length === 0 && stored?.uid !== base.uid;
  const canWriteSecret = base === undefined ? session.rights.createSecrets : session.rights.updateSecrets;
  return (
    <form
      class="registry"
      noValidate
      aria-labelledby="form-title"
      onSubmit={(event) => void save(event)}
      onKeyDown={(event) => {
        if (event.key === "Escape" && list !== undefined && list.rows.length > 0) close();
      }}
    >
      <h1 id="form-title">{row === undefined ? "Add a registry" : `Edit ${row.displayName}`}</h1>
      {intro !== undefined && <p class="quiet">{intro}</p>}
      {newer != null && (
        <div class="notice warn" role="alert">
          <p>
            Somebody else changed this registry while you were editing it:{" "}
            {differences(base?.spec ?? newer.spec, newer.spec).join(", ") || "something"}. Nothing is
            overwritten.
          </p>
          <div class="buttons">
            <button
              type="button"
              onClick={() => {
                setBase(newer);
                if (row !== undefined)
                  setFields({ ...fieldsOf({ ...row, object: newer }), ...secretsOf(fields) });
              }}
            >
              Load the new version
            </button>
            <button
              type="button"
              onClick={() => {
                setBase(newer);
              }}
            >
              Keep my fields, and save them over it
            </button>
          </div>
        </div>
      )}
      {isGone && <p class="notice warn">This registry was deleted while you were editing it.</p>}
      {row === undefined && (
        <Presets
          chosen={preset}
          onChoose={(chosen) => {
            setPreset(chosen);
            if (chosen === undefined) return;
            const { address, authType, username } = chosen;
            const isUntouched =
              fields.displayName === "" || PRESETS.some((each) => each.name === fields.displayName);
            change({ address, auth: authType, username, ...(isUntouched && { displayName: chosen.name }) });
          }}
        />
      )}
      {preset !== undefined && <p class="quiet hint">{preset.hint}</p>}
      <Field
        {...field("display-name")}
        label="Display name"
        placeholder="My Org Private Registry"
        autofocus
        value={fields.displayName}
        onInput={(displayName) => {
          change({ displayName });
        }}
      />
      <Field
        {...field("address")}
        label="Address"
        placeholder="registry.example.com/team-a"
        value={fields.address}
        onInput={(address) => {
          change({ address });
        }}
        hint={<Cover check={check} image={image} />}
      >
        <input
          class="try-image"
          aria-label="Try an image"
          placeholder="try an image…"
          spellcheck={false}
          autocomplete="off"
          value={image}
          onInput={(event) => {
            setImage(event.currentTarget.value);
          }}
        />
      </Field>
      <Choice
        legend="Auth type"
        name="auth"
        options={AUTH_TYPES}
        value={fields.auth}
        onChange={(auth) => {
          change({ auth });
        }}
      />
      {fields.auth !== "None" && fields.auth !== "Provider" && !canWriteSecret && (
        <p class="notice warn">
          You may not write Secrets in namespace {session.namespace}: the Role pullpass-registry-credentials
          allows it. The registry can refer to one that is there.
        </p>
      )}
      <CredentialFields
        fields={fields}
        setAt={base?.spec.auth?.type === fields.auth ? (base.credentialsChangedAt ?? "") : undefined}
        field={field}
        change={change}
      />
      <details id="which-namespaces" tabIndex={-1}>
        <summary>
          Which namespaces <span class="quiet">{namespacesWords(fields, check)}</span>
        </summary>
        <NamespacePicker fields={fields} check={check} onChange={change} />
        {problemOf("which-namespaces") !== "" && <p class="fault">{problemOf("which-namespaces")}</p>}
      </details>
      <details ref={more}>
        <summary>
          More <span class="quiet">{moreWords(fields)}</span>
        </summary>
        <More
          fields={fields}
          isNew={base === undefined}
          field={field}
          change={change}
          problem={problemOf("uses")}
        />
      </details>
      <Fault failure={failure} />
      <div class="buttons">
        {session.hasTestLogin && <TestLogin fields={fields} />}
        <button
          type="button"
          aria-expanded={hasYaml}
          onClick={() => {
            setHasYaml(!hasYaml);
          }}
        >
          Show YAML
        </button>
        <span class="spring" />
        {(list?.rows.length ?? 1) > 0 && (
          <button type="button" onClick={close}>
            Cancel
          </button>
        )}
        <button class="primary" disabled={isBusy || newer != null}>
          Save
        </button>
      </div>
      {hasYaml && check !== undefined && <Code text={check.command} label="What kubectl takes" />}
    </form>
  );
}

function secretsOf({ username, password, token, config }: Fields): Partial<Fields> {
  return { username, password, token, config };
}

/**
 * What the server cannot tell: a registry of these types needs credentials, unless its Secret is there already or is somebody else's to
 * write; and whoever chooses by labels does not mean everybody.
 */
function missingParts(fields: Fields, isEdited: boolean, typeBefore: string | undefined): readonly Problem[] {
  const { auth, username, password, token, config, secret, isForAll, requirements } = fields;
  if (!isForAll && requirements.every(({ key }) => key.trim() === ""))
    return [{ field: "spec.namespaces", message: "names no label: choose all that opted in, or a label" }];
  const mayStay = (isEdited && typeBefore === auth) || (!isEdited && secret !== "");
  const missing = (part: string): Problem => ({ field: `credentials.${part}`, message: "is missing" });
  if (auth === "BasicAuth") {
    if (mayStay && username === "" && password === "") return [];
    return [
      ...(username === "" ? [missing("username")] : []),
      ...(password === "" ? [missing("password")] : []),
    ];
  }
  if (mayStay) return [];
  if (auth === "Token" && token === "") return [missing("token")];
  return auth === "DockerConfig" && config === "" ? [missing("config")] : [];
}

function Presets(props: {
  readonly chosen: Preset | undefined;
  readonly onChoose: (preset: Preset | undefined) => void;
}): VNode {
  const { chosen, onChoose } = props;
  return (
    <fieldset class="field presets">
      <legend>Kind</legend>
      <div class="control">
        {[...PRESETS, undefined].map((preset) => (
          <label key={preset?.name ?? "Other"}>
            <input
              type="radio"
              name="preset"
              checked={chosen === preset}
              onChange={() => {
                onChoose(preset);
              }}
            />
            <span>{preset?.name ?? "Other"}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function Cover({ check, image }: { readonly check: DraftCheck | undefined; readonly image: string }): VNode {
  const cover = image === "" ? null : (check?.cover ?? null);
  if (cover === null)
    return (
      <span>What images are matched against: a host, maybe with a port and the beginning of a path.</span>
    );
  return (
    <span class={cover.isCovered ? "good" : "warn"} role="status">
      {cover.isCovered ? "✓" : "✕"} {cover.sentence}
    </span>
  );
}

interface PartProps {
  readonly fields: Fields;
  readonly field: (id: string) => {
    readonly id: string;
    readonly problem: string;
    readonly onBlur: () => void;
  };
  readonly change: (part: Partial<Fields>) => void;
}

function CredentialFields({
  fields,
  setAt,
  field,
  change,
}: PartProps & { readonly setAt: string | undefined }): VNode | null {
  const keep =
    setAt === undefined ? undefined : (
      <>
        {setAt !== "" && (
          <>
            set <Time at={setAt} />;{" "}
          </>
        )}
        {fields.auth === "BasicAuth" ? "leave both empty to keep them" : "leave empty to keep it"}
      </>
    );
  const user = (
    <Field
      {...field("username")}
      label="User name"
      value={fields.username}
      hint={fields.auth === "Token" ? "default: what the vendor expects for the host" : undefined}
      onInput={(username) => {
        change({ username });
      }}
    />
  );
  const secret = (id: "password" | "token" | "config", label: string): VNode => (
    <Field
      {...field(id)}
      label={label}
      isSecret
      isLong={id === "config"}
      value={fields[id]}
      hint={keep}
      onInput={(value) => {
        change({ [id]: value });
      }}
    />
  );
  switch (fields.auth) {
    case "BasicAuth":
      return (
        <>
          {user}
          {secret("password", "Password")}
        </>
      );
    case "Token":
      return (
        <>
          {secret("token", "Token")}
          {user}
        </>
      );
    case "DockerConfig":
      return secret("config", "config.json");
    case "Provider":
      return (
        <Field
          {...field("provider")}
          label="Provider"
          hint="an entry of providers in the configuration"
          value={fields.provider}
          onInput={(provider) => {
            change({ provider });
          }}
        />
      );
    case "None":
      return null;
  }
}

function moreWords(fields: Fields): string {
  const { pull, build, secretName } = fields;
  const use = pull && build ? "pulls and builds" : pull ? "pulls" : build ? "builds" : "nothing";
  const name = nameOf(fields);
  return `used for ${use} · Secret ${secretName !== "" ? secretName : name === "" ? "pullpass-…" : `pullpass-${name}`}`;
}

function More(props: PartProps & { readonly isNew: boolean; readonly problem: string }): VNode {
  const { fields, isNew, field, change, problem } = props;
  const hasSecret = fields.auth !== "None" && fields.auth !== "Provider";
  return (
    <div class="stack">
      <fieldset class="field choice" id="uses" tabIndex={-1}>
        <legend>Used for</legend>
        <div class="control">
          {(["pull", "build"] as const).map((use) => (
            <label key={use} class="check">
              <input
                type="checkbox"
                checked={fields[use]}
                onChange={(event) => {
                  change({ [use]: event.currentTarget.checked });
                }}
              />
              {use === "pull" ? "pulls by the kubelet" : "builds in pods"}
            </label>
          ))}
        </div>
        {problem !== "" && <p class="fault">{problem}</p>}
      </fieldset>
      {isNew && (
        <Field
          {...field("name")}
          label="Name"
          placeholder={nameOf(fields)}
          hint="in the cluster; it cannot be changed later"
          value={fields.name}
          onInput={(name) => {
            change({ name });
          }}
        />
      )}
      <Field
        {...field("secret-name")}
        label="Pull secret"
        placeholder={`pullpass-${nameOf(fields)}`}
        hint="the Secret in the namespaces, which pods name"
        value={fields.secretName}
        onInput={(secretName) => {
          change({ secretName });
        }}
      />
      {hasSecret && (
        <Field
          {...field("secret")}
          label="Kept in Secret"
          placeholder={secretOf({ ...fields, secret: "" })}
          hint="where Pullpass reads the credentials, in its own namespace"
          value={fields.secret}
          onInput={(secret) => {
            change({ secret });
          }}
        />
      )}
      <Field
        {...field("hosts")}
        label="Hosts"
        hint="for an address with *: the hosts behind it, for builders, with commas"
        value={fields.hosts}
        onInput={(hosts) => {
          change({ hosts });
        }}
      />
    </div>
  );
}
