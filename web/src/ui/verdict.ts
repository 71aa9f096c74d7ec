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

/** The name of a verdict; one that the page does not know stays as the server says it. */
export function useVerdict(): (verdict: string) => string {
  const { t } = useTranslation();
  return (verdict) => (isKnown(verdict) ? t(`state.verdict.${VERDICTS[verdict]}`) : verdict);
}
