// An error of the server as it says it (problem+json): what happened, and the fix.

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly code: string,
    readonly fix: string,
    readonly retryAfter: number | null = null,
  ) {
    super(detail || title);
    this.name = "Problem";
  }

  /** No reply came: the server is down, restarting, or out of reach. */
  get isUnreachable(): boolean {
    return this.status === 0;
  }
}

export async function problemOf(reply: Response): Promise<Problem> {
  const wait = Number(reply.headers.get("retry-after"));
  const after = Number.isFinite(wait) && wait > 0 ? wait : null;
  try {
    const said = (await reply.json()) as Record<string, unknown>;
    const text = (key: string) => (typeof said[key] === "string" ? said[key] : "");
    return new Problem(
      reply.status,
      text("title") || reply.statusText,
      text("detail"),
      text("code"),
      text("fix"),
      after,
    );
  } catch {
    return new Problem(reply.status, reply.statusText || `HTTP ${reply.status}`, "", "", "", after);
  }
}

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new Problem(-1, "", text, "", "");
}
