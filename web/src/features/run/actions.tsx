// What can be done with a run: stop it, resume it, start another from it.
import { Button } from "@chakra-ui/react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useRouter } from "@tanstack/react-router";
import { GitFork, RotateCw, SlidersHorizontal, Square } from "lucide-react";
import { type ComponentProps, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { tell, warn } from "@/ui";
import { type Failure, type RunDetail, type RunName, resume as resumeRun, runQuery, stop as stopRun } from "./api";
import { isActive } from "./useRun";

/** Whether the same settings would fail again: then another run with other ones is what helps. */
export const isOfSettings = (failure: Failure): boolean => /^(ask|data)\./.test(failure.code);

export interface Resume {
  start: () => void;
  isBusy: boolean;
}

export function useResume(name: RunName, onDone: () => void): Resume {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const made = useMutation({
    mutationFn: () => resumeRun(name),
    onSuccess: ({ run }) => {
      const [recipe = name.recipe, number = name.number] = run.split("/");
      tell(t("run.resumed"), number === name.number ? undefined : t("run.resumedAs", { run: `${recipe} #${number}` }));
      if (recipe === name.recipe && number === name.number) onDone();
      else void navigate({ to: "/runs/$recipe/$number", params: { recipe, number }, search: {} });
    },
    onError: (error) => warn(t("run.notResumed"), error),
  });
  return { start: () => made.mutate(), isBusy: made.isPending };
}

/** How long a second click on the same place does not stop at once what the first one let save its state. */
const PAUSE = 3_000;

export interface ActionsProps {
  name: RunName;
  detail: RunDetail;
  resume: Resume;
  onChange: () => void;
}

export function Actions({ name, detail, resume, onChange }: ActionsProps) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const isRunning = isActive(detail.state);
  const failed = detail.steps.find((step) => step.state === "failed")?.shown?.error;
  const isSettings = !isRunning && failed != null && isOfSettings(failed);
  const isAsked = detail.stop_requested;
  const [isPaused, setPaused] = useState(false);
  useEffect(() => {
    if (!isPaused) return;
    const timer = setTimeout(() => setPaused(false), PAUSE);
    return () => clearTimeout(timer);
  }, [isPaused]);
  const stop = useMutation({
    mutationFn: () => stopRun(name),
    onSuccess: () => {
      setPaused(!isAsked);
      tell(t(isAsked ? "run.stoppedNow" : "run.stopRequested"), isAsked ? undefined : t("run.stopHint"));
      client.setQueryData(runQuery(name).queryKey, (known) => known && { ...known, stop_requested: true });
      onChange();
    },
    onError: (error) => warn(t("run.notStopped"), error),
  });
  return (
    <>
      {isRunning && (
        <Button
          size="sm"
          variant="outline"
          colorPalette={isAsked && !isPaused ? "danger" : "gray"}
          onClick={() => stop.mutate()}
          loading={stop.isPending}
          disabled={isPaused}
        >
          <Square size={13} aria-hidden />
          {t(isPaused ? "state.stopping" : isAsked ? "run.stopNow" : "run.stop")}
        </Button>
      )}
      {isSettings && (
        <Button asChild size="sm" colorPalette="accent">
          <ForkLink name={name}>
            <SlidersHorizontal size={14} aria-hidden />
            {t("run.change")}
          </ForkLink>
        </Button>
      )}
      {!isRunning && detail.state !== "succeeded" && (
        <Button
          size="sm"
          colorPalette={isSettings ? undefined : "accent"}
          variant={isSettings ? "outline" : "solid"}
          onClick={resume.start}
          loading={resume.isBusy}
        >
          <RotateCw size={14} aria-hidden />
          {t("run.resume")}
        </Button>
      )}
      {!isSettings && (
        <Button asChild size="sm" variant="outline">
          <ForkLink name={name}>
            <GitFork size={14} aria-hidden />
            {t("run.fork")}
          </ForkLink>
        </Button>
      )}
    </>
  );
}

/** Leads to a new run that begins with the settings of this one. */
export function ForkLink({ name, children, ...rest }: { name: RunName } & ComponentProps<"a">) {
  const router = useRouter();
  const from = `/new?from=${encodeURIComponent(`${name.recipe}/${name.number}`)}`;
  return (
    <a
      {...rest}
      href={from}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        router.history.push(from);
      }}
    >
      {children}
    </a>
  );
}
