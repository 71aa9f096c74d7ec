// All variables by group, with a search; those of containers are folded away.
import { Box, Button, Input, InputGroup, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Search } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { count, EmptyState, ErrorCard, Rich, Rows, Section } from "@/ui";
import { type Group, type Setting, settingsQuery } from "./queries";
import { Variable } from "./variable";

const GROUPS: readonly Group[] = ["keys", "hub", "trackers", "machine", "network", "burnish", "containers"];
const FOLDED = new Set<Group>(["trackers", "machine", "network", "burnish", "containers"]);

function VariableGroup({
  group,
  settings,
  isSearch,
}: {
  group: Group;
  settings: readonly Setting[];
  isSearch: boolean;
}) {
  const { t } = useTranslation();
  const [isOpen, setIsOpen] = useState(!FOLDED.has(group));
  const set = settings.filter((setting) => setting.in_file).length;
  const shown = isOpen || isSearch;
  return (
    <Section
      flush
      title={t(`settings.group_${group}`)}
      description={<Rich>{t(`settings.group_${group}_hint`)}</Rich>}
      actions={
        !isSearch &&
        FOLDED.has(group) && (
          <Button size="xs" variant="ghost" color="fg.muted" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
            {isOpen ? t("settings.hide") : t("settings.show", { number: count(settings.length), set })}
          </Button>
        )
      }
    >
      {shown && (
        <Box as="ul" m={0} p={0} listStyleType="none">
          {settings.map((setting) => (
            <Variable key={setting.name} setting={setting} />
          ))}
        </Box>
      )}
    </Section>
  );
}

export function Variables() {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery(settingsQuery);
  const [typed, setTyped] = useState("");
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const found = (data?.variables ?? []).filter((one) =>
    words.every((word) => `${one.name} ${one.help}`.toLowerCase().includes(word)),
  );
  if (error && !data) return <ErrorCard error={error} onRetry={() => void refetch()} />;
  return (
    <>
      <Box>
        <Text as="h2" textStyle="heading" fontSize="16px">
          {t("settings.variables")}
        </Text>
        <Text color="fg.muted" mt={1} mb={4} overflowWrap="anywhere">
          <Rich>{t("settings.variablesHint")}</Rich>
        </Text>
        <InputGroup startElement={<Search size={14} aria-hidden />} maxW="320px">
          <Input
            size="sm"
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
            placeholder={t("settings.find")}
            aria-label={t("settings.find")}
          />
        </InputGroup>
      </Box>
      {!data && (
        <Section flush>
          <Rows count={6} height={64} />
        </Section>
      )}
      {GROUPS.map((group) => ({ group, settings: found.filter((one) => one.group === group) }))
        .filter(({ settings }) => settings.length)
        .map(({ group, settings }) => (
          <VariableGroup key={group} group={group} settings={settings} isSearch={words.length > 0} />
        ))}
      {data && !found.length && (
        <Section flush>
          <EmptyState compact icon={Search} title={t("settings.nothing")} />
        </Section>
      )}
      {data && data.others.length > 0 && (
        <Text color="fg.muted" textStyle="small">
          {t("settings.others", { names: data.others.join(", ") })}
        </Text>
      )}
    </>
  );
}
