// Which two runs are compared; both stand in the address.
import { Box, Flex, IconButton, NativeSelect } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { ArrowLeftRight } from "lucide-react";
import { useTranslation } from "react-i18next";
import { runsQuery } from "@/features/runs/queries";
import { ago } from "@/ui";
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
  const { data: runs = [] } = useQuery(runsQuery);
  const names = runs.map((run) => run.run);
  return (
    <Flex align="center" gap={3} flex={1} minW={0}>
      <Box boxSize="10px" borderRadius="full" bg={`series.${colour}`} flexShrink={0} aria-hidden />
      <NativeSelect.Root size="sm" minW={0}>
        <NativeSelect.Field aria-label={label} value={value} onChange={(event) => onChange(event.target.value)}>
          <option value="">{t("compare.choose")}</option>
          {value && !names.includes(value) && <option value={value}>{value}</option>}
          {runs.map((run) => (
            <option key={run.run} value={run.run}>
              {run.recipe} #{run.number} · {run.created ? ago(run.created) : nameOf(run.state)}
            </option>
          ))}
        </NativeSelect.Field>
        <NativeSelect.Indicator />
      </NativeSelect.Root>
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
