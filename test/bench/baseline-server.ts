/**
 * The smallest Node HTTPS server that could be a webhook: it parses the body and answers a constant. What Pullpass takes
 * more than this is the price of Pullpass.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

/** The patch is in base64. */
const [certificatePath = "", keyPath = "", port = "", host = "", patch = ""] = process.argv.slice(2);

createServer({ cert: readFileSync(certificatePath), key: readFileSync(keyPath) }, (request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const review = JSON.parse(Buffer.concat(chunks).toString()) as {
      readonly request: { readonly uid: string };
    };
    const body = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"${review.request.uid}","allowed":true,"patchType":"JSONPatch","patch":"${patch}"}}`;
    response.writeHead(200, { "content-type": "application/json", "content-length": body.length }).end(body);
  });
}).listen(Number(port), host);
