/** Whether all characters of one text are in another, in their order: what an edit that only adds leaves true. */
export function isWithin(part: string, whole: string): boolean {
  let position = 0;
  for (let index = 0; index < whole.length && position < part.length; index++) {
    if (whole[index] === part[position]) position++;
  }
  return position === part.length;
}
