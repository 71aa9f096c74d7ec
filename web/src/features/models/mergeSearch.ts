// What the address of Merge says: the adapters with their weights, the method, and what it makes.

export interface Part {
  adapter: string;
  /** As it is typed. */
  weight: string;
}

export interface MergeSearch {
  adapters?: string[];
  weights?: string[];
  method?: string;
  into?: "base";
}

const WEIGHT = "0.5";
const LEAST = 2;

const texts = (value: unknown): string[] | undefined => {
  const list = Array.isArray(value) ? value.map(String) : typeof value === "string" && value ? [value] : [];
  return list.length ? list : undefined;
};

export const mergeSearch = (search: Record<string, unknown>): MergeSearch => ({
  adapters: texts(search.adapters),
  weights: texts(search.weights),
  method: typeof search.method === "string" && search.method ? search.method : undefined,
  into: search.into === "base" ? "base" : undefined,
});

export const emptyPart = (): Part => ({ adapter: "", weight: WEIGHT });

/** The parts of an address: two at least. */
export function partsOfSearch({ adapters = [], weights = [] }: MergeSearch): Part[] {
  const parts = adapters.map((adapter, at) => ({ adapter, weight: weights[at] ?? WEIGHT }));
  while (parts.length < LEAST) parts.push(emptyPart());
  return parts;
}

/** The address of parts; that of nothing chosen is empty. */
export function searchOfParts(parts: readonly Part[], method: string, into: string): MergeSearch {
  const isChosen = parts.length > LEAST || parts.some((one) => one.adapter || one.weight !== WEIGHT);
  return {
    adapters: isChosen ? parts.map((one) => one.adapter) : undefined,
    weights: isChosen ? parts.map((one) => one.weight) : undefined,
    method: method === "linear" ? undefined : method,
    into: into === "base" ? "base" : undefined,
  };
}
