/**
 * Every setting of `pullpass.yaml`. Lists that Polyaxon owns (`privateRegistries`, `connections`) are read in
 * polyaxon.ts, because their forms are not ours to choose.
 */
import * as z from "zod";
import type { Address } from "../core/address.ts";
import { isMountable } from "../core/builds/build-container.ts";
import { isObject } from "../core/kubernetes.ts";
import { missingUsername } from "../core/vendor-tokens.ts";
import {
  absolutePath,
  address,
  bounded,
  dnsLabel,
  DNS_SUBDOMAIN,
  filePath,
  LABEL_KEY,
  LABEL_KEY_RULE,
  labelKey,
  labelValue,
  list,
  providerName,
  secret,
  secretName,
  strictObject,
  string,
  username,
} from "./fields.ts";

/** Exactly one of its members. */
const source = strictObject({
  file: filePath.optional(),
  env: bounded(256)
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be the name of an environment variable, not its value")
    .optional()
    .describe("An environment variable of the Pullpass process."),
}).refine((value) => exactlyOne(value.file, value.env), "must have one of file and env");

const basicAuth = strictObject({
  type: z.literal("BasicAuth").describe("User name and password."),
  username,
  password: secret.optional().describe("The password itself. Prefer `passwordFrom`."),
  passwordFrom: source.optional().describe("Where the password is: a file or an environment variable."),
}).refine(
  (value) => exactlyOne(value.password, value.passwordFrom),
  "must have one of password and passwordFrom",
);

const tokenAuth = strictObject({
  type: z.literal("Token").describe("A token alone. It is sent as a password."),
  username: username.optional().describe("The user name. Default: what the vendor expects for the host."),
  token: secret.optional().describe("The token itself. Prefer `tokenFrom`."),
  tokenFrom: source.optional().describe("Where the token is: a file or an environment variable."),
}).refine((value) => exactlyOne(value.token, value.tokenFrom), "must have one of token and tokenFrom");

const dockerConfigAuth = strictObject({
  type: z
    .literal("DockerConfig")
    .describe("A `config.json` as `docker login` leaves it. Only its entries for the address are used."),
  file: filePath,
});

const secretAuth = strictObject({
  type: z
    .literal("Secret")
    .describe(
      "A Secret of type dockerconfigjson, dockercfg or basic-auth, or Opaque with the key `config.json`.",
    ),
  name: secretName.describe("The name of the Secret."),
  namespace: dnsLabel
    .optional()
    .describe("The namespace of the Secret. Default: the one that Pullpass runs in."),
});

const provider = providerName.describe("The name of an entry of `providers` in pullpass.yaml.");

const providerAuth = strictObject({
  type: z.literal("Provider").describe("A program that hands out credentials which end, and is run in time."),
  provider,
});

const auth = z.discriminatedUnion(
  "type",
  [basicAuth, tokenAuth, dockerConfigAuth, secretAuth, providerAuth],
  {
    // What is not a mapping has zod's own message about its type.
    error: ({ input }) =>
      isObject(input) ? "must be one of BasicAuth, Token, DockerConfig, Secret and Provider" : undefined,
  },
);

/**
 * Rules of a ClusterRegistry's CRD, in CEL, beside the checks of the schema that say the same: the schema also reads objects that are
 * older than a rule.
 */
function celRules(
  ...rules: readonly {
    readonly rule: string;
    readonly message: string;
    readonly fieldPath?: string;
    readonly reason?: "FieldValueRequired" | "FieldValueForbidden";
  }[]
): Readonly<Record<string, unknown>> {
  return { "x-kubernetes-validations": rules };
}

/** One writer has all of it, as in Kubernetes' own types: the parts of two would be a selector that neither of them means. */
const ATOMIC = { "x-kubernetes-map-type": "atomic" } as const;

/** `metav1.LabelSelector`. */
const labelSelector = strictObject({
  matchLabels: z
    .record(labelKey, labelValue)
    .refine((labels) => Object.keys(labels).length <= 64, "has too many entries: at most 64")
    .meta({
      maxProperties: 64,
      ...celRules({ rule: `self.all(key, key.matches(r'${LABEL_KEY.source}'))`, message: LABEL_KEY_RULE }),
    })
    .optional()
    .describe("Labels that the namespace must have, with these values."),
  matchExpressions: list(
    strictObject({
      key: labelKey.describe("The key of the label."),
      operator: z
        .enum(["In", "NotIn", "Exists", "DoesNotExist"], "must be In, NotIn, Exists or DoesNotExist")
        .describe("How the label is compared: In, NotIn, Exists or DoesNotExist."),
      values: list(labelValue).optional().describe("The values for In and NotIn."),
    })
      .refine(
        ({ operator, values = [] }) => operator.endsWith("In") === values.length > 0,
        "must have values with In and NotIn, and none with Exists and DoesNotExist",
      )
      .meta(
        celRules({
          rule: "self.operator.endsWith('In') == (has(self.values) && size(self.values) > 0)",
          message: "must have values with In and NotIn, and none with Exists and DoesNotExist",
        }),
      ),
    64,
  )
    .optional()
    .describe("Requirements that the labels of the namespace must all meet."),
}).meta(ATOMIC);

