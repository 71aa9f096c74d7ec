// Names and their values, one under the other.
import { Box } from "@chakra-ui/react";
import { Fragment, type ReactNode } from "react";

export interface Pair {
  name: ReactNode;
  value: ReactNode;
  key?: string;
}

export function KeyValue({ pairs, nameWidth = "160px" }: { pairs: readonly Pair[]; nameWidth?: string }) {
  return (
    <Box
      as="dl"
      display="grid"
      gridTemplateColumns={{ base: "1fr", sm: `minmax(96px, ${nameWidth}) 1fr` }}
      columnGap={6}
      rowGap={{ base: 0, sm: 2.5 }}
      m={0}
    >
      {pairs.map((pair, at) => (
        <Fragment key={pair.key ?? (typeof pair.name === "string" ? pair.name : at)}>
          <Box as="dt" color="fg.muted" textStyle="small">
            {pair.name}
          </Box>
          <Box as="dd" m={0} mb={{ base: 3, sm: 0 }} minW={0} overflowWrap="anywhere">
            {pair.value}
          </Box>
        </Fragment>
      ))}
    </Box>
  );
}
