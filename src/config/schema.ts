/**
 * Every setting of `pullpass.yaml`. Lists that Polyaxon owns (`privateRegistries`, `connections`) are read in
 * polyaxon.ts, because their forms are not ours to choose.
 */
import * as z from "zod";
import { InvalidAddressError, parseAddress } from "../core/address.ts";
import { isMountable } from "../core/builds/build-container.ts";

const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
const LABEL_KEY = /^(?:[a-z0-9.-]{1,253}\/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/;
const ENVIRONMENT_VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

const text = z.string().min(1, "must not be empty");
const dnsLabel = z
  .string()
  .regex(
    DNS_LABEL,
    "must be a DNS label: at most 63 lower-case letters, digits and -, none of them at an end",
  );
/** The name of a Secret, as the API server checks it. */
export const secretName = z
  .string()
  .regex(
    DNS_SUBDOMAIN,
    "must be a Secret's name: lower-case letters, digits, - and ., none of them at an end",
  );
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

/** Where a secret text comes from: exactly one of a file and an environment variable. */
const source = z
  .strictObject({
    /** A file; a path that is not absolute starts at the directory of the configuration file. One last line break does not count. */
    file: text.optional(),
    /** An environment variable of the Pullpass process. */
    env: z.string().regex(ENVIRONMENT_VARIABLE, "must be the name of an environment variable").optional(),
  })
  .refine((value) => exactlyOne(value.file, value.env), "must have one of file and env");

/** User name and password. */
const basicAuth = z
  .strictObject({
    type: z.literal("BasicAuth"),
    /** May not hold a `:`, which ends the user name in HTTP's Basic authentication. */
    username: text.regex(/^[^:]*$/, "must not hold a colon"),
    password: text.optional(),
    passwordFrom: source.optional(),
  })
  .refine(
    (value) => exactlyOne(value.password, value.passwordFrom),
    "must have one of password and passwordFrom",
  );

/** A token alone. It is sent as a password; the user name is the vendor's for the host, unless given here. */
const tokenAuth = z
  .strictObject({
    type: z.literal("Token"),
    username: text.regex(/^[^:]*$/, "must not hold a colon").optional(),
    token: text.optional(),
    tokenFrom: source.optional(),
  })
  .refine((value) => exactlyOne(value.token, value.tokenFrom), "must have one of token and tokenFrom");

/** A `config.json` as `docker login` leaves it; only its entries for the registry's address are used. */
const dockerConfigAuth = z.strictObject({ type: z.literal("DockerConfig"), file: text });

/** A Secret of type dockerconfigjson, dockercfg or basic-auth, or Opaque with the key `config.json`. */
const secretAuth = z.strictObject({
  type: z.literal("Secret"),
  name: secretName,
  /** Default: the namespace that Pullpass runs in. */
  namespace: dnsLabel.optional(),
});

const auth = z.discriminatedUnion("type", [basicAuth, tokenAuth, dockerConfigAuth, secretAuth], {
  error: "type must be one of BasicAuth, Token, DockerConfig and Secret",
});

/** `metav1.LabelSelector`. */
const labelSelector = z.strictObject({
  matchLabels: z
    .record(
      z.string().regex(LABEL_KEY, "must be a label's key"),
      z.string().regex(LABEL_VALUE, "must be a label's value"),
    )
    .optional(),
  matchExpressions: z
    .array(
      z
        .strictObject({
          key: z.string().regex(LABEL_KEY, "must be a label's key"),
          operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]),
          values: z.array(z.string().regex(LABEL_VALUE, "must be a label's value")).optional(),
        })
        .refine(
          ({ operator, values = [] }) => operator.endsWith("In") === values.length > 0,
          "must have values with In and NotIn, and none with Exists and DoesNotExist",
        ),
    )
    .optional(),
});

/** One registry. */
export const registrySchema = z.strictObject({
  /** Unique. It is shown in annotations, logs and metrics. */
  name: dnsLabel,
  /** For people. */
  displayName: text.optional(),
  /** `host[:port][/path]`, each label of the host may hold `*`. A scheme, `/v1/`, `/v2/` and a last slash are taken off. */
  address,
  /** Where the credentials come from. Without it an admin keeps the Secret in the namespaces; Pullpass only names it. */
  auth: auth.optional(),
  /** Which opted-in namespaces may have it. Default: all of them. */
  namespaces: labelSelector.optional(),
  /** What it serves. Default: both. */
  use: z
    .array(z.enum(["pull", "build"]))
    .min(1, "must name pull, build or both")
    .optional(),
  /** The pull secret. Default: `pullpass-<name>`. */
  secretName: secretName.optional(),
  /** The concrete hosts behind an address with `*`, for builders, which know no `*`. */
  hosts: z.array(address).optional(),
});

/** A container image that builds images, and where it reads `config.json`. */
const builder = z.strictObject({
  name: dnsLabel,
  /** Repositories, without tag; the end of an image's repository is compared. */
  images: z.array(text).min(1, "must name an image"),
  /** Where a Secret is mounted: a directory below the root. */
  dockerConfigPath: z
    .string()
    .refine(
      isMountable,
      "must be an absolute path below the root, without .. and without a colon or a comma",
    ),
});

/** One document of the configuration. */
export const documentSchema = z.strictObject({
  /** Each is a {@link registrySchema}; they are read one by one, as the lists of Polyaxon are. */
  registries: z.array(z.unknown()).optional(),
  /** Added before the built-in table. */
  builders: z.array(builder).optional(),
  /** Service accounts that get the pull secrets, too, in every opted-in namespace. */
  serviceAccounts: z.strictObject({ attach: z.array(secretName).optional() }).optional(),
  privateRegistries: z.array(z.unknown()).optional(),
  connections: z.array(z.unknown()).optional(),
});

/** What Pullpass reads of an entry of Polyaxon's connection catalogue with `kind: registry`. */
export const connectionSchema = z.looseObject({
  name: text,
  schema: z.looseObject({ url: address }),
  secret: z.looseObject({ name: secretName, mountPath: absolutePath.optional() }).optional(),
});

/** The dictionary form of an entry of `privateRegistries`; chart versions differ in `user` and `username`. */
export const privateRegistrySchema = z
  .strictObject({ host: address, user: text.optional(), username: text.optional(), password: text })
  .refine((value) => exactlyOne(value.user, value.username), "must have one of user and username");

export type RegistryEntry = z.output<typeof registrySchema>;
export type AuthEntry = z.output<typeof auth>;
export type SourceEntry = z.output<typeof source>;
export type BuilderEntry = z.output<typeof builder>;

function exactlyOne(a: unknown, b: unknown): boolean {
  return (a === undefined) !== (b === undefined);
}
