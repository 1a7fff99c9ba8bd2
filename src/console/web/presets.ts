/** What is known of the registries that most people use: how they are called, and what they take as credentials. */

export interface Preset {
  readonly name: string;
  readonly address: string;
  readonly authType: "BasicAuth" | "Token" | "DockerConfig" | "Provider";
  /** Empty if it is the person's own. */
  readonly username: string;
  /** Where the credentials are made. */
  readonly hint: string;
}

export const PRESETS: readonly Preset[] = [
  {
    name: "Docker Hub",
    address: "docker.io",
    authType: "BasicAuth",
    username: "",
    hint: "A personal access token takes the place of the password: Docker Hub, Account settings, Personal access tokens.",
  },
  {
    name: "GHCR",
    address: "ghcr.io/OWNER",
    authType: "BasicAuth",
    username: "",
    hint: "The password is a classic personal access token with the scope read:packages: GitHub, Settings, Developer settings.",
  },
  {
    name: "GitLab",
    address: "registry.gitlab.com/GROUP",
    authType: "BasicAuth",
    username: "",
    hint: "A deploy token with the scope read_registry has a user name and a password: GitLab, Settings, Repository, Deploy tokens.",
  },
  {
    name: "Quay",
    address: "quay.io/ORGANIZATION",
    authType: "BasicAuth",
    username: "",
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
    authType: "BasicAuth",
    username: "_json_key",
    hint: "The password is the key of a service account, a JSON document. An access token has the user name oauth2accesstoken, and ends after an hour.",
  },
  {
    name: "ACR",
    address: "NAME.azurecr.io",
    authType: "BasicAuth",
    username: "",
    hint: "A repository-scoped token has a user name and a password: Azure portal, Registry, Tokens. An access token has the user name 00000000-0000-0000-0000-000000000000.",
  },
  {
    name: "Harbor",
    address: "HOST/PROJECT",
    authType: "BasicAuth",
    username: "robot$",
    hint: "A robot account has a user name such as robot$project+name: Harbor, Project, Robot accounts.",
  },
];