const registryAddress = address.meta({
  minLength: 1,
  ...celRules(
    { rule: "!self.contains('@')", message: "credentials do not belong into an address" },
    {
      rule: String.raw`!self.matches(r'[\s?#]')`,
      message: "an address holds no white space, no ? and no #",
    },
  ),
});

/** What a registry of the file and a ClusterRegistry have in common; `kubectl explain` shows the descriptions. */
const registryFields = {
  displayName: bounded(256).optional().describe("A name for people."),
  address: registryAddress.describe(
    "`host[:port][/path]`, what images are matched against. Each label of the host may hold `*`. A scheme, `/v1/`, `/v2/` and a last slash are removed.",
  ),
  namespaces: labelSelector
    .optional()
    .describe("Which opted-in namespaces may have the credentials. Default: all of them."),
  use: list(z.enum(["pull", "build"], "must be pull or build"), 16)
    .min(1, "must name pull, build or both")
    .meta({ minItems: 1, maxItems: 16 })
    .optional()
    .describe("What the credentials are for: pulls by kubelet, builds in pods. Default: both."),
  secretName: secretName
    .optional()
    .describe("The pull secret that pods name. Default: `pullpass-` and the registry's name."),
  hosts: list(registryAddress)
    .optional()
    .describe("The concrete hosts behind an address with `*`, for builders, which cannot use `*`."),
};

/** A token without a user name, where the registry wants the account's. */
function requireAccountName(
  {
    address,
    auth,
  }: {
    readonly address: Address;
    readonly auth?: { type: string; username?: string | undefined } | undefined;
  },
  context: z.core.$RefinementCtx,
): void {
  if (auth?.type !== "Token" || auth.username !== undefined) return;
  const message = missingUsername(address.host);
  if (message !== undefined) context.addIssue({ code: "custom", message, path: ["auth", "username"] });
}

/** An entry of `registries`. */
export const registrySchema = strictObject({
  name: dnsLabel.describe("A unique name. Annotations, logs and metrics show it."),
  ...registryFields,
  auth: auth
    .optional()
    .describe(
      "Where the credentials come from. Without it an admin keeps the Secret in the namespaces, and Pullpass only adds its name to pods.",
    ),
}).superRefine(requireAccountName);

const TOKEN_ALONE = "belongs to type Token alone";
const PROVIDER_ALONE = "belongs to type Provider alone";
const NO_SECRET = "type Provider has no Secret";

const objectAuth = strictObject({
  type: z
    .enum(
      ["BasicAuth", "Token", "DockerConfig", "Provider"],
      "must be one of BasicAuth, Token, DockerConfig and Provider",
    )
    .describe(
      "What the Secret holds. BasicAuth: the keys `username` and `password`. Token: the key `token`. DockerConfig: the key `.dockerconfigjson` or `config.json`, of which only the entries for the address are used. Provider: there is no Secret, but a program that hands out credentials.",
    ),
  secretRef: strictObject({
    name: secretName.describe("The name of the Secret."),
  })
    .meta(ATOMIC)
    .optional()
    .describe(
      'A Secret in the namespace that Pullpass runs in. It must have the label `pullpass.dev/registry-credentials: "true"`.',
    ),
  provider: provider.meta({ minLength: 1 }).optional(),
  username: username
    .max(256, "is too long: at most 256 characters")
    .meta({ minLength: 1, ...celRules({ rule: "!self.contains(':')", message: "a user name has no colon" }) })
    .optional()
    .describe("For a Token alone: the user name. Default: what the vendor expects for the host."),
})
  .superRefine(({ type, secretRef, provider, username }, context) => {
    const isProvider = type === "Provider";
    const issue = (field: string, message: string): void => {
      context.addIssue({ code: "custom", message, path: [field] });
    };
    if (!isProvider && secretRef === undefined) issue("secretRef", "is missing");
    if (isProvider && secretRef !== undefined) issue("secretRef", NO_SECRET);
    if (isProvider && provider === undefined) issue("provider", "is missing");
    if (!isProvider && provider !== undefined) issue("provider", PROVIDER_ALONE);
    if (type !== "Token" && username !== undefined) issue("username", TOKEN_ALONE);
  })
  .meta(
    celRules(
      {
        rule: "self.type == 'Provider' || has(self.secretRef)",
        message: "types other than Provider need a Secret",
        fieldPath: ".secretRef",
        reason: "FieldValueRequired",
      },
      {
        rule: "self.type != 'Provider' || !has(self.secretRef)",
        message: NO_SECRET,
        fieldPath: ".secretRef",
        reason: "FieldValueForbidden",
      },
      {
        rule: "self.type != 'Provider' || has(self.provider)",
        message: "type Provider needs a provider",
        fieldPath: ".provider",
        reason: "FieldValueRequired",
      },
      {
        rule: "self.type == 'Provider' || !has(self.provider)",
        message: PROVIDER_ALONE,
        fieldPath: ".provider",
        reason: "FieldValueForbidden",
      },
      { rule: "!has(self.username) || self.type == 'Token'", message: TOKEN_ALONE, fieldPath: ".username" },
    ),
  );

