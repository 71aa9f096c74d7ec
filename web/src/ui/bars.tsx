// Counts as bars: a histogram of lengths, and shares by name.
import { Box, Flex, Text } from "@chakra-ui/react";
import { useTranslation } from "react-i18next";
import { count, percent } from "./format";

export interface Bin {
  from: number;
  to: number;
  count: number;
}

/** A histogram. A bar says its range and count when it is pointed at; a reader of screens gets the label. */
export function Histogram({ bins, label, height = 96 }: { bins: readonly Bin[]; label: string; height?: number }) {
  const most = Math.max(1, ...bins.map((bin) => bin.count));
  const [first] = bins;
  const last = bins.at(-1);
  const { t } = useTranslation();
  if (first && bins.length === 1) {
    const range = first.from === first.to ? count(first.from) : `${count(first.from)}–${count(first.to)}`;
    return <Text color="fg.muted">{t("ui.allAre", { number: count(first.count), range })}</Text>;
  }
  return (
    <Box>
      <Flex role="img" aria-label={label} align="flex-end" gap="2px" h={`${height}px`} borderBottomWidth="1px">
        {bins.map((bin) => (
          <Flex
            key={bin.from}
            flex={1}
            h="full"
            align="flex-end"
            title={`${count(bin.from)}–${count(bin.to)}: ${count(bin.count)}`}
            _hover={{ bg: "bg.muted" }}
          >
            <Box
              w="full"
              bg="series.1"
              borderTopRadius="2px"
              style={{ height: bin.count ? `max(2px, ${(bin.count / most) * 100}%)` : 0 }}
            />
          </Flex>
        ))}
      </Flex>
      <Flex justify="space-between" textStyle="caption" color="fg.muted" mt={1}>
        <span>{first ? count(first.from) : ""}</span>
        <span>{last ? count(last.to) : ""}</span>
      </Flex>
    </Box>
  );
}

/** Names with their counts, the largest first. */
export function Shares({ counts, most = 8 }: { counts: Record<string, number>; most?: number }) {
  const all = Object.entries(counts).sort(([, one], [, other]) => other - one);
  const sum = all.reduce((total, [, value]) => total + value, 0) || 1;
  return (
    <Flex direction="column" gap={1.5}>
      {all.slice(0, most).map(([name, value]) => (
        <Box key={name}>
          <Flex justify="space-between" gap={3} textStyle="small">
            <Text truncate title={name}>
              {name || "–"}
            </Text>
            <Text color="fg.muted" fontVariantNumeric="tabular-nums" flexShrink={0}>
              {count(value)} · {percent(value / sum)}
            </Text>
          </Flex>
          <Box h="4px" borderRadius="full" bg="bg.muted" overflow="hidden">
            <Box h="full" bg="series.1" borderRadius="full" style={{ width: `${(value / sum) * 100}%` }} />
          </Box>
        </Box>
      ))}
      {all.length > most && (
        <Text textStyle="caption" color="fg.muted">
          +{count(all.length - most)}
        </Text>
      )}
    </Flex>
  );
}
