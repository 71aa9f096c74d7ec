// One number that matters, with its name.
import { Box, Text } from "@chakra-ui/react";
import type { ReactNode } from "react";

export function Figure({ name, value, hint }: { name: ReactNode; value: ReactNode; hint?: ReactNode }) {
  return (
    <Box minW={0}>
      <Text textStyle="small" color="fg.muted" truncate>
        {name}
      </Text>
      <Box textStyle="heading" fontVariantNumeric="tabular-nums" truncate>
        {value}
      </Box>
      {hint && (
        <Text textStyle="caption" color="fg.muted" truncate>
          {hint}
        </Text>
      )}
    </Box>
  );
}
