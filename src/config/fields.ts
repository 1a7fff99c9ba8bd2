/** The kinds of values that settings have, with the messages about what is wrong with one. A message never holds the value. */
import * as z from "zod";
import { InvalidAddressError, parseAddress } from "../core/address.ts";
import { readCredentialText, readUsername, type CredentialText } from "../core/credential.ts";

const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
export const DNS_SUBDOMAIN = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
export const LABEL_KEY = /^(?:[a-z0-9.-]{1,253}\/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/;

const knownKeys = new Set<string>();
/** Every key that has a meaning somewhere in the configuration. */
export const KNOWN_KEYS: ReadonlySet<string> = knownKeys;

/**
 * An object without other keys than those of its shape. Zod's issue about unknown keys does not say which keys are known;
 * here its message does, separated by spaces. diagnostics.ts makes a sentence of it.
 */
export function strictObject<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  const keys = Object.keys(shape);
  for (const key of keys) knownKeys.add(key);
  return z.strictObject(shape, {
    error: ({ code }) => (code === "unrecognized_keys" ? keys.join(" ") : undefined),
  });
}

export const string = z.string().min(1, "must not be empty");
export const bounded = (maximum: number): z.ZodString => string.max(maximum, tooLong(maximum));
export const dnsLabel = z
  .string()
  .max(63, tooLong(63))
  .regex(DNS_LABEL, "must be a DNS label: lower-case letters, digits and -, none of them at an end");
/** The name of a Secret, as the API server checks it. */
export const secretName = z
  .string()
  .max(253, tooLong(253))
  .regex(
    DNS_SUBDOMAIN,
    "must be a Secret's name: lower-case letters, digits, - and ., none of them at an end",
  );

/** As kubelet checks it, and without what no program is named with. */
export const providerName = z
  .string()
  .max(253, tooLong(253))
  .regex(
    // Go's regular expressions, in which the CRD has it, cannot look ahead.
    /^(?:\.{0,2}[^\s./\\\p{Cc}]|\.{3})[^\s/\\\p{Cc}]*$/u,
    "must be the name of a program: without spaces and slashes, and neither . nor ..",
  );

export function isDnsLabel(name: string): boolean {
  return dnsLabel.safeParse(name).success;
}

/** Bounds what a registry object can cost: a list of the configuration that people write by hand is far shorter. */
export const list = <Element extends z.ZodType>(element: Element, maximum = 256): z.ZodArray<Element> =>
  z
    .array(element)
    // Not max(): it counts the characters of a string, too, besides the error that it is not a list.
    .refine((entries) => entries.length <= maximum, `has too many entries: at most ${maximum.toString()}`)
    .meta({ maxItems: maximum });

/** Credentials in the configuration file itself: the longest are service accounts' keys, of some 3 KiB. */
function credentialText(read: (value: string) => CredentialText): z.ZodString {
  return z
    .string()
    .max(65_536, tooLong(65_536))
    .superRefine((value, context) => {
      const result = read(value);
      // An object, and not the string alone: that would end the checks of what is around it.
      if (result.kind === "unusable") context.addIssue({ code: "custom", message: result.fault });
    })
    .overwrite((value) => {
      const result = read(value);
      return result.kind === "text" ? result.text : value;
    });
}
export const username = credentialText(readUsername).describe(
  "The user name. It has no `:`, which ends the user name in HTTP's Basic authentication.",
);
export const secret = credentialText(readCredentialText);

/** A host has at most 253 characters, the path of a repository at most 255. */
export const address = z
  .string()
  .max(520, tooLong(520))
  .transform((value, context) => {
    try {
      return parseAddress(value);
    } catch (error) {
      if (!(error instanceof InvalidAddressError)) throw error;
      context.issues.push({ code: "custom", message: error.message, input: "" });
      return z.NEVER;
    }
  });
export const absolutePath = z.string().regex(/^\//, "must be an absolute path");

export const filePath = bounded(4096)
  .regex(
    /^[^{\p{Cc}]*$/u,
    "must be a path without { and line breaks: not the content of the file, and no ${VARIABLE}",
  )
  .describe("A file. A path that is not absolute starts at the directory of the configuration file.");

export const LABEL_KEY_RULE =
  "must be a label key: at most 63 letters, digits, -, _ and ., after an optional prefix and /";
export const labelKey = z
  .string()
  .max(317, { error: LABEL_KEY_RULE, abort: true })
  .regex(LABEL_KEY, LABEL_KEY_RULE);
const LABEL_VALUE_RULE = "must be a label value: at most 63 letters, digits, -, _ and .";
export const labelValue = z
  .string()
  .max(63, { error: LABEL_VALUE_RULE, abort: true })
  .regex(LABEL_VALUE, LABEL_VALUE_RULE);

function tooLong(maximum: number): string {
  return `is too long: at most ${maximum.toString()} characters`;
}
