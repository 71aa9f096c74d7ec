// Names and their values, where the names are the reader's.
import { Box, Button, Flex, IconButton, Input } from "@chakra-ui/react";
import { Plus, X } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useForm } from "./context";
import type { ControlProps } from "./control";
import { Control } from "./control";
import { type Shape, shapeOf, startOf } from "./schema";
import { isValues, type Json, type Values } from "./values";

export function MapInput({ shape, ...props }: ControlProps & { shape: Extract<Shape, { type: "map" }> }) {
  const { value, standard, onChange, path, labelId } = props;
  const { t } = useTranslation();
  const form = useForm();
  const inner = shapeOf(shape.value, form.root);
  const entries = Object.entries(isValues(value) ? value : isValues(standard) ? standard : {});
  const put = (changed: [string, Json][]) => onChange(Object.fromEntries(changed) as Values);
  const isTall = inner.type === "object" || inner.type === "variants";
  const free = (base: string) => {
    let name = base;
    for (let number = 2; entries.some(([key]) => key === name); number++) name = `${base}${number}`;
    return name;
  };
  return (
    <Flex direction="column" gap={2} role="group" aria-labelledby={labelId}>
      {entries.map(([key, one], at) => (
        <Flex
          // biome-ignore lint/suspicious/noArrayIndexKey: a name changes while it is typed
          key={at}
          gap={2}
          align="flex-start"
          wrap={isTall ? "wrap" : "nowrap"}
          {...(isTall && { borderWidth: "1px", borderColor: "border", borderRadius: "l2", p: 3 })}
        >
          <Name
            name={key}
            label={t("form.nameOf", { number: at + 1 })}
            onRename={(name) =>
              put(entries.map(([old, kept], seat) => [seat === at ? (name === old ? old : free(name)) : old, kept]))
            }
          />
          <Box flex={1} minW={0} flexBasis={isTall ? "100%" : undefined} order={isTall ? 3 : undefined}>
            <Control
              {...props}
              shape={inner}
              schema={shape.value}
              path={[...path, key]}
              value={one}
              standard={undefined}
              required
              id={`${props.id}-${at}`}
              labelId={`${props.id}-${at}-label`}
              suggestions={inner.type === "text" ? form.suggest([...path, key].join(".")) : null}
              onChange={(changed) =>
                put(
                  entries.map(([old, kept], seat) => [
                    old,
                    seat === at ? (changed ?? startOf(inner, form.root)) : kept,
                  ]),
                )
              }
            />
            <Box id={`${props.id}-${at}-label`} hidden>
              {key}
            </Box>
          </Box>
          <IconButton
            size="xs"
            variant="ghost"
            color="fg.muted"
            ms="auto"
            aria-label={t("form.remove", { number: at + 1 })}
            title={t("form.remove", { number: at + 1 })}
            onClick={() => put(entries.filter((_, seat) => seat !== at))}
          >
            <X />
          </IconButton>
        </Flex>
      ))}
      <Box>
        <Button
          size="xs"
          variant="outline"
          onClick={() => put([...entries, [free("name"), startOf(inner, form.root)]])}
        >
          <Plus /> {t("form.add")}
        </Button>
      </Box>
    </Flex>
  );
}

/** A name is taken when the reader leaves it: half a name would be another entry. */
function Name({ name, label, onRename }: { name: string; label: string; onRename: (name: string) => void }) {
  const [typed, setTyped] = useState(name);
  useEffect(() => setTyped(name), [name]);
  const finish = () => (typed.trim() && typed !== name ? onRename(typed.trim()) : setTyped(name));
  return (
    <Input
      size="sm"
      w="160px"
      flexShrink={0}
      fontFamily="mono"
      fontSize="12.5px"
      aria-label={label}
      value={typed}
      onChange={(event) => setTyped(event.target.value)}
      onBlur={finish}
      onKeyDown={(event) => event.key === "Enter" && finish()}
    />
  );
}
