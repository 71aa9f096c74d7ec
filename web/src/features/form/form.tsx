// A form for the settings of a stage, made of its JSON Schema. The server checks the values; here nothing is refused.
import { Box, Text } from "@chakra-ui/react";
import { useCallback, useMemo, useRef } from "react";
import { useTranslation } from "react-i18next";
import { type Elsewhere, FormContext, type FormState, type Suggestion } from "./context";
import { Fields, shownFields } from "./fields";
import type { Schema } from "./schema";
import { isValues, type Json, type Path, type Values, withValue } from "./values";

export interface SettingsFormProps {
  schema: Schema;
  values: Values;
  onChange: (values: Values) => void;
  /** All settings, or the few that one usually sets. */
  expert?: boolean;
  /** Shows only the settings whose name or help has these words. */
  query?: string;
  elsewhere?: Elsewhere;
  basic?: Iterable<string>;
  errors?: ReadonlyMap<string, string>;
  before?: Json;
  suggest?: (path: string) => readonly Suggestion[] | null;
}

const NONE: ReadonlyMap<string, string> = new Map();
const NO_PATHS: readonly string[] = [];
const NOT_ELSEWHERE: Elsewhere = {};
const TOP: Path = [];
const NOTHING = () => null;

export function SettingsForm({
  schema,
  values,
  onChange,
  expert = false,
  query = "",
  elsewhere = NOT_ELSEWHERE,
  basic = NO_PATHS,
  errors = NONE,
  before,
  suggest = NOTHING,
}: SettingsFormProps) {
  const { t } = useTranslation();
  const latest = useRef({ values, onChange });
  latest.current = { values, onChange };
  const change = useCallback((path: Path, value: Json | undefined) => {
    const changed = withValue(latest.current.values, path, value);
    latest.current.values = isValues(changed) ? changed : {};
    latest.current.onChange(latest.current.values);
  }, []);
  const form = useMemo<FormState>(
    () => ({
      root: schema,
      change,
      expert,
      query: query.trim(),
      elsewhere,
      basic: new Set(basic),
      errors,
      before,
      suggest,
    }),
    [schema, change, expert, query, elsewhere, basic, errors, before, suggest],
  );
  const isEmpty = shownFields(form, schema, [], values).length === 0;
  return (
    <FormContext.Provider value={form}>
      <Box>
        <Fields schema={schema} path={TOP} values={values} />
        {isEmpty && (
          <Text color="fg.muted" textStyle="small" py={3}>
            {form.query ? t("form.nothingFound", { query: form.query }) : t("form.nothingBasic")}
          </Text>
        )}
      </Box>
    </FormContext.Provider>
  );
}
