// A value that is a word or something else: `auto` or a number, one name or a list of them, on, off or settings.
import { Box, Flex } from "@chakra-ui/react";
import { useTranslation } from "react-i18next";
import { Segments } from "@/ui";
import { useForm } from "./context";
import type { ControlProps } from "./control";
import { Control } from "./control";
import { useWord } from "./inputs";
import { holds, type Shape, startOf } from "./schema";

export function Either({ shape, ...props }: ControlProps & { shape: Extract<Shape, { type: "either" }> }) {
  const { t } = useTranslation();
  const { root } = useForm();
  const word = useWord();
  const { value, standard, onChange } = props;
  const current = value ?? standard;
  const names = {
    text: t("form.text"),
    number: t("form.number"),
    list: t("form.list"),
    map: t("form.settings"),
    object: t("form.settings"),
    variants: t("form.settings"),
    choice: "",
    either: "",
    json: t("form.other"),
  };
  const options = [
    ...shape.words.map((one) => ({ value: JSON.stringify(one), label: word(one) })),
    ...shape.shapes.map((one, at) => ({ value: String(at), label: names[one.type] })),
  ];
  const isWord = current !== undefined && shape.words.includes(current);
  const at = shape.shapes.findIndex((one) => !isWord && current !== undefined && holds(one, current));
  const chosen = isWord ? JSON.stringify(current) : at >= 0 ? String(at) : current === undefined ? "" : "0";
  const inner = isWord ? undefined : shape.shapes[at >= 0 ? at : current === undefined ? -1 : 0];
  const choose = (text: string) => {
    const other = shape.shapes[Number(text)];
    if (/^\d+$/.test(text) && other) onChange(startOf(other, root, standard));
    else onChange(JSON.parse(text));
  };
  const isSmall = inner?.type === "number" || inner?.type === "text";
  return (
    <Flex direction={isSmall ? "row" : "column"} gap={2} align={isSmall ? "center" : "stretch"}>
      <Segments labelledBy={props.labelId} options={options} value={chosen} onChange={choose} />
      {inner && (
        <Box flex={1} minW={0}>
          <Control {...props} shape={inner} standard={isWord ? undefined : standard} />
        </Box>
      )}
    </Flex>
  );
}
