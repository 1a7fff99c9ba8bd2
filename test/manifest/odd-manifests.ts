/** One pod, written in ways that kubectl reads and a parser that follows the specification refuses. */

const HEAD = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: odd\n";
const SPEC = "spec:\n  containers:\n  - name: a\n    image: nginx\n";

/** Each is one Pod named `odd` with a container of the image `nginx`. */
export const ODD_MANIFESTS: readonly (readonly [title: string, bytes: Buffer])[] = [
  ...texts([
    [
      "double quotes that go on at the column of the key",
      `${HEAD}  annotations:\n    a: "b\n    c"\n${SPEC}`,
    ],
    ["double quotes that go on at the start of the line", `${HEAD}  annotations:\n    a: "{\n}"\n${SPEC}`],
    [
      "single quotes that go on at the column of the key",
      `${HEAD}  annotations:\n    a: 'b\n    c'\n${SPEC}`,
    ],
    ["quotes that go on behind a tab", `${HEAD}  annotations:\n    a: "b\n\tc"\n${SPEC}`],
    ["quotes in a list, at its column", `${HEAD}${SPEC}    args:\n    - "a\n    b"\n    - c\n`],
    ["brackets that go on at the start of the line", `${HEAD}${SPEC}    args: [\n"a",\nb\n]\n`],
    ["braces that go on left of their key", `${HEAD}  labels: {\n a: b,\n c: d\n}\n${SPEC}`],
    ["a key twice", `${HEAD}kind: Pod\n${SPEC}`],
    ["a whole part twice, the last of which counts", `${HEAD}spec:\n  containers: []\n${SPEC}`],
    ["a comment that touches a comma", `${HEAD}${SPEC}    args: [a,#c\n b]\n`],
    ["a comment that touches a quote", `${HEAD}  labels:\n    a: "b"#c\n${SPEC}`],
    ["the escape \\'", `${HEAD}  annotations:\n    a: "it\\'s"\n${SPEC}`],
    ["CR alone", `${HEAD}${SPEC}`.replaceAll("\n", "\r")],
    ["CR CR LF", `${HEAD}${SPEC}`.replaceAll("\n", "\r\r\n")],
    ["CR LF and LF", HEAD.replaceAll("\n", "\r\n") + SPEC],
    ["a byte order mark behind ---", `---\n\ufeff${HEAD}${SPEC}`],
    ["an explicit key", `${HEAD}  annotations:\n    ? a\n    : b\n${SPEC}`],
    [
      "JSON with tabs",
      `{\n\t"apiVersion":\t"v1",\n\t"kind": "Pod",\n\t"metadata": {"name": "odd"},\n\t"spec": {"containers": [\n\t\t{"name": "a", "image": "nginx"}\n\t]}\n}\n`,
    ],
    ["an empty value at the end", `${HEAD}${SPEC}  volumes:\n  - name: v\n    emptyDir:\n`],
    [
      "an empty value at the end, without a line break",
      `${HEAD}${SPEC}  volumes:\n  - name: v\n    emptyDir:`,
    ],
    ["a block at the end, without a line break", `${HEAD}${SPEC}    args:\n    - |\n      a`],
    ["comments at the end", `# head\n${HEAD}${SPEC}    # foot\n# foot\n`],
    ["a tag that nobody knows", `${HEAD}  labels: !ours {a: b}\n${SPEC}`],
  ]),
  ["UTF-16, little end first", Buffer.from(`\ufeff${HEAD}${SPEC}`, "utf16le")],
  ["UTF-16, big end first", Buffer.from(`\ufeff${HEAD}${SPEC}`, "utf16le").swap16()],
  ["Latin-1 in a comment", Buffer.from(`# caf\xe9\n${HEAD}${SPEC}`, "latin1")],
];

function texts(
  rows: readonly (readonly [title: string, text: string])[],
): readonly (readonly [title: string, bytes: Buffer])[] {
  return rows.map(([title, text]) => [title, Buffer.from(text)]);
}
