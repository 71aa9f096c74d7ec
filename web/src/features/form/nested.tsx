// Settings within a setting: an object, which may be switched off, and variants by their `kind`.
import { Box, Button, Flex, NativeSelect, Switch, Text } from "@chakra-ui/react";
import { ChevronRight } from "lucide-react";
import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { helpText } from "@/i18n/help";
import { Rich } from "@/ui";
import { useForm } from "./context";
import type { ControlProps } from "./control";
import { Fields, hasShown } from "./fields";
import { asVariant, fieldsOf, isNullable, resolved, type Schema, type Variant, variantOf } from "./schema";
import { dotted, isValues, type Json, type Path, type Values } from "./values";

export function Nested({ schema, shape, path, value, standard, onChange, labelId, required }: ControlProps) {
  const form = useForm();
  const { t } = useTranslation();
  const kept = useRef<Values>({});
  const inner = shape.type === "object" ? shape.schema : schema;
  const isOptional = isNullable(schema) && !required;
  const isOn = isValues(value) || (value === undefined && isValues(standard));
  const turn = (on: boolean) => {
    if (isValues(value)) kept.current = value;
    onChange(
      on ? (standard === null || standard === undefined ? kept.current : undefined) : standard ? null : undefined,
    );
  };
  return (
    <>
      {isOptional && (
        <Switch.Root
          checked={isOn}
          onCheckedChange={(change) => turn(change.checked)}
          colorPalette="accent"
          minH="32px"
        >
          <Switch.HiddenInput aria-labelledby={labelId} />
          <Switch.Control />
          <Box as="span" textStyle="small" color="fg.muted" aria-hidden>
            {isOn ? t("form.on") : t("form.off")}
          </Box>
        </Switch.Root>
      )}
      {(!isOptional || isOn) && (
        <Inside
          schema={inner}
          path={path}
          standard={standard}
          values={value}
          open={hasShown(form, inner, path, value)}
        />
      )}
    </>
  );
}

export function Variants({
  variants,
  path,
  value,
  standard,
  onChange,
  id,
  describedBy,
  schema,
}: ControlProps & { variants: Variant[] }) {
  const form = useForm();
  const { t } = useTranslation();
  const left = useRef(new Map<string, Json>());
  const isOptional = isNullable(schema);
  const current = value === undefined ? standard : value;
  const variant =
    current === null || (current === undefined && isOptional) ? undefined : variantOf(variants, value, standard);
  const choose = (kind: string) => {
    const next = variants.find((one) => one.kind === kind);
    if (variant && value !== undefined) left.current.set(variant.kind, value);
    if (!next) onChange(standard === null || standard === undefined ? undefined : null);
    else onChange(left.current.get(kind) ?? asVariant(next, value, form.root));
  };
  const isStandard = isValues(standard) && variant?.kind === standard.kind;
  return (
    <>
      <NativeSelect.Root size="sm" maxW="320px">
        <NativeSelect.Field
          id={id}
          aria-describedby={describedBy}
          value={variant?.kind ?? ""}
          onChange={(event) => choose(event.target.value)}
        >
          {(isOptional || !variant) && <option value="">{t("form.none")}</option>}
          {variants.map((one) => (
            <option key={one.kind} value={one.kind}>
              {one.kind}
            </option>
          ))}
        </NativeSelect.Field>
        <NativeSelect.Indicator />
      </NativeSelect.Root>
      {variant && (
        <>
          <Text textStyle="small" color="fg.muted" mt={2} maxW="68ch">
            <Rich>{helpText(resolved(variant.schema, form.root).description ?? "")}</Rich>
          </Text>
          <Inside
            key={variant.kind}
            schema={variant.schema}
            path={path}
            standard={isStandard ? standard : undefined}
            values={value}
            open={hasShown(form, variant.schema, path, value)}
          />
        </>
      )}
    </>
  );
}

/** The fields of an object, folded where the reader need not look at them. */
function Inside({
  schema,
  path,
  values,
  standard,
  open,
}: {
  schema: Schema;
  values: Json | undefined;
  path: Path;
  standard: Json | undefined;
  open: boolean;
}) {
  const form = useForm();
  const { t } = useTranslation();
  const [unfolded, setUnfolded] = useState<boolean | null>(null);
  const count = fieldsOf(schema, form.root).filter(
    (one) => one.name !== "kind" || one.schema.const === undefined,
  ).length;
  if (count === 0) return null;
  const isOpen = form.query !== "" || (unfolded ?? open);
  return (
    <Box mt={2}>
      {form.expert && !form.query && (
        <Button
          size="2xs"
          variant="ghost"
          color="fg.muted"
          mx={-2}
          aria-expanded={isOpen}
          onClick={() => setUnfolded(!isOpen)}
        >
          <Flex as="span" transform={isOpen ? "rotate(90deg)" : undefined} transition="transform 120ms" aria-hidden>
            <ChevronRight size={14} />
          </Flex>
          {t("form.settingsOf", { count, name: dotted(path) })}
        </Button>
      )}
      {(isOpen || !form.expert) && (
        <Box ps={4} mt={1} borderStartWidth="2px" borderColor="border">
          <Fields schema={schema} path={path} values={values} standard={standard} />
        </Box>
      )}
    </Box>
  );
}
