/** `pullpass registries` and `pullpass registries docker-config`, of a file and of a cluster. */
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { ProgramIo } from "../../src/cli/program-io.ts";
import { requireOutput, writeSecret } from "../../src/cli/secret-output.ts";
import { temporaryDirectory } from "../config/temporary-directory.ts";
import { clusterRegistry, offeredSecret, startClusterOfObjects } from "./cluster-of-objects.ts";

const FILES = {
  "pullpass.yaml":
    "registries: [{ name: file, address: file.example.com, auth: { type: BasicAuth, username: u, password: made-up } }]",
};

const ready = (status: string, reason: string, rest: object = {}) => ({
  conditions: [
    { type: "Synced", status: "Unknown", reason: "Writing", message: "" },
    { type: "Ready", status, reason, message: `the message of ${reason}` },
  ],
  ...rest,
});

const OBJECTS = [
  clusterRegistry(
    "good",
    { address: "https://good.example.com/team/", auth: { type: "Token", secretRef: { name: "s" } } },
    ready("True", "Ready", { namespaces: { selected: 12, synced: 11, refused: 1 } }),
  ),
  clusterRegistry("new", { address: "new.example.com" }),
  clusterRegistry(
    "wrong",
    { address: "user:made-up@wrong.example.com" },
    ready("False", "Invalid\u001b[31mSpec", { namespaces: { selected: 0 } }),
  ),
];

describe("registries", () => {
  it("lists those of the file and of the cluster, with the state of the latter", async () => {
    const { run } = await startClusterOfObjects(OBJECTS, { files: FILES });
    const { stdout, stderr, status } = await run(["registries", "--config=pullpass.yaml"]);
    expect(stdout).toBe(
      [
        "NAME    FROM            ADDRESS                 AUTH        READY   REASON                  NAMESPACES",
        "file    pullpass.yaml   file.example.com        BasicAuth   -       -                       -",
        "good    cluster         good.example.com/team   Token       True    Ready                   11/12",
        "new     cluster         new.example.com         none        -       -                       -",
        "wrong   cluster         -                       -           False   Invalid\\u001b[31mSpec   -/0",
        "",
      ].join("\n"),
    );
    expect(stderr).toMatch(/^warning: ClusterRegistry wrong is not used: spec\.address: .*\n$/);
    expect(status).toBe(0);
    expect(stdout + stderr).not.toContain("made-up");
  });

  it("writes an object a line with --json", async () => {
    const { run } = await startClusterOfObjects(OBJECTS);
    const { stdout } = await run(["registries", "list", "--json"]);
    const rows = stdout.trimEnd().split("\n");
    expect(rows.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      {
        name: "good",
        from: "cluster",
        address: "good.example.com/team",
        auth: "Token",
        secret: "pullpass-good",
        ready: "True",
        reason: "Ready",
        message: "the message of Ready",
        namespaces: { selected: 12, synced: 11, refused: 1 },
      },
      { name: "new", auth: "none", ready: null, namespaces: null },
      { name: "wrong", address: null, auth: null, secret: null, ready: "False" },
    ]);
    expect(stdout).not.toContain("made-up");
  });

  it("says so where there are none", async () => {
    const { run } = await startClusterOfObjects([]);
    expect(await run(["registries"])).toEqual({ stdout: "", stderr: "there are no registries\n", status: 0 });
  });

  it("lists the file's where the cluster refuses or does not answer", async () => {
    const { run, server } = await startClusterOfObjects(403, { files: FILES });
    const list = (...args: readonly string[]) => run(["registries", ...args]);
    expect(await list("--config=pullpass.yaml")).toMatchObject({
      stdout: expect.stringContaining("file.example.com") as string,
      stderr: expect.stringMatching(
        /^only the registries of the configuration are listed: GET .*403/,
      ) as string,
      status: 0,
    });
    expect(await list()).toMatchObject({ stdout: "", status: 1 });
    await server.stop();
    // Refused, or answered by somebody else who listens at the port by now.
    expect(await list("--config=pullpass.yaml")).toMatchObject({
      stdout: expect.stringContaining("file.example.com") as string,
      stderr: expect.stringMatching(
        /^only the registries of the configuration are listed: GET (?!.*403)/,
      ) as string,
      status: 0,
    });
    // A cluster that was named has to answer.
    expect(await list("--config=pullpass.yaml", "--kubeconfig=kubeconfig")).toMatchObject({
      stdout: "",
      status: 1,
    });
  });
});

