/**
 * Every setting of `pullpass.yaml`. Lists that Polyaxon owns (`privateRegistries`, `connections`) are read in
 * polyaxon.ts, because their forms are not ours to choose.
 */
import * as z from "zod";
import { InvalidAddressError, parseAddress } from "../core/address.ts";
import { isMountable } from "../core/builds/build-container.ts";
import { isObject } from "../core/kubernetes.ts";
import { readCredentialText, readUsername, type CredentialText } from "../core/credential.ts";
import { missingUsername } from "../core/vendor-tokens.ts";

const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
const LABEL_KEY = /^(?:[a-z0-9.-]{1,253}\/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/;
const ENVIRONMENT_VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

const knownKeys = new Set<string>();
/** Every key that has a meaning somewhere in the configuration. */
export const KNOWN_KEYS: ReadonlySet<string> = knownKeys;

/**
 * An object without other keys than those of its shape. Zod's issue about unknown keys does not say which keys are known;
 * here its message does, separated by spaces. schema-diagnostics.ts makes a sentence of it.
 */
function strictObject<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  const keys = Object.keys(shape);
  for (const key of keys) knownKeys.add(key);
  return z.strictObject(shape, {
    error: ({ code }) => (code === "unrecognized_keys" ? keys.join(" ") : undefined),
  });
}

const string = z.string().min(1, "must not be empty");
const dnsLabel = z
  .string()
  .max(63, "is too long: at most 63 characters")
  .regex(DNS_LABEL, "must be a DNS label: lower-case letters, digits and -, none of them at an end");
/** The name of a Secret, as the API server checks it. */
export const secretName = z
  .string()
  .max(253, "is too long: at most 253 characters")
  .regex(
    DNS_SUBDOMAIN,
    "must be a Secret's name: lower-case letters, digits, - and ., none of them at an end",
  );

export function isDnsLabel(name: string): boolean {
  return dnsLabel.safeParse(name).success;
}

/** Credentials in the configuration file itself. */
function credentialText(read: (value: string) => CredentialText): z.ZodString {
  return z
    .string()
    .superRefine((value, context) => {
      const result = read(value);
      // An object, and not the text alone: that would end the checks of what is around it.
      if (result.kind === "unusable") context.addIssue({ code: "custom", message: result.fault });
    })
    .overwrite((value) => {
      const result = read(value);
      return result.kind === "text" ? result.text : value;
    });
}
const username = credentialText(readUsername);
const secret = credentialText(readCredentialText);

