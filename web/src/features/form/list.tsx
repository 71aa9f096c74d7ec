// Lists: of choices, of plain values, of settings.
import { Box, Button, Flex, IconButton } from "@chakra-ui/react";
import { ArrowDown, ArrowUp, Plus, X } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Chips } from "@/ui";
import { useForm } from "./context";
import type { ControlProps } from "./control";
import { Control } from "./control";
import { type Shape, shapeOf, startOf } from "./schema";
import { brief, type Json } from "./values";

export function List({ shape, ...props }: ControlProps & { shape: Extract<Shape, { type: "list" }> }) {
  const { value, standard, onChange, path, labelId } = props;
  const { t } = useTranslation();
  const form = useForm();
  const item = shapeOf(shape.item, form.root);
  const given = Array.isArray(value) ? value : undefined;
  const items: Json[] = given ?? (Array.isArray(standard) ? standard : []);
  if (item.type === "choice")
    return (
      <Chips
        labelledBy={labelId}
        options={[...new Set([...item.options, ...items])].map((one) => ({ value: brief(one), label: brief(one) }))}
        values={items.map((one) => brief(one))}
        onChange={(chosen) => {
          const known = [...item.options, ...items];
          onChange(chosen.map((text) => known.find((one) => brief(one) === text) ?? text));
        }}
      />
    );
  const put = (at: number, changed: Json | undefined) => {
    const next = items.map((one, seat) => (seat === at ? (changed ?? startOf(item, form.root)) : one));
    onChange(next);
  };
  const remove = (at: number) => onChange(items.filter((_, seat) => seat !== at));
  const move = (at: number, to: number) => {
    const next = [...items];
    const [one] = next.splice(at, 1);
    if (one !== undefined) next.splice(to, 0, one);
    onChange(next);
  };
  const isTall = item.type === "object" || item.type === "variants";
  const name = String(path.at(-1));
  return (
    <Flex direction="column" gap={2} role="group" aria-labelledby={labelId}>
      {items.map((one, at) => (
        <Flex
          // biome-ignore lint/suspicious/noArrayIndexKey: items have no name but their place
          key={at}
          gap={1}
          align="flex-start"
          {...(isTall && { borderWidth: "1px", borderColor: "border", borderRadius: "l2", p: 3 })}
        >
          <Box flex={1} minW={0}>
            <Control
              {...props}
              shape={item}
              schema={shape.item}
              path={[...path, at]}
              value={one}
              standard={undefined}
              required
              id={`${props.id}-${at}`}
              labelId={`${props.id}-${at}-label`}
              suggestions={item.type === "text" ? form.suggest([...path, at].join(".")) : null}
              onChange={(changed) => put(at, changed)}
            />
            <Box id={`${props.id}-${at}-label`} hidden>
              {t("form.item", { name, number: at + 1 })}
            </Box>
          </Box>
          <Flex>
            {items.length > 1 && isTall && (
              <>
                <IconButton
                  size="xs"
                  variant="ghost"
                  color="fg.muted"
                  disabled={at === 0}
                  aria-label={t("form.up")}
                  title={t("form.up")}
                  onClick={() => move(at, at - 1)}
                >
                  <ArrowUp />
                </IconButton>
                <IconButton
                  size="xs"
                  variant="ghost"
                  color="fg.muted"
                  disabled={at === items.length - 1}
                  aria-label={t("form.down")}
                  title={t("form.down")}
                  onClick={() => move(at, at + 1)}
                >
                  <ArrowDown />
                </IconButton>
              </>
            )}
            <IconButton
              size="xs"
              variant="ghost"
              color="fg.muted"
              aria-label={t("form.remove", { number: at + 1 })}
              title={t("form.remove", { number: at + 1 })}
              onClick={() => remove(at)}
            >
              <X />
            </IconButton>
          </Flex>
        </Flex>
      ))}
      <Box>
        <Button size="xs" variant="outline" onClick={() => onChange([...items, startOf(item, form.root)])}>
          <Plus /> {t("form.add")}
        </Button>
      </Box>
    </Flex>
  );
}
