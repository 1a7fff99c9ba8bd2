/** A number with what it counts, such as `1 copy` and `2 copies`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toString()} ${number === 1 ? one : many}`;
}
