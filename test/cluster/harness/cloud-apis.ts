/**
 * What the real credential plugins of clouds ask, on this machine: the API of Amazon ECR, at a URL that the plugin takes from its
 * environment; and, for Azure's, whose hosts the helper insists on, a proxy that leads there whatever host it is asked for. Google's
 * needs nobody: it signs its token itself, with the key of a service account.
 */
import { generateKeyPairSync, randomBytes, verify } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { createServer as createProxy, type IncomingMessage } from "node:http";
import { createServer } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import type { Authority } from "./certificates.ts";
import type { Credentials } from "./registries.ts";

export const ECR_HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
export const ACR_HOST = "pullpass.azurecr.io";
export const ARTIFACT_REGISTRY_HOST = "europe-docker.pkg.dev";
/** By which ACR knows that the password is a token. */
const ACR_USER = "00000000-0000-0000-0000-000000000000";
export const GOOGLE_USER = "_dcgcr_2_2_1_token";

const AWS_KEY = {
  AWS_ACCESS_KEY_ID: "MADEUPACCESSKEYID",
  AWS_SECRET_ACCESS_KEY: "made-up-secret-access-key",
};
const AZURE_ACCOUNT = {
  AZURE_TENANT_ID: "made-up-tenant",
  AZURE_CLIENT_ID: "made-up-client",
  AZURE_CLIENT_SECRET: "made-up-client-secret",
};
const AZURE_ACCESS_TOKEN = "made-up-access-token";
const TARGET = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
/** That of all clouds, which the chart's NetworkPolicy lets pods reach. It takes root. */
const API_PORT = 443;
const PROXY_PORT = 3128;
const ECR_LIFETIME_S = 12 * 3600;
const ACR_LIFETIME_S = 3 * 3600;

export interface CloudApis {
  /** Entries of `providers`, one for each of the programs, with all that they need to know in their environment. */
  readonly providers: readonly CloudProvider[];
  /** What was asked so far, such as `ecr GetAuthorizationToken` and `POST pullpass.azurecr.io/oauth2/exchange`. */
  readonly requests: readonly string[];
  /** What is handed out. */
  readonly ecrLogin: Credentials;
  readonly acrLogin: Credentials;
  /** Whether a password is a token that the Google service account has signed, and that has not expired. */
  readonly isGoogleToken: (password: string) => boolean;
  stop(): Promise<void>;
}

/** As in pullpass.yaml. */
export interface CloudProvider {
  readonly name: string;
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly [field: string]: unknown;
}

export interface CloudApisOptions {
  readonly host: string;
  readonly authority: Authority;
  /** Where files are written that the programs read. */
  readonly directory: string;
}

export async function startCloudApis({ host, authority, directory }: CloudApisOptions): Promise<CloudApis> {
  const requests: string[] = [];
  const google = await createServiceAccount(join(directory, "google.json"));
  const acrLogin = { username: ACR_USER, password: unsignedToken(ACR_LIFETIME_S) };
  const ecrLogin = newEcrLogin();
  const hosts = [host, ACR_HOST, "login.microsoftonline.com"];
  const { certificatePem, keyPem } = await authority.issue({ commonName: "cloud-apis", hosts });
  const authorityFile = join(directory, "cloud-authority.crt");
  await writeFile(authorityFile, authority.pem);

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const body = await text(request);
    if (request.headers["x-amz-target"] !== undefined) {
      requests.push(`ecr ${String(request.headers["x-amz-target"]).replace(/^.*\./, "")}`);
      return answerEcr(request, ecrLogin);
    }
    requests.push(`${request.method ?? ""} ${request.headers.host ?? ""}${request.url ?? ""}`);
    return answerAzure(request, new URLSearchParams(body), acrLogin.password);
  };
  const api = createServer({ cert: certificatePem, key: keyPem }, (request, response) => {
    void answer(request).then(({ status, body }) => {
      response.writeHead(status, { "content-type": "application/x-amz-json-1.1" }).end(JSON.stringify(body));
    });
  });
  const open = new Set<Duplex>();
  // Only CONNECT: nothing here is asked without TLS.
  const proxy = createProxy((_, response) => response.writeHead(405).end());
  proxy.on("connect", (_, client: Duplex) => {
    const upstream = connect({ host, port: API_PORT }, () => {
      client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      client.pipe(upstream).pipe(client);
    });
    for (const [socket, other] of [[client, upstream] as const, [upstream, client] as const]) {
      open.add(socket);
      socket.on("error", () => undefined).once("close", () => (open.delete(socket), other.destroy()));
    }
  });
  await new Promise<void>((done, failed) => api.once("error", failed).listen(API_PORT, host, done));
  await new Promise<void>((done, failed) => proxy.once("error", failed).listen(PROXY_PORT, host, done));

  const aws = {
    ...AWS_KEY,
    AWS_ENDPOINT_URL: `https://${host}`,
    AWS_CA_BUNDLE: authorityFile,
  };
  const azure = {
    ...AZURE_ACCOUNT,
    HTTPS_PROXY: `http://${host}:${String(PROXY_PORT)}`,
    SSL_CERT_FILE: authorityFile,
    // It looks for a configuration file there, and does not start without the variable.
    HOME: directory,
  };
  return {
    providers: [
      {
        name: "ecr-credential-provider",
        apiVersion: "credentialprovider.kubelet.k8s.io/v1",
        matchImages: ["*.dkr.ecr.*.amazonaws.com"],
        defaultCacheDuration: "12h",
        env: variables(aws),
      },
      // It would keep what it was given in files otherwise.
      dockerHelper("docker-credential-ecr-login", { ...aws, AWS_ECR_DISABLE_CACHE: "true" }),
      dockerHelper("docker-credential-gcr", { GOOGLE_APPLICATION_CREDENTIALS: google.file }),
      dockerHelper("docker-credential-acr-env", azure),
    ],
    requests,
    ecrLogin,
    acrLogin,
    isGoogleToken: google.isToken,
    async stop() {
      api.closeAllConnections();
      for (const socket of open) socket.destroy();
      await Promise.all([api, proxy].map((server) => new Promise((done) => server.close(done))));
    },
  };
}