describe("registries docker-config", () => {
  it("merges what the file and offered Secrets hold, in a file that only its owner reads", async () => {
    const registry = (name: string, secret: string) =>
      clusterRegistry(name, {
        address: `${name}.example.com`,
        auth: { type: "BasicAuth", secretRef: { name: secret } },
      });
    const basic = { username: "v", password: "made-up-too" };
    const { run, directory } = await startClusterOfObjects([registry("a", "s"), registry("b", "none")], {
      files: { ...FILES, "config.json": "{}" },
      secrets: { "pullpass/s": offeredSecret("kubernetes.io/basic-auth", basic) },
    });
    const file = path.join(directory, "config.json");
    chmodSync(file, 0o644);
    const write = (...names: readonly string[]) =>
      run([
        ...[
          "registries",
          "docker-config",
          "--from-cluster",
          "--config=pullpass.yaml",
          "--output=config.json",
        ],
        ...names,
      ]);
    // Nothing is written where one of them cannot be read.
    expect(await write()).toEqual({
      stdout: "",
      stderr: "error: ClusterRegistry b: spec: Secret pullpass/none does not exist\n",
      status: 1,
    });
    expect(readFileSync(file, "utf8")).toBe("{}");
    expect(await write("a", "file")).toEqual({ stdout: "", stderr: "", status: 0 });
    const auth = (user: string) => Buffer.from(user).toString("base64");
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({
      auths: {
        "file.example.com": { username: "u", password: "made-up", auth: auth("u:made-up") },
        "a.example.com": { ...basic, auth: auth("v:made-up-too") },
      },
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory).toSorted()).toEqual(["config.json", "kubeconfig", "pullpass.yaml"]);
  });
});

describe("what holds credentials", () => {
  const io = (isTerminal: boolean) => {
    const written: unknown[] = [];
    const program: ProgramIo = {
      version: "",
      pages: new URL("file:///nonexistent/"),
      environment: {},
      readStdin: () => Promise.resolve(Buffer.of()),
      isTerminal,
      writeOut: (output) => void written.push(output),
      writeError: () => undefined,
    };
    return { program, written };
  };

  it.each([
    [undefined, true, "refused"],
    [undefined, false, "written"],
    ["-", true, "written"],
    ["-", false, "written"],
  ])("with --output %s, standard output being a terminal: %s, is %s", (output, isTerminal, outcome) => {
    const { program, written } = io(isTerminal);
    const write = (): void => {
      requireOutput(output, program);
      writeSecret("text", output, program);
    };
    if (outcome === "refused") expect(write).toThrow("--output -");
    else write();
    expect(written).toEqual(outcome === "refused" ? [] : ["text"]);
  });

  it("takes the place of a file as a whole, and of nothing else", () => {
    const directory = temporaryDirectory();
    const { program } = io(false);
    expect(() => {
      writeSecret("made-up", directory, program);
    }).toThrow("not a file");
    expect(() => {
      writeSecret("made-up", path.join(directory, "none/config.json"), program);
    }).toThrow(/^ENOENT/);
    const file = path.join(directory, "config.json");
    writeFileSync(file, "before");
    writeSecret("after", file, program);
    expect(readFileSync(file, "utf8")).toBe("after");
    expect(readdirSync(directory)).toEqual(["config.json"]);
  });
});
