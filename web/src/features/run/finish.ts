// An alert when a run that was followed ends: a toast, and the title of the page.
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { problemTold } from "@/api/problem";
import { tell, warn } from "@/ui";
import { answersOf, answersQuery } from "./answers";
import type { RunDetail, RunName } from "./api";
import { isActive } from "./useRun";

export function useFinishAlert(detail: RunDetail | undefined, name: RunName): void {
  const { t } = useTranslation();
  const client = useQueryClient();
  const before = useRef<string | undefined>(undefined);
  useEffect(() => {
    if (!detail) return;
    const was = before.current;
    before.current = detail.state;
    if (!isActive(was) || isActive(detail.state)) return;
    const run = `${detail.recipe} #${detail.number}`;
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
