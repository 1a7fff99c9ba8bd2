/** One entry of a tar archive. A name that ends with `/` is a directory. */
export interface TarEntry {
  readonly name: string;
  readonly content?: Buffer | string;
  readonly mode?: number;
}

const BLOCK = 512;

/**
 * Makes a POSIX ustar archive. Nothing in it depends on the clock or on a user, so that equal entries have equal
 * digests.
 */
export function writeTar(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => {
    const content = Buffer.from(entry.content ?? "");
    const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK);
    return [header(entry, content.length), content, padding];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

function header({ name, mode }: TarEntry, size: number): Buffer {
  if (Buffer.byteLength(name) > 100) throw new Error(`${name} is too long for a tar header`);
  const isDirectory = name.endsWith("/");
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  block.write(name, 0);
  block.write(`${octal(mode ?? (isDirectory ? 0o755 : 0o644), 7)}\0`, 100);
  block.write(`${octal(0, 7)}\0`, 108);
  block.write(`${octal(0, 7)}\0`, 116);
  block.write(`${octal(size, 11)}\0`, 124);
  block.write(`${octal(0, 11)}\0`, 136);
  block.write(isDirectory ? "5" : "0", 156);
  block.write("ustar\x0000", 257);
  // The checksum counts itself as eight spaces.
  block.fill(" ", 148, 156);
  const checksum = block.reduce((sum, byte) => sum + byte, 0);
  block.write(`${octal(checksum, 6)}\0 `, 148);
  return block;
}
