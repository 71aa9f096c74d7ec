// Plain values: text, numbers, choices, and references with what they may refer to.
import { Box, Flex, Input, NativeSelect, Switch, Textarea } from "@chakra-ui/react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Segments } from "@/ui";
import type { Suggestion } from "./context";
import type { ControlProps } from "./control";
import { Reference } from "./reference";
import { brief, isSame, type Json, numeral, typedNumber } from "./values";

const named = ({ id, labelId, describedBy, invalid, required }: ControlProps) => ({
  id,
  "aria-labelledby": labelId,
  "aria-describedby": describedBy,
  "aria-invalid": invalid || undefined,
  "aria-required": required || undefined,
});

const shown = (value: Json | undefined): string =>
  value === undefined || value === null ? "" : typeof value === "string" ? value : brief(value, 10_000);

export function TextInput(props: ControlProps & { words: readonly string[] }) {
  const { value, standard, onChange, words } = props;
  const { t } = useTranslation();
  return (
    <Flex direction="column" gap={1.5}>
      <Textarea
        {...named(props)}
        size="sm"
        rows={1}
        autoresize
        maxH="18lh"
        spellCheck={false}
        value={shown(value)}
        placeholder={shown(standard) || t("form.notSet")}
        onChange={(event) => onChange(event.target.value === "" ? undefined : event.target.value)}
      />
      {words.length > 0 && (
        <Segments
          label={t("form.presets")}
          options={words.map((word) => ({ value: word, label: word }))}
          value={typeof (value ?? standard) === "string" ? String(value ?? standard) : ""}
          onChange={onChange}
        />
      )}
    </Flex>
  );
}

export function NumberInput(props: ControlProps) {
  const { value, standard, onChange } = props;
  const { t } = useTranslation();
  const [typed, setTyped] = useState(() => numberText(value));
  // A value that came from elsewhere replaces what was typed; 0.00020 stays as it was typed.
  useEffect(() => {
    setTyped((before) => (isSame(before === "" ? undefined : typedNumber(before), value) ? before : numberText(value)));
  }, [value]);
  return (
    <Input
      {...named(props)}
      size="sm"
      inputMode="decimal"
      autoComplete="off"
      fontVariantNumeric="tabular-nums"
      value={typed}
      placeholder={numberText(standard) || t("form.notSet")}
      onChange={(event) => {
        setTyped(event.target.value);
        onChange(event.target.value.trim() === "" ? undefined : typedNumber(event.target.value));
      }}
    />
  );
}

const numberText = (value: Json | undefined): string => (typeof value === "number" ? numeral(value) : shown(value));

const MOST_SEGMENTS = 4;
const MOST_LETTERS = 26;

export function useWord() {
  const { t } = useTranslation();
  return (value: Json | undefined): string => {
    if (value === true) return t("form.on");
    if (value === false) return t("form.off");
    if (value === null || value === undefined) return t("form.none");
    return brief(value, 40);
  };
}

export function Choice(props: ControlProps & { options: readonly Json[] }) {
  const { value, standard, onChange, labelId } = props;
  const { t } = useTranslation();
  const word = useWord();
  const current = value ?? standard;
  const isSwitch = props.options.length === 2 && props.options.includes(true) && props.options.includes(false);
  if (isSwitch && (typeof current === "boolean" || current === undefined))
    return (
      <Switch.Root
        checked={current === true}
        onCheckedChange={(change) => onChange(change.checked)}
        colorPalette="accent"
        minH="32px"
        ids={{ hiddenInput: props.id, label: labelId }}
      >
        <Switch.HiddenInput aria-labelledby={labelId} aria-describedby={props.describedBy} />
        <Switch.Control />
        <Box as="span" textStyle="small" color="fg.muted" aria-hidden>
          {word(current ?? false)}
        </Box>
      </Switch.Root>
    );
  const known = props.options.some((one) => isSame(one, current));
  const options = known || current === undefined || current === null ? props.options : [...props.options, current];
  const entries = options.map((one) => ({ value: JSON.stringify(one), label: word(one) }));
  const select = (text: string) => onChange(text === "" ? undefined : (JSON.parse(text) as Json));
  const letters = entries.reduce((sum, one) => sum + one.label.length, 0);
  if (entries.length <= MOST_SEGMENTS && letters <= MOST_LETTERS)
    return (
      <Segments
        labelledBy={labelId}
        options={entries}
        value={current === undefined ? "" : JSON.stringify(current)}
        onChange={select}
      />
    );
  return (
    <NativeSelect.Root size="sm">
      <NativeSelect.Field
        {...named(props)}
        value={current === undefined || current === null ? "" : JSON.stringify(current)}
        onChange={(event) => select(event.target.value)}
      >
        {(current === undefined || current === null) && <option value="">{t("form.notSet")}</option>}
        {entries.map((one) => (
          <option key={one.value} value={one.value}>
            {one.label}
          </option>
        ))}
      </NativeSelect.Field>
      <NativeSelect.Indicator />
    </NativeSelect.Root>
  );
}

export function ReferenceInput(props: ControlProps & { suggestions: readonly Suggestion[] }) {
  const { value, standard, onChange, suggestions } = props;
  return (
    <Reference
      field={named(props)}
      value={shown(value)}
      onChange={(ref) => onChange(ref === "" ? undefined : ref)}
      suggestions={suggestions}
      placeholder={shown(standard) || "file:… · hub:… · step:…"}
    />
  );
}
