// What the palette finds: screens, runs, recipes, and what can be done.
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Languages, Moon, NotebookText, Rows3, Sun } from "lucide-react";
import { useTranslation } from "react-i18next";
import { recipesQuery } from "@/features/compose/queries";
import { useFoundRuns } from "@/features/runs/found";
import { LANGUAGES, type Language } from "@/i18n";
import { setMode } from "@/theme/mode";
import type { FinderItem } from "@/ui/finder/dialog";
import { chooseLanguage } from "@/ui/language";
import { useStateName } from "@/ui/status";
import { MENU } from "../menu";

export function usePaletteItems(typed: string): FinderItem[] {
  const { t, i18n } = useTranslation();
  const navigate = useNavigate();
  const nameOf = useStateName();
  const runs = useFoundRuns(typed);
  const { data: recipes = [] } = useQuery(recipesQuery);
  const others = (Object.keys(LANGUAGES) as Language[]).filter((one) => one !== i18n.language);
  return [
    ...MENU.map((item) => ({
      key: `go-${item.key}`,
      group: t("palette.screens"),
      name: t(`nav.${item.key}`),
      icon: item.icon,
      go: () => void navigate({ to: item.to }),
    })),
    ...runs.map((run) => ({
      key: `run-${run.run}`,
      group: t("nav.runs"),
      name: `${run.recipe} #${run.number}`,
      hint: nameOf(run.state),
      icon: Rows3,
      go: () =>
        void navigate({
          to: "/runs/$recipe/$number",
          params: { recipe: run.recipe, number: String(run.number) },
          search: { step: undefined, tab: undefined },
        }),
    })),
    ...recipes.map((recipe) => ({
      key: `recipe-${recipe.name}`,
      group: t("palette.recipes"),
      name: recipe.name,
      hint: recipe.summary ?? undefined,
      icon: NotebookText,
      go: () => void navigate({ to: "/new", search: { recipe: recipe.name } as never }),
    })),
    { key: "light", group: t("palette.actions"), name: t("palette.light"), icon: Sun, go: () => setMode("light") },
    { key: "dark", group: t("palette.actions"), name: t("palette.dark"), icon: Moon, go: () => setMode("dark") },
    ...others.map((one) => ({
      key: `language-${one}`,
      group: t("palette.actions"),
      name: LANGUAGES[one],
      icon: Languages,
      go: () => chooseLanguage(one),
    })),
  ];
}
