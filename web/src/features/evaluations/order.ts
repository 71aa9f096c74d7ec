// The orders of the items of an evaluation, as an address names them.
export type Order = "file" | "worst" | "changed";

export const ORDERS: readonly Order[] = ["file", "worst", "changed"];
export const orderOf = (said: unknown): Order | undefined => ORDERS.find((one) => one === said);
