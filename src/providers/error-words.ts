/** What a program wrote about its failure, without what could be a credential. */

const MAX_LENGTH = 240;
/** No word has half as many characters, and the pattern for one takes the cube of the time for a row of brackets. */
const MAX_TOKEN_LENGTH = 64;

/**
 * A password may look like anything, so only known words are shown: those of error messages of Go, of the SDKs of vendors and of
 * container registries. Everything else becomes one `…`. Nothing is left of a text without a known word.
 */
export function wordsOfError(text: string): string {
  const shown: string[] = [];
  let hasWord = false;
  for (const token of text.split(/\s+/)) {
    const [, word = "", punctuation = ""] = token.length > MAX_TOKEN_LENGTH ? [] : (TOKEN.exec(token) ?? []);
    if (isShown(word)) {
      hasWord = true;
      shown.push(word + punctuation);
    } else if (token !== "" && shown.at(-1) !== "…") {
      shown.push("…");
    }
  }
  if (!hasWord) return "";
  const line = shown.join(" ");
  return line.length > MAX_LENGTH ? `${line.slice(0, MAX_LENGTH - 1)}…` : line;
}

/** A word in quotation marks or brackets, and a mark after it. */
const TOKEN = /^["'([]*(.*?)(?:["')\]]*([,.:;])?["')\]]*)$/;

function isShown(word: string): boolean {
  return WORDS.has(word.toLowerCase()) || CODES.has(word) || /^[1-5]\d\d$/.test(word);
}

const CODES: ReadonlySet<string> = new Set([
  ...[
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "GetAuthorizationToken",
  ],
  ...[
    "InvalidClientTokenId",
    "InvalidIdentityToken",
    "InvalidParameterException",
    "InvalidSignatureException",
  ],
  ...["NoCredentialProviders", "RepositoryNotFoundException", "RequestError", "RequestID", "ServerException"],
  ...["SignatureDoesNotMatch", "StatusCode", "ThrottlingException", "UnrecognizedClientException"],
  ...["AssumeRoleWithWebIdentity", "ManagedIdentityCredential", "WorkloadIdentityCredential", "AADSTS70021"],
]);

const WORDS: ReadonlySet<string> = new Set(
  (
    "a access account accounts action address after again all allowed an and answer any api application are argument arguments as asked " +
    "assume at attempt attempts authentication authority authorization authorized available aws azure bad be been before body but by " +
    "cache call can cannot canceled certificate check client cloud code config configuration configured connect connection context " +
    "could create credential credentials deadline decode default denied did directory does domain ec2 ecr empty endpoint environment " +
    "error errors exceeded exchange executable execute exist exists expected expired failed failure fetch fetching file find flag for " +
    "forbidden format found from gcp get getting google handshake has have helper host http https id identity imds in input instance " +
    "internal invalid io is issuer json key keychain limit load loading login lookup malformed manager match may metadata method missing must " +
    "name native network no none not null of on only open operation or parameter parse path perform permission permissions plugin " +
    "policy post principal process profile project protocol provide provided provider proxy quota rate read reason refresh refused " +
    "region registry reply request requested required reset resolve resource response retrieve returned role route running scope send sent server " +
    "service session sign signature signed skew specified started status sts subscription such supported tcp template temporary tenant the " +
    "this timed timeout timestamp tls to token too trust trusted try unable unauthorized unavailable unexpected unknown unmarshal " +
    "unsupported url use used user usage valid value variable verify version was web while with within workload wrong x509 you zone " +
    "dial i/o timeout eof"
  ).split(" "),
);
