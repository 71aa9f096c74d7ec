// How well a typed text fits a name: whole words first, then beginnings, then letters in their order.

/** Higher is better; 0 where it does not fit. */
export function closeness(typed: string, name: string): number {
  const wanted = typed.toLowerCase().trim();
  const text = name.toLowerCase();
  if (!wanted) return 1;
  if (text === wanted) return 100;
  if (text.startsWith(wanted)) return 80;
  const at = text.indexOf(wanted);
  if (at > 0) return /[\s/#_-]/.test(text[at - 1] ?? "") ? 60 : 40;
  let place = -1;
  let gaps = 0;
  for (const letter of wanted) {
    if (letter === " ") continue;
    const next = text.indexOf(letter, place + 1);
    if (next < 0) return 0;
    if (next !== place + 1) gaps += 1;
    place = next;
  }
  return Math.max(1, 20 - gaps * 4);
}

export function best<Item extends { name: string; group: string }>(
  typed: string,
  items: readonly Item[],
  most: number,
): Item[] {
  return items
    .map((item, at) => ({ item, at, score: closeness(typed, item.name) }))
    .filter((one) => one.score > 0)
    .sort((one, other) => other.score - one.score || one.at - other.at)
    .slice(0, most)
    .map((one) => one.item);
}
