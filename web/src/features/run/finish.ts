// An alert when a run that was followed ends: a toast, and the title of the page.
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { problemTold } from "@/api/problem";
import { count, tell, warn } from "@/ui";
import { answersOf, answersQuery } from "./answers";
import type { RunDetail, RunName } from "./api";
import type { LiveStep } from "./live";
import { isActive } from "./useRun";

/** Of a run that ended at the reader's request: the step and the last checkpoint that it goes on from, if it has one. */
export function stoppedAt(
  detail: RunDetail,
  live: ReadonlyMap<string, LiveStep>,
): { step: string; saved: number | null } | null {
  if (detail.state !== "interrupted") return null;
  const stopped = detail.steps.find((step) => step.state === "interrupted");
  const saved = stopped && live.get(stopped.step)?.checkpoints.at(-1);
  return { step: stopped?.step ?? "", saved: saved ?? null };
}

export function useFinishAlert(
  detail: RunDetail | undefined,
  name: RunName,
  live: ReadonlyMap<string, LiveStep>,
): void {
  const { t } = useTranslation();
  const client = useQueryClient();
  const before = useRef<string | undefined>(undefined);
  const known = useRef(live);
  known.current = live;
  useEffect(() => {
    if (!detail) return;
    const was = before.current;
    before.current = detail.state;
    if (!isActive(was) || isActive(detail.state)) return;
    const run = `${detail.recipe} #${detail.number}`;
    const stopped = stoppedAt(detail, known.current);
    if (stopped) {
      const { step, saved } = stopped;
      tell(
        t("run.endedStopped", { run }),
        saved === null ? undefined : t("run.savedAt", { step, saved: count(saved) }),
      );
      return;
    }
    if (detail.state !== "succeeded") {
      const failed = detail.steps.find((step) => step.state === "failed" || step.state === "killed");
      warn(t("run.endedBadly", { run }), failed?.shown?.error ? problemTold(failed.shown.error) : undefined);
      return;
    }
    const last = detail.steps.findLast((step) => step.stage === "generate");
    if (!last) {
      tell(t("run.endedWell", { run }));
      return;
    }
    client
      .fetchQuery(answersQuery({ ...name, step: last.step }))
      .then((found) => answersOf(found.rows[0]))
      .catch(() => null)
      .then((answers) => {
        const short = (text: string) => (text.length > 90 ? `${text.slice(0, 90)}…` : text);
        const said =
          answers?.before != null
            ? t("run.beforeAfter", { before: short(answers.before), after: short(answers.after) })
            : undefined;
        tell(t("run.endedWell", { run }), said);
      });
  }, [detail, name, client, t]);
}
