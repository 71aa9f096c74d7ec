// A bar of known length that fills; its place is taken before anything is known.
import { Box } from "@chakra-ui/react";

export interface ProgressProps {
  label: string;
  done: number;
  /** 0: unknown. */
  total: number;
  tone?: "accent" | "success" | "danger" | "warning" | "gray";
}

export function Progress({ label, done, total, tone = "accent" }: ProgressProps) {
  const share = total > 0 ? Math.min(1, done / total) : 0;
  return (
    <Box
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={total || undefined}
      aria-valuenow={total ? done : undefined}
      colorPalette={tone}
      h="4px"
      borderRadius="full"
      bg="bg.emphasized"
      overflow="hidden"
    >
      <Box
        h="full"
        borderRadius="full"
        bg="colorPalette.solid"
        transition="width 400ms ease-out"
        animation={total ? undefined : "pulse"}
        style={{ width: total ? `${share * 100}%` : "100%", opacity: total ? 1 : 0.4 }}
      />
    </Box>
  );
}
