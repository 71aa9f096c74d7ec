// The waiting jobs in their order, which a drag or the arrow keys change.
import { Box, IconButton, VisuallyHidden } from "@chakra-ui/react";
import { GripVertical } from "lucide-react";
import { type KeyboardEvent, type PointerEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { type Job, useMove } from "./queries";
import { JobRow } from "./row";

const HEIGHT = 61;

interface Drag {
  id: number;
  /** The jobs as they stood when it began: they keep their places while one is held. */
  jobs: readonly Job[];
  from: number;
  to: number;
  y: number;
  start: number;
}

/** Which places a row steps aside while another is dragged over it. */
export function shift(at: number, drag: { from: number; to: number }): number {
  if (at > drag.from && at <= drag.to) return -1;
  if (at < drag.from && at >= drag.to) return 1;
  return 0;
}

/** The job before which one lands that is dropped at a place of what was shown: jobs that no longer wait are passed
 * over, and those that came meanwhile stay behind it. Null is the end. */
export function landing(
  shown: readonly Pick<Job, "id">[],
  id: number,
  place: number,
  waiting: readonly Pick<Job, "id">[],
): number | null {
  const behind = shown.filter((one) => one.id !== id).slice(place);
  const stays = behind.find((one) => waiting.some((other) => other.id === one.id));
  const came = waiting.find((one) => !shown.some((other) => other.id === one.id));
  return (stays ?? came)?.id ?? null;
}

export interface QueueProps {
  jobs: readonly Job[];
  /** The names of the steps that have not ended, by the ids of their jobs. */
  open: ReadonlyMap<number, string>;
}

export function Queue({ jobs, open }: QueueProps) {
  const { t } = useTranslation();
  const move = useMove();
  const [drag, setDrag] = useState<Drag | null>(null);
  const isHeld = drag !== null;
  const [said, setSaid] = useState("");
  const list = useRef<HTMLUListElement>(null);

  const shown = drag?.jobs ?? jobs;
  useEffect(() => {
    if (!isHeld) return;
    const give = (event: globalThis.KeyboardEvent) => event.key === "Escape" && setDrag(null);
    window.addEventListener("keydown", give);
    return () => window.removeEventListener("keydown", give);
  }, [isHeld]);

  const put = (job: Job, from: number, to: number) => {
    const place = Math.max(0, Math.min(shown.length - 1, to));
    if (place === from || !jobs.some((one) => one.id === job.id)) return;
    const before = landing(shown, job.id, place, jobs);
    move.mutate({ id: job.id, before });
    const rest = jobs.filter((one) => one.id !== job.id);
    const seat = before === null ? rest.length : rest.findIndex((one) => one.id === before);
    setSaid(t("jobs.moved", { job: job.step, place: seat + 1, count: jobs.length }));
  };
  const keys = (event: KeyboardEvent, job: Job, at: number) => {
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: jobs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    put(job, at, to);
  };
  const begin = (event: PointerEvent<HTMLElement>, job: Job, at: number) => {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    setDrag({ id: job.id, jobs, from: at, to: at, y: 0, start: event.clientY });
  };
  const follow = (event: PointerEvent) => {
    if (!drag) return;
    const y = event.clientY - drag.start;
    const to = Math.max(0, Math.min(drag.jobs.length - 1, drag.from + Math.round(y / HEIGHT)));
    setDrag({ ...drag, y, to });
  };
  const drop = (job: Job) => {
    if (!drag) return;
    put(job, drag.from, drag.to);
    setDrag(null);
  };

  return (
    <>
      <Box as="ul" ref={list} m={0} p={0} listStyleType="none" position="relative">
        {shown.map((job, at) => {
          const held = drag?.id === job.id;
          const y = held ? drag.y : drag ? shift(at, drag) * HEIGHT : 0;
          return (
            <Box
              as="li"
              key={job.id}
              borderTopWidth={at ? "1px" : 0}
              borderColor="border.muted"
              position="relative"
              zIndex={held ? 1 : undefined}
              boxShadow={held ? "md" : undefined}
              transition={drag && !held ? "transform 160ms" : undefined}
              style={{ transform: y ? `translateY(${y}px)` : undefined }}
            >
              <JobRow
                job={job}
                after={job.needs.flatMap((id) => open.get(id) ?? [])}
                handle={
                  <IconButton
                    size="2xs"
                    variant="ghost"
                    color="fg.subtle"
                    cursor={held ? "grabbing" : "grab"}
                    touchAction="none"
                    aria-label={t("jobs.move", { job: job.step, place: at + 1, count: jobs.length })}
                    title={t("jobs.moveHint")}
                    onKeyDown={(event) => keys(event, job, at)}
                    onPointerDown={(event) => begin(event, job, at)}
                    onPointerMove={follow}
                    onPointerUp={() => drop(job)}
                    onPointerCancel={() => setDrag(null)}
                  >
                    <GripVertical />
                  </IconButton>
                }
              />
            </Box>
          );
        })}
      </Box>
      <VisuallyHidden role="status">{said}</VisuallyHidden>
    </>
  );
}
