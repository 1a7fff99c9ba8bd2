/** Asks servers with credentials that are made up, and makes sure that no report gives them away. */
import { globalAgent } from "node:https";
import { expect } from "vitest";
import { parseImageReference } from "../../src/core/image-reference.ts";
import { checkLogin, type LoginReport } from "../../src/registry/login.ts";
import { makeSelfSignedCertificate } from "../../src/tls/x509.ts";
import type { OddServer, OddServerOptions, Received, Reply } from "./odd-server.ts";

export const CREDENTIAL = { username: "made-up-user", password: "made-up:pässword" };
export const BASIC = `Basic ${Buffer.from("made-up-user:made-up:pässword").toString("base64")}`;
export const TOKEN = "made-up-token";

/** What is in no report, whatever a server does with it. */
const SECRETS = [
  CREDENTIAL.password,
  BASIC.slice("Basic ".length),
  TOKEN,
  encodeURIComponent(CREDENTIAL.password),
];

export async function ask(
  host: string,
  images: readonly string[] = [],
  timeoutMs?: number,
): Promise<LoginReport> {
  const references = images.map((image) => parseImageReference(`${host}/${image}`));
  const report = await checkLogin({ authority: host, credential: CREDENTIAL, images: references }, timeoutMs);
  for (const secret of SECRETS) expect(JSON.stringify(report)).not.toContain(secret);
  return report;
}

export const unauthorized = (challenge: string | string[]): Reply => ({
  status: 401,
  headers: { "www-authenticate": challenge },
});

export const needsBasic = ({ authorization }: Received): Reply =>
  authorization === BASIC ? {} : unauthorized('Basic realm="r"');

/** A token server that gives the token to everybody. */
export const givesToken = (): Reply => ({ body: JSON.stringify({ token: TOKEN }) });

/** A registry that sends clients to a token server, and lets in whoever has its token. */
export const needsToken =
  (realm: string, parameters = "") =>
  ({ authorization }: Received): Reply =>
    authorization === `Bearer ${TOKEN}` ? {} : unauthorized(`Bearer realm="${realm}"${parameters}`);

export const authorizations = ({ received }: OddServer): readonly unknown[] =>
  received.map(({ authorization }) => authorization);

/** A certificate for servers of 127.0.0.1 that this process trusts, as NODE_EXTRA_CA_CERTS has it at a start. */
export async function trustedCertificate(): Promise<NonNullable<OddServerOptions["tls"]>> {
  const certificate = await makeSelfSignedCertificate(["127.0.0.1"], new Date());
  globalAgent.options.ca = [certificate.certificate];
  return certificate;
}
