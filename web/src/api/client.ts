// The typed client of the API. A call that fails throws a Problem, so an answer always has its data.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";
import { guarded } from "./transport";

export const api = createClient<paths>({ baseUrl: window.location.origin, fetch: guarded });

/** A model of the API by its name. */
export type Shape<Name extends keyof components["schemas"]> = components["schemas"][Name];

/** The data of a call: `await answer(api.GET("/api/v1/runs"))`. */
export async function answer<Data>(call: Promise<{ data?: Data }>): Promise<Data> {
  return (await call).data as Data;
}
