// Stages in the groups in which they are offered.
import { useTranslation } from "react-i18next";

const FAMILIES = ["data", "tokens", "train", "preferences", "rl", "models", "evals", "ship"] as const;
type Family = (typeof FAMILIES)[number];

const isKnown = (family: string): family is Family => FAMILIES.some((one) => one === family);

/** Stages by the title of their family, in the order in which they come; a plugin's family is titled by its name. */
export function useFamilies<Row extends { family: string }>(stages: readonly Row[]): [title: string, stages: Row[]][] {
  const { t } = useTranslation();
  return [...new Set(stages.map((one) => one.family))].map((family) => [
    isKnown(family) ? t(`compose.family_${family}`) : family,
    stages.filter((one) => one.family === family),
  ]);
}