/** The `spec` of a ClusterRegistry: an entry of `registries` whose credentials are only ever references. */
export const registryObjectSchema = strictObject({
  ...registryFields,
  auth: objectAuth
    .optional()
    .describe(
      "Where the credentials come from. Without it an admin keeps the Secret in the namespaces, and Pullpass only adds its name to pods.",
    ),
}).superRefine(requireAccountName);

/** A container image that builds images, and where it reads `config.json`. */
const builder = strictObject({
  name: dnsLabel.describe("A name for reports."),
  images: z
    .array(string)
    .min(1, "must name an image")
    .describe("Repositories, without a tag. The end of an image's repository is compared."),
  dockerConfigPath: z
    .string()
    .refine(
      isMountable,
      "must be an absolute path below the root of at most 512 characters, without .. and without a colon or a comma",
    )
    .describe("Where a Secret is mounted: a directory below the root."),
});

/** A kind, of custom resources mostly, with an ordinary pod template, for `inject` and `explain --pod`. */
const podTemplate = strictObject({
  group: z
    .string()
    .regex(DNS_SUBDOMAIN, "must be an API group, without a version")
    .describe("The group of its `apiVersion`. Every version counts."),
  kind: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9]{0,62}$/, "must be a kind")
    .describe("The kind."),
  path: z
    .string()
    .regex(
      /^(?:[A-Za-z0-9_-]+|\*)(?:\.(?:[A-Za-z0-9_-]+|\*))*$/,
      "must be keys joined by dots, such as spec.template; * is every element of a list or member of a mapping",
    )
    .transform((value) => value.split("."))
    .describe("The keys to the object that holds `metadata` and `spec`, joined by dots."),
});

/** One document of the configuration. */
export const documentSchema = strictObject({
  registries: z
    .array(z.unknown())
    .optional()
    .describe("The registries. They are checked one by one with the schema of a registry."),
  providers: z
    .array(z.unknown())
    .optional()
    .describe("Programs that hand out credentials, as in a kubelet's CredentialProviderConfig."),
  builders: z.array(builder).optional().describe("Builders besides those of the built-in table."),
  serviceAccounts: strictObject({
    attach: z.array(secretName).optional().describe("Names of ServiceAccounts."),
  })
    .optional()
    .describe("ServiceAccounts that get the pull secrets, too, in every opted-in namespace."),
  podTemplates: z
    .array(podTemplate)
    .optional()
    .describe("Kinds with pod templates besides those of the built-in table."),
  privateRegistries: z.array(z.unknown()).optional().describe("Polyaxon's list of registries."),
  connections: z.array(z.unknown()).optional().describe("Polyaxon's catalogue of connections."),
});

/** What Pullpass reads of an entry of Polyaxon's connection catalogue with `kind: registry`. */
export const connectionSchema = z.looseObject({
  /** Shown as the registry's name: so not `user:password@host`, nor the content of a file. */
  name: z
    .string()
    .regex(/^[\p{L}\p{N}][\p{L}\p{N} ._-]*$/u, "must be a name: letters, digits, spaces, ., _ and -"),
  schema: z.looseObject({ url: address }),
  secret: z.looseObject({ name: secretName, mountPath: absolutePath.optional() }).optional(),
});

/** The dictionary form of an entry of `privateRegistries`; chart versions differ in `user` and `username`. */
export const privateRegistrySchema = strictObject({
  host: address,
  user: username.optional(),
  username: username.optional(),
  password: secret,
}).refine((value) => exactlyOne(value.user, value.username), "must have one of user and username");

export type RegistryEntry = z.output<typeof registrySchema>;
export type RegistryObjectEntry = z.output<typeof registryObjectSchema>;
export type AuthEntry = z.output<typeof auth>;
export type SourceEntry = z.output<typeof source>;
export type BuilderEntry = z.output<typeof builder>;
export type PodTemplateEntry = z.output<typeof podTemplate>;

function exactlyOne(a: unknown, b: unknown): boolean {
  return (a === undefined) !== (b === undefined);
}
