/**
 * The smallest Node HTTPS server that could be a webhook: it parses the body and answers a constant. What Pullpass takes
 * more than this is the price of Pullpass.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

const [certificatePath = "", keyPath = "", port = "", host = "127.0.0.1", patch] = process.argv.slice(2);
const constant =
  patch === undefined
    ? ""
    : `,"patchType":"JSONPatch","patch":"${Buffer.from(patch, "utf8").toString("base64")}"`;

createServer({ cert: readFileSync(certificatePath), key: readFileSync(keyPath) }, (request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const review = JSON.parse(Buffer.concat(chunks).toString()) as {
      readonly request: { readonly uid: string };
    };
    const body = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"${review.request.uid}","allowed":true${constant}}}`;
    response.writeHead(200, { "content-type": "application/json", "content-length": body.length }).end(body);
  });
}).listen(Number(port), host);
