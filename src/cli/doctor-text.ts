/** The report of `pullpass doctor` for people. */
import type { ContainerFinding, DoctorReport, Finding, PodFinding } from "./doctor-facts.ts";

export function formatReport(report: DoctorReport): string {
  const { webhook, registries, namespaces, pods, notRead, healthy } = report;
  const sections = [
    section("Webhook", webhook.flatMap(describeFinding)),
    section("Registries", registries.flatMap(describeFinding)),
    section("Namespaces", namespaces.flatMap(describeFinding)),
    section(
      "Pods",
      pods.flatMap((finding) => ("pods" in finding ? describePod(finding) : describeFinding(finding))),
    ),
    section(
      "Not read",
      notRead.map((text) => line("not read", text)),
    ),
  ];
  const faults = [webhook, registries, namespaces, pods]
    .flat()
    .filter(({ state }) => state === "fault").length;
  const limit = notRead.length === 0 ? "" : ", as far as could be read";
  const summary = healthy
    ? `Nothing is wrong${limit}.`
    : `${faults.toString()} fault${faults === 1 ? "" : "s"}${limit}.`;
  return [...sections.flat(), summary].map((text) => `${text}\n`).join("");
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [title, ...lines];
}

/** Names of images, and messages that others write, may hold line breaks. */
function line(label: string, text: string, indent = 2): string {
  const shown = text.toWellFormed().replace(/[\p{Cc}\u2028\u2029]+/gu, " ");
  return `${" ".repeat(indent)}${label.padEnd(13 - indent)}${shown}`;
}

function describeFinding({ state, message, advice }: Finding): readonly string[] {
  return [line(state, message), ...(advice === undefined ? [] : [line("do", advice, 4)])];
}

function describePod(finding: PodFinding): readonly string[] {
  const { state, code, message, advice, namespace, pods, controller, containers } = finding;
  const [first = "", ...others] = pods;
  const more = others.length === 0 ? "" : ` and ${others.length.toString()} more of ${controller ?? ""}`;
  const title = line(state, `Pod/${first}${more} in ${namespace}: ${code}`);
  if (containers.length === 0) return [title, line("because", message, 4), line("do", advice ?? "", 4)];
  return [title, ...containers.flatMap(describeContainer)];
}

function describeContainer({
  container,
  image,
  message,
  advice,
  nextTry,
  answers = [],
}: ContainerFinding): readonly string[] {
  return [
    line("image", `${image} of container ${container}`, 4),
    line("because", message, 4),
    ...answers.map((answer) => line("asked", `with ${answer.credentials}: ${answer.message}`, 4)),
    line("next try", nextTry, 4),
    line("do", advice, 4),
  ];
}
