// The palette: type, choose with the arrows, go with Enter. Fetched when it is first opened.
import { Box, Dialog, Flex, Input, Portal, Text } from "@chakra-ui/react";
import { Search } from "lucide-react";
import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { usePaletteItems } from "./items";
import { best } from "./match";

const MOST = 40;

export default function PaletteDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Dialog.Root
      open={open}
      onOpenChange={(change) => !change.open && onClose()}
      lazyMount
      unmountOnExit
      placement="top"
      scrollBehavior="inside"
    >
      <Portal>
        <Dialog.Backdrop />
        <Dialog.Positioner px={4}>
          <Dialog.Content
            maxW="560px"
            mt={{ base: "8vh", md: "14vh" }}
            aria-label={t("palette.title")}
            overflow="hidden"
          >
            <Finder onClose={onClose} />
          </Dialog.Content>
        </Dialog.Positioner>
      </Portal>
    </Dialog.Root>
  );
}

function Finder({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const items = best(typed, usePaletteItems(), MOST);
  const groups = [...new Set(items.map((item) => item.group))];
  const ordered = groups.flatMap((group) => items.filter((item) => item.group === group));
  const chosen = ordered[Math.min(at, ordered.length - 1)];
  const option = (key: string) => `${id}-${key}`;

  useEffect(() => {
    if (chosen) document.getElementById(`${id}-${chosen.key}`)?.scrollIntoView({ block: "nearest" });
  }, [chosen, id]);

  const go = (item = chosen) => {
    if (!item) return;
    onClose();
    item.go();
  };
  const keys = (event: KeyboardEvent) => {
    const moves: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: ordered.length - 1 };
    const next = moves[event.key];
    if (event.key === "Enter" && !event.nativeEvent.isComposing) go();
    else if (next !== undefined && ordered.length) {
      setAt((next + ordered.length) % ordered.length);
    } else return;
    event.preventDefault();
  };

  return (
    <>
      <Flex align="center" gap={3} px={4} borderBottomWidth="1px" color="fg.muted">
        <Search size={16} aria-hidden />
        <Input
          variant="flushed"
          border="none"
          h="52px"
          fontSize="lg"
          color="fg"
          outline="none"
          boxShadow="none"
          role="combobox"
          aria-expanded
          aria-controls={`${id}-list`}
          aria-activedescendant={chosen && option(chosen.key)}
          aria-label={t("palette.title")}
          placeholder={t("palette.hint")}
          autoFocus
          value={typed}
          onChange={(event) => {
            setTyped(event.target.value);
            setAt(0);
          }}
          onKeyDown={keys}
        />
      </Flex>
      <Box
        ref={list}
        id={`${id}-list`}
        role="listbox"
        aria-label={t("palette.title")}
        overflowY="auto"
        maxH="min(400px, 56dvh)"
        p={2}
      >
        {groups.map((group) => (
          <Box key={group} role="group" aria-label={group}>
            <Text textStyle="caption" color="fg.muted" px={2} pt={2} pb={1} aria-hidden>
              {group}
            </Text>
            {ordered
              .filter((item) => item.group === group)
              .map((item) => {
                const Icon = item.icon;
                const isChosen = item === chosen;
                return (
                  <Flex
                    key={item.key}
                    id={option(item.key)}
                    role="option"
                    aria-selected={isChosen}
                    align="center"
                    gap={3}
                    h="36px"
                    px={2}
                    borderRadius="l2"
                    cursor="pointer"
                    bg={isChosen ? "bg.muted" : undefined}
                    onPointerMove={() => setAt(ordered.indexOf(item))}
                    onClick={() => go(item)}
                  >
                    <Box color="fg.muted" flexShrink={0}>
                      <Icon size={15} aria-hidden />
                    </Box>
                    <Text flexShrink={0}>{item.name}</Text>
                    {item.hint && (
                      <Text textStyle="small" color="fg.muted" truncate>
                        {item.hint}
                      </Text>
                    )}
                  </Flex>
                );
              })}
          </Box>
        ))}
        {!ordered.length && (
          <Text color="fg.muted" textAlign="center" py={8}>
            {t("palette.none")}
          </Text>
        )}
      </Box>
    </>
  );
}
