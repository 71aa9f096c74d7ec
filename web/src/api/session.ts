// The session: made from the one-time token in the address, checked when the page opens, ended by the reader.
import { queryOptions } from "@tanstack/react-query";
import { get, send } from "./call";
import { SESSION, setCsrf } from "./transport";

export interface Session {
  name: string;
  scope: "read" | "run" | "admin";
  csrf: string | null;
}

const kept = (session: Session): Session => {
  setCsrf(session.csrf ?? "");
  return session;
};

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: async ({ signal }) => kept(await get<Session>(SESSION, undefined, signal)),
  staleTime: Number.POSITIVE_INFINITY,
  retry: false,
});

export const logIn = async (token: string): Promise<Session> => kept(await send<Session>("POST", SESSION, { token }));
export const logOut = (): Promise<void> => send("DELETE", SESSION);

/** The token in `#token=…`, which is removed from the address at once so that it stays in no history. */
export function tokenInAddress(): string | null {
  const token = new URLSearchParams(window.location.hash.slice(1)).get("token");
  if (token !== null)
    window.history.replaceState(window.history.state, "", window.location.pathname + window.location.search);
  return token;
}
