// Calls by path, for the shapes that the generated client does not have.
import { address, guarded, type Query } from "./transport";

export async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  return (await (await guarded(address(path, query), { signal })).json()) as T;
}

export async function send<T>(method: "POST" | "PUT" | "PATCH" | "DELETE", path: string, body?: unknown): Promise<T> {
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "content-type": "application/json" };
  }
  const reply = await guarded(address(path), init);
  return reply.status === 204 ? (undefined as T) : ((await reply.json()) as T);
}
