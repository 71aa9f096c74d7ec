// A choice of a few, side by side.
import { SegmentGroup } from "@chakra-ui/react";

export interface Option {
  value: string;
  label: string;
}

export interface SegmentsProps {
  options: readonly Option[];
  value: string;
  onChange: (value: string) => void;
  label?: string;
  labelledBy?: string;
}

export function Segments({ options, value, onChange, label, labelledBy }: SegmentsProps) {
  return (
    <SegmentGroup.Root
      size="sm"
      value={value}
      onValueChange={(chosen) => chosen.value !== null && onChange(chosen.value)}
      aria-label={label}
      aria-labelledby={labelledBy}
      maxW="full"
      w="fit-content"
      flexShrink={0}
      p="2px"
      bg="bg.muted"
      boxShadow="none"
      borderRadius="l2"
    >
      <SegmentGroup.Indicator bg={{ base: "bg.panel", _dark: "bg.emphasized" }} boxShadow="xs" borderRadius="l1" />
      {options.map((one) => (
        <SegmentGroup.Item key={one.value} value={one.value} h="28px" _before={{ display: "none" }}>
          <SegmentGroup.ItemText>{one.label}</SegmentGroup.ItemText>
          <SegmentGroup.ItemHiddenInput />
        </SegmentGroup.Item>
      ))}
    </SegmentGroup.Root>
  );
}
