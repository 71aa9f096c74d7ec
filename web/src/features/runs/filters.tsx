// What of the runs a list shows: words, and one state, recipe and step.
import { Flex, Input, InputGroup, NativeSelect } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Search } from "lucide-react";
import { type ReactNode, useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useFamilies } from "@/features/compose/families";
import { recipesQuery, stagesQuery } from "@/features/compose/queries";
import { type RunFilters, runsQuery } from "./queries";

const STATES = ["running", "queued", "succeeded", "failed", "interrupted", "killed", "damaged"] as const;
const SETTLED = 250;

interface FiltersProps {
  filters: RunFilters;
  onChange: (filters: RunFilters) => void;
}

export function Filters({ filters, onChange }: FiltersProps) {
  const { t } = useTranslation();
  const [words, setWords] = useState(filters.q ?? "");
  useEffect(() => setWords(filters.q ?? ""), [filters.q]);
  useEffect(() => {
    if (words === (filters.q ?? "")) return;
    const timer = setTimeout(() => onChange({ ...filters, q: words || undefined }), SETTLED);
    return () => clearTimeout(timer);
  }, [words, filters, onChange]);
  const choose = (name: "state" | "recipe" | "stage") => (value: string | undefined) =>
    onChange({ ...filters, [name]: value });
  return (
    <Flex role="search" gap={2} wrap="wrap">
      <InputGroup startElement={<Search size={14} aria-hidden />} flex="1 1 220px" maxW={{ md: "320px" }}>
        <Input
          size="sm"
          value={words}
          onChange={(event) => setWords(event.target.value)}
          placeholder={t("runs.search")}
          aria-label={t("runs.search")}
        />
      </InputGroup>
      <Choice label={t("runs.state")} any={t("runs.anyState")} value={filters.state} onChange={choose("state")}>
        {STATES.map((state) => (
          <option key={state} value={state}>
            {t(`state.${state}`)}
          </option>
        ))}
      </Choice>
      <Choice label={t("runs.recipe")} any={t("runs.anyRecipe")} value={filters.recipe} onChange={choose("recipe")}>
        <Recipes chosen={filters.recipe} />
      </Choice>
      <Choice label={t("runs.stage")} any={t("runs.anyStage")} value={filters.stage} onChange={choose("stage")}>
        <Stages chosen={filters.stage} />
      </Choice>
    </Flex>
  );
}

interface ChoiceProps {
  label: string;
  any: string;
  value: string | undefined;
  onChange: (value: string | undefined) => void;
  children: ReactNode;
}

function Choice({ label, any, value = "", onChange, children }: ChoiceProps) {
  return (
    <NativeSelect.Root size="sm" width={{ base: "calc(50% - 4px)", md: "160px" }}>
      <NativeSelect.Field
        aria-label={label}
        value={value}
        onChange={(event) => onChange(event.target.value || undefined)}
      >
        <option value="">{any}</option>
        {children}
      </NativeSelect.Field>
      <NativeSelect.Indicator />
    </NativeSelect.Root>
  );
}

function Recipes({ chosen }: { chosen: string | undefined }) {
  const { data: newest = [] } = useQuery(runsQuery);
  const { data: known = [] } = useQuery(recipesQuery);
  const recipes = useMemo(
    () => [...new Set([...newest.map((run) => run.recipe), ...known.map((one) => one.name)])].sort(),
    [newest, known],
  );
  return <Options names={recipes} chosen={chosen} />;
}

const NONE: never[] = [];

function Stages({ chosen }: { chosen: string | undefined }) {
  const { data: stages = NONE } = useQuery(stagesQuery);
  const families = useFamilies(stages);
  const isUnknown = chosen !== undefined && !stages.some((one) => one.name === chosen);
  return (
    <>
      {isUnknown && <option>{chosen}</option>}
      {families.map(([title, rows]) => (
        <optgroup key={title} label={title}>
          <Options names={rows.map((one) => one.name)} />
        </optgroup>
      ))}
    </>
  );
}

/** Options by name; one that is chosen by the address and unknown comes first. */
function Options({ names, chosen }: { names: readonly string[]; chosen?: string }) {
  const listed = chosen !== undefined && !names.includes(chosen) ? [chosen, ...names] : names;
  return listed.map((name) => <option key={name}>{name}</option>);
}
