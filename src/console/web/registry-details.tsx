/** A registry's row when it is open: its conditions, its credentials, who uses it, and what may be done with it. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { Condition, RegistryObject, RegistryRow, RegistryUsage, SessionInfo, State } from "../api.ts";
import { checkDraft } from "./client.ts";
import { DeleteRegistry } from "./delete-registry.tsx";
import { useAction, useFetched, type Fetched } from "./live.ts";
import { Button, Code, Fault, namesOf, plural, StateMark, Time, useClock } from "./parts.tsx";
import { hrefOf } from "./place.ts";
import { TestPanel, useStoredTest } from "./test-credentials.tsx";

export function RegistryDetails(props: { readonly row: RegistryRow; readonly session: SessionInfo }): VNode {
  const { row } = props;
  const { name, object, advice, secretName } = row;
  // Pods come and go without a word to this page.
  const usage = useFetched<RegistryUsage>(`/api/registries/${name}/usage`, useClock());
  return (
    <>
      {advice !== "" && <p class="advice">{advice}</p>}
      <dl>
        <dt>Name</dt>
        <dd>
          <code>{name}</code>
          {object !== null && (
            <>
              , since <Time at={object.createdAt} />
            </>
          )}
        </dd>
        <dt>Pull secret</dt>
        <dd>
          <code>{secretName === "" ? "–" : secretName}</code>
        </dd>
        {object === null ? (
          <>
            <dt>Test</dt>
            <dd>
              <code>pullpass check --config FILE --login</code> tries the login, and with{" "}
              <code>--pull IMAGE</code> a pull
            </dd>
          </>
        ) : (
          <>
            <Credentials object={object} expiresAt={row.expiresAt} />
            {object.conditions.map(
              (condition) =>
                !isAboutCredentials(condition) && (
                  <ConditionLine key={condition.type} condition={condition} object={object} />
                ),
            )}
          </>
        )}
        <dt>Pods</dt>
        <dd>
          <Pods usage={usage} />
        </dd>
      </dl>
      {object !== null && <Actions {...props} object={object} usage={usage} />}
    </>
  );
}

/** Where they are from, and whether they could be read. */
function Credentials(props: {
  readonly object: RegistryObject;
  readonly expiresAt: string | null;
}): VNode | null {
  const { spec, credentialsChangedAt, conditions } = props.object;
  if (spec.auth === undefined) return null;
  const { secretRef, provider = "" } = spec.auth;
  const read = conditions.find(isAboutCredentials);
  // What says that they could not be read names the Secret or the provider.
  if (read?.status === "False") return <ConditionLine condition={read} object={props.object} />;
  return (
    <>
      <dt>Credentials</dt>
      <dd>
        {read !== undefined && (
          <>
            <StateMark state={{ level: levelOf(read), words: read.message }} />{" "}
          </>
        )}
        <span class="quiet">{secretRef === undefined ? "provider" : "Secret"}</span>{" "}
        <code>{secretRef?.name ?? provider}</code>
        {credentialsChangedAt !== null && (
          <>
            , set <Time at={credentialsChangedAt} />
          </>
        )}
        {props.expiresAt !== null && (
          <>
            , expires <Time at={props.expiresAt} />
          </>
        )}
      </dd>
    </>
  );
}

function isAboutCredentials({ type }: Condition): boolean {
  return type === "CredentialsAvailable";
}

const CONDITION_TITLES: Readonly<Record<string, string>> = {
  Ready: "State",
  CredentialsAvailable: "Credentials",
  Synced: "Copies",
  LoginSucceeded: "Last login",
  PullSucceeded: "Last test pull",
};

function levelOf({ status, isOutdated }: Condition): State["level"] {
  if (isOutdated || status === "Unknown") return "quiet";
  return status === "True" ? "good" : "bad";
}

function ConditionLine(props: { readonly condition: Condition; readonly object: RegistryObject }): VNode {
  const { type, message, since, isOutdated } = props.condition;
  const { lastLoginAt } = props.object;
  const isTest = lastLoginAt !== null && (type === "LoginSucceeded" || type === "PullSucceeded");
  return (
    <>
      <dt>{CONDITION_TITLES[type] ?? type}</dt>
      <dd>
        <StateMark state={{ level: levelOf(props.condition), words: message }} />{" "}
        {isTest ? (
          <Time at={lastLoginAt} />
        ) : (
          <>
            <span class="quiet">since</span> <Time at={since} />
          </>
        )}
        {isOutdated && <span class="quiet">, of an earlier edit</span>}
      </dd>
    </>
  );
}

function Pods({ usage: { data, failure } }: { readonly usage: Fetched<RegistryUsage> }): VNode {
  if (data === undefined) return <span class="quiet">{failure?.message ?? "Counting…"}</span>;
  if (data.pods === null) return <span class="quiet">You may not list pods.</span>;
  const { count, examples } = data.pods;
  if (count === 0) return <span class="quiet">No running pod was given the credentials.</span>;
  const first = examples.map((pod) => `${pod.namespace}/${pod.name}`);
  return (
    <>
      {plural(count, "running pod")} with the pull secret: {namesOf(first, count)}
    </>
  );
}

/** What kubectl takes; null while it is not shown. */
function useYaml(name: string, { uid, spec }: RegistryObject) {
  const [yaml, setYaml] = useState<string | null>(null);
  const [toggle, , failure] = useAction(async () => {
    setYaml(yaml === null ? (await checkDraft({ name, uid, spec })).command : null);
  });
  return [yaml, toggle, failure] as const;
}

function Actions(props: {
  readonly row: RegistryRow;
  readonly session: SessionInfo;
  readonly object: RegistryObject;
  readonly usage: Fetched<RegistryUsage>;
}): VNode {
  const { row, session, object, usage } = props;
  const { rights } = session;
  const [isDeleting, setIsDeleting] = useState(false);
  const [yaml, toggleYaml, failure] = useYaml(row.name, object);
  const test = useStoredTest(row);
  const edit = rights.updateRegistries && (
    <a class="button" href={hrefOf("registries", row.name, "edit")}>
      Edit
    </a>
  );
  const others = (
    <>
      <Button aria-expanded={yaml !== null} onClick={toggleYaml}>
        Show YAML
      </Button>
      {rights.deleteRegistries && (
        <Button
          class="danger"
          onClick={() => {
            setIsDeleting(true);
          }}
        >
          Delete…
        </Button>
      )}
    </>
  );
  return (
    <>
      <Fault failure={failure} />
      {rights.updateRegistries && object.spec.auth !== undefined ? (
        <TestPanel test={test} isReady address={row.address} before={edit}>
          {others}
        </TestPanel>
      ) : (
        <div class="buttons">
          {edit}
          {others}
        </div>
      )}
      {yaml !== null && <Code text={yaml} label="What kubectl takes" />}
      {isDeleting && (
        <DeleteRegistry
          {...{ row, session, usage }}
          onClose={() => {
            setIsDeleting(false);
          }}
        />
      )}
    </>
  );
}
