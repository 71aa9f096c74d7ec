// Which two runs are compared; both stand in the address.
import { Box, Button, Flex, IconButton, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { ArrowLeftRight, ChevronsUpDown, Rows3 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useFoundRuns } from "@/features/runs/found";
import { listedRunQuery, type RunSummary } from "@/features/runs/queries";
import { ago } from "@/ui";
import { useLater } from "@/ui/later";
import { useStateName } from "@/ui/status";

interface PickerProps {
  label: string;
  colour: 1 | 2;
  value: string;
  onChange: (run: string) => void;
}

function Picker({ label, colour, value, onChange }: PickerProps) {
  const { t } = useTranslation();
  const nameOf = useStateName();
  const [open, setOpen] = useState(false);
  const [Finder, need] = useLater(() => import("@/ui/finder/dialog"));
  const { data: run } = useQuery(listedRunQuery(value));
  const described = (one: RunSummary) => (one.created ? ago(one.created) : nameOf(one.state));
  const shown = run ? `${run.recipe} #${run.number} · ${described(run)}` : value || t("compare.choose");
  const useItems = (typed: string) =>
    useFoundRuns(typed).map((one) => ({
      key: one.run,
      group: t("nav.runs"),
      name: `${one.recipe} #${one.number}`,
      hint: described(one),
      icon: Rows3,
      go: () => onChange(one.run),
    }));
  return (
    <Flex align="center" gap={3} flex={1} minW={0}>
      <Box boxSize="10px" borderRadius="full" bg={`series.${colour}`} flexShrink={0} aria-hidden />
      <Button
        size="sm"
        variant="outline"
        flex={1}
        minW={0}
        justifyContent="space-between"
        fontWeight="normal"
        color={value ? "fg" : "fg.muted"}
        aria-label={`${label}: ${shown}`}
        aria-haspopup="dialog"
        onClick={() => {
          need();
          setOpen(true);
        }}
      >
        <Text truncate>{shown}</Text>
        <ChevronsUpDown aria-hidden />
      </Button>
      {Finder && (
        <Finder
          open={open}
          onClose={() => setOpen(false)}
          title={label}
          hint={t("compare.choose")}
          useItems={useItems}
        />
      )}
    </Flex>
  );
}

export function Pickers({ one, other }: { one: string; other: string }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const go = (first: string, second: string) =>
    void navigate({ to: "/compare", search: { one: first || undefined, other: second || undefined }, replace: true });
  return (
    <Flex
      gap={3}
      align="center"
      direction={{ base: "column", md: "row" }}
      css={{ "& > *": { width: { base: "full", md: "auto" } } }}
    >
      <Picker label={t("compare.one")} colour={1} value={one} onChange={(run) => go(run, other)} />
      <IconButton
        size="sm"
        variant="ghost"
        color="fg.muted"
        aria-label={t("compare.swap")}
        title={t("compare.swap")}
        alignSelf="center"
        onClick={() => go(other, one)}
      >
        <ArrowLeftRight />
      </IconButton>
      <Picker label={t("compare.other")} colour={2} value={other} onChange={(run) => go(one, run)} />
    </Flex>
  );
}