const address = z.string().transform((value, context) => {
  try {
    return parseAddress(value);
  } catch (error) {
    if (!(error instanceof InvalidAddressError)) throw error;
    context.issues.push({ code: "custom", message: error.message, input: "" });
    return z.NEVER;
  }
});
const absolutePath = z.string().regex(/^\//, "must be an absolute path");

/** A path that is not absolute starts at the directory of the configuration file. */
const filePath = string.regex(
  /^[^{\p{Cc}]*$/u,
  "must be a path without { and line breaks: not the content of the file, and no ${VARIABLE}",
);

/** Where a password or a token comes from: exactly one of a file and an environment variable. */
const source = strictObject({
  file: filePath.optional(),
  /** An environment variable of the Pullpass process. */
  env: z
    .string()
    .regex(ENVIRONMENT_VARIABLE, "must be the name of an environment variable, not its value")
    .optional(),
}).refine((value) => exactlyOne(value.file, value.env), "must have one of file and env");

/** User name and password. */
const basicAuth = strictObject({
  type: z.literal("BasicAuth"),
  /** Without a `:`, which ends the user name in HTTP's Basic authentication. */
  username,
  password: secret.optional(),
  passwordFrom: source.optional(),
}).refine(
  (value) => exactlyOne(value.password, value.passwordFrom),
  "must have one of password and passwordFrom",
);

/** A token alone. It is sent as a password; the user name is the vendor's for the host, unless given here. */
const tokenAuth = strictObject({
  type: z.literal("Token"),
  username: username.optional(),
  token: secret.optional(),
  tokenFrom: source.optional(),
}).refine((value) => exactlyOne(value.token, value.tokenFrom), "must have one of token and tokenFrom");

/** A `config.json` as `docker login` leaves it; only its entries for the registry's address are used. */
const dockerConfigAuth = strictObject({ type: z.literal("DockerConfig"), file: filePath });

/** A Secret of type dockerconfigjson, dockercfg or basic-auth, or Opaque with the key `config.json`. */
const secretAuth = strictObject({
  type: z.literal("Secret"),
  name: secretName,
  /** Default: the namespace that Pullpass runs in. */
  namespace: dnsLabel.optional(),
});

const auth = z.discriminatedUnion("type", [basicAuth, tokenAuth, dockerConfigAuth, secretAuth], {
  // What is no mapping has zod's own message about its type.
  error: ({ input }) =>
    isObject(input) ? "must be one of BasicAuth, Token, DockerConfig and Secret" : undefined,
});

const labelKey = z
  .string()
  .regex(
    LABEL_KEY,
    "must be a label key: at most 63 letters, digits, -, _ and ., after an optional prefix and /",
  );
const labelValue = z
  .string()
  .regex(LABEL_VALUE, "must be a label value: at most 63 letters, digits, -, _ and .");

/** `metav1.LabelSelector`. */
const labelSelector = strictObject({
  matchLabels: z.record(labelKey, labelValue).optional(),
  matchExpressions: z
    .array(
      strictObject({
        key: labelKey,
        operator: z.enum(
          ["In", "NotIn", "Exists", "DoesNotExist"],
          "must be In, NotIn, Exists or DoesNotExist",
        ),
        values: z.array(labelValue).optional(),
      }).refine(
        ({ operator, values = [] }) => operator.endsWith("In") === values.length > 0,
        "must have values with In and NotIn, and none with Exists and DoesNotExist",
      ),
    )
    .optional(),
});

/** One registry. */
export const registrySchema = strictObject({
  /** Unique. It is shown in annotations, logs and metrics. */
  name: dnsLabel,
  /** For people. */
  displayName: string.optional(),
  /** `host[:port][/path]`, each label of the host may hold `*`. A scheme, `/v1/`, `/v2/` and a last slash are taken off. */
  address,
  /** Where the credentials come from. Without it an admin keeps the Secret in the namespaces; Pullpass only names it. */
  auth: auth.optional(),
  /** Which opted-in namespaces may have it. Default: all of them. */
  namespaces: labelSelector.optional(),
  /** What it serves. Default: both. */
  use: z
    .array(z.enum(["pull", "build"], "must be pull or build"))
    .min(1, "must name pull, build or both")
    .optional(),
  /** The pull secret. Default: `pullpass-<name>`. */
  secretName: secretName.optional(),
  /** The concrete hosts behind an address with `*`, for builders, which know no `*`. */
  hosts: z.array(address).optional(),
}).superRefine(({ address, auth }, context) => {
  if (auth?.type !== "Token" || auth.username !== undefined) return;
  const message = missingUsername(address.host);
  if (message !== undefined) context.addIssue({ code: "custom", message, path: ["auth", "username"] });
});

/** A container image that builds images, and where it reads `config.json`. */
const builder = strictObject({
  name: dnsLabel,
  /** Repositories, without tag; the end of an image's repository is compared. */
  images: z.array(string).min(1, "must name an image"),
  /** Where a Secret is mounted: a directory below the root. */
  dockerConfigPath: z
    .string()
    .refine(
      isMountable,
      "must be an absolute path below the root of at most 512 characters, without .. and without a colon or a comma",
    ),
});

/** A kind, of custom resources mostly, with an ordinary pod template, for `inject` and `explain --pod`. */
const podTemplate = strictObject({
  /** The group of its `apiVersion`; every version counts. */
  group: z.string().regex(DNS_SUBDOMAIN, "must be an API group, without a version"),
  kind: z.string().regex(/^[A-Za-z][A-Za-z0-9]{0,62}$/, "must be a kind"),
  /** To the object that holds `metadata` and `spec`. */
  path: z
    .string()
    .regex(
      /^(?:[A-Za-z0-9_-]+|\*)(?:\.(?:[A-Za-z0-9_-]+|\*))*$/,
      "must be keys joined by dots, such as spec.template; * is every element of a list or member of a mapping",
    )
    .transform((value) => value.split(".")),
});

/** One document of the configuration. */
export const documentSchema = strictObject({
  /** Each is a {@link registrySchema}; they are read one by one, as the lists of Polyaxon are. */
  registries: z.array(z.unknown()).optional(),
  /** Added before the built-in table. */
  builders: z.array(builder).optional(),
  /** Service accounts that get the pull secrets, too, in every opted-in namespace. */
  serviceAccounts: strictObject({ attach: z.array(secretName).optional() }).optional(),
  /** Added to the built-in table. */
  podTemplates: z.array(podTemplate).optional(),
  privateRegistries: z.array(z.unknown()).optional(),
  connections: z.array(z.unknown()).optional(),
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
export type AuthEntry = z.output<typeof auth>;
export type SourceEntry = z.output<typeof source>;
export type BuilderEntry = z.output<typeof builder>;
export type PodTemplateEntry = z.output<typeof podTemplate>;

function exactlyOne(a: unknown, b: unknown): boolean {
  return (a === undefined) !== (b === undefined);
}
