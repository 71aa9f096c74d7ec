// The rows of a dataset: a list of which only what is in sight is fetched and drawn, and one row as a conversation.
import { Box, Flex, Grid, Skeleton, Text } from "@chakra-ui/react";
import { useQueries } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { TriangleAlert } from "lucide-react";
import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { count, ErrorCard } from "@/ui";
import { conversationOf } from "@/ui/chat";
import { type DataRow, PAGE, rowsQuery } from "./queries";
import { RowDetail } from "./row";

const HEIGHT = 48;
const SETTLE = 90;

export interface RowBrowserProps {
  name: string;
  split: string | undefined;
  total: number;
  row: number;
  editable: boolean;
  onRow: (row: number) => void;
}

export function RowBrowser(props: RowBrowserProps) {
  return (
    <Grid
      templateColumns={{ base: "minmax(0, 1fr)", lg: "minmax(260px, 360px) minmax(0, 1fr)" }}
      borderWidth="1px"
      borderColor="border"
      borderRadius="l3"
      bg="bg.panel"
      overflow="hidden"
      h={{ lg: "max(440px, calc(100dvh - 372px))" }}
    >
      <RowList {...props} />
      <Box
        minW={0}
        overflowY="auto"
        borderStartWidth={{ lg: "1px" }}
        borderTopWidth={{ base: "1px", lg: 0 }}
        borderColor="border"
      >
        <RowDetail key={`${props.split}/${props.row}`} {...props} />
      </Box>
    </Grid>
  );
}

/** A row in one line: the last words of its conversation, or its JSON. */
function lineOf(row: DataRow): string {
  if (!row.value) return row.bad?.text ?? "";
  const messages = conversationOf(row.value);
  const said = messages.find((one) => one.role === "user") ?? messages[0];
  return (said?.text || JSON.stringify(row.value)).replace(/\s+/g, " ").slice(0, 160);
}

function RowList({ name, split, total, row, onRow }: RowBrowserProps) {
  const { t } = useTranslation();
  const id = useId();
  const frame = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: total,
    getScrollElement: () => frame.current,
    estimateSize: () => HEIGHT,
    overscan: 8,
    initialOffset: Math.max(0, row - 3) * HEIGHT,
  });
  const items = virtual.getVirtualItems();
  const first = Math.floor((items[0]?.index ?? 0) / PAGE);
  const last = Math.floor((items.at(-1)?.index ?? 0) / PAGE);
  // What is passed quickly is not fetched.
  const [pages, setPages] = useState<[number, number]>([first, last]);
  useEffect(() => {
    const timer = setTimeout(() => setPages([first, last]), SETTLE);
    return () => clearTimeout(timer);
  }, [first, last]);
  const wanted = Array.from({ length: Math.max(1, pages[1] - pages[0] + 1) }, (_, at) => pages[0] + at);
  const fetched = useQueries({ queries: wanted.map((page) => rowsQuery(name, split, page)) });
  const rowAt = (index: number) => fetched[Math.floor(index / PAGE) - pages[0]]?.data?.rows[index % PAGE];
  const failed = fetched.find((one) => one.error);

  const move = (event: KeyboardEvent) => {
    const steps: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: 10,
      PageUp: -10,
      Home: -total,
      End: total,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.min(total - 1, Math.max(0, row + step));
    onRow(next);
    virtual.scrollToIndex(next);
  };
  return (
    <Flex direction="column" minH={0}>
      {failed?.error && (
        <Box p={3}>
          <ErrorCard error={failed.error} onRetry={() => void failed.refetch()} />
        </Box>
      )}
      <Box
        ref={frame}
        role="listbox"
        aria-label={t("data.rows")}
        aria-activedescendant={items.some((item) => item.index === row) ? `${id}-${row}` : undefined}
        tabIndex={0}
        flex={{ base: "none", lg: 1 }}
        h={{ base: "264px", lg: "auto" }}
        overflowY="auto"
        onKeyDown={move}
        _focusVisible={{ outline: "2px solid", outlineColor: "accent.focusRing", outlineOffset: "-2px" }}
      >
        <Box position="relative" role="presentation" style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const one = rowAt(item.index);
            const isChosen = item.index === row;
            return (
              <Flex
                key={item.index}
                id={`${id}-${item.index}`}
                role="option"
                aria-selected={isChosen}
                aria-setsize={total}
                aria-posinset={item.index + 1}
                position="absolute"
                top={0}
                left={0}
                w="full"
                align="center"
                gap={3}
                px={4}
                cursor="pointer"
                borderBottomWidth="1px"
                borderColor="border.muted"
                bg={isChosen ? "accent.subtle" : undefined}
                _hover={isChosen ? undefined : { bg: "bg.subtle" }}
                style={{ height: HEIGHT, transform: `translateY(${item.start}px)` }}
                onClick={() => onRow(item.index)}
              >
                <Text textStyle="caption" color="fg.muted" fontVariantNumeric="tabular-nums" minW="3ch" textAlign="end">
                  {count(item.index + 1)}
                </Text>
                {one ? (
                  <Text textStyle="small" truncate flex={1} color={one.bad ? "fg.error" : undefined}>
                    {lineOf(one) || "–"}
                  </Text>
                ) : (
                  <Skeleton h="10px" flex={1} borderRadius="l1" />
                )}
                {one?.bad && (
                  <Box color="fg.error" flexShrink={0}>
                    <TriangleAlert size={13} aria-label={t("data.bad")} />
                  </Box>
                )}
              </Flex>
            );
          })}
        </Box>
      </Box>
    </Flex>
  );
}
