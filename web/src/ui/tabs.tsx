// Parts of a screen under one another, of which one is seen. The address names it, so that a reload shows the same.
import { Tabs as Chakra } from "@chakra-ui/react";
import type { ReactNode } from "react";
import { useChosenInSight } from "./sight";

export interface Tab {
  value: string;
  title: ReactNode;
  content: ReactNode;
}

export interface TabsProps {
  tabs: readonly Tab[];
  value: string | undefined;
  onChange: (value: string) => void;
}

/** The tab that an address names, or the first where it names none that there is. */
export const tabOf = (tabs: readonly Pick<Tab, "value">[], value: string | undefined): string =>
  tabs.find((one) => one.value === value)?.value ?? tabs[0]?.value ?? "";

export function Tabs({ tabs, value, onChange }: TabsProps) {
  const chosen = tabOf(tabs, value);
  const list = useChosenInSight<HTMLDivElement>(chosen);
  return (
    <Chakra.Root value={chosen} onValueChange={(change) => onChange(change.value)} size="sm" lazyMount unmountOnExit>
      <Chakra.List ref={list} colorPalette="accent" overflowX="auto" overflowY="hidden">
        {tabs.map((tab) => (
          <Chakra.Trigger key={tab.value} value={tab.value} whiteSpace="nowrap">
            {tab.title}
          </Chakra.Trigger>
        ))}
      </Chakra.List>
      {tabs.map((tab) => (
        <Chakra.Content key={tab.value} value={tab.value} pt={5}>
          {tab.content}
        </Chakra.Content>
      ))}
    </Chakra.Root>
  );
}
