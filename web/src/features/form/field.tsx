// One setting: its name and help, its control, its default and bounds, and what is wrong with it.

import { Box, Flex, IconButton, Text } from "@chakra-ui/react";
import { RotateCcw } from "lucide-react";
import { memo, type ReactNode, useId } from "react";
import { useTranslation } from "react-i18next";
import { helpText } from "@/i18n/help";
import { fieldName } from "@/i18n/names";
import { Rich } from "@/ui";
import { useBounds } from "./bounds";
import { useForm } from "./context";
import { Control } from "./control";
import { useWord } from "./inputs";
import { type Schema, type Shape, shapeOf } from "./schema";
import { brief, dotted, isSame, type Json, type Path, valueAt } from "./values";

export interface SettingProps {
  /** The path of the object around. */
  within: Path;
  name: string;
  schema: Schema;
  description: string;
  required: boolean;
  value: Json | undefined;
  /** The default, which the object around may set. */
  standard: Json | undefined;
}

const isWide = (shape: Shape): boolean =>
  ["list", "map", "object", "variants", "json"].includes(shape.type) ||
  (shape.type === "either" && shape.shapes.some(isWide));

const takesText = (shape: Shape): boolean =>
  shape.type === "text" || (shape.type === "either" && shape.shapes.some(takesText));

/** Drawn again only when its own value changes: a form has up to sixty of them. */
export const Setting = memo(function Setting(props: SettingProps) {
  const { name: last, schema, description, required, value, standard } = props;
  const form = useForm();
  const id = useId();
  const path = [...props.within, last];
  const name = dotted(path);
  const shape = shapeOf(schema, form.root);
  const error = form.errors.get(name);
  const suggestions = takesText(shape) ? form.suggest(name) : null;
  return (
    <Frame
      id={id}
      path={path}
      name={name}
      label={fieldName(last)}
      help={description}
      value={value}
      standard={standard}
      required={required}
      error={error}
      shape={shape}
      wide={isWide(shape) || (suggestions !== null && path.length === 1)}
    >
      <Control
        shape={shape}
        path={path}
        schema={schema}
        value={value}
        standard={standard}
        onChange={(changed) => form.change(path, changed)}
        id={id}
        labelId={`${id}-label`}
        describedBy={`${id}-help ${id}-error`}
        invalid={error !== undefined}
        required={required}
        suggestions={suggestions}
      />
    </Frame>
  );
}, isUnchanged);

function isUnchanged(before: SettingProps, now: SettingProps): boolean {
  return (
    before.name === now.name &&
    before.schema === now.schema &&
    dotted(before.within) === dotted(now.within) &&
    isSame(before.value, now.value) &&
    isSame(before.standard, now.standard)
  );
}

interface FrameProps {
  id: string;
  path: Path;
  name: string;
  label: string;
  help: string;
  value: Json | undefined;
  standard: Json | undefined;
  required: boolean;
  error: string | undefined;
  shape: Shape;
  wide: boolean;
  children: ReactNode;
}

function Frame({ id, path, name, label, help, value, standard, required, error, shape, wide, children }: FrameProps) {
  const { t } = useTranslation();
  const form = useForm();
  const bounds = useBounds(shape);
  const word = useWord();
  const was = form.before === undefined ? undefined : valueAt(form.before, path);
  const isChanged = form.before !== undefined && !isSame(was, value);
  const isOwn = value !== undefined && !isSame(value, standard);
  const isPlain = !["object", "variants"].includes(shape.type);
  const said = [
    standard !== undefined &&
      standard !== null &&
      isPlain &&
      t("form.default", { value: typeof standard === "boolean" ? word(standard) : brief(standard, 40) }),
    bounds,
  ].filter(Boolean);
  return (
    <Box
      data-setting={name}
      py={3.5}
      borderTopWidth="1px"
      borderColor="border.muted"
      _first={{ borderTopWidth: 0 }}
      {...(isChanged && {
        bg: "accent.subtle",
        mx: -3,
        px: 3,
        borderRadius: "l2",
        borderColor: "transparent",
      })}
    >
      <Box
        display="grid"
        gridTemplateColumns={wide ? "minmax(0, 1fr)" : { base: "minmax(0, 1fr)", sm: "minmax(0, 1fr) 264px" }}
        columnGap={8}
        rowGap={2}
        alignItems="start"
      >
        <Box minW={0} pt={wide ? 0 : { sm: "5px" }}>
          <Flex align="center" gap={2} minH="22px">
            <Text asChild fontWeight="500" id={`${id}-label`}>
              <label htmlFor={id}>{label}</label>
            </Text>
            {required && (
              <Text as="span" textStyle="caption" color="fg.muted">
                {t("form.required")}
              </Text>
            )}
            {isChanged && (
              <Text as="span" textStyle="caption" color="accent.fg" truncate minW={0}>
                {was === undefined ? t("form.added") : t("form.was", { value: brief(was, 32) })}
              </Text>
            )}
            {isOwn && !required && (
              <IconButton
                size="2xs"
                variant="ghost"
                color="fg.muted"
                my="-4px"
                aria-label={t("form.reset", { name: label })}
                title={t("form.reset", { name: label })}
                onClick={() => form.change(path, undefined)}
              >
                <RotateCcw />
              </IconButton>
            )}
          </Flex>
          {help && (
            <Text id={`${id}-help`} textStyle="small" color="fg.muted" maxW="68ch">
              <Rich>{helpText(help)}</Rich>
            </Text>
          )}
        </Box>
        <Box minW={0}>
          {children}
          {said.length > 0 && (
            <Text textStyle="caption" color="fg.muted" mt={1.5} overflowWrap="anywhere">
              {said.join(" · ")}
            </Text>
          )}
          <Text
            id={`${id}-error`}
            role={error ? "alert" : undefined}
            textStyle="small"
            color="fg.error"
            mt={error ? 1 : 0}
          >
            {error && <Rich>{error}</Rich>}
          </Text>
        </Box>
      </Box>
    </Box>
  );
}
