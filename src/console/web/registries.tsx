/** The table of registries. A row opens in place; the form takes the table's place. */
import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { RegistryList, RegistryRow } from "../api.ts";
import { useFetched } from "./live.ts";
import type { PageProps } from "./main.tsx";
import { Cut, Fault, StateMark, Unread, useFlash } from "./parts.tsx";
import { go, hrefOf, type Place } from "./place.ts";
import { RegistryDetails } from "./registry-details.tsx";
import { RegistryForm } from "./registry-form.tsx";

const AUTH_WORDS: Readonly<Record<RegistryRow["auth"], string>> = {
  BasicAuth: "Password",
  Token: "Token",
  DockerConfig: "config.json",
  Provider: "Provider",
  Secret: "Secret",
  None: "none",
  unknown: "–",
};

export function Registries({ session, changes, place }: PageProps & { readonly place: Place }): VNode {
  const { data, failure, refresh } = useFetched<RegistryList>("/api/registries", changes?.registries);
  const [filter, setFilter] = useState("");
  const { rights } = session;
  const form = { session, list: data, onSaved: refresh };
  if (place.action === "new") return <RegistryForm {...form} key="new" row={undefined} />;
  if (data === undefined)
    return failure === undefined ? <p class="quiet">Loading…</p> : <Fault failure={failure} />;
  const open = data.rows.find(({ name }) => name === place.name);
  if (place.action === "edit" && open?.object != null)
    return <RegistryForm {...form} key={open.name} row={open} />;

  const isEmpty = data.rows.length === 0 && data.unread.length === 0;
  if (isEmpty && rights.createRegistries)
    return (
      <RegistryForm
        {...form}
        key="new"
        row={undefined}
        intro={`There is no registry yet. Once this one is saved, ${optedInWords(data.optedIn)}, and their new pods pull with it.`}
      />
    );
  const shown = data.rows.filter((row) => matches(row, filter));
  return (
    <>
      <div class="head">
        <h1>Registries</h1>
        <div class="tools">
          <input
            id="filter"
            type="search"
            placeholder="filter"
            aria-label="Filter registries"
            value={filter}
            onInput={(event) => {
              setFilter(event.currentTarget.value);
            }}
          />
          {rights.createRegistries && (
            <a class="button primary" data-add-registry href={hrefOf("registries", "", "new")}>
              Add registry
            </a>
          )}
        </div>
      </div>
      <Unread sentences={data.unread} />
      <Fault failure={failure} />
      {place.name !== "" && open === undefined && (
        <p class="notice warn">There is no registry {place.name}.</p>
      )}
      {shown.length === 0 ? (
        <p class="empty">{filter === "" ? "There are no registries." : "No registry matches the filter."}</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Address</th>
              <th scope="col">Auth</th>
              <th scope="col">State</th>
              <th scope="col" class="number">
                Namespaces
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <Row
                key={rowKey(row)}
                row={row}
                isOpen={row.name === place.name}
                session={session}
                changes={changes}
              />
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

function optedInWords(count: number | null): string {
  if (count === null) return "every namespace that opted in gets a copy";
  if (count === 0) return "every namespace that opts in gets a copy";
  return count === 1
    ? "the one namespace that opted in gets a copy"
    : `the ${count.toString()} namespaces that opted in get copies`;
}

function rowKey({ name, object }: RegistryRow): string {
  return object === null ? `file ${name}` : name;
}

function matches({ name, displayName, address, state }: RegistryRow, filter: string): boolean {
  const text = [name, displayName, address, state.words].join(" ").toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

function Row(props: PageProps & { readonly row: RegistryRow; readonly isOpen: boolean }): VNode {
  const { row, isOpen, session } = props;
  const { name, displayName, address, auth, state, namespaces } = row;
  const isFresh = useFlash(`${state.words} ${address} ${displayName}`);
  const id = `details-${row.object === null ? "file-" : ""}${name}`;
  useEffect(() => {
    if (isOpen) document.getElementById(`row-${name}`)?.scrollIntoView({ block: "nearest" });
  }, []);
  return (
    <>
      <tr id={`row-${name}`} class={isFresh ? "fresh" : isOpen ? "open" : undefined}>
        <th scope="row">
          <button
            type="button"
            class="row-button"
            aria-expanded={isOpen}
            aria-controls={isOpen ? id : undefined}
            onClick={() => {
              go("registries", isOpen ? "" : name);
            }}
          >
            {displayName}
          </button>
        </th>
        <td data-label="Address">{address === "" ? "–" : <Cut text={address} />}</td>
        <td data-label="Auth">{AUTH_WORDS[auth]}</td>
        <td data-label="State">
          <StateMark state={state} />
        </td>
        <td class="number" data-label="Namespaces">
          {namespaces === null
            ? "–"
            : `${namespaces.synced?.toString() ?? "–"}/${namespaces.selected.toString()}`}
        </td>
      </tr>
      {isOpen && (
        <tr class="details" id={id}>
          <td colSpan={5}>
            <RegistryDetails row={row} session={session} />
          </td>
        </tr>
      )}
    </>
  );
}
