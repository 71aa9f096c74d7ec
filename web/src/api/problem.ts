// An error of the server as it says it (problem+json): what happened, and the fix.

export interface FieldFault {
  field: string;
  message: string;
}

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly code: string,
    readonly fix: string,
    readonly retryAfter: number | null = null,
    /** What is wrong with single fields of the request. */
    readonly errors: readonly FieldFault[] = [],
  ) {
    super(detail || title);
    this.name = "Problem";
  }

  /** No reply came: the server is down, restarting, or out of reach. */
  get isUnreachable(): boolean {
    return this.status === 0;
  }
}

function faults(said: unknown): FieldFault[] {
  if (!Array.isArray(said)) return [];
  return said.filter((one) => typeof one?.field === "string" && typeof one?.message === "string");
}

/** A problem that is part of a reply. */
export function problemIn(
  said: Record<string, unknown>,
  reply: { status: number; statusText: string } = { status: Number(said.status), statusText: "" },
  after: number | null = null,
): Problem {
  const text = (key: string) => (typeof said[key] === "string" ? said[key] : "");
  return new Problem(
    reply.status,
    text("title") || reply.statusText,
    text("detail"),
    text("code"),
    text("fix"),
    after,
    faults(said.errors),
  );
}

/** An error that is part of what the server tells, of a file or of a step: with its code and its fix. */
export function problemTold(said: object): Problem {
  const { code, what, fix } = said as Record<string, unknown>;
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return new Problem(-1, "", text(what), text(code), text(fix));
}

export async function problemOf(reply: Response): Promise<Problem> {
  const wait = Number(reply.headers.get("retry-after"));
  const after = Number.isFinite(wait) && wait > 0 ? wait : null;
  try {
    return problemIn((await reply.json()) as Record<string, unknown>, reply, after);
  } catch {
    return new Problem(reply.status, reply.statusText || `HTTP ${reply.status}`, "", "", "", after);
  }
}

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new Problem(-1, "", text, "", "");
}
