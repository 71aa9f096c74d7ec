// A reference: typed, or chosen of those that are known. Spaces may stand in it; those around are no part of it.
import { Box, Flex, IconButton, Input, type InputProps, Menu, Portal } from "@chakra-ui/react";
import { ChevronsUpDown } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Suggestion } from "./context";

export interface ReferenceProps {
  value: string;
  /** What is typed, without the spaces around. */
  onChange: (ref: string) => void;
  suggestions: readonly Suggestion[];
  /** What is said above the suggestions, also where there are none. */
  note?: ReactNode;
  placeholder: string;
  /** The name and the state of the field. */
  field: Pick<InputProps, "id"> & React.AriaAttributes;
}

export function Reference({ value, onChange, suggestions, note, placeholder, field }: ReferenceProps) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState(value);
  // A value that came from elsewhere replaces what was typed; a space at its end stays while more is typed.
  useEffect(() => setTyped((before) => (before.trim() === value ? before : value)), [value]);
  const groups = [...new Set(suggestions.map((one) => one.group))];
  return (
    <Flex gap={1} flex={1} minW={0}>
      <Input
        {...field}
        size="sm"
        flex={1}
        minW={0}
        fontFamily="mono"
        fontSize="12.5px"
        autoComplete="off"
        spellCheck={false}
        value={typed}
        placeholder={placeholder}
        onChange={(event) => {
          setTyped(event.target.value);
          onChange(event.target.value.trim());
        }}
        onBlur={() => setTyped(value)}
      />
      {(groups.length > 0 || note !== undefined) && (
        <Menu.Root positioning={{ placement: "bottom-end" }}>
          <Menu.Trigger asChild>
            <IconButton size="sm" variant="outline" aria-label={t("form.choose")} title={t("form.choose")}>
              <ChevronsUpDown />
            </IconButton>
          </Menu.Trigger>
          <Portal>
            <Menu.Positioner>
              <Menu.Content maxH="320px" overflowY="auto" minW="240px" maxW="min(92vw, 480px)">
                {note}
                {groups.map((group) => (
                  <Menu.ItemGroup key={group}>
                    <Menu.ItemGroupLabel textStyle="caption" color="fg.muted">
                      {group}
                    </Menu.ItemGroupLabel>
                    {suggestions
                      .filter((one) => one.group === group)
                      .map((one) => (
                        <Menu.Item key={one.value} value={one.value} onSelect={() => onChange(one.value)}>
                          <Box minW={0}>
                            <Box fontFamily="mono" fontSize="12.5px" truncate>
                              {one.value}
                            </Box>
                            {one.label && (
                              <Box textStyle="caption" color="fg.muted" truncate>
                                {one.label}
                              </Box>
                            )}
                          </Box>
                        </Menu.Item>
                      ))}
                  </Menu.ItemGroup>
                ))}
              </Menu.Content>
            </Menu.Positioner>
          </Portal>
        </Menu.Root>
      )}
    </Flex>
  );
}
