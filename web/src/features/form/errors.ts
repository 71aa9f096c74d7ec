// The server's errors at the fields that they are about.
import { asProblem } from "@/api/problem";

export interface Fault {
  /** `tune.method.rank`: the step, then the path of the setting. */
  field: string;
  message: string;
}

/** The faults of fields that an error names; those in its text where it lists none. */
export function faultsOf(error: unknown): Fault[] {
  const problem = asProblem(error);
  if (problem.errors.length) return problem.errors.map(({ field, message }) => ({ field, message: plain(message) }));
  return problem.detail.split("\n").flatMap((line) => {
    const found = /'([\w-]+(?:\.[\w-]+)+)'/.exec(line);
    return found?.[1] ? [{ field: found[1], message: plain(line) }] : [];
  });
}

/** A message without the file and the field before it, which the form shows by its place. */
function plain(message: string): string {
  return message
    .replace(/^- /, "")
    .replace(/^.*?'[\w.-]+': /, "")
    .replace(/^.*?'[\w.-]+' (is missing)$/, "$1")
    .replace(/^(.*): (unknown key )/, "$2");
}

/** Those of one step, by the path of their setting. */
export function faultsWithin(faults: readonly Fault[], step: string): Map<string, string> {
  const own = faults.filter((fault) => fault.field === step || fault.field.startsWith(`${step}.`));
  return new Map(own.map((fault) => [fault.field.slice(step.length + 1), fault.message]));
}
