/** A registry's row when it is open: its conditions, its credentials, and what may be done with it. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { DraftCheck, Failure, RegistryRow, SessionInfo } from "../api.ts";
import { ask, failureOf } from "./client.ts";
import { DeleteRegistry } from "./delete-registry.tsx";
import { Code, Fault, StateMark, Time } from "./parts.tsx";
import { hrefOf } from "./place.ts";

export function RegistryDetails({
  row,
  session,
}: {
  readonly row: RegistryRow;
  readonly session: SessionInfo;
}): VNode {
  const { name, object, advice, secretName, expiresAt } = row;
  const [isDeleting, setIsDeleting] = useState(false);
  const [yaml, setYaml] = useState<DraftCheck | null>(null);
  const [failure, setFailure] = useState<Failure>();
  const { rights } = session;
  if (object === null) return <p>{advice}</p>;
  const attempt = (work: Promise<unknown>): void => {
    setFailure(undefined);
    void work.catch((error: unknown) => {
      setFailure(failureOf(error));
    });
  };
  const showYaml = async (): Promise<void> => {
    const draft = { name, uid: object.uid, spec: object.spec };
    setYaml(await ask<DraftCheck>("POST", "/api/registries/check", { draft, image: "" }));
  };
  return (
    <>
      {advice !== "" && <p class="advice">{advice}</p>}
      <dl>
        <dt>Name</dt>
        <dd>
          <code>{name}</code>, since <Time at={object.createdAt} />
        </dd>
        <dt>Pull secret</dt>
        <dd>
          <code>{secretName === "" ? "–" : secretName}</code>
        </dd>
        {object.spec.auth?.secretRef !== undefined && (
          <>
            <dt>Credentials</dt>
            <dd>
              Secret <code>{object.spec.auth.secretRef.name}</code>
              {object.credentialsChangedAt !== null && (
                <>
                  , set <Time at={object.credentialsChangedAt} />
                </>
              )}
              {expiresAt !== null && (
                <>
                  , expires <Time at={expiresAt} />
                </>
              )}
            </dd>
          </>
        )}
        {object.conditions.map(({ type, status, reason, message, since, isOutdated }) => (
          <ConditionLine key={type} {...{ type, status, reason, message, since, isOutdated }} />
        ))}
      </dl>
      <Fault failure={failure} />
      <div class="buttons">
        {rights.updateRegistries && (
          <a class="button" href={hrefOf("registries", name, "edit")}>
            Edit
          </a>
        )}
        {rights.updateRegistries && object.spec.auth !== undefined && (
          <button
            type="button"
            onClick={() => {
              attempt(ask("POST", `/api/registries/${name}/test-login`, {}));
            }}
          >
            Test login
          </button>
        )}
        <button
          type="button"
          aria-expanded={yaml !== null}
          onClick={() => {
            if (yaml === null) attempt(showYaml());
            else setYaml(null);
          }}
        >
          Show YAML
        </button>
        {rights.deleteRegistries && (
          <button
            type="button"
            class="danger"
            onClick={() => {
              setIsDeleting(true);
            }}
          >
            Delete…
          </button>
        )}
      </div>
      {yaml !== null && <Code text={yaml.command} label="What kubectl takes" />}
      {isDeleting && (
        <DeleteRegistry
          row={row}
          session={session}
          onClose={() => {
            setIsDeleting(false);
          }}
        />
      )}
    </>
  );
}

const CONDITION_TITLES: Readonly<Record<string, string>> = {
  Ready: "State",
  CredentialsAvailable: "Its Secret",
  Synced: "Copies",
  LoginSucceeded: "Last login",
};

function ConditionLine(props: RegistryRowCondition): VNode {
  const { type, status, message, since, isOutdated } = props;
  const level = isOutdated || status === "Unknown" ? "quiet" : status === "True" ? "good" : "bad";
  return (
    <>
      <dt>{CONDITION_TITLES[type] ?? type}</dt>
      <dd>
        <StateMark state={{ level, words: message }} /> <span class="quiet">since</span> <Time at={since} />
        {isOutdated && <span class="quiet">, of an earlier edit</span>}
      </dd>
    </>
  );
}

type RegistryRowCondition = NonNullable<RegistryRow["object"]>["conditions"][number];
