// The shape of what is coming, so that nothing jumps when it comes.
import { Box, Flex, Skeleton } from "@chakra-ui/react";
import { useTranslation } from "react-i18next";

const seats = (count: number) => Array.from({ length: count }, (_, seat) => seat);

function Waiting({ children }: { children: React.ReactNode }) {
  const { t } = useTranslation();
  return (
    <Box role="status" aria-label={t("ui.loading")} aria-busy>
      {children}
    </Box>
  );
}

/** Lines of text. */
export function Lines({ count = 3 }: { count?: number }) {
  return (
    <Waiting>
      <Flex direction="column" gap={3}>
        {seats(count).map((seat) => (
          <Skeleton key={seat} height="14px" width={`${92 - ((seat * 23) % 40)}%`} borderRadius="l1" />
        ))}
      </Flex>
    </Waiting>
  );
}

/** Rows of a table. */
export function Rows({ count = 6, height = 44 }: { count?: number; height?: number }) {
  return (
    <Waiting>
      {seats(count).map((seat) => (
        <Flex
          key={seat}
          h={`${height}px`}
          align="center"
          gap={6}
          px={5}
          borderTopWidth={seat ? "1px" : 0}
          borderColor="border.muted"
        >
          <Skeleton height="12px" flex="3" borderRadius="l1" />
          <Skeleton height="12px" flex="2" borderRadius="l1" />
          <Skeleton height="12px" flex="1" borderRadius="l1" />
        </Flex>
      ))}
    </Waiting>
  );
}

/** A block of a known height: a curve, a card. */
export function Block({ height }: { height: number }) {
  return (
    <Waiting>
      <Box
        h={`${height}px`}
        borderWidth="1px"
        borderColor="border"
        borderRadius="l3"
        bg="bg.panel"
        p={5}
        overflow="hidden"
      >
        <Flex direction="column" gap={3}>
          {seats(Math.max(1, Math.min(6, Math.floor(height / 60)))).map((seat) => (
            <Skeleton key={seat} height="12px" width={`${92 - ((seat * 23) % 40)}%`} borderRadius="l1" />
          ))}
        </Flex>
      </Box>
    </Waiting>
  );
}
