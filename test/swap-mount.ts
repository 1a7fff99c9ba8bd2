import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * Writes the files of a mounted ConfigMap or Secret as kubelet does: into a new directory, and a link to it that is
 * renamed over the one before.
 *
 * @param version another one each time; "1" is the first
 */
export async function swapMount(
  mount: string,
  version: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  await mkdir(join(mount, `..${version}`), { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(mount, `..${version}`, name), text);
    if (version === "1") await symlink(join("..data", name), join(mount, name));
  }
  await symlink(`..${version}`, join(mount, "..data_tmp"));
  await rename(join(mount, "..data_tmp"), join(mount, "..data"));
}
