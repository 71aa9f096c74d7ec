// Items: what was asked, the reference, and the answers of all sides beside each other.

import { Badge, Box, Button, Flex, Grid, Input, InputGroup, NativeSelect, Text } from "@chakra-ui/react";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { Search } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { measureName } from "@/i18n/names";
import { count, EmptyState, ErrorCard, Lines, measure, Section } from "@/ui";
import { promptText } from "@/ui/chat";
import { ORDERS, type Order } from "./order";
import type { Item, ItemsAsked, ItemsLook, ItemsQuery, Scores } from "./queries";
import { colourOf, nameOf } from "./scores";

const STEP = 20;
const PAUSE = 300;

export interface ItemsProps {
  title: string;
  of: Pick<Scores, "sides" | "baseline">;
  first: Order;
  look: ItemsLook;
  onLook: (look: ItemsLook) => void;
  query: (asked: ItemsAsked) => ItemsQuery;
}

export function Items({ title, of, first, look, onLook, query }: ItemsProps) {
  const { t } = useTranslation();
  const { order = first, q = "" } = look;
  const [typed, setTyped] = useState(q);
  const latest = useRef(onLook);
  latest.current = onLook;
  useEffect(() => {
    const text = typed.trim();
    if (text === q) return;
    const timer = setTimeout(() => latest.current({ order: look.order, q: text || undefined }), PAUSE);
    return () => clearTimeout(timer);
  }, [typed, q, look.order]);
  const asked = { order, q, offset: 0, limit: STEP };
  const { data, error, refetch, isFetching, hasNextPage, fetchNextPage } = useInfiniteQuery({
    queryKey: [...query(asked).queryKey, "pages"],
    queryFn: ({ pageParam, signal }) => query({ ...asked, offset: pageParam }).queryFn({ signal }),
    initialPageParam: 0,
    getNextPageParam: (page, pages) => {
      const shown = pages.reduce((sum, one) => sum + one.items.length, 0);
      return page.items.length > 0 && shown < page.match ? shown : undefined;
    },
    placeholderData: keepPreviousData,
    retry: false,
  });
  const page = data?.pages[0];
  const items = data?.pages.flatMap((one) => one.items) ?? [];
  const orders = ORDERS.filter((one) => one !== "changed" || Object.keys(of.sides).length > 1);
  return (
    <Section
      flush
      title={title}
      description={
        page &&
        (page.match < page.total
          ? t("models.itemsFound", { count: page.match, found: count(page.match), all: count(page.total) })
          : t("models.itemsHint", { count: page.total, items: count(page.total) }))
      }
      actions={
        <Flex gap={2} wrap="wrap">
          <InputGroup startElement={<Search size={14} aria-hidden />} w="180px">
            <Input
              size="xs"
              value={typed}
              maxLength={200}
              aria-label={t("models.findItems")}
              placeholder={t("models.findItems")}
              onChange={(event) => setTyped(event.target.value)}
            />
          </InputGroup>
          <NativeSelect.Root size="xs" w="170px">
            <NativeSelect.Field
              aria-label={t("models.order")}
              value={order}
              onChange={(event) => onLook({ ...look, order: event.target.value as Order })}
            >
              {orders.map((one) => (
                <option key={one} value={one}>
                  {t(`models.order_${one}`)}
                </option>
              ))}
            </NativeSelect.Field>
            <NativeSelect.Indicator />
          </NativeSelect.Root>
        </Flex>
      }
    >
      {error && !data && (
        <Box p={5}>
          <ErrorCard error={error} onRetry={() => void refetch()} />
        </Box>
      )}
      {!data && !error && (
        <Box p={5}>
          <Lines count={8} />
        </Box>
      )}
      {page?.items.length === 0 && <EmptyState compact icon={Search} title={t("models.noItems")} />}
      {data && (
        <Box as="ol" m={0} p={0} listStyleType="none" opacity={isFetching ? 0.7 : 1} transition="opacity 120ms">
          {items.map((item, at) => (
            <ItemRow key={`${item.id}-${String(at)}`} item={item} of={of} />
          ))}
        </Box>
      )}
      {page && items.length > 0 && (
        <Flex
          justify="center"
          align="center"
          gap={3}
          p={3}
          borderTopWidth="1px"
          borderColor="border.muted"
          textStyle="small"
          color="fg.muted"
          role="status"
        >
          {t("models.itemsShown", { shown: count(items.length), all: count(page.match) })}
          {hasNextPage && (
            <Button size="xs" variant="outline" loading={isFetching} onClick={() => void fetchNextPage()}>
              {t("models.more")}
            </Button>
          )}
        </Flex>
      )}
    </Section>
  );
}

function ItemRow({ item, of }: { item: Item; of: ItemsProps["of"] }) {
  const { t } = useTranslation();
  return (
    <Box
      as="li"
      px={{ base: 4, md: 5 }}
      py={4}
      borderTopWidth="1px"
      borderColor="border.muted"
      _first={{ borderTopWidth: 0 }}
    >
      <Clamped text={promptText(item.prompt)} strong />
      {item.reference !== null && (
        <Flex gap={2} mt={1} textStyle="small" color="fg.muted" align="baseline">
          <Text textStyle="caption" flexShrink={0}>
            {t("models.reference")}
          </Text>
          <Clamped text={item.reference} />
        </Flex>
      )}
      <Grid
        mt={3}
        gap={3}
        templateColumns={{ base: "minmax(0, 1fr)", md: `repeat(${Math.min(3, item.sides.length)}, minmax(0, 1fr))` }}
      >
        {item.sides.map((side) => (
          <Box key={side.name} borderWidth="1px" borderColor="border.muted" borderRadius="l2" px={3} py={2} minW={0}>
            <Flex align="center" gap={2} mb={1} wrap="wrap" rowGap={1}>
              <Box
                boxSize="8px"
                borderRadius="full"
                flexShrink={0}
                bg={`series.${colourOf(side.name, of)}`}
                aria-hidden
              />
              <Text textStyle="caption" color="fg.muted" truncate flex="1 1 80px" title={nameOf(side.name, of)}>
                {nameOf(side.name, of)}
              </Text>
              {Object.entries(side.scores).map(([name, score]) => (
                <Badge
                  key={name}
                  size="xs"
                  variant="subtle"
                  colorPalette={score.value === 1 ? "success" : score.value === 0 ? "danger" : "gray"}
                  title={score.why}
                >
                  {measureName(name)} {score.value === null ? "–" : measure(score.value)}
                </Badge>
              ))}
            </Flex>
            <Clamped text={side.answer ?? "–"} />
          </Box>
        ))}
      </Grid>
      {(item.tag || item.source) && (
        <Text textStyle="caption" color="fg.subtle" mt={2} truncate>
          {[item.tag, item.source].filter(Boolean).join(" · ")}
        </Text>
      )}
    </Box>
  );
}

const LONG = 280;

function Clamped({ text, strong = false }: { text: string; strong?: boolean }) {
  const { t } = useTranslation();
  const [isOpen, setIsOpen] = useState(false);
  return (
    <Box textStyle={strong ? "body" : "small"} fontWeight={strong ? "500" : undefined} minW={0}>
      <Text overflowWrap="anywhere" whiteSpace="pre-wrap" lineClamp={isOpen ? undefined : 5}>
        {text || "–"}
      </Text>
      {text.length > LONG && (
        <Button size="2xs" variant="plain" color="accent.fg" px={0} h="20px" onClick={() => setIsOpen(!isOpen)}>
          {isOpen ? t("models.less") : t("models.whole")}
        </Button>
      )}
    </Box>
  );
}
