import { createHash, createPrivateKey, randomUUID, sign, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { createServer } from "node:https";
import type { KeyPair } from "./certificates.ts";
import type { Credentials } from "./registries.ts";

const PORT = 5001;
const TOKEN_LIFETIME_S = 300;

export interface TokenRequest {
  readonly method: string;
  readonly username: string | undefined;
  readonly scopes: readonly string[];
  readonly status: number;
}

export interface TokenServerOptions {
  readonly host: string;
  readonly service: string;
  readonly issuer: string;
  readonly serving: KeyPair;
  /** The registry trusts what is signed by this key, whose certificate it has. */
  readonly signing: KeyPair;
}

export interface TokenServer {
  readonly realm: string;
  readonly requests: readonly TokenRequest[];
  /** `mayAccess` tells for each repository whether the user may do anything there. Default: everywhere. */
  setUser(credentials: Credentials, mayAccess?: (repository: string) => boolean): void;
  /** Lets somebody in with every password that the function takes. */
  setPasswords(username: string, isPassword: (password: string) => boolean): void;
  stop(): Promise<void>;
}

/**
 * The server that a registry with the token flow sends clients to. Who gives a password gets a token for all that he
 * asks for and may have; who gives none gets one that allows nothing, as at Docker Hub; who gives a wrong one gets none.
 *
 * Source: https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/ for the POST form.
 */
export async function startTokenServer(options: TokenServerOptions): Promise<TokenServer> {
  const passwords = new Map<string, (given: string) => boolean>();
  const permissions = new Map<string, (repository: string) => boolean>();
  const requests: TokenRequest[] = [];
  const server = createServer(
    { cert: options.serving.certificatePem, key: options.serving.keyPem },
    (request, response) => {
      void readBody(request).then((body) => {
        const parameters = new URLSearchParams(
          body === "" ? new URL(request.url ?? "", "https://x").search : body,
        );
        const credentials = credentialsOf(request, parameters);
        const scopes = parameters.getAll("scope").flatMap((scope) => scope.split(" "));
        const isKnown =
          credentials === undefined || passwords.get(credentials.username)?.(credentials.password) === true;
        const status = isKnown ? 200 : 401;
        requests.push({ method: request.method ?? "", username: credentials?.username, scopes, status });
        const username = credentials?.username ?? "";
        const access = scopes
          .flatMap(accessOf)
          .filter(({ name }) => permissions.get(username)?.(name) ?? false);
        const token = isKnown ? signToken(options, username, access) : undefined;
        const answer = {
          token,
          access_token: token,
          expires_in: TOKEN_LIFETIME_S,
          issued_at: new Date().toISOString(),
        };
        response.writeHead(status, { "content-type": "application/json" });
        response.end(
          JSON.stringify(
            isKnown ? answer : { errors: [{ code: "UNAUTHORIZED", message: "wrong password" }] },
          ),
        );
      });
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(PORT, options.host, resolve);
  });
  return {
    realm: `https://${options.host}:${String(PORT)}/token`,
    requests,
    setUser({ username, password }, mayAccess = () => true) {
      passwords.set(username, (given) => isEqual(password, given));
      permissions.set(username, mayAccess);
    },
    setPasswords(username, isPassword) {
      passwords.set(username, isPassword);
      permissions.set(username, () => true);
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

/** GET carries them as HTTP Basic, POST in the form. */
function credentialsOf(request: IncomingMessage, parameters: URLSearchParams): Credentials | undefined {
  const username = parameters.get("username");
  const password = parameters.get("password");
  if (username !== null && password !== null) return { username, password };
  const [scheme, value] = (request.headers.authorization ?? "").split(" ");
  if (scheme?.toLowerCase() !== "basic" || value === undefined) return undefined;
  const text = Buffer.from(value, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function isEqual(expected: string, given: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(expected), hash(given));
}

/** A JSON Web Token with the signer's certificate in its header, which the registry looks for in its own bundle. */
function signToken(
  { issuer, service, signing }: TokenServerOptions,
  subject: string,
  access: readonly Access[],
): string {
  const now = Math.floor(Date.now() / 1000);
  const certificate = signing.certificatePem.replaceAll(/-----[^-]+-----|\s/g, "");
  const header = { typ: "JWT", alg: "ES256", x5c: [certificate] };
  const claims = {
    iss: issuer,
    sub: subject,
    aud: service,
    // A little in the past, for a registry whose clock is a little behind.
    nbf: now - 10,
    iat: now,
    exp: now + TOKEN_LIFETIME_S,
    jti: randomUUID(),
    access,
  };
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const payload = `${encode(header)}.${encode(claims)}`;
  const key = createPrivateKey(signing.keyPem);
  const signature = sign("sha256", Buffer.from(payload), { key, dsaEncoding: "ieee-p1363" });
  return `${payload}.${signature.toString("base64url")}`;
}

interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** A scope is `type:name:action,action`; the name may hold a colon before a port. */
function accessOf(scope: string): readonly Access[] {
  const [, type, name, actions] = /^([^:]+):(.+):([^:]*)$/.exec(scope) ?? [];
  if (type === undefined || name === undefined || actions === undefined) return [];
  return [{ type, name, actions: actions.split(",") }];
}
