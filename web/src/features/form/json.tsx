// A value of any kind, as JSON.
import { Text, Textarea } from "@chakra-ui/react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import type { ControlProps } from "./control";
import { isSame, type Json } from "./values";

/** The value of a text: JSON where it is that, else the text itself, as YAML has it. */
export function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

const written = (value: Json | undefined): string =>
  value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value, null, 1).replace(/\n\s*/g, " ");

export function JsonInput({ id, describedBy, invalid, value, standard, onChange }: ControlProps) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState(() => written(value));
  useEffect(() => {
    setTyped((before) => (isSame(before === "" ? undefined : parsed(before), value) ? before : written(value)));
  }, [value]);
  const isHalf = /^\s*[[{]/.test(typed) && typeof parsed(typed) === "string";
  return (
    <>
      <Textarea
        id={id}
        aria-describedby={describedBy}
        aria-invalid={invalid || isHalf || undefined}
        size="sm"
        rows={1}
        autoresize
        fontFamily="mono"
        fontSize="12.5px"
        spellCheck={false}
        value={typed}
        placeholder={written(standard) || t("form.notSet")}
        onChange={(event) => {
          setTyped(event.target.value);
          onChange(event.target.value.trim() === "" ? undefined : parsed(event.target.value));
        }}
      />
      {isHalf && (
        <Text textStyle="caption" color="fg.warning" mt={1}>
          {t("form.halfJson")}
        </Text>
      )}
    </>
  );
}