function dockerHelper(
  name: string,
  env: Readonly<Record<string, string>>,
): CloudProvider & { protocol: "docker" } {
  return { name, protocol: "docker", env: variables(env) };
}

function variables(env: Readonly<Record<string, string>>): CloudProvider["env"] {
  return Object.entries(env).map(([name, value]) => ({ name, value }));
}

interface Answer {
  readonly status: number;
  readonly body: object;
}

/** https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html */
function answerEcr({ headers }: IncomingMessage, { username, password }: Credentials): Answer {
  const refuse = (type: string) => ({ status: 400, body: { __type: type, message: "made-up refusal" } });
  if (headers["x-amz-target"] !== TARGET) return refuse("UnknownOperationException");
  const credential = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/\d{8}\/eu-west-1\/ecr\/aws4_request, /;
  const [, key] = credential.exec(headers.authorization ?? "") ?? [];
  if (key !== AWS_KEY.AWS_ACCESS_KEY_ID) return refuse("UnrecognizedClientException");
  const data = {
    authorizationToken: Buffer.from(`${username}:${password}`).toString("base64"),
    expiresAt: inSeconds(ECR_LIFETIME_S),
    proxyEndpoint: `https://${ECR_HOST}`,
  };
  return { status: 200, body: { authorizationData: [data] } };
}

/** As ECR's are: the base64 of a document that says until when it holds. No longer than the 72 bytes that bcrypt looks at. */
function newEcrLogin(): Credentials {
  const payload = randomBytes(3).toString("hex");
  const document = { payload, expiration: inSeconds(ECR_LIFETIME_S) };
  return { username: "AWS", password: Buffer.from(JSON.stringify(document)).toString("base64") };
}

/**
 * An access token of Entra ID for the client's secret, and a refresh token of the registry for that:
 * https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
 */
function answerAzure({ headers, url = "" }: IncomingMessage, form: URLSearchParams, token: string): Answer {
  const { pathname } = new URL(url, "https://x");
  const target = `${headers.host ?? ""}${pathname}`;
  if (target === `login.microsoftonline.com/${AZURE_ACCOUNT.AZURE_TENANT_ID}/oauth2/token`) {
    if (form.get("client_secret") !== AZURE_ACCOUNT.AZURE_CLIENT_SECRET) {
      return { status: 401, body: { error: "invalid_client" } };
    }
    const expires = {
      expires_in: "3600",
      expires_on: String(inSeconds(3600)),
      not_before: String(inSeconds(-60)),
    };
    return {
      status: 200,
      body: {
        token_type: "Bearer",
        access_token: AZURE_ACCESS_TOKEN,
        resource: form.get("resource"),
        ...expires,
      },
    };
  }
  if (target !== `${ACR_HOST}/oauth2/exchange` || form.get("access_token") !== AZURE_ACCESS_TOKEN) {
    return { status: 401, body: { errors: [{ code: "UNAUTHORIZED" }] } };
  }
  return { status: 200, body: { refresh_token: token } };
}

/** Nobody checks its signature here: the registry knows the whole of it. */
function unsignedToken(lifetimeS: number): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = {
    jti: randomBytes(8).toString("hex"),
    grant_type: "refresh_token",
    exp: inSeconds(lifetimeS),
  };
  return `${encode({ alg: "none", typ: "JWT" })}.${encode(claims)}.made-up`;
}

/** The key file of a Google service account, and the tokens that are signed with it. */
async function createServiceAccount(
  file: string,
): Promise<{ file: string; isToken: (token: string) => boolean }> {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const account = {
    type: "service_account",
    project_id: "made-up",
    private_key_id: "made-up",
    private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
    client_email: "pullpass@made-up.iam.gserviceaccount.com",
    client_id: "1",
    token_uri: "https://oauth2.googleapis.com/token",
  };
  await writeFile(file, JSON.stringify(account), { mode: 0o600 });
  return {
    file,
    isToken(token) {
      const [header = "", payload = "", signature = ""] = token.split(".");
      const signed = Buffer.from(`${header}.${payload}`);
      if (!verify("sha256", signed, publicKey, Buffer.from(signature, "base64url"))) return false;
      const { exp } = JSON.parse(Buffer.from(payload, "base64url").toString()) as { readonly exp: number };
      return exp > inSeconds(0);
    },
  };
}

function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}
