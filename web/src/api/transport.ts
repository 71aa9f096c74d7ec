// One fetch for everything: the session's cookie, the CSRF header on changes, errors as Problem.
import { reached, unreachable } from "./connection";
import { Problem, problemOf } from "./problem";

const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);
let csrf = "";

/** The token that the server gave with the session; every change carries it. */
export function setCsrf(token: string): void {
  csrf = token;
}

/** That token, for a request that fetch cannot make. */
export const csrfToken = (): string => csrf;

export async function guarded(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init);
  if (!SAFE.has(request.method) && csrf) request.headers.set("X-CSRF-Token", csrf);
  let reply: Response;
  try {
    reply = await fetch(request, { credentials: "same-origin" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    unreachable();
    throw new Problem(0, "", "", "", "");
  }
  reached();
  if (!reply.ok) throw await problemOf(reply);
  return reply;
}

export type Query = Record<string, string | number | boolean | null | undefined | readonly string[]>;

export function address(path: string, query?: Query): string {
  const parts = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value === null || value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) parts.append(key, String(one));
  }
  const text = parts.toString();
  return new URL(text ? `${path}?${text}` : path, window.location.origin).href;
}
