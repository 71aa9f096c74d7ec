// A reference to a model, typed or chosen of those that are known.
import { Text } from "@chakra-ui/react";
import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { asProblem } from "@/api/problem";
import { Reference } from "@/features/form";
import { ErrorCard } from "@/ui";
import { type KnownModel, useKnownProblem } from "./known";

export interface PickProps {
  label: string;
  value: string;
  onChange: (ref: string) => void;
  known: readonly KnownModel[];
  placeholder?: string;
}

export function PickModel({ label, value, onChange, known, placeholder }: PickProps) {
  const { t } = useTranslation();
  const problem = useKnownProblem();
  return (
    <Reference
      value={value}
      onChange={onChange}
      placeholder={placeholder ?? t("models.pick")}
      field={{ "aria-label": label }}
      suggestions={known.map(({ ref, ...one }) => ({ value: ref, ...one }))}
      note={
        <>
          {known.length === 0 && (
            <Text textStyle="small" color="fg.muted" px={2} py={1.5}>
              {t("models.noneKnown")}
            </Text>
          )}
          {problem !== null && (
            <Text px={2} py={1} textStyle="caption" color="fg.error" maxW="320px">
              {t("models.notAllKnown", { why: asProblem(problem).message })}
            </Text>
          )}
        </>
      }
    />
  );
}

/** Why the models that are offered are not all that there are. */
export function UnknownModels() {
  const queries = useQueryClient();
  const problem = useKnownProblem();
  if (problem === null) return null;
  const again = () => {
    void queries.refetchQueries({ queryKey: ["artifacts"], type: "active" });
    void queries.refetchQueries({ queryKey: ["registry"], type: "active" });
  };
  return <ErrorCard error={problem} onRetry={again} />;
}
