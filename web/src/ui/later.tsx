// Parts of the page that are fetched when they are first needed. React's own `lazy` keeps a failure for ever.
import { type ComponentType, type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Problem } from "@/api/problem";
import { ErrorCard } from "./error";
import { warn } from "./toast";

type Load<Props> = () => Promise<{ default: ComponentType<Props> }>;

function useNotLoaded(): (error: unknown) => Problem {
  const { t } = useTranslation();
  const what = (error: unknown) => (error instanceof Error ? error.message : String(error));
  return (error) => new Problem(-1, t("problem.notLoaded"), what(error), "", t("problem.notLoadedFix"));
}

/** A component that is fetched when it is first shown; until then `waiting` is in its place, or why it cannot be. */
export function later<Props extends object>(load: Load<Props>, waiting: () => ReactNode): ComponentType<Props> {
  let loaded: ComponentType<Props> | null = null;
  return function Later(props: Props) {
    const [Shown, setShown] = useState(() => loaded);
    const [error, setError] = useState<unknown>(null);
    const notLoaded = useNotLoaded();
    useEffect(() => {
      if (Shown || error !== null) return;
      let isWanted = true;
      load().then(
        (found) => {
          loaded = found.default;
          if (isWanted) setShown(() => found.default);
        },
        (problem: unknown) => isWanted && setError(problem ?? "?"),
      );
      return () => {
        isWanted = false;
      };
    }, [Shown, error]);
    if (Shown) return <Shown {...props} />;
    if (error !== null) return <ErrorCard error={notLoaded(error)} onRetry={() => setError(null)} />;
    return waiting();
  };
}

/** A component for what opens at a press: null until `need` has fetched it. What fails is said, and fetched anew at the
 * next press. */
export function useLater<Props extends object>(load: Load<Props>): [ComponentType<Props> | null, () => void] {
  const [Shown, setShown] = useState<ComponentType<Props> | null>(null);
  const notLoaded = useNotLoaded();
  const need = () => {
    if (Shown) return;
    load().then(
      (found) => setShown(() => found.default),
      (error: unknown) => {
        const problem = notLoaded(error);
        warn(problem.title, problem);
      },
    );
  };
  return [Shown, need];
}
