// What checks and comparisons found, in the language of the page.
import { useTranslation } from "react-i18next";

const VERDICTS = {
  holds: "holds",
  "does not hold": "fails",
  "does not apply": "none",
  better: "better",
  worse: "worse",
  "not worse": "notWorse",
  equivalent: "equivalent",
  "not enough evidence": "noEvidence",
  "too few rows": "fewRows",
  "too few clusters": "fewClusters",
} as const;

const isKnown = (verdict: string): verdict is keyof typeof VERDICTS => Object.hasOwn(VERDICTS, verdict);

const TONES: Record<string, string> = {
  better: "success",
  worse: "danger",
  equivalent: "accent",
  "not worse": "accent",
};

/** The palette of a verdict: grey where there is none, or not enough evidence. */
export const toneOf = (verdict: string): string => TONES[verdict] ?? "gray";

/** The name of a verdict; one that the page does not know stays as the server says it. */
export function useVerdict(): (verdict: string) => string {
  const { t } = useTranslation();
  return (verdict) => (isKnown(verdict) ? t(`state.verdict.${VERDICTS[verdict]}`) : verdict);
}
