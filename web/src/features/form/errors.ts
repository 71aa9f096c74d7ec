// The server's errors at the fields that they are about.
import { asProblem } from "@/api/problem";

export interface Fault {
  /** `tune.method.rank`: the step, then the path of the setting. */
  field: string;
  message: string;
  /** Nothing was set where something must be. */
  isMissing: boolean;
}

const faultOf = (field: string, message: string): Fault => {
  const said = plain(message);
  return { field, message: said, isMissing: said === "is missing" };
};

/** The faults of fields that an error names; those in its text where it lists none. */
export function faultsOf(error: unknown): Fault[] {
  const problem = asProblem(error);
  if (problem.errors.length) return problem.errors.map(({ field, message }) => faultOf(field, message));
  return problem.detail.split("\n").flatMap((line) => {
    const found = /'([\w-]+(?:\.[\w-]+)+)'/.exec(line);
    return found?.[1] ? [faultOf(found[1], line)] : [];
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

const isWithin = (fault: Fault, path: string) => fault.field === path || fault.field.startsWith(`${path}.`);

/** Whether one of the faults is of a step. */
export const hasFault = (faults: readonly Fault[], step: string): boolean => faults.some((one) => isWithin(one, step));

/** What is wrong, and what is only not yet filled in: a required setting that nobody has touched is no error. */
export function sorted(faults: readonly Fault[], touched: ReadonlySet<string>): { wrong: Fault[]; open: Fault[] } {
  const isOpen = (fault: Fault) => fault.isMissing && ![...touched].some((path) => isWithin(fault, path));
  return { wrong: faults.filter((one) => !isOpen(one)), open: faults.filter(isOpen) };
}

/** Those of one step, by the path of their setting. */
export function faultsWithin(faults: readonly Fault[], step: string): Map<string, string> {
  const own = faults.filter((fault) => isWithin(fault, step));
  return new Map(own.map((fault) => [fault.field.slice(step.length + 1), fault.message]));
}
