// A reference to a model, typed or chosen of those that are known.
import { Box, Flex, IconButton, Input, Menu, Portal, Text } from "@chakra-ui/react";
import { ChevronsUpDown } from "lucide-react";
import { useTranslation } from "react-i18next";
import { asProblem } from "@/api/problem";
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
  const groups = [...new Set(known.map((one) => one.group))];
  return (
    <Flex gap={1} flex={1} minW={0}>
      <Input
        size="sm"
        flex={1}
        minW={0}
        fontFamily="mono"
        fontSize="12.5px"
        spellCheck={false}
        autoComplete="off"
        aria-label={label}
        placeholder={placeholder ?? t("models.pick")}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
      <Menu.Root positioning={{ placement: "bottom-end" }}>
        <Menu.Trigger asChild>
          <IconButton size="sm" variant="outline" aria-label={t("form.choose")} title={t("form.choose")}>
            <ChevronsUpDown />
          </IconButton>
        </Menu.Trigger>
        <Portal>
          <Menu.Positioner>
            <Menu.Content maxH="320px" overflowY="auto" minW="240px" maxW="min(92vw, 420px)">
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
              {groups.map((group) => (
                <Menu.ItemGroup key={group}>
                  <Menu.ItemGroupLabel textStyle="caption" color="fg.muted">
                    {group}
                  </Menu.ItemGroupLabel>
                  {known
                    .filter((one) => one.group === group)
                    .map((one) => (
                      <Menu.Item key={one.ref} value={one.ref} onSelect={() => onChange(one.ref)}>
                        <Box minW={0}>
                          <Box fontFamily="mono" fontSize="12.5px" truncate>
                            {one.ref}
                          </Box>
                          <Box textStyle="caption" color="fg.muted" truncate>
                            {one.label}
                          </Box>
                        </Box>
                      </Menu.Item>
                    ))}
                </Menu.ItemGroup>
              ))}
            </Menu.Content>
          </Menu.Positioner>
        </Portal>
      </Menu.Root>
    </Flex>
  );
}
