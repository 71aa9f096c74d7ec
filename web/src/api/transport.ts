// One fetch for everything: the session's cookie, the CSRF header on changes, errors as Problem.
import { noteDate } from "./clock";
import { reached, unreachable } from "./connection";
import { Problem, problemOf } from "./problem";

const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);
export const SESSION = "/api/v1/session";
const expired = new Set<() => void>();
let csrf = "";

/** Calls back when a request was refused because the session ended; a refused check of the session is none. */
export function onExpired(listener: () => void): () => void {
  expired.add(listener);
  return () => expired.delete(listener);
}

/** The token that the server gave with the session; every change carries it. */
export function setCsrf(token: string): void {
  csrf = token;
}

/** That token, for a request that fetch cannot make. */
export const csrfToken = (): string => csrf;

/** Whether the session of the cookie has another token than this tab: another tab has logged in since. */
export async function hasNewCsrf(): Promise<boolean> {
  const before = csrf;
  const reply = await fetch(new URL(SESSION, window.location.origin), {
    credentials: "same-origin",
    cache: "no-store",
  });
  const found: unknown = reply.ok ? ((await reply.json()) as { csrf?: unknown }).csrf : null;
  if (typeof found === "string" && found) csrf = found;
  return csrf !== before;
}

export async function guarded(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init);
  const isChange = !SAFE.has(request.method);
  const again = isChange && csrf ? request.clone() : null;
  if (isChange && csrf) request.headers.set("X-CSRF-Token", csrf);
  let reply: Response;
  try {
    reply = await fetch(request, { credentials: "same-origin" });
    if (again && reply.status === 403 && (await hasNewCsrf())) {
      again.headers.set("X-CSRF-Token", csrf);
      reply = await fetch(again, { credentials: "same-origin" });
    }
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    unreachable();
    throw new Problem(0, "", "", "", "");
  }
  reached();
  noteDate(reply.headers.get("date"));
  if (reply.status === 401 && new URL(request.url).pathname !== SESSION) for (const one of expired) one();
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
