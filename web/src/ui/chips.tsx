// A choice of any number of a few words.
import { Button, Flex } from "@chakra-ui/react";
import { Check } from "lucide-react";
import type { Option } from "./segments";

export interface ChipsProps {
  options: readonly Option[];
  values: readonly string[];
  onChange: (values: string[]) => void;
  label?: string;
  labelledBy?: string;
}

export function Chips({ options, values, onChange, label, labelledBy }: ChipsProps) {
  const toggle = (value: string) =>
    onChange(values.includes(value) ? values.filter((one) => one !== value) : [...values, value]);
  return (
    <Flex role="group" aria-label={label} aria-labelledby={labelledBy} gap={1.5} wrap="wrap">
      {options.map((one) => {
        const isOn = values.includes(one.value);
        return (
          <Button
            key={one.value}
            size="2xs"
            variant={isOn ? "subtle" : "outline"}
            colorPalette={isOn ? "accent" : "gray"}
            borderRadius="full"
            px={2.5}
            aria-pressed={isOn}
            onClick={() => toggle(one.value)}
          >
            {isOn && <Check aria-hidden />}
            {one.label}
          </Button>
        );
      })}
    </Flex>
  );
}
