// A dialog that finds one of many: type, choose with the arrows, go with Enter. Fetched when it is first opened.
import { Box, Dialog, Flex, Input, Portal, Text } from "@chakra-ui/react";
import { type LucideIcon, Search } from "lucide-react";
import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { best } from "./match";

const MOST = 40;

export interface FinderItem {
  key: string;
  group: string;
  name: string;
  hint?: string;
  icon: LucideIcon;
  go: () => void;
}

interface FinderProps {
  /** The name of the field and of the list. */
  title: string;
  hint: string;
  /** What there is; `typed` is for a search on the server. */
  useItems: (typed: string) => FinderItem[];
  onClose: () => void;
}

export default function FinderDialog({ open, ...finder }: FinderProps & { open: boolean }) {
  return (
    <Dialog.Root
      open={open}
      onOpenChange={(change) => !change.open && finder.onClose()}
      lazyMount
      unmountOnExit
      placement="top"
      scrollBehavior="inside"
    >
      <Portal>
        <Dialog.Backdrop />
        <Dialog.Positioner px={4}>
          <Dialog.Content maxW="560px" mt={{ base: "8vh", md: "14vh" }} aria-label={finder.title} overflow="hidden">
            <Finder {...finder} />
          </Dialog.Content>
        </Dialog.Positioner>
      </Portal>
    </Dialog.Root>
  );
}

function Finder({ title, hint, useItems, onClose }: FinderProps) {
  const { t } = useTranslation();
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const items = best(typed, useItems(typed), MOST);
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
          aria-label={title}
          placeholder={hint}
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
        aria-label={title}
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
