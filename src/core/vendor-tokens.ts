/** What the registries of vendors expect beside a token, and when their tokens expire. */
import { isServiceAccountKey } from "./credential.ts";

/*
 * The user name that goes with a token. The first row that holds decides.
 *
 * host or token                        | user name                      | expires after | source
 * a Google service account's key       | _json_key                      |               | cloud.google.com/artifact-registry/docs/docker/authentication
 * gcr.io, *.gcr.io, *.pkg.dev          | oauth2accesstoken              | 1 hour        | the same
 * *.azurecr.io (.cn, .us)              | 00000000-...                   | 3 hours       | learn.microsoft.com/azure/container-registry/container-registry-authentication
 * *.dkr.ecr.*.amazonaws.com (.cn),     | AWS                            | 12 hours      | docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
 *   *.dkr-ecr.*.on.aws, public.ecr.aws |                                |               |
 * nvcr.io                              | $oauthtoken                    |               | docs.nvidia.com/ngc
 * docker.io                            | the account's                  |               | docs.docker.com/security/access-tokens
 * quay.io                              | the robot's, $oauthtoken, $app |               | github.com/quay/quay/blob/master/auth/credentials.py
 * *.ocir.io                            | <tenancy namespace>/<user>     |               | docs.oracle.com/iaas/Content/Registry/Tasks/registrypushingimagesusingthedockercli.htm
 * *.jfrog.io                           | the token's                    |               | jfrog.com/help/r/jfrog-platform-administration-documentation/basic-authentication
 * registry.redhat.io                   | the service account's          |               | access.redhat.com/RegistryAuthentication
 * a deploy token of GitLab             | the deploy token's             |               | deploy_token_check in gitlab.com/gitlab-org/gitlab/-/blob/master/lib/gitlab/auth.rb
 * anything else                        | token                          |               |
 *
 * Anything else is ghcr.io, other tokens of GitLab and Cloudsmith's, which take any name, or `token`, and everything that
 * cannot be told by its host: a Harbor's robot (`robot$project+name`) needs `username` as well.
 */
interface Vendor {
  readonly name: string;
  readonly hosts: RegExp;
  /** What a token is sent with where no user name is configured. */
  readonly username?: string;
  /** Only for tokens that are sent with `username`. */
  readonly lifetime?: string;
  /** Where the user name depends on the token: what it has to be. */
  readonly expectedUsername?: string;
}

const VENDORS: readonly Vendor[] = [
  {
    name: "Google",
    hosts: /^(?:.+\.)?gcr\.io$|\.pkg\.dev$/,
    username: "oauth2accesstoken",
    lifetime: "1 hour",
  },
  {
    name: "Azure",
    hosts: /\.azurecr\.(?:io|cn|us)$/,
    username: "00000000-0000-0000-0000-000000000000",
    lifetime: "3 hours",
  },
  {
    name: "Amazon ECR",
    hosts: /\.dkr[.-]ecr(?:-fips)?\.[^.]+\.(?:amazonaws\.com(?:\.cn)?|on\.aws)$|^public\.ecr\.aws$/,
    username: "AWS",
    lifetime: "12 hours",
  },
  { name: "NVIDIA", hosts: /^nvcr\.io$/, username: "$oauthtoken" },
  {
    name: "Docker Hub",
    hosts: /^docker\.io$/,
    expectedUsername:
      "the account that the token belongs to, or the organization for an organization's token",
  },
  {
    name: "Quay",
    hosts: /^quay\.io$/,
    expectedUsername:
      "the robot account as in org+robot, $oauthtoken for an OAuth token, or $app for an application token",
  },
  {
    name: "Oracle Cloud",
    hosts: /\.ocir\.io$/,
    expectedUsername: "<tenancy namespace>/<user name>",
  },
  { name: "JFrog", hosts: /\.jfrog\.io$/, expectedUsername: "the user that the token was made for" },
  {
    name: "Red Hat",
    hosts: /^registry\.redhat\.io$/,
    expectedUsername: "the registry service account, with the number before its name",
  },
];

/** The user name to send with a token; `host` without port, as in the address. */
export function usernameForToken(host: string, token: string): string {
  if (isServiceAccountKey(token)) return "_json_key";
  return vendorOf(host)?.username ?? "token";
}

/** Why a host refuses a token without a user name; undefined if it does not, as far as the host tells. */
export function missingUsername(host: string): string | undefined {
  const vendor = vendorOf(host);
  if (vendor?.expectedUsername === undefined) return undefined;
  return `is missing: ${vendor.name} refuses a token without it; it is ${vendor.expectedUsername}`;
}

/** Whether a token is a deploy token of GitLab, on gitlab.com or elsewhere, by the prefix that GitLab gives it. */
export function isGitLabDeployToken(token: string): boolean {
  return token.startsWith("gldt-");
}

/** After which time a credential expires, by its host and user name; undefined if it does not, as far as those tell. */
export function tokenLifetime(
  host: string,
  username: string,
): { readonly vendor: string; readonly lifetime: string } | undefined {
  const vendor = vendorOf(host);
  if (vendor?.lifetime === undefined || vendor.username !== username) return undefined;
  return { vendor: vendor.name, lifetime: vendor.lifetime };
}

function vendorOf(host: string): Vendor | undefined {
  return VENDORS.find(({ hosts }) => hosts.test(host));
}
