/** Routes for probes and for Prometheus, on a port of their own, without TLS. */
import express, { type Express, type NextFunction, type Request, type Response } from "express";
import { discardBody } from "./respond.ts";

/** Why a replica is not ready; empty if it is. */
export type ReadinessFaults = () => readonly string[];

export interface Metrics {
  readonly contentType: string;
  render(): Promise<string>;
}

export function adminApp(readinessFaults: ReadinessFaults, metrics: Metrics): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");

  app.use((request: Request, _response: Response, next: NextFunction) => {
    discardBody(request);
    next();
  });
  app.get("/healthz", (_request: Request, response: Response) => {
    response.type("text/plain").send("ok\n");
  });
  app.get("/readyz", (_request: Request, response: Response) => {
    const faults = readinessFaults();
    response.status(faults.length === 0 ? 200 : 503).type("text/plain");
    response.send(faults.length === 0 ? "ok\n" : faults.map((fault) => `${fault}\n`).join(""));
  });
  app.get("/metrics", async (_request: Request, response: Response) => {
    response.setHeader("content-type", metrics.contentType);
    response.end(await metrics.render());
  });
  app.use((_request: Request, response: Response) => {
    response.status(404).type("text/plain").send("there are /healthz, /readyz and /metrics here\n");
  });
  return app;
}
