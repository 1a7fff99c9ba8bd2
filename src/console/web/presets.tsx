/** What is known of the registries that most people use: how they are called, and what they take as credentials. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { Fields } from "./draft.ts";

interface Preset {
  readonly name: string;
  readonly address: string;
  /** Absent: BasicAuth. */
  readonly authType?: "Token";
  /** Absent: the person's own. */
  readonly username?: string;
  /** Where the credentials are made. */
  readonly hint: string;
}

const PRESETS: readonly Preset[] = [
  {
    name: "Docker Hub",
    address: "docker.io",
    hint: "A personal access token takes the place of the password: Docker Hub, Account settings, Personal access tokens.",
  },
  {
    name: "GHCR",
    address: "ghcr.io/OWNER",
    hint: "The password is a classic personal access token with the scope read:packages: GitHub, Settings, Developer settings.",
  },
  {
    name: "GitLab",
    address: "registry.gitlab.com/GROUP",
    hint: "A deploy token with the scope read_registry has a user name and a password: GitLab, Settings, Repository, Deploy tokens.",
  },
  {
    name: "Quay",
    address: "quay.io/ORGANIZATION",
    hint: "A robot account has a user name such as organization+robot, and a password: Quay, Account settings, Robot accounts.",
  },
  {
    name: "ECR",
    address: "ACCOUNT.dkr.ecr.REGION.amazonaws.com",
    authType: "Token",
    username: "AWS",
    hint: "aws ecr get-login-password prints a token that ends after 12 hours. A credential provider renews it by itself.",
  },
  {
    name: "Artifact Registry",
    address: "REGION-docker.pkg.dev/PROJECT",
    username: "_json_key",
    hint: "The password is the key of a service account, a JSON document. An access token has the user name oauth2accesstoken, and ends after an hour.",
  },
  {
    name: "ACR",
    address: "NAME.azurecr.io",
    hint: "A repository-scoped token has a user name and a password: Azure portal, Registry, Tokens. An access token has the user name 00000000-0000-0000-0000-000000000000.",
  },
  {
    name: "Harbor",
    address: "HOST/PROJECT",
    username: "robot$",
    hint: "A robot account has a user name such as robot$project+name: Harbor, Project, Robot accounts.",
  },
];

/** Fills in what is known, and says where credentials are made. */
export function Presets(props: {
  /** As it is typed. */
  readonly displayName: string;
  readonly onChoose: (change: Partial<Fields>) => void;
}): VNode {
  const { displayName, onChoose } = props;
  const [chosen, setChosen] = useState<Preset>();
  const choose = (preset: Preset | undefined): void => {
    setChosen(preset);
    if (preset === undefined) return;
    const { name, address, authType: auth = "BasicAuth", username = "" } = preset;
    const isUntouched = displayName === "" || PRESETS.some((each) => each.name === displayName);
    onChoose({ address, auth, username, ...(isUntouched && { displayName: name }) });
  };
  return (
    <>
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
                  choose(preset);
                }}
              />
              <span>{preset?.name ?? "Other"}</span>
            </label>
          ))}
        </div>
      </fieldset>
      {chosen !== undefined && <p class="quiet hint">{chosen.hint}</p>}
    </>
  );
}
