// The machine in a few lines: what it computes on, memory, disk.
import { Box, chakra, Flex, Skeleton, Text } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { asProblem } from "@/api/problem";
import { bytes, count, ErrorCard, KeyValue, Lines, Section } from "@/ui";
import { devicesQuery, doctorQuery, machineQuery } from "./queries";

const MOST = 6;

/** `isQuiet` says that the page has what a reader waits for: what costs seconds of a processor is asked only then. */
export function MachineCard({ isQuiet }: { isQuiet: boolean }) {
  const { t } = useTranslation();
  const machine = useQuery(machineQuery);
  const devices = useQuery({ ...devicesQuery, enabled: isQuiet });
  if (machine.error && !machine.data) return <ErrorCard error={machine.error} onRetry={() => void machine.refetch()} />;
  return (
    <Section title={t("home.machine")} minH="184px">
      {machine.data ? (
        <KeyValue
          nameWidth="96px"
          pairs={[
            {
              name: t("home.devices"),
              value: devices.data ? (
                devices.data.names.join(", ") || devices.data.error || "–"
              ) : devices.error ? (
                <Text color="fg.error">{asProblem(devices.error).message}</Text>
              ) : (
                <Skeleton height="14px" my="4px" width="96px" />
              ),
            },
            { name: t("home.cores"), value: machine.data.machine.cores },
            {
              name: t("home.memory"),
              value: machine.data.machine.memory_bytes ? bytes(machine.data.machine.memory_bytes) : "–",
            },
            { name: t("home.disk"), value: t("home.free", { size: bytes(machine.data.machine.free_disk_bytes) }) },
          ]}
        />
      ) : (
        <Lines count={4} />
      )}
    </Section>
  );
}

/** What the doctor found wrong, problems first; nothing where all is well. */
export function Alerts({ isQuiet }: { isQuiet: boolean }) {
  const { t } = useTranslation();
  const { data = [], error, refetch } = useQuery({ ...doctorQuery, enabled: isQuiet });
  if (error && !data.length) return <ErrorCard error={error} onRetry={() => void refetch()} />;
  const found = ["problem", "warning"].flatMap((level) => data.filter((one) => one.level === level));
  if (!found.length) return null;
  return (
    <Section title={t("home.alerts")}>
      <Flex direction="column" gap={4} as="ul" m={0} p={0} listStyleType="none">
        {found.slice(0, MOST).map((one) => (
          <Flex as="li" key={one.subject + one.what} gap={2.5} align="flex-start">
            <Box
              mt="7px"
              boxSize="8px"
              borderRadius="full"
              flexShrink={0}
              bg={one.level === "problem" ? "danger.solid" : "warning.solid"}
              role="img"
              aria-label={t(one.level === "problem" ? "home.problem" : "home.warning")}
            />
            <Box minW={0} overflowWrap="anywhere">
              <Text>{one.what ? `${one.subject}: ${one.what}` : one.subject}</Text>
              {one.fix && (
                <Text textStyle="small" color="fg.muted">
                  {one.fix}
                </Text>
              )}
            </Box>
          </Flex>
        ))}
      </Flex>
      {found.length > MOST && (
        <Text mt={4} textStyle="small" color="fg.muted">
          {t("home.moreAlerts", { number: count(found.length - MOST) })} <chakra.code>burnish doctor</chakra.code>
        </Text>
      )}
    </Section>
  );
}
